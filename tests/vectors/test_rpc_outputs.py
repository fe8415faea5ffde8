"""kroma-units/outputs_rpc: kroma-node's answers to `outputAtBlock` and `outputWithProofAtBlock`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import attrs
import trio

from kroma_core.api import AccountProof
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.load import chain_from_json
from kroma_core.codec.deposits import DepositTransaction, decode_deposit
from kroma_core.codec.payloads import payload_from_header
from kroma_core.codec.rpc_blocks import header_from_json, transactions_from_json
from kroma_core.errors import NotFound
from kroma_core.l2 import Payload
from kroma_core.node.rpc.outputs import Outputs
from kroma_core.status import SyncStatus
from kroma_core.types import Gas, L2Number, Timestamp, Wei
from tests.vectors.unit_files import OWN_VECTORS, hex_bytes, load, unit_cases

CHAINS = {"zk": "kroma-chains/ecotone-zk", "mpt": "kroma-chains/mpt-genesis"}
"""Chains with the rules of each era from genesis on."""


@functools.cache
def chain_of(era: str) -> ChainConfig:
    found = load(OWN_VECTORS / f"{CHAINS[era]}.json.xz")
    return chain_from_json(found["rollup_config"], l1=found.get("l1_chain_config"), source=era)


@attrs.frozen(kw_only=True)
class CaseEngine:
    """An engine that holds a case's block, the one after it, and the proof of the message passer."""

    blocks: dict[int, Payload]
    storage: bytes
    account: AccountProof | None

    async def block(self, number: int) -> Payload:
        if number not in self.blocks:
            raise NotFound(f"no block {number}")
        return self.blocks[number]

    async def storage_root(self, address: bytes, block_hash: bytes) -> bytes:
        return self.storage

    async def proof(self, address: bytes, slots: Sequence[bytes], block_hash: bytes) -> AccountProof:
        assert self.account is not None
        return self.account


@unit_cases("kroma-units/outputs_rpc")
def test_kroma_outputs(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    outputs = Outputs(chain=chain_of(case["era"]), engine=engine_of(case), names_next_block=True)  # type: ignore[arg-type]  # the part that is used
    number = L2Number(case["number"])
    assert without_status(trio.run(outputs.at, number, SyncStatus())) == without_status(case["outputAtBlock"])
    if "outputWithProofAtBlock" in case:
        answer = trio.run(outputs.with_proof_at, number, SyncStatus())
        assert without_status(answer) == without_status(case["outputWithProofAtBlock"])


def without_status(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "syncStatus": None}


def engine_of(case: dict[str, Any]) -> CaseEngine:
    output = case["outputAtBlock"]
    with_proof = case.get("outputWithProofAtBlock")
    storage = hex_bytes(output["withdrawalStorageRoot"])
    blocks = {case["number"]: block_of(output, case["era"])}
    account = None
    if with_proof is not None:
        public = with_proof["publicInputProof"]
        header = header_from_json(public["nextBlock"])
        transactions = transactions_from_json({"transactions": public["nextTransactions"]})
        blocks[header.number] = payload_from_header(header, hex_bytes(public["nextBlock"]["hash"]), transactions)
        account = AccountProof(
            address=bytes(20),
            nonce=0,
            balance=public["l2ToL1MessagePasserBalance"],
            code_hash=hex_bytes(public["l2ToL1MessagePasserCodeHash"]),
            storage_root=storage,
            account_proof=tuple(hex_bytes(node) for node in public["merkleProof"]),
            storage=(),
        )
    return CaseEngine(blocks=blocks, storage=storage, account=account)


def block_of(output: dict[str, Any], era: str) -> Payload:
    """A block with the reference's hashes and numbers, and L1 attributes that name its origin."""
    ref = output["blockRef"]
    return Payload(
        hash=hex_bytes(ref["hash"]),
        parent_hash=hex_bytes(ref["parentHash"]),
        number=L2Number(ref["number"]),
        timestamp=Timestamp(ref["timestamp"]),
        fee_recipient=bytes(20),
        state_root=hex_bytes(output["stateRoot"]),
        receipts_root=bytes(32),
        logs_bloom=bytes(256),
        prev_randao=bytes(32),
        gas_limit=Gas(0),
        gas_used=Gas(0),
        extra_data=b"",
        base_fee=Wei(0),
        transactions=(attributes_of(ref, era),),
    )


def attributes_of(ref: dict[str, Any], era: str) -> bytes:
    """Packed L1 attributes of a block: of Kroma's own form in the ZK-trie era."""
    origin = ref["l1origin"]
    data = b"".join(
        [
            bytes.fromhex("440a5e20"),
            bytes(8),
            ref["sequenceNumber"].to_bytes(8, "big"),
            bytes(8),
            origin["number"].to_bytes(8, "big"),
            bytes(64),
            hex_bytes(origin["hash"]),
            bytes(32),
            bytes(32) if era == "zk" else b"",
        ]
    )
    deposit = DepositTransaction(source_hash=bytes(32), sender=bytes(20), to=bytes(20), gas=1, data=data)
    raw = deposit.encode_legacy() if era == "zk" else deposit.encode()
    assert decode_deposit(raw, legacy=era == "zk") == deposit
    return raw
