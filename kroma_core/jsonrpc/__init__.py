"""JSON-RPC 2.0 over HTTP and WebSocket, both sides of it: what plugins and core ask others with, and answer with."""
