"""`engine_newPayload`: what each verdict is for, as op-geth gives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine_api.worlds import ZERO, World, mined, run

INVALID_PARAMS = -32602
UNSUPPORTED_FORK = -38005


@pytest.mark.parametrize(
    "chain", ["plain-bedrock", "plain-canyon", "plain-ecotone", "plain-isthmus", "plain-jovian", "plain-karst"]
)
def test_recorded_blocks_are_valid_in_the_version_of_their_time(chain: str, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        for number in (1, 2, 3):
            expected = {"status": "VALID", "latestValidHash": world.hash(number), "validationError": None}
            assert await world.new_payload(number) == expected
        assert await world.head() == 0

    run(chain, tmp_path, body)


def test_a_block_that_is_known_is_valid_again(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.advance(2)
        assert (await world.new_payload(1))["status"] == "VALID"
        assert await world.head() == 2

    run("plain-jovian", tmp_path, body)


def test_a_block_without_its_parent_is_syncing(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        expected = {"status": "SYNCING", "latestValidHash": None, "validationError": None}
        assert await world.new_payload(3) == expected

    run("plain-jovian", tmp_path, body)


def test_fields_that_do_not_hash_to_the_blocks_hash_are_invalid_without_a_latest_valid_one(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        payload = world.payload(1) | {"stateRoot": ZERO}
        found = await world.call("engine_newPayloadV4", payload, [], ZERO, [])
        assert (found["status"], found["latestValidHash"]) == ("INVALID", None)
        assert "hash" in found["validationError"]

    run("plain-jovian", tmp_path, body)


def test_a_block_that_execution_contradicts_is_invalid_on_its_parent_and_stays_so(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        root = world.blocks[0].payload.parent_beacon_root
        assert root is not None
        wrong = mined(world.blocks[0].payload, state_root=bytes(32))
        for reason in ("state_root", "rejected before"):
            found = await world.call("engine_newPayloadV4", wrong, [], "0x" + root.hex(), [])
            assert (found["status"], found["latestValidHash"]) == ("INVALID", world.genesis)
            assert reason in found["validationError"]

    run("plain-jovian", tmp_path, body)


def test_what_stands_on_an_invalid_block_is_invalid_and_so_is_a_forkchoice_to_it(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        root = "0x" + bytes(32).hex()
        first = mined(world.blocks[0].payload, state_root=bytes(32), parent_beacon_root=bytes(32))
        second = mined(
            world.blocks[1].payload, parent_hash=bytes.fromhex(first["blockHash"][2:]), parent_beacon_root=bytes(32)
        )
        for payload in (first, second):
            found = await world.call("engine_newPayloadV4", payload, [], root, [])
            assert (found["status"], found["latestValidHash"]) == ("INVALID", world.genesis)
        found = await world.forkchoice(second["blockHash"])
        assert (found["payloadStatus"]["status"], found["payloadStatus"]["latestValidHash"]) == (
            "INVALID",
            world.genesis,
        )

    run("plain-jovian", tmp_path, body)


def test_a_rejected_block_gets_another_chance_after_many_attempts(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        wrong = mined(world.blocks[0].payload, state_root=bytes(32), parent_beacon_root=bytes(32))
        reasons = []
        for _ in range(130):
            found = await world.call("engine_newPayloadV4", wrong, [], ZERO, [])
            assert found["status"] == "INVALID"
            reasons.append(found["validationError"])
        assert sum("state_root" in reason for reason in reasons) == 2

    run("plain-jovian", tmp_path, body)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"extraData": "0x" + "00" * 33}, "extraData"),
        ({"extraData": "0x"}, "extraData"),
        ({"logsBloom": "0x00"}, "logsBloom"),
        ({"transactions": ["0x02c0"]}, "transaction 0"),
        ({"transactions": ["0x"]}, "transaction 0"),
        ({"withdrawalsRoot": None}, "withdrawalsRoot"),
    ],
)
def test_a_payload_that_can_be_no_block_is_invalid_not_an_error(
    change: dict[str, object], says: str, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        found = await world.call("engine_newPayloadV4", world.payload(1) | change, [], ZERO, [])
        assert (found["status"], found["latestValidHash"]) == ("INVALID", None)
        assert says in found["validationError"]

    run("plain-jovian", tmp_path, body)


def test_blob_hashes_without_blobs_are_invalid(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        root = world.blocks[0].payload.parent_beacon_root
        assert root is not None
        found = await world.call("engine_newPayloadV4", world.payload(1), [ZERO], "0x" + root.hex(), [])
        assert (found["status"], found["latestValidHash"]) == ("INVALID", None)
        assert found["validationError"].startswith("versioned hashes: ")

    run("plain-jovian", tmp_path, body)


@pytest.mark.parametrize(
    ("chain", "method", "more", "code"),
    [
        ("plain-canyon", "engine_newPayloadV1", (), INVALID_PARAMS),  # withdrawals
        ("plain-ecotone", "engine_newPayloadV2", (), INVALID_PARAMS),
        ("plain-bedrock", "engine_newPayloadV3", ([], ZERO), INVALID_PARAMS),  # no withdrawals
        ("plain-canyon", "engine_newPayloadV3", ([], ZERO), INVALID_PARAMS),  # no blob gas
        ("plain-isthmus", "engine_newPayloadV3", ([], ZERO), UNSUPPORTED_FORK),
        ("plain-ecotone", "engine_newPayloadV4", ([], ZERO, []), UNSUPPORTED_FORK),
        ("plain-jovian", "engine_newPayloadV4", ([], None, []), INVALID_PARAMS),
        ("plain-jovian", "engine_newPayloadV4", (None, ZERO, []), INVALID_PARAMS),
        ("plain-jovian", "engine_newPayloadV4", ([], ZERO, None), INVALID_PARAMS),
        ("plain-jovian", "engine_newPayloadV4", ([], ZERO), INVALID_PARAMS),
        ("plain-jovian", "engine_newPayloadV4", ([], ZERO, ["0x00"]), INVALID_PARAMS),  # an empty request
        ("plain-jovian", "engine_newPayloadV4", ([], ZERO, ["0x0101", "0x0001"]), INVALID_PARAMS),  # out of order
        ("plain-jovian", "engine_newPayloadV4", ([], ZERO, [], []), INVALID_PARAMS),
    ],
)
def test_a_version_that_is_not_the_blocks_is_refused(
    chain: str, method: str, more: tuple[object, ...], code: int, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        assert await world.error(method, world.payload(1), *more) == code

    run(chain, tmp_path, body)


@pytest.mark.parametrize("name", ["withdrawals", "excessBlobGas", "blobGasUsed"])
def test_a_field_that_the_version_demands_is_missed(name: str, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        for absent in (world.payload(1) | {name: None}, {k: v for k, v in world.payload(1).items() if k != name}):
            assert await world.error("engine_newPayloadV4", absent, [], ZERO, []) == INVALID_PARAMS

    run("plain-jovian", tmp_path, body)


@pytest.mark.parametrize(
    "params",
    [
        [],
        [None, [], ZERO, []],
        ["0x", [], ZERO, []],
        [{}, [], ZERO, []],
        [{"blockNumber": 1}, [], ZERO, []],
        [{"parentHash": "0x01"}, [], ZERO, []],
        [{"timestamp": "0x00"}, [], ZERO, []],
        [{"gasLimit": "0x10000000000000000"}, [], ZERO, []],
        [{"transactions": "0x"}, [], ZERO, []],
        [{"transactions": [7]}, [], ZERO, []],
        [{"withdrawals": [[]]}, [], ZERO, []],
        [{}, {}, ZERO, []],
        [{}, ["0x00"], ZERO, []],
        [{}, [], "0x00", []],
        [{}, [], ZERO, {}],
    ],
)
def test_values_of_a_wrong_type_are_invalid_params(params: list[object], tmp_path: Path) -> None:
    async def body(world: World) -> None:
        if params and isinstance(params[0], dict):
            params[0] = world.payload(1) | params[0] if params[0] else params[0]
        assert await world.error("engine_newPayloadV4", *params) == INVALID_PARAMS

    run("plain-jovian", tmp_path, body)
