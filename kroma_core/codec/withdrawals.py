"""Withdrawals of beacon-chain validators: JSON, RLP and root. L2 blocks have an empty list of them.

Spec: EIP-4895.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kroma_core.codec.hexadecimal import fixed, quantity, to_data, to_quantity
from kroma_core.codec.rlp import encode_int, list_header
from kroma_core.codec.trie_root import ordered_root
from kroma_core.errors import DecodeError
from kroma_core.l2 import Withdrawal
from kroma_core.types import Hash32


def encode_withdrawal(withdrawal: Withdrawal) -> bytes:
    """RLP, as it enters the withdrawals root."""
    payload = b"%b%b\x94%b%b" % (
        encode_int(withdrawal.index),
        encode_int(withdrawal.validator_index),
        withdrawal.address,
        encode_int(withdrawal.amount),
    )
    return list_header(len(payload)) + payload


def withdrawals_root(withdrawals: Sequence[Withdrawal]) -> Hash32:
    return ordered_root([encode_withdrawal(withdrawal) for withdrawal in withdrawals])


def withdrawals_from_json(value: object) -> tuple[Withdrawal, ...]:
    """A list of withdrawals of the Engine API. Raises `DecodeError`."""
    if not isinstance(value, list):
        raise DecodeError(f"withdrawals: expected a list, got {type(value).__name__}")
    return tuple([_from_json(item) for item in value])


def withdrawals_to_json(withdrawals: Iterable[Withdrawal]) -> list[dict[str, str]]:
    return [
        {
            "index": to_quantity(withdrawal.index),
            "validatorIndex": to_quantity(withdrawal.validator_index),
            "address": to_data(withdrawal.address),
            "amount": to_quantity(withdrawal.amount),
        }
        for withdrawal in withdrawals
    ]


def _from_json(item: Any) -> Withdrawal:
    if not isinstance(item, Mapping):
        raise DecodeError(f"withdrawal: expected an object, got {type(item).__name__}")
    return Withdrawal(
        index=quantity(item.get("index"), "withdrawal index"),
        validator_index=quantity(item.get("validatorIndex"), "withdrawal validatorIndex"),
        address=fixed(item.get("address"), 20, "withdrawal address"),
        amount=quantity(item.get("amount"), "withdrawal amount"),
    )
