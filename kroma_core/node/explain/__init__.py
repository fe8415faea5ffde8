"""Explained derivation: what became of each input on L1, kept in a store, and the answers that are read from it."""
