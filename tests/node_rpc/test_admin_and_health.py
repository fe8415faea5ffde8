"""`admin_`, `node_` and the health paths of a node, over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kroma_core.node.profile import LogLevel
from tests.node.recorded_worlds import world
from tests.node_rpc.recorded_node import Asked, asked

CHAIN = "op-chains/plain-jovian"
HASH = "0x" + bytes(32).hex()


def envelope_of_block(index: int) -> dict[str, Any]:
    block = world(CHAIN)["expected"]["blocks"][index]
    return {
        "executionPayload": block["payload"],
        "parentBeaconBlockRoot": block["attributes"]["parentBeaconBlockRoot"],
    }


@pytest.mark.parametrize(
    ("method", "params", "result"),
    [
        ("admin_sequencerActive", [], False),
        ("admin_conductorEnabled", [], False),
        ("admin_setRecoverMode", [True], None),
        ("admin_resetDerivationPipeline", [], None),
        ("admin_setLogLevel", ["DEBUG"], None),
    ],
)
def test_a_verifier_answers_as_op_node_does_without_a_sequencer(
    method: str, params: list[Any], result: Any, tmp_path: Path
) -> None:
    assert asked(tmp_path, world(CHAIN, 1), lambda node: node.result(method, *params), admin=True) == result


@pytest.mark.parametrize(
    ("method", "params", "text"),
    [
        ("admin_startSequencer", [HASH], "sequencer is not enabled"),
        ("admin_startSequencer", ["0x01"], "32 bytes"),
        ("admin_stopSequencer", [], "sequencer is not enabled"),
        ("admin_overrideLeader", [], "sequencer is not enabled"),
        ("admin_setLogLevel", ["loud"], "expected one of"),
        ("admin_setLogLevel", [5], "expected one of"),
        ("admin_setRecoverMode", ["yes"], "true or false"),
        ("admin_postUnsafePayload", ["0x"], "expected an object"),
        ("admin_postUnsafePayload", [{}], "executionPayload"),
        ("admin_postUnsafePayload", [{"executionPayload": {}}], "payload"),
    ],
)
def test_what_an_admin_cannot_do_is_refused(method: str, params: list[Any], text: str, tmp_path: Path) -> None:
    error = asked(tmp_path, world(CHAIN, 1), lambda node: node.error(method, *params), admin=True)
    assert text in error["message"]


def test_the_log_level_is_set(tmp_path: Path) -> None:
    async def check(node: Asked) -> list[LogLevel]:
        await node.result("admin_setLogLevel", "warn")
        return node.log_levels

    assert asked(tmp_path, world(CHAIN, 1), check, admin=True) == [LogLevel.WARNING]


def test_a_posted_payload_is_queued_as_an_unsafe_block(tmp_path: Path) -> None:
    async def check(node: Asked) -> Any:
        await node.result("admin_postUnsafePayload", envelope_of_block(3))
        return (await node.result("node_status"))["queued_unsafe_l2"]

    queued = asked(tmp_path, world(CHAIN, 1), check, admin=True)
    assert queued["hash"] == envelope_of_block(3)["executionPayload"]["blockHash"]


def test_a_payload_with_another_hash_than_its_fields_give_is_refused_with_both(tmp_path: Path) -> None:
    envelope = envelope_of_block(3)
    right = envelope["executionPayload"]["blockHash"]
    envelope = json.loads(json.dumps(envelope).replace(right, HASH))
    error = asked(tmp_path, world(CHAIN, 1), lambda node: node.error("admin_postUnsafePayload", envelope), admin=True)
    assert "bad block hash" in error["message"]
    assert HASH in error["message"]
    assert right in error["message"]


def test_the_node_tells_its_parts_and_its_settings(tmp_path: Path) -> None:
    async def check(node: Asked) -> tuple[Any, Any, Any]:
        return (
            await node.result("node_plugins"),
            await node.result("node_profile"),
            await node.result("rpc_modules"),
        )

    plugins, profile, modules = asked(tmp_path, world(CHAIN, 1), check)
    assert {"role": "engine", "kind": "pyevm"}.items() <= next(p for p in plugins if p["role"] == "engine").items()
    assert all(plugin["version"] for plugin in plugins)
    assert next(part for part in profile["parts"] if part["role"] == "engine")["store"] == "memory"
    assert list(modules) == ["health", "kroma", "node", "optimism", "rpc"]


def test_a_fresh_node_is_alive_and_says_why_it_is_not_ready(tmp_path: Path) -> None:
    async def check(node: Asked) -> None:
        assert (await node.get("/healthz")).json()["status"] == "ok"
        assert (await node.get("/livez")).status_code == 200
        ready = await node.get("/readyz")
        assert ready.status_code == 503
        assert [reason["code"] for reason in ready.json()["reasons"]] == ["not_started", "no_l1_head", "never_derived"]
        assert (await node.result("node_health"))["ready"] is False

    asked(tmp_path, world(CHAIN, 1), check, follow=False)


def test_a_node_at_the_head_is_ready_until_the_head_is_old(tmp_path: Path) -> None:
    steps = world(CHAIN, 3)
    head = next(block for block in steps["l1"]["blocks"] if block["hash"] == steps["timeline"][-1]["l1_head"])
    time = float(int(steps["rollup_config"]["genesis"]["l2_time"]))

    async def check(node: Asked) -> list[str]:
        ready = await node.get("/readyz")
        return [reason["code"] for reason in ready.json()["reasons"]]

    assert head["number"] is not None
    assert asked(tmp_path / "now", steps, check, now=time + 30) == []
    assert asked(tmp_path / "later", steps, check, now=time + 3600) == ["l1_stale"]
    patient = {"max_l1_age": 7200.0}
    assert asked(tmp_path / "patient", steps, check, now=time + 3600, table=patient) == []
