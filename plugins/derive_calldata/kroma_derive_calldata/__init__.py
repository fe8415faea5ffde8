"""Batcher data in call data: the data source `calldata`."""
