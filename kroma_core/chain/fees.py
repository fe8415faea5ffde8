"""What a transaction pays besides gas: the L1 data fee, the operator fee, and its share of the block's DA footprint.

Pure arithmetic over the numbers that the L1-attributes deposit wrote; where they come from (the contract's storage
while executing, the deposit's call data when describing a receipt) is the caller's affair.
Spec: exec-engine.md, "L1-Cost fees"; fjord/exec-engine.md, "Fees"; isthmus/exec-engine.md, "Operator Fee";
jovian/exec-engine.md, "DA Footprint Block Limit".
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import attrs

from kroma_core.chain.fastlz import compressed_size
from kroma_core.errors import DecodeError
from kroma_core.forks import L1FeeFormula, OperatorFeeFormula
from kroma_core.types import Gas, Wei

_ZERO_BYTE_GAS = 4
_NON_ZERO_BYTE_GAS = 16
_SIGNATURE_BYTES = 68
_FASTLZ_INTERCEPT = -42_585_600
_FASTLZ_COEFFICIENT = 836_500
_MINIMUM_SIZE_SCALED = 100 * 10**6
_REWARD_WHOLE = 10_000
_ISTHMUS_L1_INFO_SIZE = 176
_JOVIAN_L1_INFO_SIZE = 178
_JOVIAN_L1_INFO_SELECTOR = bytes.fromhex("3db6be2b")


@attrs.frozen(kw_only=True)
class L1FeeParameters:
    """The fee numbers of an L1-attributes deposit. `overhead` and `scalar` are Bedrock's, the two scalars Ecotone's."""

    base_fee: int
    overhead: int = 0
    scalar: int = 0
    blob_base_fee: int = 0
    base_fee_scalar: int = 0
    blob_base_fee_scalar: int = 0

    @classmethod
    def from_storage(cls, slot: Callable[[int], int], *, blob_base_fee_slot: int = 7) -> L1FeeParameters:
        """As the L1Block contract keeps them; `slot` gives the word at a slot number.

        Kroma's contract of the ZK-trie era has the validator reward in slot 7 and the blob base fee in slot 8.
        """
        scalars = slot(3)
        return cls(
            base_fee=slot(1),
            overhead=slot(5),
            scalar=slot(6),
            blob_base_fee=slot(blob_base_fee_slot),
            base_fee_scalar=scalars >> 96 & 0xFFFF_FFFF,
            blob_base_fee_scalar=scalars >> 64 & 0xFFFF_FFFF,
        )

    def formula(self, formula: L1FeeFormula) -> L1FeeFormula:
        """The formula to execute with where the rules name `formula`.

        In the block that activates Ecotone the deposit still has the Bedrock form, so the contract has none of the new
        numbers yet, and the fee follows the formula before. Spec: ecotone/l1-attributes.md, "Overview".
        """
        empty = not (self.blob_base_fee or self.base_fee_scalar or self.blob_base_fee_scalar)
        if empty and formula in (L1FeeFormula.ECOTONE, L1FeeFormula.FASTLZ):
            return L1FeeFormula.REGOLITH
        return formula


@attrs.frozen(kw_only=True)
class L1Fee:
    """The fee, and the L1 gas it stands for (`l1GasUsed` of a receipt)."""

    fee: Wei
    gas: int


@attrs.frozen(kw_only=True)
class OperatorFeeParameters:
    """Scalar u32 and constant u64 as the L1-attributes deposit carries them; both zero: no fee."""

    scalar: int = 0
    constant: int = 0

    @classmethod
    def from_storage(cls, slot: Callable[[int], int]) -> OperatorFeeParameters:
        """As the L1Block contract keeps them; `slot` gives the word at a slot number."""
        word = slot(8)
        return cls(scalar=word >> 64 & 0xFFFF_FFFF, constant=word & 0xFFFF_FFFF_FFFF_FFFF)


def call_data_gas(raw: bytes) -> int:
    """L1 gas of a transaction's bytes as call data: 4 for a zero byte, 16 for another."""
    zeroes = raw.count(0)
    return zeroes * _ZERO_BYTE_GAS + (len(raw) - zeroes) * _NON_ZERO_BYTE_GAS


@functools.lru_cache(maxsize=1024)
def estimated_size_scaled(raw: bytes) -> int:
    """Bytes that a transaction will take in a compressed batch, times 10^6; at least 100 bytes.

    Kept for the last ones: a block asks twice, for the fee and for its footprint.

    Spec: fjord/exec-engine.md, "L1-Cost fees (L1 Fee Vault)".
    """
    return max(_MINIMUM_SIZE_SCALED, _FASTLZ_INTERCEPT + _FASTLZ_COEFFICIENT * compressed_size(raw))


def estimated_size(raw: bytes) -> int:
    """The same in whole bytes, as limits on the data of transactions and blocks count it."""
    return estimated_size_scaled(raw) // 10**6


def l1_fee(raw: bytes, parameters: L1FeeParameters, formula: L1FeeFormula) -> L1Fee:
    """The L1 data fee of a transaction's consensus encoding. Deposits pay none and must not be asked about."""
    per_byte = (
        16 * parameters.base_fee * parameters.base_fee_scalar
        + parameters.blob_base_fee * parameters.blob_base_fee_scalar
    )
    match formula:
        case L1FeeFormula.BEDROCK | L1FeeFormula.REGOLITH:
            gas = call_data_gas(raw) + parameters.overhead
            if formula is L1FeeFormula.BEDROCK:
                gas += _SIGNATURE_BYTES * _NON_ZERO_BYTE_GAS
            return L1Fee(fee=Wei(gas * parameters.base_fee * parameters.scalar // 10**6), gas=gas)
        case L1FeeFormula.ECOTONE:
            gas = call_data_gas(raw)
            return L1Fee(fee=Wei(gas * per_byte // (16 * 10**6)), gas=gas)
        case L1FeeFormula.FASTLZ:
            size = estimated_size_scaled(raw)
            return L1Fee(fee=Wei(size * per_byte // 10**12), gas=size * _NON_ZERO_BYTE_GAS // 10**6)


def operator_fee(gas: Gas, parameters: OperatorFeeParameters, formula: OperatorFeeFormula) -> Wei:
    """The operator's fee for `gas`: charged for the gas limit, given back down to the gas used."""
    if parameters.scalar == 0 and parameters.constant == 0:
        return Wei(0)
    match formula:
        case OperatorFeeFormula.NONE:
            return Wei(0)
        case OperatorFeeFormula.PER_MILLION:
            return Wei(gas * parameters.scalar // 10**6 + parameters.constant)
        case OperatorFeeFormula.TIMES_HUNDRED:
            return Wei(gas * parameters.scalar * 100 + parameters.constant)


def kroma_validator_reward(fee: Wei, scalar_word: int) -> Wei:
    """The validators' share of a transaction's gas fee in Kroma's ZK-trie era; the rest is the protocol's.

    `scalar_word` is the storage word of the reward scalar, in ten-thousandths: its low 64 bits count, and more than the
    whole counts as nothing. Spec: kroma, validator.md, "Validator Reward".
    """
    scalar = scalar_word & 0xFFFF_FFFF_FFFF_FFFF
    return Wei(fee * scalar // _REWARD_WHOLE) if scalar <= _REWARD_WHOLE else Wei(0)


def da_footprint_gas_scalar(l1_info: bytes) -> int | None:
    """The footprint scalar in the call data of a block's L1-attributes deposit.

    None in the block that activates the footprint, whose deposit still has the form without it: that block may hold
    deposits only, and its footprint is zero.
    """
    if len(l1_info) == _ISTHMUS_L1_INFO_SIZE:
        return None
    if len(l1_info) < _JOVIAN_L1_INFO_SIZE or l1_info[:4] != _JOVIAN_L1_INFO_SELECTOR:
        got = f"{len(l1_info)} bytes of selector 0x{l1_info[:4].hex()}"
        raise DecodeError(f"L1 attributes: expected the form with a DA footprint scalar, got {got}")
    return int.from_bytes(l1_info[_JOVIAN_L1_INFO_SIZE - 2 : _JOVIAN_L1_INFO_SIZE], "big")


def da_footprint(transactions: Iterable[bytes], gas_scalar: int) -> Gas:
    """DA footprint of a block's transactions other than deposits: estimated size times the scalar.

    Spec: jovian/exec-engine.md, "DA Footprint Block Limit".
    """
    return Gas(sum(estimated_size_scaled(raw) // 10**6 * gas_scalar for raw in transactions))
