"""The RPC of the node itself: `optimism_`, `kroma_`, `admin_`, `node_`, and its health."""
