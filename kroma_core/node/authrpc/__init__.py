"""The Engine API on this node's engine: what lets another rollup node drive it."""
