"""Kroma's ZK trie: the state commitment of a Kroma chain before its change to Merkle-Patricia state.

A sparse binary Merkle tree hashed with Poseidon over the scalar field of BN254. `poseidon` and `hashing` hash, `nodes`
are the nodes and their encodings, `trie` reads and updates over a store of nodes, `proof` verifies what `trie` proves.
"""
