"""A replay computes: what is expected is compared afterwards, every field of it, and reaches no part before."""

from __future__ import annotations

import functools
import json
import typing
from pathlib import Path

import pytest

from kroma_core.api import Capability, RecordingFile, Role
from kroma_core.cli import main
from kroma_core.recording import RecordingError
from kroma_core.recording.chain_vector import VectorExpected
from kroma_core.recording.json_fields import Fields
from tests.node.recorded_worlds import (
    Path_,
    World,
    another,
    installed,
    leaves,
    replace,
    replayed,
    shape,
    value_at,
    world,
    written,
)

pytest.importorskip("kroma_l1_cassette", reason="recordings are read by the plugin l1_cassette")
pytest.importorskip("kroma_engine_pyevm", reason="chains are executed by the plugin engine_pyevm")

OP, STEPS = "op-chains/plain-jovian", 4
KROMA = "kroma-chains/mpt-genesis"
ZK = "kroma-chains/regolith-zk"
REORG = "kroma-chains/reorg-mpt"


@functools.cache
def cut_short(name: str, steps: int = STEPS) -> World:
    return world(name, steps)


def places(name: str, steps: int = STEPS) -> list[Path_]:
    """Every place in `expected`."""
    return list(leaves(cut_short(name, steps)["expected"]))


def one_of_each(name: str) -> list[Path_]:
    """One place of each shape: the last, where most has gone before."""
    return list({shape(at): at for at in places(name)}.values())


def named(at: Path_) -> str:
    return ".".join(map(str, at))


@pytest.fixture(scope="module")
def op_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("op"), cut_short(OP))


@pytest.fixture(scope="module")
def kroma_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("kroma"), cut_short(KROMA))


def complaint(path: Path, expected: World) -> str | None:
    """What a replay of `path`, executed, says when it is compared with `expected`."""
    try:
        found = VectorExpected(path, Fields.of(expected, file=path, part="expected"))
        result, _ = replayed(path, found)
    except RecordingError as error:
        return str(error)
    assert result.compared
    return None if result.difference is None else str(result.difference)


def changed(name: str, at: Path_, steps: int = STEPS) -> World:
    """`expected` of a world, with another value at one place."""
    expected: World = json.loads(json.dumps(cut_short(name, steps)["expected"]))
    replace(expected, at, another(value_at(expected, at)))
    return expected


def test_unchanged_worlds_have_no_difference(op_file: Path, kroma_file: Path) -> None:
    assert complaint(op_file, cut_short(OP)["expected"]) is None
    assert complaint(kroma_file, cut_short(KROMA)["expected"]) is None


def test_a_recording_without_an_expected_chain_gives_the_same_hashes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = world(OP)
    blocks = content.pop("expected")["blocks"]
    path = written(tmp_path, content)
    result, hashes = replayed(path, None)
    assert hashes == {block["number"]: block["hash"] for block in blocks}
    assert not result.compared
    assert main(["replay", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: ok: nothing recorded to compare with, head {blocks[-1]['hash']}\n"


def test_a_recording_that_expects_another_chain_is_computed_all_the_same(tmp_path: Path) -> None:
    content = world(OP)
    hashes = {block["number"]: block["hash"] for block in content["expected"]["blocks"]}
    for block in content["expected"]["blocks"]:
        block["hash"] = block["payload"]["blockHash"] = another(block["hash"])
        block["payload"]["stateRoot"] = another(block["payload"]["stateRoot"])
    path = written(tmp_path, content)
    found = VectorExpected(path, Fields.of(content["expected"], file=path, part="expected"))
    result, computed = replayed(path, found)
    assert computed == hashes
    assert result.difference is not None
    assert result.difference.where == "block 1"


def test_engines_that_execute_are_handed_no_recording() -> None:
    engines = [found for found in installed().of_role(Role.ENGINE) if Capability.EXECUTES in found.offer.capabilities]
    assert engines
    for found in engines:
        assert RecordingFile not in typing.get_type_hints(found.offer.config).values()
        assert Role.L1 not in found.offer.requires


@pytest.mark.parametrize("at", places(OP), ids=named)
def test_any_change_of_the_expected_chain_is_found(op_file: Path, at: Path_) -> None:
    said = complaint(op_file, changed(OP, at))
    assert said is not None
    if at[0] == "blocks":
        number = cut_short(OP)["expected"]["blocks"][at[1]]["number"]
        assert f"block {number}:" in said or f"block {number}," in said or "expected.blocks[" in said
    else:
        assert f"timeline step {at[1]} " in said


@pytest.mark.parametrize("at", one_of_each(KROMA), ids=named)
def test_any_change_of_outputs_and_of_what_accompanies_a_block_is_found(kroma_file: Path, at: Path_) -> None:
    assert complaint(kroma_file, changed(KROMA, at)) is not None


@pytest.mark.parametrize("at", one_of_each(ZK), ids=named)
def test_any_change_is_found_without_execution_too(
    tmp_path: Path, at: Path_, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {**cut_short(ZK), "expected": changed(ZK, at)}
    path = written(tmp_path, content)
    assert main(["replay", str(path)]) == 1
    captured = capsys.readouterr()
    assert (captured.out + captured.err).startswith(f"{path}: ")


def test_a_nonce_that_no_root_covers_is_compared_too(tmp_path: Path) -> None:
    """Early receipts of deposits are recorded with the sender's nonce, which their root leaves out."""
    content = world("op-chains/plain-regolith", 5)
    path = written(tmp_path, content)
    assert complaint(path, content["expected"]) is None
    receipts = content["expected"]["blocks"][2]["receipts"]
    receipts[0] = another(receipts[0])
    said = complaint(path, content["expected"])
    assert said is not None
    assert said.startswith("block 3: receipts[0].depositNonce: expected ")


@pytest.mark.parametrize("step", range(17))
def test_the_safe_head_after_each_step_is_compared(tmp_path: Path, step: int) -> None:
    """Also of those on branches that were abandoned later."""
    content = world(REORG)
    steps = content["expected"]["safe_after"]
    assert len(steps) == 17
    path = written(tmp_path, content)
    steps[step]["safe_l2"]["hash"] = another(steps[step]["safe_l2"]["hash"])
    said = complaint(path, content["expected"])
    assert said is not None
    assert f"timeline step {step} " in said


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("blocks", "final chain: safe head: expected 3, got 4"),
        ("safe_after", "timeline step 3: safe_l2: expected one for each step, got none recorded"),
    ],
)
def test_what_is_left_out_at_the_end_is_missed(op_file: Path, part: str, said: str) -> None:
    expected = json.loads(json.dumps(cut_short(OP)["expected"]))
    del expected[part][-1]
    assert complaint(op_file, expected) == said


def test_a_safe_head_too_many_is_found(op_file: Path) -> None:
    expected = json.loads(json.dumps(cut_short(OP)["expected"]))
    expected["safe_after"].append(expected["safe_after"][-1])
    assert complaint(op_file, expected) == "timeline: steps: expected 4, got a safe head recorded for one more"


@pytest.mark.slow
@pytest.mark.parametrize("at", places("op-chains/timeouts-regolith", 36), ids=named)
def test_any_change_in_a_whole_file_is_found(tmp_path: Path, at: Path_) -> None:
    path = written(tmp_path, cut_short("op-chains/timeouts-regolith", 36))
    assert complaint(path, changed("op-chains/timeouts-regolith", at, 36)) is not None


@pytest.mark.slow
@pytest.mark.parametrize("at", [at for at in places("op-chains/reorg-jovian", 40) if at[0] == "safe_after"], ids=named)
def test_any_change_of_a_step_is_found_where_the_client_lags_behind_a_reorg(tmp_path: Path, at: Path_) -> None:
    path = written(tmp_path, cut_short("op-chains/reorg-jovian", 40))
    assert complaint(path, changed("op-chains/reorg-jovian", at, 40)) is not None
