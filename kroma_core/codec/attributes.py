"""Payload attributes as the Engine API carries them, and op-geth's name for the building that they start.

Spec: exec-engine.md, "Extended PayloadAttributesV1" to "V3"; holocene and jovian exec-engine.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import attrs

from kroma_core.codec.hexadecimal import data, data_list, fixed, quantity, shown, to_data, to_quantity
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rlp import encode_list
from kroma_core.codec.withdrawals import encode_withdrawal, withdrawals_from_json, withdrawals_to_json
from kroma_core.errors import DecodeError
from kroma_core.l2 import PayloadAttributes, Withdrawal
from kroma_core.types import Address, Gas, Hash32, Timestamp

_U64 = 2**64


@attrs.frozen(kw_only=True)
class EngineAttributes:
    """The attributes of a call before it is known that a rollup can use them.

    What only a rollup needs may be missing, and what none may have can be there: withdrawals, parameters of any length.
    """

    timestamp: Timestamp
    prev_randao: Hash32
    fee_recipient: Address
    withdrawals: tuple[Withdrawal, ...] | None = None
    parent_beacon_root: Hash32 | None = None
    transactions: tuple[bytes, ...] = attrs.field(default=(), repr=False)
    no_tx_pool: bool = False
    gas_limit: Gas | None = None
    eip1559_params: bytes | None = None
    min_base_fee: int | None = None

    @classmethod
    def of(cls, attributes: PayloadAttributes) -> EngineAttributes:
        return cls(
            timestamp=attributes.timestamp,
            prev_randao=attributes.prev_randao,
            fee_recipient=attributes.fee_recipient,
            withdrawals=() if attributes.withdrawals else None,
            parent_beacon_root=attributes.parent_beacon_root,
            transactions=attributes.transactions,
            no_tx_pool=attributes.no_tx_pool,
            gas_limit=attributes.gas_limit,
            eip1559_params=attributes.eip1559_params,
            min_base_fee=attributes.min_base_fee,
        )

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> EngineAttributes:
        """Absent and null are the same; unknown keys are ignored. Raises `DecodeError`."""
        withdrawals = found.get("withdrawals")
        root = found.get("parentBeaconBlockRoot")
        transactions = found.get("transactions")
        gas_limit = found.get("gasLimit")
        params = found.get("eip1559Params")
        return cls(
            timestamp=Timestamp(quantity(found.get("timestamp"), "attributes timestamp")),
            prev_randao=fixed(found.get("prevRandao"), 32, "attributes prevRandao"),
            fee_recipient=fixed(found.get("suggestedFeeRecipient"), 20, "attributes suggestedFeeRecipient"),
            withdrawals=None if withdrawals is None else withdrawals_from_json(withdrawals),
            parent_beacon_root=None if root is None else fixed(root, 32, "attributes parentBeaconBlockRoot"),
            transactions=() if transactions is None else data_list(transactions, "attributes transactions"),
            no_tx_pool=_boolean(found.get("noTxPool"), "attributes noTxPool"),
            gas_limit=None if gas_limit is None else Gas(quantity(gas_limit, "attributes gasLimit")),
            eip1559_params=None if params is None else data(params, "attributes eip1559Params"),
            min_base_fee=_number(found.get("minBaseFee"), "attributes minBaseFee"),
        )

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "timestamp": to_quantity(self.timestamp),
            "prevRandao": to_data(self.prev_randao),
            "suggestedFeeRecipient": to_data(self.fee_recipient),
        }
        if self.withdrawals is not None:
            found["withdrawals"] = withdrawals_to_json(self.withdrawals)
        if self.parent_beacon_root is not None:
            found["parentBeaconBlockRoot"] = to_data(self.parent_beacon_root)
        if self.transactions:
            found["transactions"] = [to_data(raw) for raw in self.transactions]
        if self.no_tx_pool:
            found["noTxPool"] = True
        if self.gas_limit is not None:
            found["gasLimit"] = to_quantity(self.gas_limit)
        if self.eip1559_params is not None:
            found["eip1559Params"] = to_data(self.eip1559_params)
        if self.min_base_fee is not None:
            found["minBaseFee"] = self.min_base_fee
        return found

    def for_rollup(self) -> PayloadAttributes:
        """The attributes of a rollup's block. Raises `DecodeError` where they cannot be that."""
        if self.gas_limit is None:
            raise DecodeError("attributes gasLimit: required")
        if self.withdrawals:
            raise DecodeError(f"attributes withdrawals: expected none, got {len(self.withdrawals)}")
        if self.eip1559_params is not None and len(self.eip1559_params) != 8:
            raise DecodeError(f"attributes eip1559Params: expected 8 bytes, got {len(self.eip1559_params)}")
        return PayloadAttributes(
            timestamp=self.timestamp,
            prev_randao=self.prev_randao,
            fee_recipient=self.fee_recipient,
            gas_limit=self.gas_limit,
            transactions=self.transactions,
            no_tx_pool=self.no_tx_pool,
            withdrawals=self.withdrawals is not None,
            parent_beacon_root=self.parent_beacon_root,
            eip1559_params=self.eip1559_params,
            min_base_fee=self.min_base_fee,
        )

    def payload_id(self, parent: Hash32, version: int) -> bytes:
        """op-geth's name of the building on `parent`: the version of the call (1 to 3) and 7 bytes of a hash."""
        parts = [
            parent,
            self.timestamp.to_bytes(8, "big"),
            self.prev_randao,
            self.fee_recipient,
            encode_list([encode_withdrawal(withdrawal) for withdrawal in self.withdrawals or ()]),
            self.parent_beacon_root or b"",
        ]
        if self.no_tx_pool or self.transactions:
            parts.append(bytes((self.no_tx_pool,)))
            parts.append(len(self.transactions).to_bytes(8, "big"))
            parts.extend(keccak256(raw) for raw in self.transactions)
        if self.gas_limit is not None:
            parts.append(self.gas_limit.to_bytes(8, "big"))
        parts.append(self.eip1559_params or b"")
        if self.min_base_fee is not None:
            parts.append(self.min_base_fee.to_bytes(8, "big"))
        return bytes((version,)) + hashlib.sha256(b"".join(parts)).digest()[1:8]


def attributes_from_json(found: Mapping[str, Any]) -> PayloadAttributes:
    """Attributes of a rollup's block from the Engine API's object. Raises `DecodeError`."""
    return EngineAttributes.from_json(found).for_rollup()


def attributes_to_json(attributes: PayloadAttributes) -> dict[str, Any]:
    """The Engine API's object; the minimum base fee is a JSON number."""
    return EngineAttributes.of(attributes).to_json()


def payload_id(parent: Hash32, attributes: PayloadAttributes, version: int) -> bytes:
    """op-geth's name of the building that a call of `version` starts: 8 bytes."""
    return EngineAttributes.of(attributes).payload_id(parent, version)


def _boolean(value: object, what: str) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise DecodeError(f"{what}: expected true or false, got {shown(value)}")
    return value


def _number(value: object, what: str) -> int | None:
    """A JSON number of 64 bits."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _U64:
        raise DecodeError(f"{what}: expected a JSON number of 64 bits, got {shown(value)}")
    return value
