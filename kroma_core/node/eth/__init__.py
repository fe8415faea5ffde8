"""`eth_`, `net_`, `web3_`, `debug_`, `txpool_` on any engine that answers state queries, for wallets and explorers.

Field for field as op-geth answers them; what is different on purpose stands in docs/operating.md.
"""
