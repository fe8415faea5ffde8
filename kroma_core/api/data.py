"""Role `data`: how an L1 transaction of the batcher carries its data, and how frames become such transactions.

Which transactions are the batcher's is consensus and decided by derivation; a data source only says what is in them.

The sources of a profile are asked in its order, and the first that claims a transaction reads it. One that none of
them claims stops the node: to leave it out would derive another chain. So a source that stands alone in a profile
claims every transaction that can carry data, and answers `()` for what it cannot read; one that decides by the content
(a magic byte, say) needs another after it, which claims the rest.

What a source answers are inputs. An input of frames is the byte 0x00 (the version of the format) and then the frames.
`encode` gets frames without that byte, and `read` gives them back with it.
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
        """Whether this source reads `tx`; pure. `rules` are those of the L1 block's time.

        Before `rules.blobs` a blob transaction carries its data as call data, as any other; from then on in its blobs
        alone. `tx.type != 3 or not rules.blobs` claims call data, `tx.type == 3 and rules.blobs` blobs.
        """
        ...

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        """Inputs carried by each of `txs`, in the same order; an empty tuple for a transaction without any.

        What is no input of frames may be given as it is: derivation drops it and says why.

        A blob that does not decode contributes nothing (Spec: ecotone/derivation.md, "Blob Encoding").
        Raises `TemporaryError` if a needed source does not answer, `ResetError` if the block is not
        there, `DataMissing` if a blob is in none.
        """
        ...


class DataPublisher(Protocol):
    """Turns frames into the content of L1 transactions; for batchers (capability `publishes`)."""

    def encode(self, frames: Sequence[bytes]) -> Sequence[bytes]:
        """Transaction contents (call data, or blobs of 131 072 bytes) that carry `frames`, in order.

        Several frames may share one; a frame is never divided. L1 nodes pass on no transaction of more than 131 072
        bytes (blobs apart), so call data ends below that: at 120 000, say.
        """
        ...
