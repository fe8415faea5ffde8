"""Small configuration files that are right; tests change one thing in them."""

from __future__ import annotations

import copy
from typing import Any

ROLLUP: dict[str, Any] = {
    "genesis": {
        "l1": {"hash": "0x" + "11" * 32, "number": 100},
        "l2": {"hash": "0x94fa1658ac6e51083214f8376abf54ed94f0d1f8c9fbf0ed13b1c7f2fa2b130b", "number": 0},
        "l2_time": 1_700_000_000,
        "system_config": {
            "batcherAddr": "0x" + "ba" * 20,
            "overhead": "0x" + "00" * 31 + "bc",
            "scalar": "0x" + "00" * 29 + "0a6fe0",
            "gasLimit": 30_000_000,
            "eip1559Params": "0x0000000000000000",
            "operatorFeeParams": "0x" + "00" * 32,
            "minBaseFee": 0,
            "daFootprintGasScalar": 0,
        },
    },
    "block_time": 2,
    "max_sequencer_drift": 600,
    "seq_window_size": 3600,
    "channel_timeout": 300,
    "l1_chain_id": 11_155_111,
    "l2_chain_id": 901,
    "regolith_time": 0,
    "canyon_time": 0,
    "delta_time": 0,
    "ecotone_time": 1_700_000_100,
    "batch_inbox_address": "0xff00000000000000000000000000000000000901",
    "deposit_contract_address": "0x" + "de" * 20,
    "l1_system_config_address": "0x" + "5c" * 20,
}

GENESIS: dict[str, Any] = {
    "config": {
        "chainId": 901,
        "londonBlock": 0,
        "regolithTime": 0,
        "canyonTime": 0,
        "shanghaiTime": 0,
        "ecotoneTime": 1_700_000_100,
        "cancunTime": 1_700_000_100,
        "terminalTotalDifficulty": 58_750_000_000_000_000_000_000,
        "optimism": {"eip1559Elasticity": 6, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250},
    },
    "nonce": "0x0",
    "timestamp": "0x6553f100",
    "extraData": "0x",
    "gasLimit": "0x1c9c380",
    "difficulty": "0x0",
    "mixHash": "0x" + "00" * 32,
    "coinbase": "0x4200000000000000000000000000000000000011",
    "alloc": {},
    "number": "0x0",
    "gasUsed": "0x0",
    "parentHash": "0x" + "00" * 32,
    "baseFeePerGas": "0x3b9aca00",
    "excessBlobGas": None,
    "blobGasUsed": None,
}


def rollup(**changes: Any) -> dict[str, Any]:
    """A right rollup.json of an OP chain with these top-level keys set; None takes one out."""
    return _changed(ROLLUP, changes)


def genesis(**changes: Any) -> dict[str, Any]:
    """A right genesis.json of that chain, without accounts."""
    return _changed(GENESIS, changes)


def with_key(found: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the value under a dotted path; None takes the key out."""
    result = copy.deepcopy(found)
    inner = result
    *parents, last = path.split(".")
    for key in parents:
        inner = inner[key]
    inner[last] = value
    if value is None:
        del inner[last]
    return result


def _changed(found: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(found) | changes
    return {key: value for key, value in result.items() if value is not None or (key in found and key not in changes)}
