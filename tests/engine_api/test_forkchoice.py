"""`engine_forkchoiceUpdated` without attributes: how heads move, and when they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine_api.worlds import ZERO, World, mined, run

ABSENT = "0x" + "5a" * 32
INVALID_FORKCHOICE = -38002


def test_heads_move_to_executed_blocks(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.advance(3)
        found = await world.forkchoice(world.hash(3), world.hash(2), world.hash(1))
        assert found == {
            "payloadStatus": {"status": "VALID", "latestValidHash": world.hash(3), "validationError": None},
            "payloadId": None,
        }
        heads = await world.engine.heads()
        assert [heads.unsafe, heads.safe, heads.finalized] == [world.blocks[index].hash for index in (2, 1, 0)]

    run("plain-jovian", tmp_path, body)


def test_an_ancestor_as_head_is_valid_and_leaves_the_head(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.advance(3)
        found = await world.forkchoice(world.hash(1), world.hash(1))
        assert found["payloadStatus"]["status"] == "VALID"
        assert found["payloadStatus"]["latestValidHash"] == world.hash(1)
        heads = await world.engine.heads()
        assert (heads.unsafe, heads.safe) == (world.blocks[2].hash, world.blocks[0].hash)

    run("plain-jovian", tmp_path, body)


def test_another_branch_becomes_the_chain(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.advance(3)
        begun = await world.begin(2, transactions=world.attributes(2)["transactions"][:1])
        built = await world.call("engine_getPayloadV4", begun["payloadId"])
        other = built["executionPayload"]
        assert other["blockHash"] != world.hash(2)
        await world.call("engine_newPayloadV4", other, [], built["parentBeaconBlockRoot"], [])
        found = await world.forkchoice(other["blockHash"])
        assert found["payloadStatus"]["status"] == "VALID"
        assert (await world.engine.heads()).unsafe.hex() == other["blockHash"][2:]
        back = await world.forkchoice(world.hash(3))
        assert back["payloadStatus"]["status"] == "VALID"
        assert await world.head() == 3

    run("plain-jovian", tmp_path, body)


def test_a_head_that_is_unknown_is_syncing(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        assert await world.forkchoice(ABSENT) == {
            "payloadStatus": {"status": "SYNCING", "latestValidHash": None, "validationError": None},
            "payloadId": None,
        }

    run("plain-jovian", tmp_path, body)


def test_no_head_at_all_is_invalid(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        found = await world.forkchoice(ZERO)
        assert found["payloadStatus"] == {"status": "INVALID", "latestValidHash": None, "validationError": None}

    run("plain-jovian", tmp_path, body)


@pytest.mark.parametrize("place", ["safe", "finalized"])
@pytest.mark.parametrize("which", ["unknown", "ahead", "another branch"])
def test_safe_and_finalized_have_to_be_ancestors_of_the_head(place: str, which: str, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        for number in (1, 2):
            await world.new_payload(number)
        begun = await world.begin(1, transactions=world.attributes(1)["transactions"][:1], gasLimit="0x1c9c381")
        built = await world.call("engine_getPayloadV4", begun["payloadId"])
        other = built["executionPayload"]
        await world.call("engine_newPayloadV4", other, [], built["parentBeaconBlockRoot"], [])
        names = {"unknown": ABSENT, "ahead": world.hash(2), "another branch": other["blockHash"]}
        heads: dict[str, Any] = {place: names[which]}
        state = {
            "headBlockHash": world.hash(1),
            "safeBlockHash": heads.get("safe", ZERO),
            "finalizedBlockHash": heads.get("finalized", ZERO),
        }
        assert await world.error("engine_forkchoiceUpdatedV3", state, None) == INVALID_FORKCHOICE
        assert await world.head() == 0

    run("plain-jovian", tmp_path, body)


def test_heads_that_are_not_named_stay(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.advance(3)
        await world.forkchoice(world.hash(2), world.hash(2), world.hash(1))
        await world.forkchoice(world.hash(3))
        heads = await world.engine.heads()
        assert [heads.unsafe, heads.safe, heads.finalized] == [world.blocks[index].hash for index in (2, 1, 0)]

    run("plain-jovian", tmp_path, body)


def test_a_safe_head_that_is_not_named_falls_back_when_its_branch_is_given_up(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.advance(2)
        await world.forkchoice(world.hash(2), world.hash(2))
        other = mined(world.blocks[0].payload, state_root=bytes(32))
        assert other["blockHash"] != world.hash(1)
        begun = await world.begin(1, transactions=world.attributes(1)["transactions"][:1], gasLimit="0x1c9c381")
        built = await world.call("engine_getPayloadV4", begun["payloadId"])
        payload = built["executionPayload"]
        await world.call("engine_newPayloadV4", payload, [], built["parentBeaconBlockRoot"], [])
        found = await world.forkchoice(payload["blockHash"])
        assert found["payloadStatus"]["status"] == "VALID"
        heads = await world.engine.heads()
        assert (heads.unsafe.hex(), "0x" + heads.safe.hex()) == (payload["blockHash"][2:], world.genesis)

    run("plain-jovian", tmp_path, body)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("chain", ["plain-bedrock", "plain-jovian"])
def test_without_attributes_every_version_is_for_every_block(chain: str, version: int, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.new_payload(1)
        found = await world.forkchoice(world.hash(1), version=version)
        assert found["payloadStatus"]["status"] == "VALID"
        assert await world.head() == 1

    run(chain, tmp_path, body)


@pytest.mark.parametrize("params", [[], [None], ["0x"], [{}], [{"headBlockHash": "0x01"}], [{"headBlockHash": 5}]])
def test_a_forkchoice_of_a_wrong_type_is_refused(params: list[Any], tmp_path: Path) -> None:
    async def body(world: World) -> None:
        assert await world.error("engine_forkchoiceUpdatedV3", *params) == -32602

    run("plain-jovian", tmp_path, body)
