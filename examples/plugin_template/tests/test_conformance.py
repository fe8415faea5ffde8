"""What the role asks of it, and what is its own."""

from __future__ import annotations

import zlib

import trio
from deflated_data.part import DeflatedData
from maker import Maker

from kroma_core.api import Role
from kroma_core.l1 import InboxTransaction
from kroma_core.testing.data_source import DataSourceSuite
from kroma_core.testing.declared import DeclaredSuite
from kroma_core.types import L1Number, L1Ref, Timestamp

BLOCK = L1Ref(hash=b"\7" * 32, number=L1Number(7), parent_hash=b"\6" * 32, timestamp=Timestamp(0))


class TestDeflatedDataOffer(DeclaredSuite):
    offer = (Role.DATA, "deflated-data")


class TestDeflatedData(Maker, DataSourceSuite):
    pass


def read(data: bytes, largest: int = 1_000_000) -> tuple[bytes, ...]:
    tx = InboxTransaction(index=0, hash=bytes(32), type=2, sender=bytes(20), data=data)
    return tuple(trio.run(DeflatedData(largest).read, BLOCK, [tx])[0])


def test_call_data_that_is_not_deflated_is_read_as_it_is() -> None:
    assert read(b"\0frames") == (b"\0frames",)


def test_what_inflates_to_more_than_the_limit_carries_nothing() -> None:
    deflated = b"\xdf" + zlib.compress(bytes(1001))
    assert read(deflated, largest=1001) == (bytes(1002),)
    assert read(deflated, largest=1000) == ()


def test_what_is_cut_short_carries_nothing() -> None:
    assert read(b"\xdf" + zlib.compress(b"frames")[:-5]) == ()
