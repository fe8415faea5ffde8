"""A recording checks itself: each contradiction is one problem that names its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kroma_core.recording import Problem, open_recording, verify
from tests.recording.samples import KROMA, PLAIN, REORG, changed, flipped, vector, written


def problems(path: Path) -> list[Problem]:
    with open_recording(path) as recording:
        return list(verify(recording))


def flip(holder: Any, key: Any) -> None:
    """Change one value to another of its kind."""
    value = holder[key]
    if isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, int):
        holder[key] = value + 1
    elif len(value) > 2:
        holder[key] = flipped(value) if len(value) > 3 else "0x" + format(int(value, 16) ^ 1, "x")
    else:
        holder[key] = value + "00"


def leaves(value: Any, holder: Any = None, key: Any = None, path: str = "") -> list[tuple[Any, Any, str]]:
    """All plain values below an object, with their holder and key."""
    if isinstance(value, dict):
        return [leaf for name, inner in value.items() for leaf in leaves(inner, value, name, f"{path}.{name}")]
    if isinstance(value, list):
        return [leaf for index, inner in enumerate(value) for leaf in leaves(inner, value, index, f"{path}[{index}]")]
    return [(holder, key, path)]


NOT_SEEN_HERE = (
    "batch", "sequence_number", "l1_origin", "derived_from", "eip1559Params", "minBaseFee", "receipts_marshal_binary",
)  # fmt: skip
"""Fields of an expected block that nothing else in the file repeats: a replay compares them with what it computes."""


@pytest.mark.parametrize(
    "source", [pytest.param(PLAIN, id="plain"), pytest.param(KROMA, id="kroma", marks=pytest.mark.slow)]
)
def test_a_changed_field_of_an_expected_block_is_found(source: Path, tmp_path: Path) -> None:
    content = vector(source)
    content["blobs"] = {}
    block = content["expected"]["blocks"][3]
    for holder, key, path in leaves(block):
        if any(name in path for name in NOT_SEEN_HERE):
            continue
        before = holder[key]
        flip(holder, key)
        if path in (".number", ".payload.blockNumber"):
            holder[key] = before
            continue  # these make the file unreadable, see the tests of reading
        assert problems(written(tmp_path, content)), path
        holder[key] = before


def test_a_changed_field_of_an_output_is_found(tmp_path: Path) -> None:
    content = vector(KROMA)
    for holder, key, path in leaves(content["expected"]["outputs"][3]):
        if path == ".number":
            continue  # this makes the file unreadable, see the tests of reading
        before = holder[key]
        flip(holder, key)
        assert problems(written(tmp_path, content)), path
        holder[key] = before


def test_a_head_of_another_step_is_found(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["expected"]["safe_after"][2]["l1_head"] = content["timeline"][3]["l1_head"]

    (problem,) = problems(changed(tmp_path, change))
    assert (problem.part, problem.field) == ("expected safe_after[2]", "l1_head")


def test_a_step_without_a_safe_head_is_found(tmp_path: Path) -> None:
    (problem,) = problems(changed(tmp_path, lambda content: content["expected"]["safe_after"].pop()))
    assert problem.field == "value"


@pytest.mark.parametrize("name", ["derived_from", "l1_origin"])
def test_an_l1_block_that_was_not_recorded_is_found(tmp_path: Path, name: str) -> None:
    def change(content: dict[str, Any]) -> None:
        block = content["expected"]["blocks"][5][name]
        block["hash"] = flipped(block["hash"])

    (problem,) = problems(changed(tmp_path, change))
    assert (problem.part, problem.field) == ("expected L2 block 6", name)


def test_the_expected_chain_can_be_left_to_a_replay(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["expected"]["blocks"][5]["hash"] = flipped(content["expected"]["blocks"][5]["hash"])

    with open_recording(changed(tmp_path, change)) as recording:
        assert list(verify(recording)) != []
        assert list(verify(recording, with_expected=False)) == []


def test_every_problem_is_told(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        busy = [block for block in content["l1"]["blocks"] if block["transactions"]]
        for block in busy[:3]:
            block["transactions"][0] = flipped(block["transactions"][0])
        busy[3]["receipts"].pop()

    fields = [problem.field for problem in problems(changed(tmp_path, change))]
    assert fields == ["transactions root"] * 3 + ["receipts root"]


def test_a_changed_genesis_account_is_found(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        account = next(one for one in content["l2_genesis"]["alloc"].values() if "balance" in one)
        account["balance"] = hex(int(account["balance"], 16) + 1)

    found = problems(changed(tmp_path, change))
    assert [(problem.part, problem.field) for problem in found] == [("l2_genesis", "block hash")]


def test_a_rollup_config_with_forks_out_of_order_is_found(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["rollup_config"]["canyon_time"] = 10**10

    assert {problem.part for problem in problems(changed(tmp_path, change))} == {"configuration"}


def test_a_parent_of_another_height_is_found(tmp_path: Path) -> None:
    content = vector(REORG)
    blocks = {block["hash"]: block for block in content["l1"]["blocks"]}
    assert len({block["number"] for block in blocks.values()}) < len(blocks)
    assert problems(written(tmp_path, content)) == []
