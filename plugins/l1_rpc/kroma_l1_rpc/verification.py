"""What a server answers, believed only as far as hashes cover it. No I/O.

A header has to hash to the block's hash, the transactions to the header's transactions root, the receipts to its
receipts root. Anything else is a `Contradiction`, whatever the server's reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kroma_core.codec.headers import Header
from kroma_core.codec.hexadecimal import fixed, shown
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.receipts import RECEIPT_TYPES, Receipt
from kroma_core.codec.rpc_blocks import (
    JSON_TRANSACTION_TYPES,
    header_from_json,
    receipt_from_json,
    transaction_from_json,
    transaction_type,
)
from kroma_core.codec.transactions import BLOB
from kroma_core.codec.trie_root import ordered_root
from kroma_core.errors import DecodeError, TemporaryError
from kroma_core.l1 import L1Block, L1Receipts
from kroma_core.types import Hash32

JsonObject = Mapping[str, Any]

_KNOWN_KEYS: Final = {
    "hash", "number", "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom",
    "difficulty", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce", "baseFeePerGas",
    "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash", "transactions",
    "uncles", "withdrawals", "size", "totalDifficulty",
}  # fmt: skip
"""What a block's JSON may hold without being a header field that this node does not know."""


class Contradiction(TemporaryError):
    """A server's answer contradicts a hash, or itself: another server may tell the truth."""


class TransactionsMismatch(Contradiction):
    """The transactions do not hash to the header's root. `blob_places` are those of blob transactions."""

    def __init__(self, text: str, blob_places: tuple[int, ...]) -> None:
        super().__init__(text)
        self.blob_places = blob_places


def named(number: int | None, block_hash: Hash32) -> str:
    """A block for a message."""
    return f"L1 block 0x{block_hash.hex()}" if number is None else f"L1 block {number} (0x{block_hash.hex()})"


def verified_header(found: Any, asked: Hash32 | int | None) -> tuple[Hash32, Header]:
    """The header in a block's JSON and its hash: the block `asked` for by hash or number (None: any).

    Raises `Contradiction`.
    """
    what = f"L1 block 0x{asked.hex()}" if isinstance(asked, bytes) else f"L1 block {'' if asked is None else asked}"
    if not isinstance(found, Mapping):
        raise Contradiction(f"{what.strip()}: expected an object, got {shown(found)}")
    try:
        header = header_from_json(found)
        claimed = fixed(found.get("hash"), 32, "block hash")
        computed = header.hash
    except DecodeError as error:
        raise Contradiction(f"{what.strip()}: {error}") from error
    if max(header.number, header.timestamp, header.gas_limit, header.gas_used) >= 1 << 64:
        raise Contradiction(f"{what.strip()}: number, time or gas of more than 64 bits")
    expected = asked if isinstance(asked, bytes) else claimed
    if computed != expected:
        unknown = sorted(set(found) - _KNOWN_KEYS)
        hint = f"; it has fields that are not known here: {', '.join(unknown[:8])}" if unknown else ""
        raise Contradiction(
            f"{named(header.number, expected)}: the header that was sent hashes to 0x{computed.hex()}{hint}"
        )
    if isinstance(asked, int) and header.number != asked:
        raise Contradiction(f"L1 block {asked}: got block {header.number}")
    return computed, header


def unknown_places(found: JsonObject, block: str) -> tuple[int, ...]:
    """Places of transactions whose JSON cannot be brought into its consensus encoding here: those of later types.

    Raises `Contradiction`.
    """
    items = enumerate(_transactions(found, block))
    try:
        return tuple(
            place
            for place, item in items
            if isinstance(item, Mapping) and transaction_type(item) not in JSON_TRANSACTION_TYPES
        )
    except DecodeError as error:
        raise Contradiction(f"{block}: {error}") from error


def verified_block(
    found: JsonObject,
    block_hash: Hash32,
    header: Header,
    *,
    raw: Mapping[int, bytes] | None = None,
    skip_root_with_blobs: bool = False,
) -> L1Block:
    """The block of a verified header with the transactions of its JSON; `raw` stands in for some of them, by place.

    `skip_root_with_blobs` lets the transactions of a block that holds blob transactions pass without their root.
    Raises `Contradiction`.
    """
    block = named(header.number, block_hash)
    raw = raw or {}
    try:
        transactions = tuple(
            raw[place] if place in raw else transaction_from_json(item)
            for place, item in enumerate(_transactions(found, block))
        )
    except DecodeError as error:
        raise Contradiction(f"{block}: {error}") from error
    computed = ordered_root(transactions)
    if computed != header.transactions_root:
        blobs = tuple(place for place, item in enumerate(transactions) if item[:1] == bytes((BLOB,)))
        if not (blobs and skip_root_with_blobs):
            raise TransactionsMismatch(
                f"{block}: {len(transactions)} transactions hash to 0x{computed.hex()}, the header says "
                f"0x{header.transactions_root.hex()}",
                blobs,
            )
    return L1Block(hash=block_hash, header=header, transactions=transactions)


def verified_receipts(found: Any, block: L1Block) -> L1Receipts:
    """The receipts of a block from their JSON. Raises `Contradiction`."""
    what = f"receipts of {named(block.header.number, block.hash)}"
    if not isinstance(found, list):
        raise Contradiction(f"{what}: expected a list, got {shown(found)}")
    try:
        receipts = tuple([receipt_from_json(item) for item in found])
        encoded = [receipt.encode() for receipt in receipts]
    except ValueError as error:  # also a type that is no byte
        raise Contradiction(f"{what}: {error}") from error
    _expect_receipts_root(encoded, block, what)
    return receipts


def verified_raw_receipts(found: Sequence[bytes], block: L1Block) -> L1Receipts:
    """The receipts of a block from their consensus encodings. Raises `Contradiction`."""
    what = f"receipts of {named(block.header.number, block.hash)}"
    _expect_receipts_root(found, block, what)
    try:
        return tuple([_receipt(raw) for raw in found])
    except DecodeError as error:
        raise Contradiction(f"{what}: {error}") from error


def _receipt(raw: bytes) -> Receipt:
    """A receipt; of a later type as far as it has the form that all types so far have."""
    if raw[:1] and raw[0] <= 0x7F and raw[0] not in RECEIPT_TYPES:
        decoded = Receipt.decode(b"\x01" + raw[1:])
        return Receipt(
            type=raw[0],
            status=decoded.status,
            cumulative_gas_used=decoded.cumulative_gas_used,
            bloom=decoded.bloom,
            logs=decoded.logs,
        )
    return Receipt.decode(raw)


def _expect_receipts_root(encoded: Sequence[bytes], block: L1Block, what: str) -> None:
    computed = ordered_root(encoded)
    if computed != block.header.receipts_root:
        count = len(block.transactions)
        raise Contradiction(
            f"{what}: {len(encoded)} for {count} transactions hash to 0x{computed.hex()}, the header says "
            f"0x{block.header.receipts_root.hex()}"
        )


def _transactions(found: JsonObject, block: str) -> list[Any]:
    items = found.get("transactions")
    if not isinstance(items, list):
        raise Contradiction(f"{block}: expected a list of transactions, got {shown(items)}")
    return items


def transaction_hashes(block: L1Block) -> list[str]:
    """Hashes of the block's transactions, as requests name them."""
    return ["0x" + keccak256(raw).hex() for raw in block.transactions]
