"""`optimism_` and `kroma_` on chains that the reference clients recorded, asked over HTTP."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import sha3

from tests.node.recorded_worlds import World, world
from tests.node_rpc.recorded_node import Asked, asked

STEPS = 4
CHAINS = ["op-chains/plain-jovian", "kroma-chains/mpt-genesis"]
ZERO = "0x" + bytes(32).hex()
SYNC_STATUS_KEYS = [
    "current_l1", "current_l1_finalized", "head_l1", "safe_l1", "finalized_l1", "unsafe_l2", "safe_l2",
    "finalized_l2", "pending_safe_l2", "cross_unsafe_l2", "local_safe_l2",
]  # fmt: skip
"""Of op-node v1.16.11; v1.19.6 has all of them but cross_unsafe_l2."""


@pytest.fixture(scope="module", params=CHAINS)
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, dict[str, Any]]:
    """A recorded chain, and what a node that followed it answers."""
    found = world(request.param, STEPS)
    numbers = [block["number"] for block in found["expected"]["blocks"]]

    async def ask(node: Asked) -> dict[str, Any]:
        return {
            "outputs": [await node.result("optimism_outputAtBlock", hex(number)) for number in numbers],
            "kroma": await node.result("kroma_outputAtBlock", hex(numbers[0])),
            "status": await node.result("optimism_syncStatus"),
            "config": await node.result("optimism_rollupConfig"),
            "safe": {
                step["l1_head"]: await node.call("optimism_safeHeadAtL1Block", hex(number_of(found, step["l1_head"])))
                for step in found["timeline"]
            },
        }

    return found, asked(tmp_path_factory.mktemp("node"), copy.deepcopy(found), ask)


def number_of(found: World, l1_hash: str) -> int:
    return next(int(block["number"]) for block in found["l1"]["blocks"] if block["hash"] == l1_hash)


def test_outputs_are_the_recorded_ones(answers: tuple[World, dict[str, Any]]) -> None:
    """Kroma's vectors hold them; those of the OP Stack hold what they are made of."""
    found, given = answers
    for recorded, answer in zip(found["expected"].get("outputs", ()), given["outputs"], strict=False):
        wanted = {key: value for key, value in recorded.items() if key != "number"}
        assert {**answer, "syncStatus": None} == {**wanted, "syncStatus": None}
    for block, answer in zip(found["expected"]["blocks"], given["outputs"], strict=True):
        payload = block["payload"]
        assert answer["stateRoot"] == payload["stateRoot"]
        assert answer["blockRef"] == {
            "hash": payload["blockHash"],
            "number": int(payload["blockNumber"], 16),
            "parentHash": payload["parentHash"],
            "timestamp": int(payload["timestamp"], 16),
            "l1origin": block["l1_origin"],
            "sequenceNumber": block["sequence_number"],
        }
        if "withdrawalsRoot" in payload:
            assert answer["withdrawalStorageRoot"] == payload["withdrawalsRoot"]
        parts = (ZERO, payload["stateRoot"], answer["withdrawalStorageRoot"], payload["blockHash"])
        preimage = b"".join(bytes.fromhex(part[2:]) for part in parts)
        assert answer["outputRoot"] == "0x" + sha3.keccak_256(preimage).hexdigest()


def test_an_output_carries_the_sync_status(answers: tuple[World, dict[str, Any]]) -> None:
    _, given = answers
    assert given["outputs"][0]["syncStatus"] == given["status"]


def test_both_namespaces_answer_the_same(answers: tuple[World, dict[str, Any]]) -> None:
    _, given = answers
    assert given["kroma"] == given["outputs"][0]


def test_the_sync_status_has_the_recorded_heads(answers: tuple[World, dict[str, Any]]) -> None:
    found, given = answers
    status, safe = given["status"], found["expected"]["safe_after"][-1]["safe_l2"]
    assert list(status) == SYNC_STATUS_KEYS
    for head in ("safe_l2", "local_safe_l2", "pending_safe_l2", "unsafe_l2", "cross_unsafe_l2"):
        assert (status[head]["number"], status[head]["hash"]) == (safe["number"], safe["hash"])
    assert status["head_l1"]["hash"] == status["current_l1"]["hash"] == found["timeline"][-1]["l1_head"]


def test_the_rollup_config_is_the_files(answers: tuple[World, dict[str, Any]]) -> None:
    found, given = answers
    assert given["config"] == {key: value for key, value in found["rollup_config"].items() if value is not None}


def test_what_was_safe_after_each_l1_block_is_remembered(answers: tuple[World, dict[str, Any]]) -> None:
    found, given = answers
    for step, after in zip(found["timeline"], found["expected"]["safe_after"], strict=True):
        safe = after["safe_l2"]
        if safe["number"] == 0:
            continue
        answer = given["safe"][step["l1_head"]]["result"]
        assert answer["safeHead"] == {"hash": safe["hash"], "number": safe["number"]}
        assert answer["l1Block"]["number"] <= number_of(found, step["l1_head"])


BEDROCK = "op-chains/plain-bedrock"


@pytest.mark.parametrize(
    ("method", "params", "code", "text"),
    [
        ("optimism_outputAtBlock", ["0xffffff"], -32000, "not found"),
        ("optimism_outputAtBlock", [5], -32602, "hexadecimal"),
        ("optimism_outputAtBlock", ["5"], -32602, "hexadecimal"),
        ("optimism_outputAtBlock", ["0x" + "f" * 40], -32602, "64 bits"),
        ("optimism_outputAtBlock", [], -32602, "missing"),
        ("optimism_outputAtBlock", [{"number": 1}], -32602, "hexadecimal"),
        ("optimism_syncStatus", ["surplus"], -32602, "too many"),
        ("optimism_dependencySet", [], -32000, "not found"),
        ("optimism_outputWithProofAtBlock", ["0x1"], -32601, "does not exist"),
        ("admin_stopSequencer", [], -32601, "does not exist"),
        ("admin_resetDerivationPipeline", [], -32601, "does not exist"),
        ("opp2p_self", [], -32601, "does not exist"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    method: str, params: list[Any], code: int, text: str, tmp_path: Path
) -> None:
    error = asked(tmp_path, world(BEDROCK, 1), lambda node: node.error(method, *params))
    assert error["code"] == code
    assert text in error["message"]


def test_a_node_that_has_not_begun_answers_with_references_of_zeros(tmp_path: Path) -> None:
    status = asked(tmp_path, world(BEDROCK, 1), lambda node: node.result("optimism_syncStatus"), follow=False)
    assert list(status) == SYNC_STATUS_KEYS
    assert status["current_l1"] == {"hash": ZERO, "number": 0, "parentHash": ZERO, "timestamp": 0}
    assert status["unsafe_l2"] == {
        "hash": ZERO,
        "number": 0,
        "parentHash": ZERO,
        "timestamp": 0,
        "l1origin": {"hash": ZERO, "number": 0},
        "sequenceNumber": 0,
    }
