"""Data and blob sources in the shadow of others: bytes are compared by transaction and by versioned hash."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import trio

from kroma_core.api import Missing
from kroma_core.codec.transactions import decode_transaction
from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.node.shadow.data_source import (
    ShadowedBlobs,
    ShadowedData,
    compares_blobs,
    compares_data,
)
from kroma_core.node.shadow.recent_blobs import BlobsAgain, NotedBlobs, RecentBlobs
from kroma_core.testing.blob_source_faults import hashes_of, sample_l1
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import Hash32, L1Ref
from tests.shadow.following import Altered, Shadow, followed, shadow_of


class PlainData:
    """A data source that takes call data as it is."""

    def claims(self, tx: InboxTransaction, rules: Rules) -> bool:
        return True

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        await trio.lowlevel.checkpoint()
        return [(tx.data,) for tx in txs]


def inbox(l1: ScriptedL1) -> list[InboxTransaction]:
    """The transactions of the last block, as the pipeline hands them out."""
    found = [decode_transaction(raw) for raw in l1.tip.transactions]
    return [
        InboxTransaction(index=place, hash=tx.hash, type=tx.type, sender=tx.sender, data=tx.data)
        for place, tx in enumerate(found)
    ]


def two_transactions() -> ScriptedL1:
    l1 = ScriptedL1()
    l1.mine([l1.batcher_tx(b"\0one"), l1.batcher_tx(b"\0two")])
    return l1


def read(l1: ScriptedL1, shadow: Shadow) -> None:
    async def body() -> None:
        leader = ShadowedData(PlainData(), shadow.follower.offer, RecentBlobs())
        txs = inbox(l1)
        assert all(leader.claims(tx, Rules()) for tx in txs)
        assert await leader.read(l1.tip.ref, txs) == [(b"\0one",), (b"\0two",)]

    followed(shadow, body)


def test_a_right_data_source_agrees_on_each_transaction(tmp_path: Path) -> None:
    l1 = two_transactions()
    shadow = shadow_of(PlainData(), compares_data, tmp_path)
    read(l1, shadow)
    assert shadow.agreed == [f"L1 transaction 0x{tx.hash.hex()} of L1 block 1" for tx in inbox(l1)]
    assert shadow.diverged == []


def test_other_bytes_for_one_transaction_are_reported_with_the_transaction(tmp_path: Path) -> None:
    l1 = two_transactions()
    other = Altered(PlainData(), read=lambda found: [(b"\0tWo",) if one == (b"\0two",) else one for one in found])
    shadow = shadow_of(other, compares_data, tmp_path)
    read(l1, shadow)
    second = inbox(l1)[1]
    [event] = shadow.diverged
    assert event.fields == (f"transaction 0x{second.hash.hex()}, input 0: 0x0074776f, 0x0074576f",)
    divergence = shadow.bundle().divergence
    assert divergence.inputs["transaction"]["data"] == "0x0074776f"
    assert divergence.inputs["block"]["hash"] == "0x" + l1.tip.hash.hex()
    assert divergence.leader_output == {"claims": True, "inputs": ["0x0074776f"]}
    assert divergence.follower_output == {"claims": True, "inputs": ["0x0074576f"]}
    assert len(shadow.agreed) == 1


def test_a_data_source_that_does_not_claim_what_the_leader_reads_is_reported(tmp_path: Path) -> None:
    class Blind(PlainData):
        def claims(self, tx: InboxTransaction, rules: Rules) -> bool:
            return tx.data != b"\0two"

    l1 = two_transactions()
    shadow = shadow_of(Blind(), compares_data, tmp_path)
    read(l1, shadow)
    assert f"transaction 0x{inbox(l1)[1].hash.hex()}, claimed: True, False" in shadow.diverged[0].fields


def ask(l1: ScriptedL1, shadow: Shadow, count: int = 3) -> None:
    async def body() -> None:
        leader = ShadowedBlobs(l1, shadow.follower.offer)
        found = await leader.blobs(l1.tip.ref, hashes_of(l1)[:count])
        assert not isinstance(found, Missing)
        await trio.sleep(30)

    followed(shadow, body)


def test_a_right_blob_source_agrees(tmp_path: Path) -> None:
    l1 = sample_l1()
    shadow = shadow_of(sample_l1(), compares_blobs, tmp_path)
    ask(l1, shadow)
    assert shadow.agreed == [f"L1 block 1 (0x{l1.tip.hash.hex()})"]


def test_one_flipped_byte_of_a_blob_is_reported_with_its_place(tmp_path: Path) -> None:
    def flipped(blobs: tuple[bytes, ...]) -> tuple[bytes, ...]:
        second = bytearray(blobs[1])
        second[77_777] ^= 0x40
        return (blobs[0], bytes(second), blobs[2])

    l1 = sample_l1()
    shadow = shadow_of(Altered(sample_l1(), blobs=flipped), compares_blobs, tmp_path)
    ask(l1, shadow)
    [event] = shadow.diverged
    [field] = event.fields
    assert field.startswith(f"blob 0x{hashes_of(l1)[1].hex()}, from byte 77777 on: 0x00")
    divergence = shadow.bundle().divergence
    assert divergence.inputs["versioned_hashes"] == ["0x" + one.hex() for one in hashes_of(l1)[:3]]
    assert [len(one) for one in divergence.follower_output["blobs"]] == [2 + 2 * 131_072] * 3


def test_blobs_that_the_follower_lacks_are_no_divergence(tmp_path: Path) -> None:
    l1, other = sample_l1(), sample_l1()
    other.forget_blob(hashes_of(l1)[0])
    shadow = shadow_of(other, compares_blobs, tmp_path)
    ask(l1, shadow)
    assert (shadow.diverged, shadow.agreed, shadow.detached) == ([], [], [])
    reason, dropped = shadow.behind[-1]
    assert hashes_of(l1)[0].hex() in reason
    assert dropped == 1


def test_blobs_that_the_leader_lacks_are_not_compared(tmp_path: Path) -> None:
    l1 = sample_l1()
    l1.forget_blob(hashes_of(l1)[0])
    shadow = shadow_of(sample_l1(), compares_blobs, tmp_path)

    async def body() -> None:
        leader = ShadowedBlobs(l1, shadow.follower.offer)
        assert isinstance(await leader.blobs(l1.tip.ref, hashes_of(l1)[:1]), Missing)

    followed(shadow, body)
    assert shadow.events[1:] == []


def test_blobs_that_the_leader_was_given_are_not_asked_for_again_by_a_follower() -> None:
    l1, recent = sample_l1(), RecentBlobs()
    asked: list[Sequence[Hash32]] = []

    class Counted:
        async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
            asked.append(versioned_hashes)
            return await l1.blobs(block, versioned_hashes)

    async def main() -> None:
        names = hashes_of(l1)
        leading, again = NotedBlobs(Counted(), recent), BlobsAgain(Counted(), recent)
        assert await leading.blobs(l1.tip.ref, names[:2]) == await again.blobs(l1.tip.ref, names[:2])
        assert len(asked) == 1
        await leading.blobs(l1.tip.ref, names[:2])
        await again.blobs(l1.tip.ref, names[:3])
        assert len(asked) == 3

    trio.run(main)
