"""A recording in place of a live L1, of its blobs, or of an engine. `offers` says what a profile may name."""
