"""The L2's base fee, and the extraData that carries its parameters from block to block.

Before dynamic parameters the constants of the chain apply; with them each header names the parameters that its child
uses. Spec: exec-engine.md, "1559 Parameters"; holocene/exec-engine.md, "Dynamic EIP-1559 Parameters";
jovian/exec-engine.md, "Minimum Base Fee", "DA Footprint Block Limit".
"""

from __future__ import annotations

import attrs

from kroma_core.chain.config import BaseFeeParams, RollupConfig
from kroma_core.codec.headers import Header
from kroma_core.errors import CriticalError, DecodeError
from kroma_core.forks import ExtraDataFormat, Rules
from kroma_core.l2 import PayloadAttributes

_U32 = 2**32
_U64 = 2**64


@attrs.frozen(kw_only=True)
class FeeParams:
    """EIP-1559 parameters that a header's extraData names for the next block.

    `min_base_fee` is None in the format without it. Denominator and elasticity are u32 and not zero in a valid header.
    """

    denominator: int
    elasticity: int
    min_base_fee: int | None = None


def encode_extra_data(params: FeeParams) -> bytes:
    """extraData that names `params`; its format follows from whether they have a minimum base fee.

    Raises `DecodeError` where a value does not fit its field.
    """
    for name, value, bound in (
        ("denominator", params.denominator, _U32),
        ("elasticity", params.elasticity, _U32),
        ("minBaseFee", params.min_base_fee or 0, _U64),
    ):
        if not 0 <= value < bound:
            raise DecodeError(f"extraData {name}: expected a number below {bound}, got {value}")
    pair = params.denominator.to_bytes(4, "big") + params.elasticity.to_bytes(4, "big")
    if params.min_base_fee is None:
        return b"\x00" + pair
    return b"\x01" + pair + params.min_base_fee.to_bytes(8, "big")


def decode_extra_data(data: bytes, rules: Rules) -> FeeParams | None:
    """Parameters in the extraData of a header with these rules; None where headers carry none.

    Raises `DecodeError` for a header that is not valid: another length or version, or a zero parameter.
    """
    match rules.extra_data:
        case ExtraDataFormat.EMPTY:
            if data:
                raise DecodeError(f"extraData: expected nothing, got {len(data)} bytes")
            return None
        case ExtraDataFormat.EIP1559:
            size, version = 9, 0
        case ExtraDataFormat.MIN_BASE_FEE:
            size, version = 17, 1
    if len(data) != size:
        raise DecodeError(f"extraData: expected {size} bytes, got {len(data)}")
    if data[0] != version:
        raise DecodeError(f"extraData version: expected {version}, got {data[0]}")
    denominator, elasticity = _pair(data[1:9])
    if not denominator or not elasticity:
        raise DecodeError(f"extraData: expected parameters above zero, got {denominator} and {elasticity}")
    minimum = int.from_bytes(data[9:], "big") if size > 9 else None
    return FeeParams(denominator=denominator, elasticity=elasticity, min_base_fee=minimum)


def decode_eip1559_params(data: bytes) -> tuple[int, int] | None:
    """Denominator and elasticity in payload attributes (or a system config); None for the chain's own constants.

    Raises `DecodeError` unless it is 8 bytes with both values zero or neither.
    """
    if len(data) != 8:
        raise DecodeError(f"eip1559Params: expected 8 bytes, got {len(data)}")
    denominator, elasticity = _pair(data)
    if bool(denominator) != bool(elasticity):
        raise DecodeError(f"eip1559Params: expected both zero or neither, got {denominator} and {elasticity}")
    return (denominator, elasticity) if denominator else None


def extra_data_of(attributes: PayloadAttributes, config: RollupConfig) -> bytes:
    """extraData of the block that these attributes make. Raises `DecodeError` for parameters that are not valid."""
    if attributes.eip1559_params is None:
        return config.schedule.first_block_extra_data(attributes.timestamp)
    chosen = decode_eip1559_params(attributes.eip1559_params)
    constants = config.base_fee_params
    denominator, elasticity = chosen or (constants.denominator_canyon, constants.elasticity)
    return encode_extra_data(
        FeeParams(denominator=denominator, elasticity=elasticity, min_base_fee=attributes.min_base_fee)
    )


def attribute_params_match(attributes: PayloadAttributes, extra_data: bytes, config: RollupConfig) -> bool:
    """Whether a block with this extraData is one that these (derived, hence valid) attributes make."""
    return extra_data == extra_data_of(attributes, config)


def next_base_fee(parent: Header, time: int, config: RollupConfig) -> int:
    """Base fee of the block at `time` on `parent`, which is a valid block of this chain.

    The parent's rules choose the parameters and what counts as used gas; only the constant denominator goes by the new
    block's own time. Raises `CriticalError` for a parent that can have no child: its gas target is zero.
    """
    rules = config.schedule.at(parent.timestamp)
    named: FeeParams | None = None
    if rules.extra_data is not ExtraDataFormat.EMPTY:
        try:
            named = decode_extra_data(parent.extra_data, rules)
        except DecodeError as error:
            raise CriticalError(f"base fee after L2 block {parent.number}: {error}") from error
    params = named or _constants(config.base_fee_params, config.schedule.at(time))
    target = parent.gas_limit // params.elasticity if params.elasticity else 0
    used = max(parent.gas_used, parent.blob_gas_used or 0) if rules.da_footprint else parent.gas_used
    fee = _moved(parent, used, target, params.denominator)
    return max(fee, params.min_base_fee or 0)


def _moved(parent: Header, used: int, target: int, denominator: int) -> int:
    base_fee = parent.base_fee or 0
    if used == target:
        return base_fee
    if not target or not denominator:
        raise CriticalError(
            f"base fee after L2 block {parent.number}: expected a gas target and a denominator above zero, "
            f"got {target} (gas limit {parent.gas_limit}) and {denominator}"
        )
    step = base_fee * abs(used - target) // target // denominator
    return base_fee + max(step, 1) if used > target else base_fee - step


def _constants(params: BaseFeeParams, rules: Rules) -> FeeParams:
    denominator = params.denominator_canyon if rules.base_fee_denominator_canyon else params.denominator
    return FeeParams(denominator=denominator, elasticity=params.elasticity)


def _pair(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
