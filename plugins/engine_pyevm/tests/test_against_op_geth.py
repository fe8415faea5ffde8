"""Blocks of transactions whose results op-geth computed: what a long comparison found, and a sample of it.

Where the cases come from is told in `data/README.md`.
"""

from __future__ import annotations

import functools
import json
import lzma
from pathlib import Path
from typing import Any

import pytest
from kroma_engine_pyevm.blocks import apply
from kroma_engine_pyevm.environment import BlockEnvironment
from kroma_engine_pyevm.execution import BlockExecution, InvalidTransaction

from kroma_core.chain.config import Family
from kroma_core.chain.geth_config import schedule_of_geth_config
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.receipts import bloom_union
from kroma_core.codec.trie_root import ordered_root
from kroma_core.types import Gas, L2Number, Seconds, Timestamp, Wei

from .worlds import Account, state_of

DATA = Path(__file__).parent / "data"
FILES = sorted(path.name for path in DATA.glob("*.json*"))


@functools.cache
def unit(name: str) -> dict[str, Any]:
    data = (DATA / name).read_bytes()
    read: dict[str, Any] = json.loads(lzma.decompress(data) if name.endswith(".xz") else data)
    return read


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def block_of(case: dict[str, Any], chain_config: dict[str, Any]) -> BlockExecution:
    block = case["block"]
    environment = BlockEnvironment(
        chain_id=chain_config["chainId"],
        number=L2Number(block["number"]),
        timestamp=Timestamp(block["timestamp"]),
        coinbase=raw(block["coinbase"]),
        gas_limit=Gas(block["gas_limit"]),
        base_fee=Wei(block["base_fee"]),
        prev_randao=raw(block["prev_randao"]),
        rules=schedule_of_geth_config(chain_config, Family.OP, Seconds(2)).at(block["timestamp"]),
        block_hash=lambda number: keccak256(number.to_bytes(8, "big")),
    )
    accounts = {
        raw(address): Account(
            balance=int(account["balance"]),
            nonce=account["nonce"],
            code=raw(account["code"]),
            storage={int(slot, 16): int(word, 16) for slot, word in account["storage"].items()},
        )
        for address, account in case["pre"].items()
    }
    return BlockExecution(state_of(accounts), environment)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        pytest.param(name, index, id=f"{name.partition('.')[0]}: {case['name']}")
        for name in FILES
        for index, case in enumerate(unit(name)["cases"])
    ],
)
def test_block_gives_what_op_geth_makes_of_it(name: str, index: int) -> None:
    case = unit(name)["cases"][index]
    block = block_of(case, unit(name)["chain_config"])
    assert block.state.root == raw(case["pre_root"])
    expected = case["expected"]
    for transaction, result in zip(case["transactions"], expected["results"], strict=True):
        if "error" in result:
            with pytest.raises(InvalidTransaction):
                apply(block, raw(transaction))
            continue
        done = apply(block, raw(transaction))
        assert (done.receipt.status, done.gas_used) == (result["status"], result["gas_used"])
        assert done.receipt.encode_stored() == raw(result["receipt"])
        if "contract_address" in result:
            assert done.contract == raw(result["contract_address"])
    for address, account in expected.get("post", {}).items():
        assert block.state.get_balance(raw(address)) == int(account["balance"]), address
        assert block.state.get_nonce(raw(address)) == account["nonce"], address
    assert block.gas_used == expected["gas_used"]
    assert ordered_root([receipt.encode() for receipt in block.receipts]) == raw(expected["receipts_root"])
    assert bloom_union(receipt.bloom for receipt in block.receipts) == raw(expected["logs_bloom"])
    assert block.state.root_after({}, {}) == raw(expected["state_root"])
