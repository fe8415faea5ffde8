"""Values of the reference clients' JSON, as vector files hold them, in this project's types."""

from __future__ import annotations

import functools
import json
from typing import Any

import attrs

from kroma_core.chain.config import FORK_TABLES, ChainConfig, RollupConfig, SystemConfig
from kroma_core.chain.l1_config import l1_config_from_json, l1_config_of_cancun
from kroma_core.chain.rollup_json import rollup_config_from_json
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.receipts import Log
from kroma_core.derive.batches import SingularBatch, SpanBatch, SpanBlock
from kroma_core.derive.frames import Frame
from kroma_core.errors import ConfigError
from kroma_core.forks import Fork, Schedule
from kroma_core.l2 import PayloadAttributes
from kroma_core.types import BlockId, Gas, L1Number, L1Ref, L2Number, L2Ref, Timestamp
from tests.vectors.unit_files import hex_bytes as hex_bytes


def chain_config(rollup: dict[str, Any], l1: dict[str, Any] | None = None) -> ChainConfig:
    """A chain's config from rollup.json and geth's chain config of its L1."""
    return _chain_config(json.dumps(rollup), json.dumps(l1))


@functools.lru_cache(maxsize=256)
def _chain_config(rollup: str, l1: str) -> ChainConfig:
    config = _rollup_config(json.loads(rollup))
    found = json.loads(l1)
    l1_config = (
        l1_config_of_cancun(config.l1_chain_id) if found is None else l1_config_from_json(found, source="l1.json")
    )
    return ChainConfig(rollup=config, l1=l1_config)


def _rollup_config(found: dict[str, Any]) -> RollupConfig:
    """Also with forks in an order that no client starts with: some cases need one to tell two clocks apart."""
    try:
        return rollup_config_from_json(found, source="rollup.json")
    except ConfigError:
        forks = {key: Fork(key.removesuffix("_time")) for key in found if key.endswith("_time") and key != "block_time"}
        rest = {key: value for key, value in found.items() if key not in forks}
        config = rollup_config_from_json(rest, source="rollup.json")
        times = {fork: Timestamp(found[key]) for key, fork in forks.items() if found[key] is not None}
        schedule = Schedule(table=FORK_TABLES[config.family], times=times, block_time=config.block_time)
        return attrs.evolve(config, schedule=schedule)


def block_id(found: dict[str, Any]) -> BlockId:
    return BlockId(hex_bytes(found["hash"]), found["number"])


def l1_ref(found: dict[str, Any]) -> L1Ref:
    return L1Ref(
        hash=hex_bytes(found["hash"]),
        number=L1Number(found["number"]),
        parent_hash=hex_bytes(found["parentHash"]),
        timestamp=Timestamp(found["timestamp"]),
    )


def l2_ref_from_json(found: dict[str, Any]) -> L2Ref:
    return L2Ref(
        hash=hex_bytes(found["hash"]),
        number=L2Number(found["number"]),
        parent_hash=hex_bytes(found["parentHash"]),
        timestamp=Timestamp(found["timestamp"]),
        l1_origin=block_id(found["l1origin"]),
        sequence_number=found["sequenceNumber"],
    )


def system_config(found: dict[str, Any]) -> SystemConfig:
    return SystemConfig(
        batcher=hex_bytes(found["batcherAddr"]),
        overhead=hex_bytes(found["overhead"]),
        scalar=hex_bytes(found["scalar"]),
        gas_limit=Gas(found["gasLimit"]),
        eip1559_params=hex_bytes(found.get("eip1559Params", "0x" + "00" * 8)),
        operator_fee_params=hex_bytes(found.get("operatorFeeParams", "0x" + "00" * 32)),
        min_base_fee=found.get("minBaseFee", 0),
        da_footprint_gas_scalar=found.get("daFootprintGasScalar", 0),
        validator_reward_scalar=hex_bytes(found.get("validatorRewardScalar", "0x" + "00" * 32)),
    )


def log(found: dict[str, Any]) -> Log:
    return Log(
        hex_bytes(found["address"]), tuple(hex_bytes(topic) for topic in found["topics"]), hex_bytes(found["data"])
    )


def singular_batch(found: dict[str, Any]) -> SingularBatch:
    return SingularBatch(
        parent_hash=hex_bytes(found["parent_hash"]),
        epoch_number=L1Number(found["epoch_num"]),
        epoch_hash=hex_bytes(found["epoch_hash"]),
        timestamp=Timestamp(found["timestamp"]),
        transactions=tuple(hex_bytes(transaction) for transaction in found["transactions"]),
    )


def span_batch(found: dict[str, Any]) -> SpanBatch:
    return SpanBatch(
        parent_check=hex_bytes(found["parent_check"]),
        origin_check=hex_bytes(found["l1_origin_check"]),
        blocks=tuple(
            SpanBlock(
                timestamp=Timestamp(block["timestamp"]),
                epoch_number=L1Number(block["epoch_num"]),
                transactions=tuple(hex_bytes(transaction) for transaction in block["transactions"]),
            )
            for block in found["blocks"]
        ),
    )


def attributes_json(attributes: PayloadAttributes) -> dict[str, Any]:
    """Attributes as op-node writes them; the minimum base fee is a number there."""
    found: dict[str, Any] = {
        "timestamp": hex(attributes.timestamp),
        "prevRandao": "0x" + attributes.prev_randao.hex(),
        "suggestedFeeRecipient": "0x" + attributes.fee_recipient.hex(),
        "transactions": ["0x" + transaction.hex() for transaction in attributes.transactions],
        "noTxPool": attributes.no_tx_pool,
        "gasLimit": hex(attributes.gas_limit),
    }
    if attributes.withdrawals:
        found["withdrawals"] = []
    if attributes.parent_beacon_root is not None:
        found["parentBeaconBlockRoot"] = "0x" + attributes.parent_beacon_root.hex()
    if attributes.eip1559_params is not None:
        found["eip1559Params"] = "0x" + attributes.eip1559_params.hex()
    if attributes.min_base_fee is not None:
        found["minBaseFee"] = attributes.min_base_fee
    return found


def any_bytes(found: Any) -> bytes:
    """Bytes as vector files write them: hex, one byte repeated, or a list of such pieces."""
    if isinstance(found, list):
        return b"".join(any_bytes(piece) for piece in found)
    if isinstance(found, dict):
        return hex_bytes(found["fill"]) * found["len"]
    return hex_bytes(found)


def same_bytes(data: bytes, expected: Any) -> bool:
    """Whether `data` is what a vector file expects, which gives long bytes by their length and hash."""
    if isinstance(expected, dict):
        return len(data) == expected["len"] and keccak256(data) == hex_bytes(expected["keccak256"])
    return data == hex_bytes(expected)


def numbered_l1(found: dict[str, Any]) -> L1Ref:
    """An L1 block of which a case gives number and time only."""
    return L1Ref(
        hash=found["number"].to_bytes(32, "big"),
        number=L1Number(found["number"]),
        parent_hash=(found["number"] - 1).to_bytes(32, "big"),
        timestamp=Timestamp(found["time"]),
    )


def frame(found: dict[str, Any]) -> Frame:
    return Frame(
        channel_id=hex_bytes(found["id"]),
        number=found["frame_number"],
        data=any_bytes(found["data"]),
        is_last=found["is_last"],
    )
