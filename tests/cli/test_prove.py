"""`kroma prove` and `kroma verify-proof` against what the reference clients computed and the portal took."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kroma_core.cli import main
from kroma_core.codec.keccak import keccak256
from tests.cli.recordings import BEDROCK, KROMA_ZK
from tests.vectors.unit_files import OWN_VECTORS, hex_bytes, load

CHAINS = OWN_VECTORS / "kroma-chains"
LIVES = {"zk-trie": CHAINS / "validator-life-zk.json.xz", "merkle-patricia": CHAINS / "validator-life-mpt.json.xz"}
CROSSING = CHAINS / "mpt-transition.json.xz"
SMALL = CHAINS / "span-overlap-zk.json.xz"
PASSED = "02a52367d10742d8032712c1bb8e0144ff1ec5ffda1ed7d70bb05a2744955054"
PASSER = "0x4200000000000000000000000000000000000003"


def withdrawals(path: Path) -> list[tuple[dict[str, Any], str]]:
    """Blocks of a recording with the hashes of their transactions that withdraw."""
    found = []
    for block in load(path)["expected"]["blocks"]:
        for raw, receipt in zip(block["payload"]["transactions"], block["receipts"], strict=True):
            if PASSED in receipt:
                found.append((block, "0x" + keccak256(hex_bytes(raw)).hex()))
    return found


def proven(folder: Path, path: Path, *options: str, kind: str = "withdrawal") -> tuple[Path, Any]:
    out = folder / "proof.json"
    assert main(["prove", kind, str(path), "--out", str(out), *options]) == 0
    return out, json.loads(out.read_text())


@pytest.mark.parametrize("state", LIVES)
def test_the_call_data_is_what_the_portal_took(tmp_path: Path, capsys: pytest.CaptureFixture[str], state: str) -> None:
    """The recorded call went through KromaPortal in kroma-geth's EVM."""
    content = load(LIVES[state])
    contracts = content["l1_contracts"]
    [call] = [
        call for call in contracts["calls"]
        if call["method"] == "proveWithdrawalTransaction" and call["expected_status"] == 1
    ]  # fmt: skip
    data = hex_bytes(call["data"])
    index, state_root = int.from_bytes(data[36:68], "big"), data[100:132]
    [number] = [
        block["number"] for block in content["expected"]["blocks"]
        if hex_bytes(block["payload"]["stateRoot"]) == state_root
    ]  # fmt: skip
    output = next(one for one in content["expected"]["outputs"] if one["number"] == number)
    told = PASSED, contracts["withdrawal_hash"][2:]
    [tx] = [
        "0x" + keccak256(hex_bytes(raw)).hex()
        for block in content["expected"]["blocks"]
        for raw, receipt in zip(block["payload"]["transactions"], block["receipts"], strict=True)
        if all(text in receipt for text in told)
    ]
    out, proof = proven(tmp_path, LIVES[state], "--tx", tx, "--block", str(number), "--output-index", str(index))
    assert proof["proveWithdrawalTransaction"] == call["data"]
    assert proof["withdrawalHash"] == contracts["withdrawal_hash"]
    assert proof["outputRoot"] == output["outputRoot"]
    assert proof["state"] == state
    assert len(hex_bytes(proof["output"]["preimage"])) == (160 if state == "zk-trie" else 128)
    assert main(["verify-proof", str(out), "--root", output["outputRoot"]]) == 0
    assert f"ok: withdrawal {contracts['withdrawal_hash']} in output" in capsys.readouterr().out


def test_a_withdrawal_is_proven_on_both_sides_of_the_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = withdrawals(CROSSING)
    outputs = {output["number"]: output for output in load(CROSSING)["expected"]["outputs"]}
    states = []
    for block, tx in (found[0], found[-1]):
        out, proof = proven(tmp_path, CROSSING, "--tx", tx)
        assert proof["outputRoot"] == outputs[block["number"]]["outputRoot"]
        assert main(["verify-proof", str(out)]) == 0
        states.append(proof["state"])
    assert states == ["zk-trie", "merkle-patricia"]
    # One that was made over the ZK trie is proven over the Merkle-Patricia trie as well.
    last = found[-1][0]["number"]
    out, proof = proven(tmp_path, CROSSING, "--tx", found[0][1], "--block", str(last))
    assert (proof["state"], proof["outputRoot"]) == ("merkle-patricia", outputs[last]["outputRoot"])
    assert main(["verify-proof", str(out), "--root", proof["outputRoot"]]) == 0
    assert capsys.readouterr().out.count("ok: withdrawal") == 3


def test_a_withdrawal_of_an_op_stack_chain_is_proven(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    block, tx = withdrawals(BEDROCK)[0]
    out, proof = proven(tmp_path, BEDROCK, "--tx", tx, "--output-index", "7")
    assert proof["output"]["blockHash"] == block["payload"]["blockHash"]
    assert proof["proveWithdrawalTransaction"].startswith("0x4870496f")
    assert main(["verify-proof", str(out)]) == 0
    assert main(["verify-proof", str(out), "--root", "0x" + "00" * 32]) == 1
    assert "it holds for" in capsys.readouterr().err


def test_accounts_and_slots_are_proven_present_and_absent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = {output["number"]: output for output in load(KROMA_ZK)["expected"]["outputs"]}
    slots = ["0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc", "0x" + "7f" * 32]
    out, proof = proven(
        tmp_path, KROMA_ZK, "--address", PASSER, "--block", "9", "--slot", slots[0], "--slot", slots[1], kind="account"
    )
    assert proof["account"]["storageHash"] == outputs[9]["withdrawalStorageRoot"]
    assert [int(entry["value"], 16) > 0 for entry in proof["storage"]] == [True, False]
    assert main(["verify-proof", str(out), "--root", outputs[9]["blockRef"]["hash"]]) == 0
    out, proof = proven(tmp_path, KROMA_ZK, "--address", "0x" + "5a" * 20, "--block", "9", kind="account")
    assert proof["account"] is None
    assert main(["verify-proof", str(out)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert "ok: account 0x42" in told[0]
    assert "ok: no account 0x5a5a" in told[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tx", "0x" + "11" * 32], "not in the chain up to block 44"),
        (["--tx", "NONE"], "it withdraws nothing"),
        (["--tx", "FIRST", "--block", "0"], "comes before it"),
        (["--tx", "FIRST", "--block", "44"], "the output of block 44 names block 45, which is not there yet"),
        (["--tx", "FIRST", "--block", "46"], "has no block 46"),
        (["--tx", "FIRST", "--which", "1"], "expected a withdrawal from 0 to 0, got 1"),
    ],
)
def test_what_cannot_be_proven_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    first = load(KROMA_ZK)["expected"]["blocks"][0]["payload"]["transactions"][0]
    names = {"NONE": "0x" + keccak256(hex_bytes(first)).hex(), "FIRST": withdrawals(KROMA_ZK)[0][1]}
    given = [names.get(option, option) for option in options]
    assert main(["prove", "withdrawal", str(KROMA_ZK), "--out", str(tmp_path / "none"), *given]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("option", ["--block", "--which", "--output-index"])
@pytest.mark.parametrize("number", ["-1", "0x1", "1.0", "", "\u0661", "9" * 19, "9" * 5000])
def test_a_number_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], option: str, number: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["prove", "withdrawal", str(KROMA_ZK), "--tx", "0x" + "11" * 32, f"{option}={number}"])
    assert caught.value.code == 2
    assert f"argument {option}: expected a number of at most 18 digits" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": "kroma-proof/1"}', "[" * 9999])
def test_a_file_that_is_no_proof_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    path = tmp_path / "proof.json"
    path.write_text(text)
    assert main(["verify-proof", str(path)]) == 1
    assert str(path) in capsys.readouterr().err


def test_a_block_of_the_zk_era_has_a_trace_for_the_prover(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, trace = proven(tmp_path, SMALL, "--block", "5", kind="trace")
    blocks = load(SMALL)["expected"]["blocks"]
    assert trace["header"]["hash"] == blocks[4]["hash"]
    assert trace["storageTrace"]["rootBefore"] == blocks[3]["payload"]["stateRoot"]
    assert trace["storageTrace"]["rootAfter"] == blocks[4]["payload"]["stateRoot"]
    assert [one["txHash"] for one in trace["transactions"]] == [
        "0x" + keccak256(hex_bytes(raw)).hex() for raw in blocks[4]["payload"]["transactions"]
    ]
    assert main(["verify-proof", str(out)]) != 0
    assert main(["prove", "trace", str(SMALL), "--block", "0"]) != 0
    assert "genesis is not traceable" in capsys.readouterr().err
