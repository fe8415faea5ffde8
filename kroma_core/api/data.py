"""Role `data`: how an L1 transaction of the batcher carries its data, and how frames become such transactions.

Which transactions are the batcher's is consensus and decided by derivation; a data source only says what is in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.types import L1Ref


class DataSource(Protocol):
    """Reads batcher data out of authorised L1 transactions."""

    def claims(self, tx: InboxTransaction, rules: Rules) -> bool:
        """Whether this source reads `tx`; pure. `rules` are those of the L1 block's time."""
        ...

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        """Batcher data carried by each of `txs`, in the same order; empty for a transaction without any.

        A blob that does not decode contributes nothing (Spec: ecotone/derivation.md, "Blob Encoding").
        Raises `TemporaryError` if a needed source does not answer, `ResetError` if the block is not
        there, `DataMissing` if a blob is in none.
        """
        ...


class DataPublisher(Protocol):
    """Turns frames into the content of L1 transactions; for batchers (capability `publishes`)."""

    def encode(self, frames: Sequence[bytes]) -> Sequence[bytes]:
        """Transaction contents (call data, or blobs of 131 072 bytes) that carry `frames`, in order."""
        ...
