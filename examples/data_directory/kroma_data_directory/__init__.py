"""The data source `directory`: batcher data in a directory or an object store, commitments on L1."""
