"""Batcher data in EIP-4844 blobs: the data source `blob` and the codec that it uses."""
