"""L1 blocks from JSON-RPC servers, none of which is trusted. `offers` says what a profile may name."""
