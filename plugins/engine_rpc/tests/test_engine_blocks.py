"""What an engine says of blocks, receipts and accounts counts as far as hashes and proofs go.

The answers are a real op-geth's (`data/op_geth.json`); what they have to mean is what the chains were recorded with.
"""

from __future__ import annotations

import copy
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from kroma_engine_rpc import blocks
from kroma_engine_rpc.engine import RpcEngine

from kroma_core.chain.config import Family
from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.keccak import EMPTY_HASH
from kroma_core.errors import CriticalError, DecodeError, NotFound, TemporaryError
from kroma_core.forks import KROMA_FORKS, StateCommitment
from kroma_core.jsonrpc.errors import RpcError
from kroma_core.l2 import L2Label
from kroma_core.types import L2Number
from kroma_core.zktrie.faults import TrieFault

from .engine_side import VECTORS, EngineSide, op_geth, run

ABSENT = b"\x5a" * 32


def raised(side: EngineSide, ask: Callable[[RpcEngine], Any], error: type[Exception], folder: Path) -> str:
    said: list[str] = []

    async def body(engine: RpcEngine) -> None:
        with pytest.raises(error) as found:
            await ask(engine)
        said.append(str(found.value))

    run(side, body, folder)
    return said[0]


@pytest.mark.parametrize("name", ["plain-isthmus", "plain-bedrock"])
def test_blocks_of_every_transaction_type_are_the_recorded_ones(name: str, tmp_path: Path) -> None:
    side = EngineSide(name)

    async def body(engine: RpcEngine) -> None:
        for block in side.blocks:
            number = int(block["number"], 16)
            by_hash = await engine.block(bytes.fromhex(block["hash"][2:]))
            assert await engine.block(L2Number(number)) == by_hash
            if number:
                assert by_hash == side.payload(number)

    run(side, body, tmp_path)


@pytest.mark.parametrize("name", ["plain-isthmus", "plain-bedrock"])
def test_receipts_are_the_recorded_ones(name: str, tmp_path: Path) -> None:
    side = EngineSide(name)

    async def body(engine: RpcEngine) -> None:
        for block in side.blocks:
            number = int(block["number"], 16)
            receipts = await engine.receipts(bytes.fromhex(block["hash"][2:]))
            assert receipts == (side.recorded[number].receipts if number else ())

    run(side, body, tmp_path)


def test_receipts_are_asked_for_one_by_one_where_the_engine_knows_no_other_way(tmp_path: Path) -> None:
    side = EngineSide()
    listed = {receipt["transactionHash"]: receipt for receipts in side.receipts for receipt in receipts}

    async def one(name: str) -> Any:
        return listed.get(name)

    side.answers["eth_getBlockReceipts"] = RpcError(-32601, "the method eth_getBlockReceipts does not exist")
    side.answers["eth_getTransactionReceipt"] = one

    async def body(engine: RpcEngine) -> None:
        assert await engine.receipts(side.payload(1).hash) == side.recorded[1].receipts

    run(side, body, tmp_path)


def test_a_label_that_was_never_set_is_genesis(tmp_path: Path) -> None:
    side = EngineSide()

    async def body(engine: RpcEngine) -> None:
        heads = await engine.heads()
        assert heads == attrs.evolve(side.at_genesis(), unsafe=side.payload(34).hash)
        assert (await engine.block(L2Label.SAFE)).hash == side.genesis
        assert (await engine.block(L2Label.UNSAFE)).hash == side.payload(34).hash

    run(side, body, tmp_path)


@pytest.mark.parametrize(("readings", "safe"), [(1, 0), (2, 0), (9, -1)])
def test_heads_that_are_read_in_the_midst_of_a_move_are_read_again(readings: int, safe: int, tmp_path: Path) -> None:
    """After so many readings the engine has moved its safe head down, after its unsafe one."""
    side = EngineSide()
    low, middle, high = side.blocks[0], side.blocks[1], side.blocks[-1]
    asked: list[str] = []

    async def by_number(name: str, full: bool) -> Any:
        asked.append(name)
        moved = asked.count("safe") > readings
        return {"latest": middle, "safe": low if moved else high}.get(name, low)

    async def body(engine: RpcEngine) -> None:
        side.answers["eth_getBlockByNumber"] = by_number
        heads = await engine.heads()
        assert [f"0x{one.hex()}" for one in (heads.unsafe, heads.safe)] == [middle["hash"], side.blocks[safe]["hash"]]
        assert asked.count("safe") == min(readings + 1, 3)

    run(side, body, tmp_path)


def test_blocks_that_are_not_there_are_not_found(tmp_path: Path) -> None:
    for ask in (
        lambda engine: engine.block(ABSENT),
        lambda engine: engine.block(L2Number(99)),
        lambda engine: engine.receipts(ABSENT),
    ):
        assert "has no block" in raised(EngineSide(), ask, NotFound, tmp_path)


def changed(block: Any, change: Callable[[Any], None]) -> EngineSide:
    """An engine whose block 1 was changed."""
    side = EngineSide()
    side.blocks[1] = copy.deepcopy(block)
    change(side.blocks[1])
    return side


def test_a_transaction_that_is_not_in_the_header_is_no_answer(tmp_path: Path) -> None:
    good = op_geth()["plain-isthmus"]["blocks"][1]
    for change in (
        lambda block: block["transactions"].pop(),
        lambda block: block["transactions"][1].update(value="0x123"),
        lambda block: block["transactions"][0].update(isSystemTx=True),
        lambda block: block["transactions"].reverse(),
    ):
        said = raised(changed(good, change), lambda engine: engine.block(L2Number(1)), TemporaryError, tmp_path)
        assert "transactions hash to" in said


def test_a_field_of_a_header_that_is_not_hashed_stops_the_node(tmp_path: Path) -> None:
    side = changed(op_geth()["plain-isthmus"]["blocks"][1], lambda block: block.update(gasUsed="0x1"))
    said = raised(side, lambda engine: engine.block(L2Number(1)), CriticalError, tmp_path)
    assert side.blocks[1]["hash"] in said
    assert "a fork that this node does not know" in said


def test_another_block_than_was_asked_for_is_no_answer(tmp_path: Path) -> None:
    side = EngineSide()

    async def always_the_second(name: str, full: bool) -> Any:
        return side.blocks[2]

    side.answers["eth_getBlockByHash"] = always_the_second
    said = raised(side, lambda engine: engine.block(side.payload(1).hash), TemporaryError, tmp_path)
    assert f"expected block 0x{side.payload(1).hash.hex()}, got 2" in said


def test_a_transaction_of_an_unknown_type_is_asked_for_as_bytes(tmp_path: Path) -> None:
    def hide(block: Any) -> None:
        block["transactions"][2] = {"type": "0x66", "hash": block["transactions"][2]["hash"]}

    side = changed(op_geth()["plain-isthmus"]["blocks"][1], hide)

    async def raw(block_hash: str, index: str) -> str:
        assert block_hash == side.blocks[1]["hash"]
        return "0x" + side.payload(1).transactions[int(index, 16)].hex()

    side.answers["eth_getRawTransactionByBlockHashAndIndex"] = raw

    async def body(engine: RpcEngine) -> None:
        assert await engine.block(L2Number(1)) == side.payload(1)

    run(side, body, tmp_path)


def test_receipts_that_do_not_hash_to_the_header_are_no_answer(tmp_path: Path) -> None:
    wrongs: tuple[list[object] | None, ...] = ([], None)
    for wrong in wrongs:
        side = EngineSide()
        side.receipts[1] = side.receipts[1][:-1] if wrong is None else wrong
        block = side.payload(1).hash
        said = raised(side, lambda engine, block=block: engine.receipts(block), TemporaryError, tmp_path)  # type: ignore[misc]  # a lambda's default has no type
        assert "the header says" in said


def answers_of_proof(side: EngineSide, answer: Any) -> None:
    async def proof(address: str, slots: list[str], block: str) -> Any:
        return answer

    side.answers["eth_getProof"] = proof


@pytest.mark.parametrize("case", op_geth()["plain-isthmus"]["proofs"], ids=lambda case: case["address"][-8:])
def test_an_account_is_proven_with_its_slots(case: Any, tmp_path: Path) -> None:
    side = EngineSide()
    answers_of_proof(side, case["answer"])
    block, address = bytes.fromhex(case["block"][2:]), bytes.fromhex(case["address"][2:])
    slots = [bytes.fromhex(slot[2:]) for slot in case["slots"]]

    async def body(engine: RpcEngine) -> None:
        proof = await engine.proof(address, slots, block)
        assert [value for _, value, _ in proof.storage] == [int(value, 16) for value in case["values"]]
        assert (proof.balance, proof.nonce) == (int(case["balance"], 16), int(case["nonce"], 16))
        assert proof.account_proof == tuple(bytes.fromhex(node[2:]) for node in case["answer"]["accountProof"])

    run(side, body, tmp_path)


def test_the_storage_root_of_the_message_passer_is_the_withdrawals_root_of_the_block(tmp_path: Path) -> None:
    side = EngineSide()
    case = op_geth()["plain-isthmus"]["proofs"][1]
    answers_of_proof(side, case["answer"])

    async def body(engine: RpcEngine) -> None:
        root = await engine.storage_root(bytes.fromhex(case["address"][2:]), side.payload(34).hash)
        assert root == side.payload(34).withdrawals_root

    run(side, body, tmp_path)


def test_an_account_that_is_not_there_is_proven_absent(tmp_path: Path) -> None:
    side = EngineSide()
    case = op_geth()["plain-isthmus"]["proofs"][2]
    answers_of_proof(side, case["answer"])

    async def body(engine: RpcEngine) -> None:
        proof = await engine.proof(bytes.fromhex(case["address"][2:]), [bytes(32)], side.payload(34).hash)
        assert (proof.nonce, proof.balance, proof.storage_root, proof.code_hash) == (0, 0, EMPTY_ROOT, EMPTY_HASH)

    run(side, body, tmp_path)


def test_a_proof_with_a_flipped_bit_is_no_answer(tmp_path: Path) -> None:
    case = op_geth()["plain-isthmus"]["proofs"][0]
    slots = [bytes.fromhex(slot[2:]) for slot in case["slots"]]
    for where in ("accountProof", "storageProof"):
        side, answer = EngineSide(), copy.deepcopy(case["answer"])
        nodes = answer[where] if where == "accountProof" else answer[where][0]["proof"]
        nodes[-1] = nodes[-1][:-1] + ("0" if nodes[-1][-1] != "0" else "1")
        answers_of_proof(side, answer)
        address = bytes.fromhex(case["address"][2:])

        def ask(engine: RpcEngine, address: bytes = address, side: EngineSide = side) -> Any:
            return engine.proof(address, slots, side.payload(34).hash)

        assert "trie proof" in raised(side, ask, TemporaryError, tmp_path)


def test_a_state_that_the_engine_no_longer_has_is_not_found(tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["eth_getProof"] = RpcError(-32000, "missing trie node 1234 (path )")
    said = raised(side, lambda engine: engine.storage_root(bytes(20), side.payload(34).hash), NotFound, tmp_path)
    assert "block 34: missing trie node" in said


def zk_proofs() -> list[Any]:
    """Answers that kroma-geth gave, and that op-service's verification of them accepts."""
    with lzma.open(VECTORS.parent / "kroma-units" / "eth_get_proof.json.xz") as file:
        cases = json.load(file)["cases"]
    return [case for case in cases if case["era"] == "zk" and case.get("account_valid")]


@pytest.mark.parametrize("case", zk_proofs(), ids=lambda case: f"{case['block']}-{case['result']['address'][-8:]}")
def test_an_account_of_the_zk_trie_is_proven_with_its_slots(case: Any) -> None:
    header = attrs.evolve(blocks.header_found(EngineSide().blocks[1]).header, state_root=raw(case["state_root"]))
    found = blocks.FoundHeader(hash=header.hash, header=header)
    result = case["result"]
    slots = [raw(entry["key"]) for entry in result["storageProof"]]
    address, zk = raw(result["address"]), StateCommitment.ZK_TRIE
    proof = blocks.proof_found(found, address, slots, result, zk)
    assert (proof.nonce, proof.balance) == (int(result["nonce"], 16), int(result["balance"], 16))
    assert (proof.storage_root, proof.code_hash) == (raw(result["storageHash"]), raw(result["codeHash"]))
    assert [word for _, word, _ in proof.storage] == [int(entry["value"], 16) for entry in result["storageProof"]]
    changed = copy.deepcopy(result)
    top = changed["accountProof"][0]
    changed["accountProof"][0] = top[:-1] + ("1" if top[-1] == "0" else "0")
    with pytest.raises(TrieFault):
        blocks.proof_found(found, address, slots, changed, zk)
    with pytest.raises(DecodeError, match="Merkle-Patricia trie at block"):
        blocks.proof_found(found, address, slots, result, StateCommitment.MPT)


def test_a_proof_without_the_zk_tries_magic_is_no_answer_in_its_era(tmp_path: Path) -> None:
    side = EngineSide()
    rollup = side.chain.rollup
    schedule = attrs.evolve(rollup.schedule, table=KROMA_FORKS, times={})
    side.chain = attrs.evolve(side.chain, rollup=attrs.evolve(rollup, family=Family.KROMA, schedule=schedule))
    answers_of_proof(side, op_geth()["plain-isthmus"]["proofs"][1]["answer"] | {"storageProof": []})
    said = raised(side, lambda engine: engine.storage_root(bytes(20), side.payload(34).hash), TemporaryError, tmp_path)
    assert "expected nodes of a ZK trie at block 34" in said


def raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])
