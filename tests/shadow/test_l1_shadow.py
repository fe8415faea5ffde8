"""An L1 source in the shadow of another: what is a divergence, what is none, and that the leader never waits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from kroma_core.codec.receipts import Log
from kroma_core.errors import NotFound, TemporaryError
from kroma_core.l1 import L1Block, L1Label
from kroma_core.node.shadow.bundle import Bundle
from kroma_core.node.shadow.l1_branch import compares_l1
from kroma_core.node.shadow.l1_exchange import read_l1_exchange
from kroma_core.node.shadow.l1_source import ShadowedL1
from kroma_core.recording.json_fields import Fields
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import L1Number
from tests.shadow.following import Altered, Shadow, followed, shadow_of


def scripted(blocks: int = 3) -> ScriptedL1:
    """An L1 that another call makes again, hash by hash: each block has three receipts."""
    l1 = ScriptedL1()
    for number in range(blocks):
        l1.mine([l1.contract_tx(Log(b"\2" * 20, (bytes((number,)) * 32,), bytes((place,)))) for place in range(3)])
    return l1


async def read(leader: ShadowedL1, number: int) -> L1Block:
    """Read a block as derivation does."""
    ref = await leader.ref(L1Number(number))
    block = await leader.block(ref.hash)
    await leader.receipts(ref.hash)
    return block


def run(l1: ScriptedL1, shadow: Shadow, *numbers: int) -> None:
    async def body() -> None:
        leader = ShadowedL1(l1, shadow.follower.offer)
        for number in numbers:
            await read(leader, number)

    followed(shadow, body)


def test_a_right_follower_agrees_on_header_transactions_receipts_and_branch(tmp_path: Path) -> None:
    l1 = scripted()
    shadow = shadow_of(scripted(), compares_l1, tmp_path)
    run(l1, shadow, 1, 2)
    one, two = f"1 (0x{l1.canonical_hash(1).hex()})", f"2 (0x{l1.canonical_hash(2).hex()})"
    assert shadow.agreed == [
        f"{what} {block}" for block in (one, two) for what in ("canonical L1 block", "L1 block", "receipts of L1 block")
    ]
    assert (shadow.diverged, shadow.behind, shadow.detached) == ([], [], [])


def test_a_follower_that_leaves_out_a_receipt_is_reported_and_the_header_blames_it(tmp_path: Path) -> None:
    l1 = scripted()
    shadow = shadow_of(Altered(scripted(), receipts=lambda found: found[:2]), compares_l1, tmp_path)
    run(l1, shadow, 1)
    bundle = shadow.bundle()
    header = l1._blocks[l1.canonical_hash(1)].header
    fields = {one.field: (one.expected, one.got) for one in bundle.divergence.differences}
    assert fields["receipts (count)"] == ("3", "2")
    assert fields["root of the receipts"][0] == "0x" + header.receipts_root.hex()
    assert (bundle.divergence.leader.kind, bundle.divergence.follower.version) == ("right", "2.0")
    assert contradicted(bundle, bundle.divergence.leader_output) == []
    [blamed] = contradicted(bundle, bundle.divergence.follower_output)
    assert header.receipts_root.hex() in blamed


def contradicted(bundle: Bundle, output: Mapping[str, Any]) -> list[str]:
    """What the block hash says against an output of a bundle."""

    def fields(found: Mapping[str, Any]) -> Fields:
        return Fields.of(dict(found), file=bundle.path, part="")

    exchange: Any = read_l1_exchange(1, fields(bundle.divergence.inputs), fields(output))
    return list(exchange.contradictions(exchange.answer))


def test_a_follower_with_another_header_is_reported_field_by_field(tmp_path: Path) -> None:
    l1 = scripted()
    other = Altered(scripted(), block=lambda found: attrs.evolve(found, header=attrs.evolve(found.header, base_fee=8)))
    shadow = shadow_of(other, compares_l1, tmp_path)
    run(l1, shadow, 1)
    bundle = shadow.bundle()
    assert [one.field for one in bundle.divergence.differences] == ["header.base_fee"]
    assert contradicted(bundle, bundle.divergence.leader_output) == []
    assert contradicted(bundle, bundle.divergence.follower_output) != []


def test_a_follower_that_leaves_out_a_transaction_is_reported(tmp_path: Path) -> None:
    l1 = scripted()
    other = Altered(scripted(), block=lambda found: attrs.evolve(found, transactions=found.transactions[1:]))
    shadow = shadow_of(other, compares_l1, tmp_path)
    run(l1, shadow, 1)
    assert "transactions (count): 3, 2" in shadow.diverged[0].fields


def test_a_follower_that_lags_is_behind_and_agrees_once_it_is_there(tmp_path: Path) -> None:
    l1, late = scripted(3), scripted(2)
    shadow = shadow_of(late, compares_l1, tmp_path)

    async def body() -> None:
        leader = ShadowedL1(l1, shadow.follower.offer)
        await read(leader, 3)
        await trio.sleep(20)
        assert shadow.agreed == []
        assert len(shadow.behind) == 1
        late.mine([late.contract_tx(Log(b"\2" * 20, (b"\2" * 32,), bytes((place,)))) for place in range(3)])
        assert late.tip.hash == l1.tip.hash
        await trio.sleep(10)

    followed(shadow, body)
    assert len(shadow.agreed) == 3
    assert (shadow.diverged, shadow.detached) == ([], [])


def test_a_follower_on_another_branch_for_a_moment_is_told_to_nobody(tmp_path: Path) -> None:
    l1, other = scripted(3), scripted(3)
    home = other.tip.hash
    other.reorg(1)
    other.mine()
    shadow = shadow_of(other, compares_l1, tmp_path)

    async def body() -> None:
        leader = ShadowedL1(l1, shadow.follower.offer)
        for _ in range(5):
            await leader.ref(L1Number(3))
            await trio.sleep(10)
        other.move_to(home)
        await leader.ref(L1Number(3))

    followed(shadow, body)
    assert len(shadow.agreed) == 1
    assert (shadow.diverged, shadow.behind, shadow.detached, shadow.warnings) == ([], [], [], [])


def test_a_follower_that_stays_on_another_branch_is_told_once_and_once_more_when_it_is_back(tmp_path: Path) -> None:
    l1, other = scripted(3), scripted(3)
    home = other.tip.hash
    other.reorg(1)
    away = other.mine().hash
    shadow = shadow_of(other, compares_l1, tmp_path)

    async def body() -> None:
        leader = ShadowedL1(l1, shadow.follower.offer)
        for _ in range(12):
            await leader.ref(L1Number(3))
            await trio.sleep(10)
        other.move_to(home)
        await leader.ref(L1Number(3))

    followed(shadow, body)
    left, back = shadow.warnings
    assert "another branch" in left
    assert away.hex() in left
    assert l1.tip.hash.hex() in left
    assert back.startswith("it is on the leading one's branch again")
    assert shadow.diverged == []


def test_a_block_that_the_follower_has_not_is_asked_for_again_and_then_left_out(tmp_path: Path) -> None:
    l1, other = scripted(3), scripted(3)
    missing = l1.canonical_hash(2)
    asked: list[bytes] = []

    class Lacking(Altered):
        async def block(self, block_hash: bytes) -> L1Block:
            asked.append(block_hash)
            if block_hash == missing:
                raise NotFound("pruned")
            return await other.block(block_hash)

    shadow = shadow_of(Lacking(other), compares_l1, tmp_path)

    async def body() -> None:
        leader = ShadowedL1(l1, shadow.follower.offer)
        for number in (2, 3):
            await leader.block(l1.canonical_hash(number))
        await trio.sleep(60)

    followed(shadow, body)
    assert asked.count(missing) == 3
    assert ("pruned", 1) in shadow.behind
    assert shadow.agreed == [f"L1 block 3 (0x{l1.tip.hash.hex()})"]
    assert (shadow.diverged, shadow.detached) == ([], [])


def test_a_follower_that_gives_no_answer_is_asked_again_then_detached_by_name_and_opened_again(tmp_path: Path) -> None:
    l1, other = scripted(), scripted()
    other.fail(TemporaryError("wrong receipts root"), times=3)
    shadow = shadow_of(other, compares_l1, tmp_path)

    async def body() -> None:
        await ShadowedL1(l1, shadow.follower.offer).block(l1.tip.hash)
        await trio.sleep(60)

    followed(shadow, body)
    assert shadow.detached == ["TemporaryError: wrong receipts root"]
    assert shadow.agreed == [f"L1 block 3 (0x{l1.tip.hash.hex()})"]


def test_a_follower_that_hangs_is_detached_and_the_leader_has_not_waited(tmp_path: Path) -> None:
    l1 = scripted()

    class Hanging(Altered):
        async def block(self, block_hash: bytes) -> L1Block:
            await trio.sleep_forever()
            raise AssertionError

    shadow = shadow_of(Hanging(scripted()), compares_l1, tmp_path)

    async def body() -> None:
        leader = ShadowedL1(l1, shadow.follower.offer)
        before = trio.current_time()
        for number in (1, 2, 3):
            await read(leader, number)
        assert trio.current_time() == before
        await trio.sleep(65)

    followed(shadow, body)
    assert set(shadow.detached) == {"no answer within 60 s"}


def test_a_block_at_which_a_follower_always_fails_does_not_keep_it_from_the_others(tmp_path: Path) -> None:
    l1, other = scripted(), scripted()
    bad = l1.canonical_hash(1)

    class Failing(Altered):
        async def block(self, block_hash: bytes) -> L1Block:
            if block_hash == bad:
                raise TemporaryError("receipts have another root")
            return await other.block(block_hash)

    shadow = shadow_of(Failing(other), compares_l1, tmp_path)

    async def body() -> None:
        leader = ShadowedL1(l1, shadow.follower.offer)
        await leader.block(bad)
        await leader.block(l1.tip.hash)
        await trio.sleep(120)

    followed(shadow, body)
    assert shadow.detached == ["TemporaryError: receipts have another root"] * 3
    assert shadow.behind == [("it failed 3 times at one step", 1)]
    assert shadow.agreed == [f"L1 block 3 (0x{l1.tip.hash.hex()})"]


def test_a_follower_that_breaks_is_detached_with_its_error(tmp_path: Path) -> None:
    shadow = shadow_of(Altered(scripted(), block=lambda found: found.nonsense), compares_l1, tmp_path)

    async def body() -> None:
        await ShadowedL1(scripted(), shadow.follower.offer).block(scripted().tip.hash)
        await trio.sleep(0.5)

    followed(shadow, body)
    assert shadow.detached[0].startswith("AttributeError: ")


def test_a_recorded_follower_is_compared_by_hash_wherever_its_head_is(tmp_path: Path) -> None:
    l1, recorded = scripted(3), scripted(3)
    recorded.move_to(recorded.genesis.hash)
    shadow = shadow_of(recorded, compares_l1, tmp_path, live=False)

    async def body() -> None:
        await ShadowedL1(l1, shadow.follower.offer).block(l1.tip.hash)

    followed(shadow, body)
    assert shadow.agreed == [f"L1 block 3 (0x{l1.tip.hash.hex()})"]


def test_a_block_that_is_read_again_is_compared_once(tmp_path: Path) -> None:
    l1 = scripted()
    shadow = shadow_of(scripted(), compares_l1, tmp_path)

    async def body() -> None:
        leader = ShadowedL1(l1, shadow.follower.offer)
        for _ in range(3):
            await leader.block(l1.tip.hash)
            await leader.receipts(l1.tip.hash)

    followed(shadow, body)
    assert len(shadow.agreed) == 2


def test_answers_and_errors_of_the_leader_are_handed_on(tmp_path: Path) -> None:
    l1 = scripted()
    shadow = shadow_of(scripted(), compares_l1, tmp_path)

    async def body() -> None:
        leader = ShadowedL1(l1, shadow.follower.offer)
        assert await leader.head(L1Label.UNSAFE) == l1.tip.ref
        assert (await read(leader, 2)).hash == l1.canonical_hash(2)
        l1.fail(TemporaryError("no answer"))
        with pytest.raises(TemporaryError, match="no answer"):
            await leader.block(l1.tip.hash)
        async for heads in leader.subscribe():
            assert heads == l1.heads
            break

    followed(shadow, body)
