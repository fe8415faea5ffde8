"""A bundle of L1, blob or data sources tells offline which side is right, or asks both again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from kroma_core.api import AnyOffer, BlobSource, Missing, Offer, PluginContext, Role
from kroma_core.errors import ConfigError, DecodeError, KromaError
from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.node.registry import Registry, collect
from kroma_core.node.shadow.bundle import Bundle
from kroma_core.node.shadow.data_source import ShadowedBlobs, ShadowedData, compares_blobs, compares_data
from kroma_core.node.shadow.l1_branch import compares_l1
from kroma_core.node.shadow.l1_source import ShadowedL1
from kroma_core.node.shadow.recent_blobs import NotedBlobs, RecentBlobs
from kroma_core.node.shadow.replaying import Replayed, Side, replay
from kroma_core.testing.blob_source_faults import hashes_of, sample_l1
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import L1Ref
from tests.node.sample_parts import NoSettings, SamplePlugin
from tests.shadow.following import Altered, followed, shadow_of
from tests.shadow.test_l1_shadow import read, scripted

NOBODY = collect([])


def replayed(bundle: Bundle, registry: Registry, folder: Path) -> Replayed:
    async def main() -> Replayed:
        return await replay(bundle, registry, None, folder)

    return trio.run(main)


def notes(found: Replayed) -> dict[Side, str]:
    return {side.side: side.note for side in found.sides}


def bundle_of_receipts(folder: Path) -> Bundle:
    """An L1 source has left out a receipt."""
    shadow = shadow_of(Altered(scripted(), receipts=lambda found: found[1:]), compares_l1, folder)

    async def body() -> None:
        await read(ShadowedL1(scripted(), shadow.follower.offer), 1)

    followed(shadow, body)
    return shadow.bundle()


def test_the_hash_says_which_side_left_out_a_receipt_and_nobody_is_asked(tmp_path: Path) -> None:
    found = replayed(bundle_of_receipts(tmp_path), NOBODY, tmp_path)
    assert notes(found)[Side.LEADER] == "was not asked again; its answer is what the hash covers"
    assert "its answer is WRONG: the receipts have the root 0x" in notes(found)[Side.FOLLOWER]
    assert "receipts (count)" in [one.field for one in found.differences]


def test_the_hash_says_which_side_has_another_header(tmp_path: Path) -> None:
    other = Altered(scripted(), block=lambda found: attrs.evolve(found, header=attrs.evolve(found.header, number=7)))
    shadow = shadow_of(other, compares_l1, tmp_path)

    async def body() -> None:
        await ShadowedL1(scripted(), shadow.follower.offer).block(scripted().tip.hash)

    followed(shadow, body)
    found = replayed(shadow.bundle(), NOBODY, tmp_path)
    assert "WRONG: the header hashes to 0x" in notes(found)[Side.FOLLOWER]
    assert [one.field for one in found.differences] == ["header.number"]


@pytest.mark.parametrize("wrong", [Side.LEADER, Side.FOLLOWER])
def test_the_commitment_says_whose_blob_was_flipped(wrong: Side, tmp_path: Path) -> None:
    def flipped(blobs: tuple[bytes, ...]) -> tuple[bytes, ...]:
        return (blobs[0][:100] + b"\x01" + blobs[0][101:],)

    l1, name = sample_l1(), hashes_of(sample_l1())[0]
    bad = Altered(sample_l1(), blobs=flipped)
    leading, other = (bad, l1) if wrong is Side.LEADER else (l1, bad)
    shadow = shadow_of(other, compares_blobs, tmp_path)

    async def body() -> None:
        await ShadowedBlobs(leading, shadow.follower.offer).blobs(l1.tip.ref, [name])

    followed(shadow, body)
    found = notes(replayed(shadow.bundle(), NOBODY, tmp_path))
    right = Side.FOLLOWER if wrong is Side.LEADER else Side.LEADER
    assert found[right] == "was not asked again; its answer is what the hash covers"
    assert f"WRONG: blob 0x{name.hex()}" in found[wrong]


class Reader:
    """Takes the first bytes of each blob for its data, changed by a function."""

    def __init__(self, blobs: Sequence[BlobSource], change: Callable[[bytes], bytes]) -> None:
        self._blobs, self._change = blobs, change

    def claims(self, tx: InboxTransaction, rules: Rules) -> bool:
        return rules.blobs

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        found = []
        for tx in txs:
            blobs = await self._blobs[0].blobs(block, tx.blob_hashes)
            assert not isinstance(blobs, Missing)
            found.append(tuple(self._change(blob[1:7]) for blob in blobs))
        return found


def same(data: bytes) -> bytes:
    return data


def data_offer(kind: str, change: Callable[[bytes], bytes]) -> AnyOffer:
    @asynccontextmanager
    async def opened(
        settings: NoSettings, context: PluginContext, *, blobs: Sequence[BlobSource]
    ) -> AsyncIterator[Reader]:
        yield Reader(blobs, change)

    return Offer(kind=kind, config=NoSettings, open=opened, requires=(Role.BLOBS,))


def installed(**changes: Callable[[bytes], bytes]) -> Registry:
    offers = [data_offer(kind, change) for kind, change in changes.items()]
    return collect([("tests", "3.0", SamplePlugin(data=offers))])


def bundle_of_data(folder: Path) -> Bundle:
    """Two data sources read a blob differently."""
    l1, recent = sample_l1(), RecentBlobs()
    names = tuple(hashes_of(l1)[:2])
    tx = InboxTransaction(index=0, hash=b"\x05" * 32, type=3, sender=b"\x06" * 20, data=b"", blob_hashes=names)
    shadow = shadow_of(Reader([l1], bytes.upper), compares_data, folder)

    async def body() -> None:
        leader = ShadowedData(Reader([NotedBlobs(l1, recent)], same), shadow.follower.offer, recent)
        assert leader.claims(tx, Rules(blobs=True))
        await leader.read(l1.tip.ref, [tx])

    followed(shadow, body)
    return shadow.bundle()


def test_data_sources_read_the_blobs_of_a_bundle_again_offline(tmp_path: Path) -> None:
    bundle = bundle_of_data(tmp_path)
    assert bundle.divergence.leader_output["inputs"][0] == "0x" + b"one\0\0\0".hex()
    found = replayed(bundle, installed(right=same, other=bytes.upper), tmp_path)
    assert set(notes(found).values()) == {"gives what it gave then"}
    assert [(one.expected, one.got) for one in found.differences] == [
        ("0x" + text.hex(), "0x" + text.upper().hex()) for text in (b"one\0\0\0", b"two\0\0\0")
    ]


def test_data_sources_that_were_put_right_agree_now(tmp_path: Path) -> None:
    found = replayed(bundle_of_data(tmp_path), installed(right=same, other=same), tmp_path)
    assert notes(found)[Side.FOLLOWER] == "gives something else than then"
    assert found.differences == ()


def test_a_data_source_that_is_not_installed_stands_with_its_answer_of_then(tmp_path: Path) -> None:
    found = replayed(bundle_of_data(tmp_path), installed(right=same), tmp_path)
    assert found.sides[1].version is None
    assert len(found.differences) == 2


def test_data_sources_none_of_which_is_installed_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be asked here"):
        replayed(bundle_of_data(tmp_path), NOBODY, tmp_path)


@pytest.mark.parametrize(
    ("key", "value"), [("hash", "0x12"), ("asked", 7), ("receipts_root", None)], ids=["hash", "asked", "root"]
)
def test_damaged_inputs_are_refused_by_name(key: str, value: Any, tmp_path: Path) -> None:
    bundle = bundle_of_receipts(tmp_path)
    damaged = attrs.evolve(bundle.divergence, inputs={**bundle.divergence.inputs, key: value})
    with pytest.raises(KromaError, match=key):
        replayed(attrs.evolve(bundle, divergence=damaged), NOBODY, tmp_path)


def test_a_damaged_answer_is_refused(tmp_path: Path) -> None:
    bundle = bundle_of_receipts(tmp_path)
    damaged = attrs.evolve(bundle.divergence, follower_output={"receipts": ["0x02ff"]})
    with pytest.raises(DecodeError):
        replayed(attrs.evolve(bundle, divergence=damaged), NOBODY, tmp_path)


def test_the_scripts_of_these_tests_are_the_same_each_time() -> None:
    assert scripted().tip.hash == scripted().tip.hash != ScriptedL1().tip.hash
