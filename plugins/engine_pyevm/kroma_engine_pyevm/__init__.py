"""The embedded execution engine: py-evm runs the bytecode, the rest of an L2 block is here."""
