"""Receipts and logs, and the bloom filter over them.

A deposit's receipt has two encodings: the one stored and served carries its nonce whenever there is one; the one that
enters the receipts root leaves the nonce out unless the receipt has a version.
Spec: EIP-2718; deposits.md, "Deposit Receipt"; canyon/overview.md.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from kroma_core.codec.fields import as_address, as_bytes, as_fixed, as_list, as_u64, expect_count
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rlp import Item, decode_list, encode_bytes, encode_int, encode_list, list_header
from kroma_core.errors import DecodeError
from kroma_core.types import Address, Hash32

DEPOSIT_TYPE = 0x7E
RECEIPT_TYPES = frozenset({0, 1, 2, 3, 4, DEPOSIT_TYPE})

_BLOOM_SIZE = 256
_EMPTY_BLOOM = bytes(_BLOOM_SIZE)


@attrs.frozen
class Log:
    """An event that a contract emitted."""

    address: Address
    topics: tuple[Hash32, ...]
    data: bytes


@attrs.frozen(kw_only=True)
class Receipt:
    """The outcome of a transaction. `status` is 1 for success.

    `post_state` stands in for the status in receipts of L1 blocks before Byzantium; `status` is then 0.
    """

    type: int
    status: int
    cumulative_gas_used: int
    bloom: bytes = attrs.field(repr=False)
    logs: tuple[Log, ...]
    deposit_nonce: int | None = None
    deposit_version: int | None = None
    post_state: Hash32 | None = None

    @classmethod
    def decode(cls, raw: bytes) -> Receipt:
        """A receipt from its consensus or its stored encoding. Raises `DecodeError`."""
        if not raw:
            raise DecodeError("receipt: empty input")
        kind = raw[0]
        if kind >= 0xC0:
            return _from_items(0, decode_list(raw))
        if kind == 0 or kind not in RECEIPT_TYPES:
            raise DecodeError(f"receipt: unknown type 0x{kind:02x}")
        return _from_items(kind, decode_list(raw, 1))

    def encode(self) -> bytes:
        """The encoding that enters the receipts root: no deposit nonce without a version."""
        return self._encode(with_nonce=self.deposit_version is not None)

    def encode_stored(self) -> bytes:
        """The encoding that clients store and serve: the deposit nonce is there whenever the receipt has one."""
        return self._encode(with_nonce=True)

    def _encode(self, *, with_nonce: bool) -> bytes:
        outcome = b"\xa0" + self.post_state if self.post_state is not None else encode_int(self.status)
        parts = [
            outcome,
            encode_int(self.cumulative_gas_used),
            b"\xb9\x01\x00",
            self.bloom,
            encode_list([_encode_log(log) for log in self.logs]),
        ]
        if self.type == DEPOSIT_TYPE and with_nonce:
            if self.deposit_nonce is not None or self.deposit_version is not None:
                parts.append(encode_int(self.deposit_nonce or 0))
            if self.deposit_version is not None:
                parts.append(encode_int(self.deposit_version))
        payload = b"".join(parts)
        prefix = bytes((self.type,)) if self.type else b""
        return prefix + list_header(len(payload)) + payload


def _encode_log(log: Log) -> bytes:
    topics = b"".join([b"\xa0" + topic for topic in log.topics])
    payload = b"\x94%b%b%b%b" % (log.address, list_header(len(topics)), topics, encode_bytes(log.data))
    return list_header(len(payload)) + payload


def _from_items(kind: int, items: list[Item]) -> Receipt:
    count = len(items)
    most = 6 if kind == DEPOSIT_TYPE else 4
    if not 4 <= count <= most:
        raise DecodeError(f"receipt of type {kind}: expected 4{' to 6' if most > 4 else ''} fields, got {count}")
    outcome = as_bytes(items[0], "receipt status")
    if outcome not in (b"", b"\x01") and len(outcome) != 32:
        raise DecodeError(f"receipt status: expected 0, 1 or a state root, got 0x{outcome.hex()}")
    return Receipt(
        type=kind,
        status=1 if outcome == b"\x01" else 0,
        post_state=outcome if len(outcome) == 32 else None,
        cumulative_gas_used=as_u64(items[1], "receipt cumulativeGasUsed"),
        bloom=as_fixed(items[2], _BLOOM_SIZE, "receipt logsBloom"),
        logs=tuple([_log(item) for item in as_list(items[3], "receipt logs")]),
        deposit_nonce=as_u64(items[4], "receipt depositNonce") if count > 4 else None,
        deposit_version=as_u64(items[5], "receipt depositReceiptVersion") if count > 5 else None,
    )


def _log(item: Item) -> Log:
    fields = as_list(item, "log")
    expect_count(fields, 3, "log")
    return Log(
        as_address(fields[0], "log address"),
        tuple([as_fixed(topic, 32, "log topic") for topic in as_list(fields[1], "log topics")]),
        as_bytes(fields[2], "log data"),
    )


def bloom_bits(item: bytes) -> int:
    """The three bits that `item`, an address or a topic, sets in a bloom filter, as a number of 2048 bits."""
    digest = keccak256(item)
    return (
        1 << (int.from_bytes(digest[0:2], "big") & 2047)
        | 1 << (int.from_bytes(digest[2:4], "big") & 2047)
        | 1 << (int.from_bytes(digest[4:6], "big") & 2047)
    )


def bloom_of(logs: Iterable[Log]) -> bytes:
    """Bloom filter of the addresses and topics of `logs`. Spec: yellow paper, section 4.3.1."""
    items: set[bytes] = set()
    for log in logs:
        items.add(log.address)
        items.update(log.topics)
    if not items:
        return _EMPTY_BLOOM
    bloom = 0
    for item in items:
        bloom |= bloom_bits(item)
    return bloom.to_bytes(_BLOOM_SIZE, "big")


def bloom_union(blooms: Iterable[bytes]) -> bytes:
    """Bloom filter of a block from those of its receipts."""
    bloom = 0
    for one in blooms:
        bloom |= int.from_bytes(one, "big")
    return bloom.to_bytes(_BLOOM_SIZE, "big")


def bloom_contains(bloom: bytes, item: bytes) -> bool:
    """Whether `item`, an address or a topic, may be among what `bloom` was made of. False is certain."""
    bits = bloom_bits(item)
    return int.from_bytes(bloom, "big") & bits == bits
