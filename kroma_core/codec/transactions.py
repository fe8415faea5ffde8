"""Signed transactions as they stand in blocks: legacy, access-list, dynamic-fee, blob (without sidecar), set-code.

Decoding is as strict as go-ethereum's: canonical integers, exact sizes and shapes, no trailing bytes. Signature values
are only decoded; whether they are valid shows when the sender is recovered. Deposits are in `deposits`.
Spec: EIP-155, 2718, 2930, 1559, 4844, 7702.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import attrs

from kroma_core.codec.fields import (
    as_address,
    as_bytes,
    as_fixed,
    as_list,
    as_optional_address,
    as_u64,
    as_uint,
    expect_count,
)
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rlp import EMPTY_STRING, Item, decode_list, encode_int, item_end, list_header, list_span
from kroma_core.codec.signatures import recover_address
from kroma_core.errors import DecodeError
from kroma_core.types import Address, Hash32

LEGACY = 0
ACCESS_LIST = 1
DYNAMIC_FEE = 2
BLOB = 3
SET_CODE = 4
DEPOSIT = 0x7E

AccessList = tuple[tuple[Address, tuple[Hash32, ...]], ...]

_AUTHORIZATION_MAGIC = b"\x05"


@attrs.frozen(kw_only=True)
class Authorization:
    """An account's consent to run another's code; `chain_id` 0 is any chain. Spec: EIP-7702."""

    chain_id: int
    address: Address
    nonce: int
    y_parity: int
    r: int
    s: int

    @property
    def authority(self) -> Address:
        """The account that consents. Raises `DecodeError` where the signature is not valid."""
        payload = encode_int(self.chain_id) + b"\x94" + self.address + encode_int(self.nonce)
        digest = keccak256(_AUTHORIZATION_MAGIC + list_header(len(payload)) + payload)
        return recover_address(digest, self.y_parity, self.r, self.s)


@attrs.frozen(kw_only=True)
class Transaction:
    """A signed transaction; made by `decode_transaction`.

    `chain_id` is None for a legacy transaction without replay protection. Before dynamic fees, `max_priority_fee` and
    `max_fee` are both the gas price. `v` is the signature's first value as it stands: the y parity, for legacy with 27
    or the chain id added. Fees, value and signature of types 0 to 2 may exceed 256 bits: decoders let that pass.
    """

    type: int
    raw: bytes = attrs.field(repr=False)
    chain_id: int | None
    nonce: int
    max_priority_fee: int
    max_fee: int
    gas: int
    to: Address | None
    value: int
    data: bytes = attrs.field(repr=False)
    access_list: AccessList = ()
    max_fee_per_blob_gas: int | None = None
    blob_hashes: tuple[Hash32, ...] = ()
    authorizations: tuple[Authorization, ...] = ()
    v: int
    r: int
    s: int

    @property
    def gas_price(self) -> int | None:
        """The one price of types 0 and 1."""
        return self.max_fee if self.type <= ACCESS_LIST else None

    @property
    def y_parity(self) -> int:
        """The signature's parity bit; anything but 0 and 1 is no valid signature."""
        if self.type != LEGACY:
            return self.v
        return self.v - 27 if self.chain_id is None else self.v - 35 - 2 * self.chain_id

    @cached_property
    def hash(self) -> Hash32:
        return keccak256(self.raw)

    @property
    def signing_hash(self) -> Hash32:
        """What the sender signed: everything but the signature, which for EIP-155 makes room for the chain id."""
        raw = self.raw
        start, end = list_span(raw, 0 if self.type == LEGACY else 1)
        unsigned = raw[start : end - _size(self.v) - _size(self.r) - _size(self.s)]
        if self.type != LEGACY:
            return keccak256(raw[:1] + list_header(len(unsigned)) + unsigned)
        if self.chain_id is not None:
            unsigned += encode_int(self.chain_id) + EMPTY_STRING + EMPTY_STRING
        return keccak256(list_header(len(unsigned)) + unsigned)

    @cached_property
    def sender(self) -> Address:
        """Who signed. Raises `DecodeError` where the signature is not valid. The chain id is the caller's to check."""
        return recover_address(self.signing_hash, self.y_parity, self.r, self.s)

    def signed_for(self, chain_id: int) -> bool:
        """Whether the signature counts on this chain: signed for it, or legacy and not protected."""
        return self.chain_id == chain_id or (self.chain_id is None and self.type == LEGACY)


def decode_transaction(raw: bytes) -> Transaction:
    """A signed transaction from its consensus encoding. Raises `DecodeError`, also for deposits and unknown types."""
    if not raw:
        raise DecodeError("transaction: empty input")
    kind = raw[0]
    if kind >= 0x80:
        return _legacy(raw, decode_list(raw))
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise DecodeError(f"transaction: type 0x{kind:02x} is not one of the signed ones")
    return decoder(raw, decode_list(raw, 1))


def inbox_fields(raw: bytes) -> tuple[int, Address | None]:
    """Type and receiver of a transaction of a verified block, read without decoding the rest; deposits included.

    No receiver for a contract creation, and for types that are not known here. Raises `DecodeError`.
    """
    if not raw:
        raise DecodeError("transaction: empty input")
    kind = raw[0]
    if kind >= 0xC0:
        kind, before, pos = LEGACY, 3, 0
    elif kind in _BEFORE_RECEIVER:
        before, pos = _BEFORE_RECEIVER[kind], 1
    else:
        return kind, None
    pos = list_span(raw, pos)[0]
    for _ in range(before):
        pos = item_end(raw, pos)
    end = item_end(raw, pos)
    return kind, raw[pos + 1 : end] if end - pos == 21 else None


def addressed_to(raw: bytes, receiver: Address) -> bool:
    """Whether a transaction of a verified block goes to `receiver`. Nearly free for those that do not."""
    return receiver in raw and inbox_fields(raw)[1] == receiver


_BEFORE_RECEIVER = {ACCESS_LIST: 4, DYNAMIC_FEE: 5, BLOB: 5, SET_CODE: 5, DEPOSIT: 2}
"""Fields that precede the receiver, by type."""


def _size(number: int) -> int:
    """Bytes of an integer's encoding."""
    if number < 0x80:
        return 1
    size = (number.bit_length() + 7) >> 3
    return size + 1 if size < 56 else size + 1 + (size.bit_length() + 7) // 8


def _chain_id_of(v: int) -> int | None:
    """Chain id in a legacy signature's v (EIP-155). Below 35 it wraps around like go-ethereum's, and fits no chain."""
    if v in (0, 1, 27, 28):
        return None
    return (v - 35) // 2 if v >= 35 else ((v - 35) % 2**64) // 2


def _access_list(item: Item) -> AccessList:
    if not item:
        if item == b"":
            raise DecodeError("transaction access list: expected a list, got a string")
        return ()
    entries = []
    for entry in as_list(item, "transaction access list"):
        pair = as_list(entry, "access list entry")
        expect_count(pair, 2, "access list entry")
        keys = tuple([as_fixed(key, 32, "access list key") for key in as_list(pair[1], "access list keys")])
        entries.append((as_address(pair[0], "access list address"), keys))
    return tuple(entries)


def _authorization(item: Item) -> Authorization:
    fields = as_list(item, "authorization")
    expect_count(fields, 6, "authorization")
    return Authorization(
        chain_id=as_uint(fields[0], "authorization chainId", 32),
        address=as_address(fields[1], "authorization address"),
        nonce=as_u64(fields[2], "authorization nonce"),
        y_parity=as_uint(fields[3], "authorization yParity", 1),
        r=as_uint(fields[4], "authorization r", 32),
        s=as_uint(fields[5], "authorization s", 32),
    )


def _legacy(raw: bytes, items: list[Item]) -> Transaction:
    expect_count(items, 9, "legacy transaction")
    price = as_uint(items[1], "transaction gasPrice")
    v = as_uint(items[6], "transaction v")
    return Transaction(
        type=LEGACY,
        raw=raw,
        chain_id=_chain_id_of(v),
        nonce=as_u64(items[0], "transaction nonce"),
        max_priority_fee=price,
        max_fee=price,
        gas=as_u64(items[2], "transaction gas"),
        to=as_optional_address(items[3], "transaction to"),
        value=as_uint(items[4], "transaction value"),
        data=as_bytes(items[5], "transaction data"),
        v=v,
        r=as_uint(items[7], "transaction r"),
        s=as_uint(items[8], "transaction s"),
    )


def _with_access_list(raw: bytes, items: list[Item]) -> Transaction:
    expect_count(items, 11, "access-list transaction")
    price = as_uint(items[2], "transaction gasPrice")
    return Transaction(
        type=ACCESS_LIST,
        raw=raw,
        chain_id=as_uint(items[0], "transaction chainId"),
        nonce=as_u64(items[1], "transaction nonce"),
        max_priority_fee=price,
        max_fee=price,
        gas=as_u64(items[3], "transaction gas"),
        to=as_optional_address(items[4], "transaction to"),
        value=as_uint(items[5], "transaction value"),
        data=as_bytes(items[6], "transaction data"),
        access_list=_access_list(items[7]),
        v=as_uint(items[8], "transaction yParity"),
        r=as_uint(items[9], "transaction r"),
        s=as_uint(items[10], "transaction s"),
    )


def _dynamic_fee(raw: bytes, items: list[Item]) -> Transaction:
    expect_count(items, 12, "dynamic-fee transaction")
    return Transaction(
        type=DYNAMIC_FEE,
        raw=raw,
        chain_id=as_uint(items[0], "transaction chainId"),
        nonce=as_u64(items[1], "transaction nonce"),
        max_priority_fee=as_uint(items[2], "transaction maxPriorityFeePerGas"),
        max_fee=as_uint(items[3], "transaction maxFeePerGas"),
        gas=as_u64(items[4], "transaction gas"),
        to=as_optional_address(items[5], "transaction to"),
        value=as_uint(items[6], "transaction value"),
        data=as_bytes(items[7], "transaction data"),
        access_list=_access_list(items[8]),
        v=as_uint(items[9], "transaction yParity"),
        r=as_uint(items[10], "transaction r"),
        s=as_uint(items[11], "transaction s"),
    )


def _blob(raw: bytes, items: list[Item]) -> Transaction:
    if items and type(items[0]) is list:
        raise DecodeError("blob transaction: carries its sidecar, which no block does")
    expect_count(items, 14, "blob transaction")
    return Transaction(
        type=BLOB,
        raw=raw,
        chain_id=as_uint(items[0], "transaction chainId", 32),
        nonce=as_u64(items[1], "transaction nonce"),
        max_priority_fee=as_uint(items[2], "transaction maxPriorityFeePerGas", 32),
        max_fee=as_uint(items[3], "transaction maxFeePerGas", 32),
        gas=as_u64(items[4], "transaction gas"),
        to=as_address(items[5], "transaction to"),
        value=as_uint(items[6], "transaction value", 32),
        data=as_bytes(items[7], "transaction data"),
        access_list=_access_list(items[8]),
        max_fee_per_blob_gas=as_uint(items[9], "transaction maxFeePerBlobGas", 32),
        blob_hashes=tuple([as_fixed(one, 32, "blob hash") for one in as_list(items[10], "transaction blob hashes")]),
        v=as_uint(items[11], "transaction yParity", 32),
        r=as_uint(items[12], "transaction r", 32),
        s=as_uint(items[13], "transaction s", 32),
    )


def _set_code(raw: bytes, items: list[Item]) -> Transaction:
    expect_count(items, 13, "set-code transaction")
    return Transaction(
        type=SET_CODE,
        raw=raw,
        chain_id=as_uint(items[0], "transaction chainId", 32),
        nonce=as_u64(items[1], "transaction nonce"),
        max_priority_fee=as_uint(items[2], "transaction maxPriorityFeePerGas", 32),
        max_fee=as_uint(items[3], "transaction maxFeePerGas", 32),
        gas=as_u64(items[4], "transaction gas"),
        to=as_address(items[5], "transaction to"),
        value=as_uint(items[6], "transaction value", 32),
        data=as_bytes(items[7], "transaction data"),
        access_list=_access_list(items[8]),
        authorizations=tuple([_authorization(one) for one in as_list(items[9], "transaction authorizations")]),
        v=as_uint(items[10], "transaction yParity", 32),
        r=as_uint(items[11], "transaction r", 32),
        s=as_uint(items[12], "transaction s", 32),
    )


_DECODERS: dict[int, Callable[[bytes, list[Item]], Transaction]] = {
    ACCESS_LIST: _with_access_list,
    DYNAMIC_FEE: _dynamic_fee,
    BLOB: _blob,
    SET_CODE: _set_code,
}
