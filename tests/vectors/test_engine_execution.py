"""Single blocks of transactions, executed as op-geth executes them, on every set of rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from kroma_engine_pyevm.blocks import apply
from kroma_engine_pyevm.environment import BlockEnvironment
from kroma_engine_pyevm.execution import BlockExecution, InvalidTransaction
from kroma_engine_pyevm.state import WorldState
from kroma_engine_pyevm.state_tries import MerklePatriciaState
from kroma_engine_pyevm.store import MemoryStore
from kroma_engine_pyevm.trie import NodeCache

from kroma_core.chain.config import Family
from kroma_core.chain.geth_config import schedule_of_geth_config
from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.receipts import bloom_union
from kroma_core.codec.trie_root import ordered_root
from kroma_core.types import Gas, L2Number, Seconds, Timestamp, Wei
from tests.vectors.unit_files import hex_bytes, unit_cases


def _state_of(accounts: Mapping[str, Any], pre_root: str) -> tuple[WorldState, dict[bytes, bytes]]:
    codes: dict[bytes, bytes] = {}
    store = MemoryStore()
    state = WorldState(MerklePatriciaState(NodeCache(store)), EMPTY_ROOT, codes.__getitem__)
    state.load_genesis(
        {
            hex_bytes(address): (
                account.get("nonce", 0),
                int(account.get("balance", "0")),
                hex_bytes(account.get("code", "0x")),
                {int(slot, 16): int(value, 16) for slot, value in account.get("storage", {}).items()},
            )
            for address, account in accounts.items()
        }
    )
    nodes: dict[bytes, bytes] = {}
    assert state.root_after(nodes, codes) == hex_bytes(pre_root)
    store.write(nodes)
    return WorldState(MerklePatriciaState(NodeCache(store)), state.root, codes.__getitem__), codes


def _environment(case: Mapping[str, Any], unit_file: Mapping[str, Any]) -> BlockEnvironment:
    block = case["block"]
    schedule = schedule_of_geth_config(unit_file["chain_config"], Family.OP, Seconds(2))
    return BlockEnvironment(
        chain_id=unit_file["chain_config"]["chainId"],
        number=L2Number(block["number"]),
        timestamp=Timestamp(block["timestamp"]),
        coinbase=hex_bytes(block["coinbase"]),
        gas_limit=Gas(block["gas_limit"]),
        base_fee=Wei(block["base_fee"]),
        prev_randao=hex_bytes(block["prev_randao"]),
        rules=schedule.at(block["timestamp"]),
        block_hash=lambda number: keccak256(number.to_bytes(8, "big")),
    )


@unit_cases(
    "op-exec/bedrock",
    "op-exec/regolith",
    "op-exec/canyon",
    "op-exec/ecotone",
    "op-exec/fjord",
    "op-exec/granite",
    "op-exec/holocene",
    "op-exec/isthmus",
    "op-exec/jovian",
    "op-exec/karst",
    # A block full of gas, which takes a second; the first rules and some of the last are enough for every run.
    slow=("[!bj]*-invalid block-gas-used-up*",),
)
def test_block_of_transactions(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    state, _ = _state_of(case["pre"], case["pre_root"])
    block = BlockExecution(state, _environment(case, unit_file))
    expected = case["expected"]
    for raw, result in zip(case["transactions"], expected["results"], strict=True):
        if "error" in result:
            with pytest.raises(InvalidTransaction):
                apply(block, hex_bytes(raw))
            continue
        done = apply(block, hex_bytes(raw))
        assert done.receipt.status == result["status"]
        assert done.gas_used == result["gas_used"]
        assert done.receipt.encode_stored() == hex_bytes(result["receipt"])
        if "contract_address" in result:
            assert done.contract == hex_bytes(result["contract_address"])
    _compare_accounts(state, expected["post"])
    assert block.gas_used == expected["gas_used"]
    assert ordered_root([receipt.encode() for receipt in block.receipts]) == hex_bytes(expected["receipts_root"])
    assert bloom_union(receipt.bloom for receipt in block.receipts) == hex_bytes(expected["logs_bloom"])
    assert state.root_after({}, {}) == hex_bytes(expected["state_root"])


def _compare_accounts(state: WorldState, post: Mapping[str, Any]) -> None:
    """The accounts that should have changed; the root decides about all of them."""
    for address, account in post.items():
        key = hex_bytes(address)
        assert state.account_exists(key) == (account is not None), address
        if account is None:
            continue
        assert state.get_balance(key) == int(account["balance"]), address
        assert state.get_nonce(key) == account["nonce"], address
        assert state.get_code(key) == hex_bytes(account["code"]), address
        for slot, value in account["storage"].items():
            assert state.get_storage(key, int(slot, 16)) == int(value, 16), (address, slot)
