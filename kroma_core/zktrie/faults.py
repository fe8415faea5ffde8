"""What can be wrong with a node, a value or a proof of a ZK trie."""

from __future__ import annotations

import enum

from kroma_core.errors import DecodeError


class Fault(enum.StrEnum):
    """Why a node or a proof is refused."""

    NO_MAGIC = "no magic at the end"
    MISSING_NODE = "missing node"
    WRONG_NODE = "wrong node"
    """It does not hash to what points to it: a byte was changed, or it belongs to another key's proof."""
    OTHER_PATH = "leaf of another path"
    OTHER_PREIMAGE = "preimage of another key"
    TOO_MANY_NODES = "too many nodes"
    TOO_DEEP = "too deep"
    NOT_AN_ELEMENT = "not a field element"
    MALFORMED = "malformed"
    NOT_CANONICAL = "not canonical"
    """The value can be encoded in one way only, and this is another."""


class TrieFault(DecodeError):
    """A node, value or proof that is refused, with the reason as a value."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"zk trie: {fault}: {detail}")
        self.fault = fault
