"""Batcher data in call data, deflated by the batcher and inflated here."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import trio

from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.types import L1Ref

DEFLATED = b"\xdf"
"""First byte of call data that is deflated."""
FRAMES = b"\x00"
"""First byte of an input that consists of frames."""
MOST_CALL_DATA = 120_000
"""Bytes that nodes of the L1's network pass on in one transaction, with something to spare."""
BLOB_TYPE = 3


class DeflatedData:
    """Reads and writes deflated call data. Nothing is asked of anybody, so nothing can fail or be cancelled."""

    def __init__(self, largest: int) -> None:
        self._largest = largest

    def claims(self, tx: InboxTransaction, rules: Rules) -> bool:
        return tx.type != BLOB_TYPE or not rules.blobs

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        await trio.lowlevel.checkpoint()
        return [self._inputs(tx.data) for tx in txs]

    def encode(self, frames: Sequence[bytes]) -> Sequence[bytes]:
        groups: list[bytes] = []
        for frame in frames:
            if groups and len(groups[-1]) + len(frame) <= MOST_CALL_DATA:
                groups[-1] += frame
            else:
                groups.append(frame)
        return [DEFLATED + zlib.compress(group) for group in groups]

    def _inputs(self, data: bytes) -> tuple[bytes, ...]:
        """What call data carries. What was not deflated as it says, or inflates without end, carries nothing."""
        if data[:1] != DEFLATED:
            return (data,)
        inflater = zlib.decompressobj()
        try:
            frames = inflater.decompress(data[1:], self._largest)
        except zlib.error:
            return ()
        return (FRAMES + frames,) if inflater.eof else ()
