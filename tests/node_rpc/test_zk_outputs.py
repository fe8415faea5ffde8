"""`kroma_outputWithProofAtBlock` on a chain of the ZK-trie era that the embedded engine has executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kroma_core.codec.rpc_blocks import header_from_json, transactions_from_json
from kroma_core.state_proof import proven_account
from tests.node.recorded_worlds import world
from tests.node_rpc.recorded_node import Asked, asked
from tests.vectors.unit_files import OWN_VECTORS, hex_bytes, load

CHAIN = "kroma-chains/canyon-zk"
STEPS = 4
PASSER = bytes.fromhex("4200000000000000000000000000000000000003")


def test_the_output_comes_with_the_next_block_and_the_proof_of_the_message_passer(tmp_path: Path) -> None:
    found = world(CHAIN, STEPS)
    outputs = {one["number"]: one for one in load(OWN_VECTORS / f"{CHAIN}.json.xz")["expected"]["outputs"]}
    blocks = {block["number"]: block["payload"] for block in found["expected"]["blocks"]}
    last = max(blocks)

    async def ask(node: Asked) -> Any:
        numbers = sorted(blocks)[:-1]
        answers = {number: await node.result("kroma_outputWithProofAtBlock", hex(number)) for number in numbers}
        return (
            answers,
            await node.error("kroma_outputAtBlock", hex(last)),
            await node.error("kroma_outputWithProofAtBlock", hex(last)),
        )

    answers, *errors = asked(tmp_path, found, ask)
    assert len(answers) > 1
    for number, answer in answers.items():
        public = answer.pop("publicInputProof")
        wanted = {key: value for key, value in outputs[number].items() if key != "number"}
        assert {**answer, "syncStatus": None} == {**wanted, "syncStatus": None}
        following = blocks[number + 1]
        header = header_from_json(public["nextBlock"])
        assert "0x" + header.hash.hex() == following["blockHash"]
        raw = transactions_from_json({"transactions": public["nextTransactions"]})
        assert ["0x" + one.hex() for one in raw] == following["transactions"]
        nodes = [hex_bytes(node) for node in public["merkleProof"]]
        account = proven_account(hex_bytes(wanted["stateRoot"]), PASSER, nodes)
        assert account is not None
        assert (account.balance, "0x" + account.code_hash.hex(), "0x" + account.storage_root.hex()) == (
            public["l2ToL1MessagePasserBalance"],
            public["l2ToL1MessagePasserCodeHash"],
            wanted["withdrawalStorageRoot"],
        )
    assert [error["code"] for error in errors] == [-32000, -32000]
    assert all("not found" in error["message"] for error in errors)
