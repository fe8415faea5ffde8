"""A modular rollup node for Kroma and OP Stack chains: pure derivation, plugin roles, and a node made of them."""
