"""Attributes, and the blocks that come of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kroma_core.codec.payloads import payload_id
from tests.engine_api.worlds import ZERO, World, run

INVALID_PARAMS = -32602
UNKNOWN_PAYLOAD = -38001
INVALID_ATTRIBUTES = -38003
UNSUPPORTED_FORK = -38005


@pytest.mark.parametrize(
    "chain", ["plain-bedrock", "plain-canyon", "plain-ecotone", "plain-holocene", "plain-isthmus", "plain-karst"]
)
def test_attributes_of_recorded_blocks_give_those_blocks(chain: str, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        for number in (1, 2, 3):
            begun = await world.begin(number)
            assert begun["payloadStatus"]["status"] == "VALID"
            block, rules = world.blocks[number - 1], world.rules(number)
            expected_id = payload_id(block.payload.parent_hash, block.attributes, rules.forkchoice_version)
            assert begun["payloadId"] == "0x" + expected_id.hex()
            found = await world.call(f"engine_getPayloadV{rules.get_payload_version}", begun["payloadId"])
            assert found["executionPayload"] == world.payload(number)
            await world.new_payload(number)
            await world.forkchoice(world.hash(number))
        assert await world.head() == 3

    run(chain, tmp_path, body)


def test_the_envelope_has_what_op_geths_has(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        begun = await world.begin(1)
        found = await world.call("engine_getPayloadV4", begun["payloadId"])
        assert found["shouldOverrideBuilder"] is False
        assert found["blobsBundle"] == {"commitments": [], "proofs": [], "blobs": []}
        assert found["executionRequests"] == []
        root = world.blocks[0].payload.parent_beacon_root
        assert root is not None
        assert found["parentBeaconBlockRoot"] == "0x" + root.hex()
        assert set(found) == {
            "executionPayload",
            "blockValue",
            "blobsBundle",
            "executionRequests",
            "shouldOverrideBuilder",
            "parentBeaconBlockRoot",
        }

    run("plain-isthmus", tmp_path, body)


def test_before_beacon_roots_the_envelope_has_none_and_no_requests(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        found = await world.call("engine_getPayloadV2", (await world.begin(1))["payloadId"])
        assert "parentBeaconBlockRoot" not in found
        assert found["executionRequests"] is None

    run("plain-canyon", tmp_path, body)


def test_the_first_version_answers_the_payload_without_an_envelope(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        begun = await world.begin(1)
        assert await world.call("engine_getPayloadV1", begun["payloadId"]) == world.payload(1)

    run("plain-bedrock", tmp_path, body)


def test_the_blocks_value_is_what_its_transactions_tip(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        number = next(n for n, block in enumerate(world.blocks, 1) if len(block.payload.transactions) > 1)
        await world.advance(number - 1)
        begun = await world.begin(number)
        with_tips = await world.call("engine_getPayloadV4", begun["payloadId"])
        vault = bytes.fromhex("4200000000000000000000000000000000000011")
        await world.new_payload(number)
        block, parent = (bytes.fromhex(world.hash(at)[2:]) for at in (number, number - 1))
        after, before = await world.engine.proof(vault, [], block), await world.engine.proof(vault, [], parent)
        assert int(with_tips["blockValue"], 16) == after.balance - before.balance > 0

    run("plain-isthmus", tmp_path, body)


def test_a_finished_block_is_given_again(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        begun = await world.begin(1)
        first = await world.call("engine_getPayloadV4", begun["payloadId"])
        assert await world.call("engine_getPayloadV4", begun["payloadId"]) == first
        assert (await world.begin(1))["payloadId"] == begun["payloadId"]

    run("plain-isthmus", tmp_path, body)


def test_building_on_an_ancestor_leaves_the_head_until_the_block_is_brought(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.advance(3)
        begun = await world.begin(2)
        found = await world.call("engine_getPayloadV4", begun["payloadId"])
        assert found["executionPayload"] == world.payload(2)
        assert await world.head() == 3

    run("plain-jovian", tmp_path, body)


def test_only_the_last_ten_buildings_are_kept(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        ids = [(await world.begin(1, gasLimit=hex(30_000_000 + extra)))["payloadId"] for extra in range(11)]
        assert len(set(ids)) == 11
        assert await world.error("engine_getPayloadV4", ids[0]) == UNKNOWN_PAYLOAD
        for name in ids[1:]:
            assert (await world.call("engine_getPayloadV4", name))["executionPayload"]["parentHash"] == world.genesis

    run("plain-jovian", tmp_path, body)


@pytest.mark.parametrize("value", ["0x0300000000000000", "0x03ffffffffffffff"])
def test_an_unknown_id_is_unknown(value: str, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        assert await world.error("engine_getPayloadV4", value) == UNKNOWN_PAYLOAD

    run("plain-jovian", tmp_path, body)


@pytest.mark.parametrize("value", [None, "0x", "0x03", 7, {}, "0x030000000000000000"])
def test_an_id_that_is_none_is_refused(value: Any, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        assert await world.error("engine_getPayloadV4", value) == INVALID_PARAMS

    run("plain-jovian", tmp_path, body)


@pytest.mark.parametrize(
    ("chain", "right", "wrong"),
    [
        ("plain-bedrock", (1, 2), (3, 4, 5)),
        ("plain-canyon", (2,), (1, 3, 4, 5)),
        ("plain-ecotone", (3,), (1, 2, 4, 5)),
        ("plain-isthmus", (4,), (1, 2, 3, 5)),
        ("plain-karst", (5,), (1, 2, 3, 4)),
    ],
)
def test_a_block_is_given_in_the_versions_of_its_time(
    chain: str, right: tuple[int, ...], wrong: tuple[int, ...], tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        name = (await world.begin(1))["payloadId"]
        for version in wrong:
            assert await world.error(f"engine_getPayloadV{version}", name) == UNSUPPORTED_FORK
        for version in right:
            await world.call(f"engine_getPayloadV{version}", name)

    run(chain, tmp_path, body)


@pytest.mark.parametrize(
    ("chain", "version", "changes", "code"),
    [
        ("plain-canyon", 1, {}, INVALID_PARAMS),
        ("plain-ecotone", 1, {}, INVALID_PARAMS),
        ("plain-ecotone", 1, {"withdrawals": None, "parentBeaconBlockRoot": None}, INVALID_PARAMS),
        ("plain-bedrock", 2, {"withdrawals": []}, INVALID_ATTRIBUTES),
        ("plain-canyon", 2, {"withdrawals": None}, INVALID_ATTRIBUTES),
        ("plain-canyon", 2, {"parentBeaconBlockRoot": ZERO}, INVALID_ATTRIBUTES),
        ("plain-ecotone", 2, {}, INVALID_ATTRIBUTES),
        ("plain-ecotone", 2, {"parentBeaconBlockRoot": None}, UNSUPPORTED_FORK),
        ("plain-bedrock", 3, {}, INVALID_ATTRIBUTES),
        ("plain-canyon", 3, {}, INVALID_ATTRIBUTES),
        ("plain-canyon", 3, {"parentBeaconBlockRoot": ZERO}, UNSUPPORTED_FORK),
        ("plain-ecotone", 3, {"withdrawals": None}, INVALID_ATTRIBUTES),
        ("plain-ecotone", 3, {"parentBeaconBlockRoot": None}, INVALID_ATTRIBUTES),
        ("plain-jovian", 3, {"gasLimit": None}, INVALID_ATTRIBUTES),
        ("plain-jovian", 3, {"eip1559Params": None}, INVALID_ATTRIBUTES),
        ("plain-jovian", 3, {"eip1559Params": "0x00"}, INVALID_ATTRIBUTES),
        ("plain-jovian", 3, {"eip1559Params": "0x0000000000000001"}, INVALID_ATTRIBUTES),
        ("plain-jovian", 3, {"minBaseFee": None}, INVALID_ATTRIBUTES),
        ("plain-granite", 3, {"eip1559Params": "0x0000000000000000"}, INVALID_ATTRIBUTES),
        ("plain-jovian", 3, {"transactions": ["0x02c0"]}, INVALID_ATTRIBUTES),
        ("plain-jovian", 3, {"transactions": None}, INVALID_ATTRIBUTES),
        ("plain-jovian", 3, {"minBaseFee": "0x1"}, INVALID_PARAMS),
        ("plain-jovian", 3, {"noTxPool": "true"}, INVALID_PARAMS),
        ("plain-jovian", 3, {"prevRandao": "0x00"}, INVALID_PARAMS),
        ("plain-jovian", 3, {"transactions": "0x"}, INVALID_PARAMS),
    ],
)
def test_attributes_that_no_block_can_have_are_refused(
    chain: str, version: int, changes: dict[str, Any], code: int, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        state = {"headBlockHash": world.genesis, "safeBlockHash": ZERO, "finalizedBlockHash": ZERO}
        method = f"engine_forkchoiceUpdatedV{version}"
        assert await world.error(method, state, world.attributes(1, **changes)) == code

    run(chain, tmp_path, body)


def test_a_block_cannot_have_its_parents_time(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        state = {"headBlockHash": world.genesis, "safeBlockHash": ZERO, "finalizedBlockHash": ZERO}
        early = world.attributes(1, timestamp=hex(world.chain.rollup.genesis.l2_time))
        assert await world.error("engine_forkchoiceUpdatedV3", state, early) == INVALID_ATTRIBUTES

    run("plain-jovian", tmp_path, body)


def test_attributes_that_are_refused_for_their_content_still_move_the_head(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.new_payload(1)
        state = {"headBlockHash": world.hash(1), "safeBlockHash": ZERO, "finalizedBlockHash": ZERO}
        wrong = world.attributes(2, transactions=["0x02c0"])
        assert await world.error("engine_forkchoiceUpdatedV3", state, wrong) == INVALID_ATTRIBUTES
        assert await world.head() == 1

    run("plain-jovian", tmp_path, body)


def test_blocks_may_be_built_with_the_pool_allowed(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        begun = await world.begin(1, noTxPool=False)
        found = await world.call("engine_getPayloadV4", begun["payloadId"])
        assert found["executionPayload"]["transactions"][0] == world.payload(1)["transactions"][0]
        assert begun["payloadId"] != (await world.begin(1))["payloadId"]

    run("plain-jovian", tmp_path, body)
