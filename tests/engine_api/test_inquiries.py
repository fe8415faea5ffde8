"""The reading half of the `engine_` namespace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine_api.worlds import ZERO, World, run

INVALID_PARAMS = -32602
TOO_LARGE = -38004


def test_capabilities_are_the_methods_that_are_answered(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        expected = [
            *(f"engine_forkchoiceUpdatedV{version}" for version in (1, 2, 3)),
            "engine_exchangeTransitionConfigurationV1",
            "engine_getClientVersionV1",
            *(f"engine_getPayloadV{version}" for version in (1, 2, 3, 4, 5)),
            "engine_getPayloadBodiesByHashV1",
            "engine_getPayloadBodiesByRangeV1",
            *(f"engine_newPayloadV{version}" for version in (1, 2, 3, 4)),
            "engine_signalSuperchainV1",
        ]
        found = await world.client.call("engine_exchangeCapabilities", ["engine_newPayloadV4"])
        assert sorted(found) == sorted(expected)
        assert await world.error("engine_exchangeCapabilities", [7]) == INVALID_PARAMS
        assert await world.error("engine_exchangeCapabilities", "engine") == INVALID_PARAMS

    run("plain-jovian", tmp_path, body)


def test_bodies_are_found_by_hash_and_those_that_are_not_there_are_null(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.advance(2)
        found = await world.client.call("engine_getPayloadBodiesByHashV1", [world.hash(2), ZERO, world.hash(1)])
        bodies = [{"transactions": world.payload(at)["transactions"], "withdrawals": []} for at in (1, 2)]
        assert found == [bodies[1], None, bodies[0]]

    run("plain-jovian", tmp_path, body)


def test_bodies_of_a_range_end_at_the_head(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.advance(3)
        found = await world.client.call("engine_getPayloadBodiesByRangeV1", "0x2", "0x400")
        assert [one["transactions"] for one in found] == [world.payload(at)["transactions"] for at in (2, 3)]
        assert await world.client.call("engine_getPayloadBodiesByRangeV1", "0x4", "0x1") == []

    run("plain-jovian", tmp_path, body)


def test_bodies_from_before_withdrawals_have_none(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.advance(1)
        found = await world.client.call("engine_getPayloadBodiesByRangeV1", "0x1", "0x1")
        assert found[0]["withdrawals"] is None

    run("plain-bedrock", tmp_path, body)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        (["0x0", "0x1"], INVALID_PARAMS),
        (["0x1", "0x0"], INVALID_PARAMS),
        (["0x1", "0x401"], TOO_LARGE),
        ([1, "0x1"], INVALID_PARAMS),
        (["0x1"], INVALID_PARAMS),
        (["0x1", "0x10000000000000000"], INVALID_PARAMS),
    ],
)
def test_ranges_are_checked(params: list[Any], code: int, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        assert await world.error("engine_getPayloadBodiesByRangeV1", *params) == code

    run("plain-jovian", tmp_path, body)


def test_too_many_hashes_are_refused(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        assert await world.error("engine_getPayloadBodiesByHashV1", [ZERO] * 1025) == TOO_LARGE

    run("plain-jovian", tmp_path, body)


def test_the_superchain_signal_is_answered_with_the_supported_version(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        nine = "0x" + "00" * 16 + "00000009" + "00" * 12
        signal = {"recommended": nine, "required": ZERO}
        assert await world.client.call("engine_signalSuperchainV1", signal) == nine
        assert await world.client.call("engine_signalSuperchainV1") == nine
        assert await world.error("engine_signalSuperchainV1", {"recommended": "0x00"}) == INVALID_PARAMS

    run("plain-jovian", tmp_path, body)


def test_the_client_says_who_it_is(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        theirs = {"code": "OP", "name": "op-node", "version": "v1", "commit": "0x00000000"}
        (found,) = await world.client.call("engine_getClientVersionV1", theirs)
        assert (found["code"], found["name"], set(found)) == ("KR", "kroma", {"code", "name", "version", "commit"})

    run("plain-jovian", tmp_path, body)


def test_the_transition_lies_before_the_first_block(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        method = "engine_exchangeTransitionConfigurationV1"
        ours = {"terminalTotalDifficulty": "0x0", "terminalBlockHash": ZERO, "terminalBlockNumber": "0x0"}
        assert await world.client.call(method, ours) == ours
        assert await world.error(method, ours | {"terminalTotalDifficulty": "0x1"}) == -32000
        assert await world.error(method, {}) == INVALID_PARAMS

    run("plain-jovian", tmp_path, body)
