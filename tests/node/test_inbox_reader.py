"""Batcher data of one L1 block, read by several sources and put back in the block's order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio

from kroma_core.api import DataSource
from kroma_core.errors import CriticalError, TemporaryError
from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.node.inbox_reader import read_inputs
from kroma_core.types import L1Number, L1Ref, Timestamp

BLOCK = L1Ref(hash=b"\7" * 32, number=L1Number(7), parent_hash=b"\6" * 32, timestamp=Timestamp(0))


class TypeReader:
    """Reads transactions of some types; each input is marked with the reader's name."""

    def __init__(self, name: bytes, *kinds: int, answers: int | None = None) -> None:
        self.name = name
        self.kinds = kinds
        self.answers = answers
        self.calls = 0

    def claims(self, tx: InboxTransaction, rules: Rules) -> bool:
        return tx.type in self.kinds

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        self.calls += 1
        await trio.lowlevel.checkpoint()
        return [(self.name + tx.data,) * (tx.type + 1) for tx in txs][: self.answers]


def transaction(kind: int, data: bytes) -> InboxTransaction:
    return InboxTransaction(index=0, hash=data.rjust(32, b"\0"), type=kind, sender=bytes(20), data=data)


def read(sources: Sequence[DataSource], *txs: InboxTransaction) -> list[tuple[bytes, ...]]:
    return trio.run(read_inputs, sources, BLOCK, txs, Rules())


def test_inputs_come_in_the_order_of_the_transactions_whoever_reads_them() -> None:
    sources = [TypeReader(b"A", 0, 2), TypeReader(b"B", 1)]
    txs = [transaction(kind, bytes((index,))) for index, kind in enumerate((1, 0, 1, 2, 0))]
    assert read(sources, *txs) == [
        (b"B\0",) * 2, (b"A\1",), (b"B\2",) * 2, (b"A\3",) * 3, (b"A\4",),
    ]  # fmt: skip
    assert [source.calls for source in sources] == [1, 1]


def test_the_first_source_of_the_profile_that_claims_a_transaction_reads_it() -> None:
    tx = transaction(0, b"x")
    assert read([TypeReader(b"A", 0), TypeReader(b"B", 0)], tx) == [(b"Ax",)]
    assert read([TypeReader(b"B", 0), TypeReader(b"A", 0)], tx) == [(b"Bx",)]


def test_a_source_without_transactions_is_not_asked() -> None:
    idle = TypeReader(b"B", 1)
    read([TypeReader(b"A", 0), idle], transaction(0, b"x"))
    assert idle.calls == 0
    assert read([idle]) == []


def test_a_transaction_that_nobody_reads_is_critical() -> None:
    with pytest.raises(CriticalError, match=r"L1 block 7 .*no data source of the profile reads transaction 0x0+79"):
        read([TypeReader(b"A", 0)], transaction(0, b"x"), transaction(3, b"y"))


def test_a_source_that_answers_with_less_is_not_believed() -> None:
    with pytest.raises(TemporaryError, match="expected data of 2 transactions, got 1"):
        read([TypeReader(b"A", 0, answers=1)], transaction(0, b"x"), transaction(0, b"y"))
