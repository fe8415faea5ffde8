"""The roles a plugin can fill, and the capabilities an offer may claim beyond its role's protocol."""

from __future__ import annotations

import enum

API_VERSION = 1
"""Raised when a plugin written for the version before may stop working."""


class Role(enum.StrEnum):
    """A place in a node. The value is also the name under which a required role is passed to an offer's `open`."""

    L1 = "l1"
    BLOBS = "blobs"
    DATA = "data"
    ENGINE = "engine"
    P2P = "p2p"
    """Provisional: shaped by its first plugin."""
    PROOF = "proof"
    """Provisional: shaped by its first plugin."""
    OBSERVE = "observe"


class Capability(enum.StrEnum):
    """What an offer can do beyond its role's protocol. A profile that needs one is refused before anything opens."""

    EXECUTES = "executes"
    """The engine computes blocks itself (a `recorded` engine only answers with what was recorded)."""
    STATE_QUERIES = "state-queries"
    """The engine has the optional protocol `StateQueries`: the node serves `eth_` methods and explanations from it."""
    PROOFS = "proofs"
    """The engine keeps state, so that `proof` and `storage_root` have answers (a `recorded` engine has `NotFound`)."""
    TX_POOL = "tx-pool"
    """The engine has the optional protocol `TxPool`: the node takes transactions for it."""
    BLOCK_TRACES = "block-traces"
    """The engine has the optional protocol `BlockTraces`: it tells provers of Kroma's ZK era what a block did."""
    TIMELINE = "timeline"
    """The L1 source replays a recorded sequence of heads and then ends."""
    EXPECTATIONS = "expectations"
    """The L1 source knows what the reference client derived from it (`kroma_core.recording.Expected`)."""
    PUBLISHES = "publishes"
    """The data source has the protocol `DataPublisher`, too: it encodes frames into contents of L1 transactions."""
