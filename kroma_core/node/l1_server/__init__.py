"""A recorded L1 as a server: JSON-RPC and beacon API over HTTP, for any client that follows an L1.

chain.py       what a client sees at one step of the timeline
blocks.py      recorded blocks as the JSON-RPC shows them
execution.py   the `eth_`, `debug_` ... methods
beacon.py      the beacon API
sidecars.py    blobs with what proves that they belong to a beacon block
serving.py     both on their ports, and the walk through the timeline
"""
