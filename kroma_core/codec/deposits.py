"""Deposit transactions: what L1 and the protocol put into an L2 block, unsigned; and the hashes of their sources.

Two encodings exist: of eight fields, and without isSystemTx of seven (Kroma's ZK-trie era).
Spec: deposits.md, "The Deposited Transaction Type", "Source hash computation".
"""

from __future__ import annotations

import attrs

from kroma_core.codec.fields import (
    as_address,
    as_bool,
    as_bytes,
    as_fixed,
    as_optional_address,
    as_u64,
    as_uint,
    expect_count,
)
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rlp import EMPTY_STRING, decode_list, encode_bytes, encode_int, list_header
from kroma_core.codec.transactions import DEPOSIT
from kroma_core.errors import DecodeError
from kroma_core.types import Address, Hash32

_PREFIX = bytes((DEPOSIT,))

_USER_DOMAIN = bytes(32)
_L1_INFO_DOMAIN = (1).to_bytes(32, "big")
_UPGRADE_DOMAIN = (2).to_bytes(32, "big")
_INVALIDATED_BLOCK_DOMAIN = (4).to_bytes(32, "big")


@attrs.frozen(kw_only=True)
class DepositTransaction:
    """A deposit. `mint` is the ETH that it creates on L2; none and 0 are the same.

    `is_system` marks the L1 attributes before Regolith: gas that the block does not count. Decoders let `mint` and
    `value` exceed 256 bits.
    """

    source_hash: Hash32
    sender: Address
    to: Address | None
    mint: int = 0
    value: int = 0
    gas: int
    is_system: bool = False
    data: bytes = attrs.field(repr=False)

    def encode(self) -> bytes:
        """The encoding of eight fields."""
        return self._encode(b"\x01" if self.is_system else EMPTY_STRING)

    def encode_legacy(self) -> bytes:
        """The encoding of seven fields, which cannot say `is_system`."""
        return self._encode(b"")

    def _encode(self, is_system: bytes) -> bytes:
        payload = b"\xa0%b\x94%b%b%b%b%b%b%b" % (
            self.source_hash,
            self.sender,
            EMPTY_STRING if self.to is None else b"\x94" + self.to,
            encode_int(self.mint),
            encode_int(self.value),
            encode_int(self.gas),
            is_system,
            encode_bytes(self.data),
        )
        return _PREFIX + list_header(len(payload)) + payload


def is_deposit(raw: bytes) -> bool:
    """Whether a raw transaction has the type of deposits."""
    return raw[:1] == _PREFIX


def decode_deposit(raw: bytes, *, legacy: bool = False) -> DepositTransaction:
    """A deposit from its encoding of eight fields; of seven with `legacy`. Raises `DecodeError`."""
    if not is_deposit(raw):
        raise DecodeError(f"deposit: expected type 0x7e, got 0x{raw[:1].hex()}")
    items = decode_list(raw, 1)
    if legacy:
        expect_count(items, 7, "deposit without isSystemTx")
    else:
        expect_count(items, 8, "deposit")
    return DepositTransaction(
        source_hash=as_fixed(items[0], 32, "deposit sourceHash"),
        sender=as_address(items[1], "deposit from"),
        to=as_optional_address(items[2], "deposit to"),
        mint=as_uint(items[3], "deposit mint"),
        value=as_uint(items[4], "deposit value"),
        gas=as_u64(items[5], "deposit gas"),
        is_system=False if legacy else as_bool(items[6], "deposit isSystemTx"),
        data=as_bytes(items[-1], "deposit data"),
    )


def user_deposit_source(l1_block_hash: Hash32, log_index: int) -> Hash32:
    """Source hash of the deposit that a log asked for; the index counts all logs of the L1 block."""
    return keccak256(_USER_DOMAIN + keccak256(l1_block_hash + log_index.to_bytes(32, "big")))


def l1_info_source(l1_block_hash: Hash32, sequence_number: int) -> Hash32:
    """Source hash of the L1 attributes of the block at `sequence_number` in its epoch."""
    return keccak256(_L1_INFO_DOMAIN + keccak256(l1_block_hash + sequence_number.to_bytes(32, "big")))


def upgrade_source(intent: str) -> Hash32:
    """Source hash of a protocol upgrade's transaction, from its agreed description."""
    return keccak256(_UPGRADE_DOMAIN + keccak256(intent.encode()))


def invalidated_block_source(output_root: Hash32) -> Hash32:
    """Source hash of the transaction that marks a block as replaced, from the replaced block's output root.

    Spec: interop/derivation.md, "Replacing Invalid Blocks".
    """
    return keccak256(_INVALIDATED_BLOCK_DOMAIN + output_root)
