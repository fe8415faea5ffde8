"""Reads the batcher's data of one L1 block with the data sources of a profile.

The order of transactions inside an L1 block is consensus, also where call data and blobs are mixed: each source reads
the transactions it claims, and the answers are put back in the order of the block.
"""

from __future__ import annotations

from collections.abc import Sequence

from kroma_core.api import DataSource
from kroma_core.errors import CriticalError, TemporaryError
from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.types import L1Ref


async def read_inputs(
    sources: Sequence[DataSource], block: L1Ref, transactions: Sequence[InboxTransaction], rules: Rules
) -> list[tuple[bytes, ...]]:
    """The inputs of each transaction, in the order of `transactions`.

    The first source that claims a transaction reads it. Raises `CriticalError` where none does: leaving it out would
    derive another chain. Raises what sources raise (`TemporaryError`, `ResetError`).
    """
    shares: list[list[int]] = [[] for _ in sources]
    for place, transaction in enumerate(transactions):
        for share, source in zip(shares, sources, strict=True):
            if source.claims(transaction, rules):
                share.append(place)
                break
        else:
            raise CriticalError(
                f"read batcher data of L1 block {block.id}: no data source of the profile reads transaction "
                f"0x{transaction.hash.hex()} of type {transaction.type}"
            )
    inputs: list[tuple[bytes, ...]] = [()] * len(transactions)
    for share, source in zip(shares, sources, strict=True):
        if not share:
            continue
        answers = await source.read(block, [transactions[place] for place in share])
        if len(answers) != len(share):
            raise TemporaryError(
                f"read batcher data of L1 block {block.id}: expected data of {len(share)} transactions, "
                f"got {len(answers)}"
            )
        for place, answer in zip(share, answers, strict=True):
            inputs[place] = tuple(answer)
    return inputs
