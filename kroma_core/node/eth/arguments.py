"""Arguments of the `eth_` methods: addresses, blocks, calls, and what is to be supposed.

Raises `DecodeError` for what has not the form, `RpcError` for what contradicts itself or this chain.
Spec: execution-apis, "eth".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

from kroma_core.api import AccountOverride, BlockOverride, Supposition
from kroma_core.codec.hexadecimal import data, fixed, quantity, shown
from kroma_core.codec.transactions import AccessList, Authorization
from kroma_core.errors import DecodeError
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.l2 import L2Label
from kroma_core.types import Address, Hash32, L2Number

EARLIEST = "earliest"

_LABELS: Mapping[str, L2Label] = {
    "latest": L2Label.UNSAFE,
    "pending": L2Label.UNSAFE,
    "safe": L2Label.SAFE,
    "finalized": L2Label.FINALIZED,
}


@attrs.frozen
class CanonicalHash:
    """A block by hash that must be part of the canonical chain."""

    hash: Hash32


BlockArgument: TypeAlias = Hash32 | L2Number | L2Label | CanonicalHash
"""A pending block is the latest one: nothing is built before a rollup node asks for it."""


def address(value: object, what: str = "address") -> Address:
    return fixed(value, 20, what)


def hash32(value: object, what: str = "hash") -> Hash32:
    return fixed(value, 32, what)


def storage_slot(value: object) -> tuple[int, int]:
    """A storage slot and the number of bytes it was written with; with or without 0x, of any length up to 32."""
    text = value.removeprefix("0x").removeprefix("0X") if isinstance(value, str) else None
    if text is None or len(text) > 64:
        raise DecodeError(f"storage key: expected at most 32 bytes in hexadecimal, got {shown(value)}")
    found = data("0x" + "0" * (len(text) & 1) + text, "storage key")
    return int.from_bytes(found, "big"), len(found)


def number(value: object, earliest: int) -> L2Number | L2Label:
    """A block number or label."""
    if isinstance(value, str):
        if value == EARLIEST:
            return L2Number(earliest)
        label = _LABELS.get(value)
        if label is not None:
            return label
    return L2Number(quantity(value, "block number"))


def block(value: object, earliest: int) -> BlockArgument:
    """A block by number, label, or an object that names it by number or hash; nothing is the latest."""
    if value is None:
        return L2Label.UNSAFE
    if isinstance(value, Mapping):
        if "blockHash" in value:
            if "blockNumber" in value:
                raise DecodeError("block: expected a hash or a number, got both")
            found = hash32(value["blockHash"], "blockHash")
            return CanonicalHash(found) if value.get("requireCanonical") is True else found
        return number(value.get("blockNumber"), earliest)
    if isinstance(value, str) and len(value) == 66:
        return hash32(value, "block hash")
    return number(value, earliest)


def flag(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise DecodeError(f"{what}: expected true or false, got {shown(value)}")
    return value


def mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DecodeError(f"{what}: expected an object, got {shown(value)}")
    return value


@attrs.frozen(kw_only=True)
class CallArguments:
    """A call as it was asked for; None for what was left out."""

    sender: Address
    to: Address | None
    gas: int | None
    gas_price: int | None
    max_fee: int | None
    max_priority_fee: int | None
    value: int
    nonce: int | None
    data: bytes = attrs.field(repr=False)
    access_list: AccessList
    authorizations: tuple[Authorization, ...]

    @property
    def fees(self) -> tuple[int, int]:
        """Fee cap and tip of each gas; a gas price is both."""
        if self.gas_price is not None:
            return self.gas_price, self.gas_price
        return self.max_fee or 0, self.max_priority_fee or 0


def call(value: object, chain_id: int) -> CallArguments:
    """The object that describes a call."""
    found = mapping(value, "call")
    price, max_fee, tip = (_optional(found, key, 256) for key in ("gasPrice", "maxFeePerGas", "maxPriorityFeePerGas"))
    if price is not None and (max_fee is not None or tip is not None):
        raise RpcError(Code.SERVER_ERROR, "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")
    named = _optional(found, "chainId", 256)
    if named is not None and named != chain_id:
        raise RpcError(Code.SERVER_ERROR, f"chainId does not match node's (have={named}, want={chain_id})")
    if found.get("blobVersionedHashes") or found.get("blobs"):
        raise DecodeError("call: transactions of this chain carry no blobs")
    old, new = found.get("data"), found.get("input")
    given = new if new is not None else old
    return CallArguments(
        sender=bytes(20) if found.get("from") is None else address(found["from"], "from"),
        to=None if found.get("to") is None else address(found["to"], "to"),
        gas=_optional(found, "gas", 64),
        gas_price=price,
        max_fee=max_fee,
        max_priority_fee=tip,
        value=_optional(found, "value", 256) or 0,
        nonce=_optional(found, "nonce", 64),
        data=b"" if given is None else data(given, "input"),
        access_list=_access_list(found.get("accessList")),
        authorizations=_authorizations(found.get("authorizationList")),
    )


def supposition(accounts: object, block_values: object) -> Supposition:
    """State overrides and block overrides."""
    found = {} if accounts is None else mapping(accounts, "state overrides")
    return Supposition(
        accounts={address(key, "state override"): _account(value) for key, value in found.items()},
        block=_block_override({} if block_values is None else mapping(block_values, "block overrides")),
    )


def _account(value: object) -> AccountOverride:
    found = mapping(value, "state override")
    moved = found.get("movePrecompileToAddress")
    code = found.get("code")
    return AccountOverride(
        nonce=_optional(found, "nonce", 64),
        balance=_optional(found, "balance", 256),
        code=None if code is None else data(code, "override code"),
        storage=_words(found.get("state")),
        slots=_words(found.get("stateDiff")),
        moved_to=None if moved is None else address(moved, "movePrecompileToAddress"),
    )


def _words(value: object) -> Mapping[int, int] | None:
    if value is None:
        return None
    return {
        int.from_bytes(hash32(key, "storage key"), "big"): int.from_bytes(hash32(word, "storage value"), "big")
        for key, word in mapping(value, "storage override").items()
    }


def _block_override(found: Mapping[str, Any]) -> BlockOverride:
    for key in ("beaconRoot", "withdrawals"):
        if found.get(key) is not None:
            raise DecodeError(f'block override "{key}" is not supported for this RPC method')
    recipient, randao = found.get("feeRecipient"), found.get("prevRandao")
    return BlockOverride(
        number=_optional(found, "number", 64),
        timestamp=_optional(found, "time", 64),
        gas_limit=_optional(found, "gasLimit", 64),
        fee_recipient=None if recipient is None else address(recipient, "feeRecipient"),
        prev_randao=None if randao is None else hash32(randao, "prevRandao"),
        base_fee=_optional(found, "baseFeePerGas", 256),
    )


def _optional(found: Mapping[str, Any], key: str, bits: int) -> int | None:
    return None if found.get(key) is None else quantity(found[key], key, bits)


def _list(value: object, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise DecodeError(f"{what}: expected a list, got {shown(value)}")
    return value


def _access_list(value: object) -> AccessList:
    entries = []
    for entry in _list(value, "accessList"):
        found = mapping(entry, "access list entry")
        keys = tuple([hash32(key, "storage key") for key in _list(found.get("storageKeys"), "storageKeys")])
        entries.append((address(found.get("address")), keys))
    return tuple(entries)


def _authorizations(value: object) -> tuple[Authorization, ...]:
    return tuple(
        [
            Authorization(
                chain_id=quantity(found.get("chainId"), "authorization chainId", 256),
                address=address(found.get("address")),
                nonce=quantity(found.get("nonce"), "authorization nonce"),
                y_parity=quantity(found.get("yParity"), "authorization yParity", 8),
                r=quantity(found.get("r"), "authorization r", 256),
                s=quantity(found.get("s"), "authorization s", 256),
            )
            for found in (mapping(one, "authorization") for one in _list(value, "authorizationList"))
        ]
    )
