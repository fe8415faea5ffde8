"""`kroma replay`: every hash equal, or the first difference; the parts never see what is expected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kroma_core.cli import main
from tests.cli.recordings import BEDROCK, KROMA_ZK, KROMA_ZK_REORG, SHORT, Change, altered, flipped

HEAD = "0x28ab29c541103e56f4ec165f105e14061647a33684d04b31e6ef6405b68ac605"
"""The last safe block of plain-bedrock, as op-geth computed it."""


def test_a_chain_that_is_equal_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(BEDROCK)]) == 0
    assert capsys.readouterr().out == f"{BEDROCK}: ok: 94 blocks, every hash equal, head {HEAD}\n"


def test_json_has_one_object_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--json", str(BEDROCK), str(SHORT)]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == {
        "file": str(BEDROCK), "ok": True, "blocks": 94, "head": {"number": 94, "hash": HEAD}, "compared": True,
        "executed": True, "scope": "all", "difference": None,
    }  # fmt: skip
    assert (second["file"], second["ok"], second["blocks"]) == (str(SHORT), True, 34)


def test_without_expected_the_same_hash_is_computed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def strip(content: Any) -> None:
        del content["expected"]

    path = altered(tmp_path, BEDROCK, strip)
    assert main(["replay", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: ok: nothing recorded to compare with, head {HEAD}\n"


def _set(field: str, value: Any) -> Change:
    """Change one field of the expected block 20, given as `part.field`."""

    def change(content: Any) -> None:
        part: Any = content["expected"]["blocks"][19]
        *path, last = field.split(".")
        for name in path:
            part = part[name]
        part[last] = value(part[last])

    return change


def _plus(text: str) -> str:
    return hex(int(text, 16) + 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attributes.timestamp", _plus),
        ("attributes.prevRandao", flipped),
        ("attributes.gasLimit", _plus),
        ("attributes.suggestedFeeRecipient", flipped),
        ("payload.stateRoot", flipped),
        ("payload.receiptsRoot", flipped),
        ("payload.logsBloom", flipped),
        ("payload.gasUsed", _plus),
        ("payload.baseFeePerGas", _plus),
        ("payload.blockHash", flipped),
        ("batch", lambda kind: "span"),
        ("receipts", lambda receipts: receipts[:-1]),
        ("derived_from.number", lambda number: number + 1),
        ("l1_origin.hash", flipped),
        ("sequence_number", lambda number: number + 1),
    ],
)  # fmt: skip
def test_any_changed_field_of_what_is_expected_turns_the_file_red(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str, value: Any
) -> None:
    path = altered(tmp_path, BEDROCK, _set(field, value))
    assert main(["replay", str(path)]) == 1
    output = capsys.readouterr()
    [line] = [line for line in (output.out + output.err).splitlines() if line]
    assert "altered.json" in line
    assert "20" in line
    assert "expected" in line
    assert "got" in line


def test_a_changed_safe_head_of_any_step_turns_the_file_red(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(content: Any) -> None:
        step = content["expected"]["safe_after"][9]
        step["safe_l2"]["hash"] = flipped(step["safe_l2"]["hash"])

    path = altered(tmp_path, BEDROCK, change)
    assert main(["replay", str(path)]) == 1
    told = capsys.readouterr().out
    assert "timeline step 9 " in told
    assert "(data sources, in this order: blob, calldata; --profile names others)" in told


def test_a_difference_with_the_data_sources_of_a_profile_does_not_list_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(content: Any) -> None:
        step = content["expected"]["safe_after"][9]
        step["safe_l2"]["hash"] = flipped(step["safe_l2"]["hash"])

    path, profile = altered(tmp_path, SHORT, change), tmp_path / "p.toml"
    profile.write_text("[engine]\nkind = 'pyevm'\n[[data]]\nkind = 'calldata'\n")
    assert main(["replay", str(path), "--profile", str(profile)]) == 1
    told = capsys.readouterr().out
    assert "timeline step 9 " in told
    assert "data sources" not in told


def test_a_difference_as_json_has_block_field_expected_and_got(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = altered(tmp_path, BEDROCK, _set("payload.gasUsed", _plus))
    assert main(["replay", "--json", str(path), str(SHORT)]) == 1
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["ok"] is False
    assert first["difference"]["where"] == "block 20"
    assert first["difference"]["field"] == "payload.gas_used"
    assert int(first["difference"]["expected"]) == int(first["difference"]["got"]) + 1
    assert second["ok"] is True


def test_a_file_that_cannot_be_replayed_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "--json", str(tmp_path / "absent.json"), str(SHORT)]) == 1
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["ok"], second["ok"]) == (False, True)
    assert "absent.json" in first["errors"][0]


@pytest.mark.parametrize(("path", "blocks"), [(KROMA_ZK, 44), (KROMA_ZK_REORG, 47)], ids=["canyon", "reorg"])
def test_the_zk_trie_era_is_replayed_with_every_hash(
    capsys: pytest.CaptureFixture[str], path: Path, blocks: int
) -> None:
    assert main(["replay", str(path)]) == 0
    assert f"ok: {blocks} blocks, every hash equal, head 0x" in capsys.readouterr().out


def test_a_changed_attribute_of_the_zk_trie_era_turns_the_file_red(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = altered(tmp_path, KROMA_ZK, _set("attributes.timestamp", _plus))
    assert main(["replay", str(path)]) == 1
    assert "altered.json" in "".join(capsys.readouterr())


def test_a_profile_picks_the_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = tmp_path / "p.toml"
    profile.write_text("[engine]\nkind = 'recorded'\n")
    assert main(["replay", str(SHORT), "--profile", str(profile)]) == 0
    assert "ok: 34 blocks, attributes only (the engine plays recordings), head 0x" in capsys.readouterr().out
