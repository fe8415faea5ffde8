"""Call data as the batcher's way to L1: one transaction, one input.

Spec: derivation.md, "Batcher Transaction Format"; ecotone/derivation.md, "Ecotone: Blob Retrieval".
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.types import L1Ref

BLOB_TYPE = 3
FRAMES_VERSION = b"\x00"
"""First byte of an input that consists of frames."""
MAX_CALL_DATA = 120_000
"""Call data a transaction may carry: nodes of the L1's network pass on at most 128 KiB in one transaction."""


class CallData:
    """Reads and writes batcher data in call data."""

    def claims(self, tx: InboxTransaction, rules: Rules) -> bool:
        """Every transaction, until blobs carry data; from then on all but blob transactions."""
        return tx.type != BLOB_TYPE or not rules.blobs

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        """The call data of each transaction as its one input, also where it is empty."""
        await trio.lowlevel.checkpoint()
        return [(tx.data,) for tx in txs]

    def encode(self, frames: Sequence[bytes]) -> Sequence[bytes]:
        """Frames packed into call data, in order, as many to a transaction as fit; at least one each."""
        contents: list[bytes] = []
        for frame in frames:
            if contents and len(contents[-1]) + len(frame) <= MAX_CALL_DATA:
                contents[-1] += frame
            else:
                contents.append(FRAMES_VERSION + frame)
        return contents
