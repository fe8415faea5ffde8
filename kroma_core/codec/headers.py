"""Block headers of L1 and L2, of every fork; the hash of a header is the block's hash.

Fields that forks appended are None where the block does not have them.
Spec: yellow paper, section 4.3; EIP-1559, 4895, 4844, 4788, 7685; exec-engine.md, "Header Validity".
"""

from __future__ import annotations

import attrs

from kroma_core.codec.fields import as_bytes, as_fixed, as_u64, as_uint
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rlp import EMPTY_STRING, Item, decode_list, encode_bytes, encode_int, list_header
from kroma_core.errors import DecodeError
from kroma_core.types import Address, Hash32

EMPTY_UNCLES_HASH: Hash32 = bytes.fromhex("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347")
"""Hash of an empty list of uncles: every block since the merge, and every L2 block."""
EMPTY_REQUESTS_HASH: Hash32 = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
"""SHA-256 of nothing: the requests hash of a block without execution requests."""
EMPTY_ROOT: Hash32 = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
"""Root of an empty trie; the withdrawals root of an L2 block before it became a storage root."""

_REQUIRED = 15
_MOST = 21


@attrs.frozen(kw_only=True)
class Header:
    """A block header. `hash` is computed, never read."""

    parent_hash: Hash32
    uncle_hash: Hash32 = EMPTY_UNCLES_HASH
    coinbase: Address
    state_root: Hash32
    transactions_root: Hash32
    receipts_root: Hash32
    bloom: bytes = attrs.field(repr=False)
    difficulty: int = 0
    number: int
    gas_limit: int
    gas_used: int
    timestamp: int
    extra_data: bytes
    mix_hash: Hash32
    nonce: bytes = bytes(8)
    base_fee: int | None = None
    withdrawals_root: Hash32 | None = None
    blob_gas_used: int | None = None
    excess_blob_gas: int | None = None
    parent_beacon_root: Hash32 | None = None
    requests_hash: Hash32 | None = None

    @property
    def hash(self) -> Hash32:
        return keccak256(self.encode())

    @classmethod
    def decode(cls, raw: bytes) -> Header:
        """A header from its RLP. Raises `DecodeError`."""
        items = decode_list(raw)
        count = len(items)
        if not _REQUIRED <= count <= _MOST:
            raise DecodeError(f"header: expected {_REQUIRED} to {_MOST} fields, got {count}")
        return cls(
            parent_hash=as_fixed(items[0], 32, "header parentHash"),
            uncle_hash=as_fixed(items[1], 32, "header sha3Uncles"),
            coinbase=as_fixed(items[2], 20, "header miner"),
            state_root=as_fixed(items[3], 32, "header stateRoot"),
            transactions_root=as_fixed(items[4], 32, "header transactionsRoot"),
            receipts_root=as_fixed(items[5], 32, "header receiptsRoot"),
            bloom=as_fixed(items[6], 256, "header logsBloom"),
            difficulty=as_uint(items[7], "header difficulty", 32),
            number=as_u64(items[8], "header number"),
            gas_limit=as_u64(items[9], "header gasLimit"),
            gas_used=as_u64(items[10], "header gasUsed"),
            timestamp=as_u64(items[11], "header timestamp"),
            extra_data=as_bytes(items[12], "header extraData"),
            mix_hash=as_fixed(items[13], 32, "header mixHash"),
            nonce=as_fixed(items[14], 8, "header nonce"),
            base_fee=as_uint(items[15], "header baseFeePerGas", 32) if count > 15 else None,
            withdrawals_root=_root(items, 16, "header withdrawalsRoot"),
            blob_gas_used=as_u64(items[17], "header blobGasUsed") if count > 17 else None,
            excess_blob_gas=as_u64(items[18], "header excessBlobGas") if count > 18 else None,
            parent_beacon_root=_root(items, 19, "header parentBeaconBlockRoot"),
            requests_hash=_root(items, 20, "header requestsHash"),
        )

    def encode(self) -> bytes:
        """The header's RLP. A missing field before one that is there is written as an empty string."""
        parts = [
            b"\xa0%b\xa0%b\x94%b\xa0%b\xa0%b\xa0%b\xb9\x01\x00%b"
            % (
                self.parent_hash,
                self.uncle_hash,
                self.coinbase,
                self.state_root,
                self.transactions_root,
                self.receipts_root,
                self.bloom,
            ),
            encode_int(self.difficulty),
            encode_int(self.number),
            encode_int(self.gas_limit),
            encode_int(self.gas_used),
            encode_int(self.timestamp),
            encode_bytes(self.extra_data),
            b"\xa0%b\x88%b" % (self.mix_hash, self.nonce),
            _optional(self.base_fee),
            _optional(self.withdrawals_root),
            _optional(self.blob_gas_used),
            _optional(self.excess_blob_gas),
            _optional(self.parent_beacon_root),
            _optional(self.requests_hash),
        ]
        while parts[-1] == b"":
            parts.pop()
        payload = b"".join([part or EMPTY_STRING for part in parts])
        return list_header(len(payload)) + payload


def _root(items: list[Item], index: int, what: str) -> Hash32 | None:
    return as_fixed(items[index], 32, what) if len(items) > index else None


def _optional(value: int | bytes | None) -> bytes:
    """A trailing field's encoding; nothing at all where the header does not have it."""
    if value is None:
        return b""
    return encode_int(value) if isinstance(value, int) else encode_bytes(value)
