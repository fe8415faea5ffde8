"""What derivation reads out of an L2 block: its place in its epoch, and the rollup's configuration as of it.

Spec: rollup-node.md, "L2BlockRef"; deposits.md, "L1 Attributes Deposited Transaction Calldata".
"""

from __future__ import annotations

from kroma_core.chain.base_fee import decode_extra_data
from kroma_core.chain.config import ChainConfig, SystemConfig
from kroma_core.codec.deposits import decode_deposit
from kroma_core.derive.l1_info import L1Info, parse_l1_info
from kroma_core.derive.system_config import packed_scalar
from kroma_core.derive.upgrades import upgrade_gas_to_subtract
from kroma_core.errors import DecodeError
from kroma_core.l2 import Payload
from kroma_core.types import BlockId, Gas, L2Ref


def l2_ref(payload: Payload, config: ChainConfig) -> L2Ref:
    """The block with its L1 origin. Raises `DecodeError` for one without proper L1 attributes or a foreign genesis."""
    return _ref(payload, config, _l1_info(payload, config))


def system_config_of(payload: Payload, config: ChainConfig) -> SystemConfig:
    """The configuration that the block was made with, as far as a block tells.

    EIP-1559 parameters come back as the header has them, the chain's constants written out; the extra gas of an
    upgrade block is taken off again. Raises `DecodeError`.
    """
    return _system_config(payload, config, _l1_info(payload, config))


def read_l2_block(payload: Payload, config: ChainConfig) -> tuple[L2Ref, SystemConfig]:
    """`l2_ref` and `system_config_of` at once."""
    info = _l1_info(payload, config)
    return _ref(payload, config, info), _system_config(payload, config, info)


def _l1_info(payload: Payload, config: ChainConfig) -> L1Info | None:
    """The block's L1 attributes; None for genesis."""
    genesis = config.rollup.genesis.l2
    if payload.number == genesis.number:
        if payload.hash != genesis.hash:
            raise DecodeError(f"L2 genesis: expected {genesis}, got 0x{payload.hash.hex()}")
        return None
    if not payload.transactions:
        raise DecodeError(f"L2 block {payload.id}: no transactions, so no L1 attributes")
    legacy = config.rollup.schedule.at(payload.timestamp).legacy_deposits
    try:
        deposit = decode_deposit(payload.transactions[0], legacy=legacy)
        return parse_l1_info(deposit.data, config, payload.timestamp)
    except DecodeError as error:
        raise DecodeError(f"L2 block {payload.id}: {error}") from error


def _ref(payload: Payload, config: ChainConfig, info: L1Info | None) -> L2Ref:
    return L2Ref(
        hash=payload.hash,
        number=payload.number,
        parent_hash=payload.parent_hash,
        timestamp=payload.timestamp,
        l1_origin=config.rollup.genesis.l1 if info is None else BlockId(info.block_hash, info.number),
        sequence_number=0 if info is None else info.sequence_number,
    )


def _system_config(payload: Payload, config: ChainConfig, info: L1Info | None) -> SystemConfig:
    if info is None:
        return config.rollup.genesis.system_config
    extra_gas = upgrade_gas_to_subtract(config.rollup, payload.timestamp)
    if payload.gas_limit < extra_gas:
        raise DecodeError(
            f"L2 block {payload.id}: expected at least the upgrade's gas of {extra_gas}, got limit {payload.gas_limit}"
        )
    params = _fee_params(payload, config)
    operator_fee = info.operator_fee_scalar.to_bytes(4, "big") + info.operator_fee_constant.to_bytes(8, "big")
    return SystemConfig(
        batcher=info.batcher,
        overhead=info.overhead,
        scalar=info.scalar
        if info.blob_base_fee is None
        else packed_scalar(info.base_fee_scalar, info.blob_base_fee_scalar),
        gas_limit=Gas(payload.gas_limit - extra_gas),
        eip1559_params=params[0],
        operator_fee_params=bytes(20) + operator_fee,
        min_base_fee=params[1],
        da_footprint_gas_scalar=info.da_footprint_gas_scalar,
        validator_reward_scalar=info.validator_reward_scalar,
    )


def _fee_params(payload: Payload, config: ChainConfig) -> tuple[bytes, int]:
    """EIP-1559 parameters and minimum base fee in the header's extraData, zero where it has none."""
    schedule = config.rollup.schedule
    rules = schedule.at(payload.timestamp)
    if not rules.eip1559_attributes:
        expected = schedule.first_block_extra_data(payload.timestamp)
        if payload.extra_data != expected:
            raise DecodeError(
                f"L2 block {payload.id}: expected extraData 0x{expected.hex()}, got 0x{payload.extra_data.hex()}"
            )
        return bytes(8), 0
    params = decode_extra_data(payload.extra_data, rules)
    assert params is not None
    pair = params.denominator.to_bytes(4, "big") + params.elasticity.to_bytes(4, "big")
    return pair, params.min_base_fee or 0
