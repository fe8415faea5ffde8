"""The L1-attributes deposit: the first transaction of every L2 block, which tells L2 about its L1 origin.

Three layouts of the call data exist in either family, in two eras that differ in contract and selector. The first
block of an upgrade still uses the layout of before: the contract that understands the new one is deployed in it.

Spec: deposits.md, "L1 Attributes Deposited Transaction"; ecotone/l1-attributes.md, isthmus/l1-attributes.md and
jovian/l1-attributes.md, "Overview".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import attrs

from kroma_core.chain.config import ChainConfig, SystemConfig
from kroma_core.chain.l1_config import blob_base_fee
from kroma_core.codec.deposits import DepositTransaction, l1_info_source
from kroma_core.codec.headers import Header
from kroma_core.codec.keccak import keccak256
from kroma_core.derive.system_config import fee_scalars
from kroma_core.errors import DecodeError
from kroma_core.forks import L1InfoFormat
from kroma_core.types import Address, Hash32, Timestamp

DEPOSITOR: Final[Address] = bytes.fromhex("deaddeaddeaddeaddeaddeaddeaddeaddead0001")
"""Sender of the L1 attributes (and of some upgrade transactions); nobody has its key."""

_SYSTEM_GAS: Final = 150_000_000
_GAS: Final = 1_000_000
_DEFAULT_DA_FOOTPRINT_SCALAR: Final = 400
_MIN_BLOB_BASE_FEE: Final = 1
_PADDING: Final = bytes(12)


@attrs.frozen(kw_only=True)
class L1Info:
    """What an L2 block says of its L1 origin, and of the rollup's configuration there.

    Fields that the block's layout does not have are zero (`blob_base_fee`: None).
    """

    number: int
    time: int
    base_fee: int
    block_hash: Hash32
    sequence_number: int
    batcher: Address
    overhead: Hash32 = bytes(32)
    scalar: Hash32 = bytes(32)
    blob_base_fee: int | None = None
    base_fee_scalar: int = 0
    blob_base_fee_scalar: int = 0
    operator_fee_scalar: int = 0
    operator_fee_constant: int = 0
    da_footprint_gas_scalar: int = 0
    validator_reward_scalar: Hash32 = bytes(32)


class _Layout(NamedTuple):
    """One form of the call data: its selector, its length, and which of the optional parts it has."""

    selector: bytes
    length: int
    packed: bool = False
    operator_fee: bool = False
    da_footprint: bool = False
    validator_reward: bool = False


class _Contract(NamedTuple):
    """The contract of an era, and the layouts that it understands."""

    address: Address
    layouts: Mapping[L1InfoFormat, _Layout]


def _selector(signature: str) -> bytes:
    return keccak256(signature.encode())[:4]


_BEDROCK_ARGUMENTS = "uint64,uint64,uint256,bytes32,uint64,bytes32,uint256,uint256"
_ECOTONE_SELECTOR = _selector("setL1BlockValuesEcotone()")

_CONTRACTS: Final[Mapping[bool, _Contract]] = {
    True: _Contract(
        bytes.fromhex("4200000000000000000000000000000000000015"),
        {
            L1InfoFormat.BEDROCK: _Layout(_selector(f"setL1BlockValues({_BEDROCK_ARGUMENTS})"), 260),
            L1InfoFormat.ECOTONE: _Layout(_ECOTONE_SELECTOR, 164, packed=True),
            L1InfoFormat.ISTHMUS: _Layout(_selector("setL1BlockValuesIsthmus()"), 176, packed=True, operator_fee=True),
            L1InfoFormat.JOVIAN: _Layout(
                _selector("setL1BlockValuesJovian()"), 178, packed=True, operator_fee=True, da_footprint=True
            ),
        },
    ),
    False: _Contract(
        bytes.fromhex("4200000000000000000000000000000000000002"),
        {
            L1InfoFormat.BEDROCK: _Layout(
                _selector(f"setL1BlockValues({_BEDROCK_ARGUMENTS},uint256)"), 292, validator_reward=True
            ),
            L1InfoFormat.ECOTONE: _Layout(_ECOTONE_SELECTOR, 196, packed=True, validator_reward=True),
        },
    ),
}
"""By whether the attributes have the OP form (`Rules.l1_info_in_op_form`)."""


def l1_info_deposit(
    config: ChainConfig,
    system_config: SystemConfig,
    *,
    sequence_number: int,
    header: Header,
    l1_hash: Hash32,
    l2_time: int,
) -> DepositTransaction:
    """The L1-attributes deposit of the L2 block at `l2_time`, `sequence_number` blocks into the epoch of `header`.

    Raises `DecodeError` for a fee scalar of unknown version: the rollup's configuration is broken.
    """
    contract, layout = _form(config, l2_time)
    rules = config.rollup.schedule.at(l2_time)
    base_scalar, blob_scalar, blob_fee = 0, 0, None
    if layout.packed:
        base_scalar, blob_scalar = fee_scalars(system_config.scalar)
        blob_fee = blob_base_fee(header, config.l1, config.rollup.schedule.at(header.timestamp))
    operator_fee = system_config.operator_fee_params
    info = L1Info(  # with more than the layout has, which then leaves it out
        number=header.number,
        time=header.timestamp,
        base_fee=header.base_fee or 0,
        block_hash=l1_hash,
        sequence_number=sequence_number,
        batcher=system_config.batcher,
        overhead=system_config.overhead,
        scalar=system_config.scalar,
        blob_base_fee=_MIN_BLOB_BASE_FEE if blob_fee is None else blob_fee,
        base_fee_scalar=base_scalar,
        blob_base_fee_scalar=blob_scalar,
        operator_fee_scalar=int.from_bytes(operator_fee[20:24], "big"),
        operator_fee_constant=int.from_bytes(operator_fee[24:32], "big"),
        da_footprint_gas_scalar=system_config.da_footprint_gas_scalar or _DEFAULT_DA_FOOTPRINT_SCALAR,
        validator_reward_scalar=system_config.validator_reward_scalar,
    )
    return DepositTransaction(
        source_hash=l1_info_source(l1_hash, sequence_number),
        sender=DEPOSITOR,
        to=contract,
        gas=_SYSTEM_GAS if rules.system_deposits else _GAS,
        is_system=rules.system_deposits,
        data=_encode(info, layout),
    )


def parse_l1_info(data: bytes, config: ChainConfig, l2_time: int) -> L1Info:
    """What the L1-attributes call data of the L2 block at `l2_time` say. Raises `DecodeError`."""
    _, layout = _form(config, l2_time)
    if len(data) != layout.length:
        raise DecodeError(f"L1 attributes: expected {layout.length} bytes, got {len(data)}")
    if data[:4] != layout.selector:
        raise DecodeError(f"L1 attributes: expected selector 0x{layout.selector.hex()}, got 0x{data[:4].hex()}")
    return _decode_packed(data, layout) if layout.packed else _decode_words(data, layout)


def _form(config: ChainConfig, l2_time: int) -> tuple[Address, _Layout]:
    """The contract and the layout that the block at `l2_time` uses."""
    schedule = config.rollup.schedule
    contract = _CONTRACTS[schedule.at(l2_time).l1_info_in_op_form]
    return contract.address, contract.layouts[schedule.before(Timestamp(l2_time)).l1_info]


def _encode(info: L1Info, layout: _Layout) -> bytes:
    reward = info.validator_reward_scalar if layout.validator_reward else b""
    if not layout.packed:
        return b"".join(
            (
                layout.selector,
                info.number.to_bytes(32, "big"),
                info.time.to_bytes(32, "big"),
                info.base_fee.to_bytes(32, "big"),
                info.block_hash,
                info.sequence_number.to_bytes(32, "big"),
                _PADDING,
                info.batcher,
                info.overhead,
                info.scalar,
                reward,
            )
        )
    operator_fee = da_footprint = b""
    if layout.operator_fee:
        operator_fee = info.operator_fee_scalar.to_bytes(4, "big") + info.operator_fee_constant.to_bytes(8, "big")
    if layout.da_footprint:
        da_footprint = info.da_footprint_gas_scalar.to_bytes(2, "big")
    return b"".join(
        (
            layout.selector,
            info.base_fee_scalar.to_bytes(4, "big"),
            info.blob_base_fee_scalar.to_bytes(4, "big"),
            info.sequence_number.to_bytes(8, "big"),
            info.time.to_bytes(8, "big"),
            info.number.to_bytes(8, "big"),
            info.base_fee.to_bytes(32, "big"),
            (info.blob_base_fee or 0).to_bytes(32, "big"),
            info.block_hash,
            _PADDING,
            info.batcher,
            operator_fee,
            da_footprint,
            reward,
        )
    )


def _decode_words(data: bytes, layout: _Layout) -> L1Info:
    return L1Info(
        number=_u64(data, 4, "number"),
        time=_u64(data, 36, "time"),
        base_fee=int.from_bytes(data[68:100], "big"),
        block_hash=data[100:132],
        sequence_number=_u64(data, 132, "sequence number"),
        batcher=_address(data, 164),
        overhead=data[196:228],
        scalar=data[228:260],
        validator_reward_scalar=data[260:292] if layout.validator_reward else bytes(32),
    )


def _decode_packed(data: bytes, layout: _Layout) -> L1Info:
    return L1Info(
        base_fee_scalar=int.from_bytes(data[4:8], "big"),
        blob_base_fee_scalar=int.from_bytes(data[8:12], "big"),
        sequence_number=int.from_bytes(data[12:20], "big"),
        time=int.from_bytes(data[20:28], "big"),
        number=int.from_bytes(data[28:36], "big"),
        base_fee=int.from_bytes(data[36:68], "big"),
        blob_base_fee=int.from_bytes(data[68:100], "big"),
        block_hash=data[100:132],
        batcher=_address(data, 132),
        operator_fee_scalar=int.from_bytes(data[164:168], "big") if layout.operator_fee else 0,
        operator_fee_constant=int.from_bytes(data[168:176], "big") if layout.operator_fee else 0,
        da_footprint_gas_scalar=int.from_bytes(data[176:178], "big") if layout.da_footprint else 0,
        validator_reward_scalar=data[164:196] if layout.validator_reward else bytes(32),
    )


def _u64(data: bytes, start: int, what: str) -> int:
    number = int.from_bytes(data[start : start + 32], "big")
    if number >> 64:
        raise DecodeError(f"L1 attributes {what}: expected 64 bits, got {number.bit_length()}")
    return number


def _address(data: bytes, start: int) -> Address:
    if data[start : start + 12] != _PADDING:
        raise DecodeError(f"L1 attributes batcher: expected an address, got 0x{data[start : start + 32].hex()}")
    return data[start + 12 : start + 32]
