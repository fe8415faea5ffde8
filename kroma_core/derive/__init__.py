"""Derivation of the L2 chain from L1 data: pure, without I/O, clock or logger.

`pipeline.Derivation` is the whole machine; the modules beside it are its parts, named after the protocol's nouns.
Spec: derivation.md.
"""
