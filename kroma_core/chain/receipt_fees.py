"""What an L2's JSON-RPC adds to the receipt of a signed transaction: its L1 fee and the numbers behind it.

They are not in the receipt; they follow from the call data of the block's L1-attributes deposit.
Spec: exec-engine.md, "L1-Cost fees"; isthmus and jovian exec-engine.md, "Receipts".
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from kroma_core.chain.fees import (
    L1FeeParameters,
    OperatorFeeParameters,
    da_footprint_gas_scalar,
    estimated_size_scaled,
    l1_fee,
)
from kroma_core.codec.hexadecimal import to_quantity
from kroma_core.errors import DecodeError
from kroma_core.forks import L1FeeFormula, L1InfoFormat, Rules

_BEDROCK_SELECTOR = bytes.fromhex("015d8eb9")
_ECOTONE_SELECTOR = bytes.fromhex("440a5e20")
_BEDROCK_SIZE = 4 + 8 * 32
_ECOTONE_SIZE = 164
_ISTHMUS_SIZE = 176
_LARGEST_PLAIN_EXPONENT = 5


@attrs.frozen(kw_only=True)
class BlockFees:
    """Fee numbers of one block. What its form of the L1 attributes does not have is None."""

    l1: L1FeeParameters
    formula: L1FeeFormula
    has_ecotone_scalars: bool
    operator: OperatorFeeParameters | None = None
    footprint_scalar: int | None = None

    def fields(self, raw: bytes) -> Mapping[str, str]:
        """JSON fields of the receipt of a signed transaction, from its consensus encoding."""
        cost = l1_fee(raw, self.l1, self.formula)
        found = {
            "l1GasPrice": to_quantity(self.l1.base_fee),
            "l1GasUsed": to_quantity(cost.gas),
            "l1Fee": to_quantity(cost.fee),
        }
        if self.has_ecotone_scalars:
            found["l1BlobBaseFee"] = to_quantity(self.l1.blob_base_fee)
            found["l1BaseFeeScalar"] = to_quantity(self.l1.base_fee_scalar)
            found["l1BlobBaseFeeScalar"] = to_quantity(self.l1.blob_base_fee_scalar)
        else:
            found["l1FeeScalar"] = _millionths(self.l1.scalar)
        if self.operator is not None and (self.operator.scalar or self.operator.constant):
            found["operatorFeeScalar"] = to_quantity(self.operator.scalar)
            found["operatorFeeConstant"] = to_quantity(self.operator.constant)
        if self.footprint_scalar is not None:
            found["daFootprintGasScalar"] = to_quantity(self.footprint_scalar)
            found["blobGasUsed"] = to_quantity(estimated_size_scaled(raw) // 10**6 * self.footprint_scalar)
        return found


def block_fees(l1_info: bytes, rules: Rules) -> BlockFees:
    """Fee numbers from the call data of a block's L1-attributes deposit, with the rules of the block's time.

    A block that brings a new form still has the one before; the selector tells. Raises `DecodeError`.
    """
    selector = l1_info[:4]
    isthmus = rules.l1_info in (L1InfoFormat.ISTHMUS, L1InfoFormat.JOVIAN)
    if isthmus and selector != _ECOTONE_SELECTOR:
        if len(l1_info) < _ISTHMUS_SIZE:
            raise DecodeError(f"L1 attributes: expected at least {_ISTHMUS_SIZE} bytes, got {len(l1_info)}")
        return BlockFees(
            l1=_ecotone_parameters(l1_info),
            formula=rules.l1_fee,
            has_ecotone_scalars=True,
            operator=OperatorFeeParameters(scalar=_number(l1_info, 164, 168), constant=_number(l1_info, 168, 176)),
            footprint_scalar=da_footprint_gas_scalar(l1_info) if rules.da_footprint else None,
        )
    if rules.l1_info is not L1InfoFormat.BEDROCK and selector != _BEDROCK_SELECTOR:
        if len(l1_info) != _ECOTONE_SIZE:
            raise DecodeError(f"L1 attributes: expected {_ECOTONE_SIZE} bytes, got {len(l1_info)}")
        return BlockFees(l1=_ecotone_parameters(l1_info), formula=rules.l1_fee, has_ecotone_scalars=True)
    if len(l1_info) < _BEDROCK_SIZE:
        raise DecodeError(f"L1 attributes: expected at least {_BEDROCK_SIZE} bytes, got {len(l1_info)}")
    base_fee, overhead, scalar = (_number(l1_info, 4 + 32 * index, 36 + 32 * index) for index in (2, 6, 7))
    formula = L1FeeFormula.REGOLITH if rules.regolith_deposits else L1FeeFormula.BEDROCK
    parameters = L1FeeParameters(base_fee=base_fee, overhead=overhead, scalar=scalar)
    return BlockFees(l1=parameters, formula=formula, has_ecotone_scalars=False)


def _ecotone_parameters(l1_info: bytes) -> L1FeeParameters:
    return L1FeeParameters(
        base_fee=_number(l1_info, 36, 68),
        blob_base_fee=_number(l1_info, 68, 100),
        base_fee_scalar=_number(l1_info, 4, 8),
        blob_base_fee_scalar=_number(l1_info, 8, 12),
    )


def _number(data: bytes, start: int, end: int) -> int:
    return int.from_bytes(data[start:end], "big")


def _millionths(scalar: int) -> str:
    """A scalar as a decimal number, in the way in which Go writes a float: with an exponent from a million on."""
    digits = str(scalar).rjust(7, "0")
    whole, fraction = digits[:-6], digits[-6:].rstrip("0")
    exponent = len(whole) - 1
    if exponent <= _LARGEST_PLAIN_EXPONENT:
        return f"{whole}.{fraction}" if fraction else whole
    mantissa = (whole + fraction).rstrip("0")
    return f"{mantissa[0]}{'.' if mantissa[1:] else ''}{mantissa[1:]}e+{exponent:02d}"
