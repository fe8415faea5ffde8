"""Making the blocks of a scripted L1: true roots and blooms in headers of each L1 upgrade, plausible other fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import attrs

from kroma_core.codec.headers import EMPTY_REQUESTS_HASH, EMPTY_ROOT, Header
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.receipts import Log, Receipt, bloom_of, bloom_union
from kroma_core.codec.transactions import decode_transaction
from kroma_core.codec.trie_root import ordered_root
from kroma_core.l1 import L1Block, L1Receipts
from kroma_core.testing.wallet import BLOB, LEGACY

BLOB_GAS = 131_072
GAS_PER_TRANSACTION = 21_000
L1_FORKS = ("london", "shanghai", "cancun", "prague")


@attrs.frozen(kw_only=True)
class ScriptedTransaction:
    """A raw transaction and what its receipt will say."""

    raw: bytes = attrs.field(repr=False)
    logs: tuple[Log, ...] = ()
    status: int = 1


Mineable: TypeAlias = ScriptedTransaction | bytes


@attrs.frozen(kw_only=True)
class BlockContent:
    """A block as it is stored or sent: RLP of the header, raw transactions, consensus encodings of the receipts."""

    header: bytes = attrs.field(repr=False)
    transactions: tuple[bytes, ...] = attrs.field(repr=False)
    receipts: tuple[bytes, ...] = attrs.field(repr=False)


def scripted_block(
    parent: L1Block | None, transactions: Sequence[Mineable], *, number: int, time: int, salt: bytes, fork: str
) -> tuple[L1Block, L1Receipts]:
    """A block and its receipts. What no transaction decides follows from `salt`."""
    scripted = [one if isinstance(one, ScriptedTransaction) else ScriptedTransaction(raw=one) for one in transactions]
    receipts = tuple(
        Receipt(
            type=one.raw[0] if one.raw[0] <= 0x7F else LEGACY,
            status=one.status,
            cumulative_gas_used=GAS_PER_TRANSACTION * (index + 1),
            bloom=bloom_of(one.logs),
            logs=one.logs,
        )
        for index, one in enumerate(scripted)
    )
    level = L1_FORKS.index(fork)
    blob_gas = BLOB_GAS * sum(_blob_count(one.raw) for one in scripted)
    header = Header(
        parent_hash=keccak256(b"before " + salt) if parent is None else parent.hash,
        coinbase=keccak256(b"coinbase " + salt)[12:],
        state_root=keccak256(b"state " + salt),
        transactions_root=ordered_root([one.raw for one in scripted]),
        receipts_root=ordered_root([receipt.encode() for receipt in receipts]),
        bloom=bloom_union([receipt.bloom for receipt in receipts]),
        number=number,
        gas_limit=30_000_000,
        gas_used=GAS_PER_TRANSACTION * len(scripted),
        timestamp=time,
        extra_data=b"scripted",
        mix_hash=keccak256(b"randao " + salt),
        base_fee=10**9 + int.from_bytes(keccak256(b"fee " + salt)[:4], "big"),
        withdrawals_root=EMPTY_ROOT if level >= L1_FORKS.index("shanghai") else None,
        blob_gas_used=blob_gas if level >= L1_FORKS.index("cancun") else None,
        excess_blob_gas=(
            int.from_bytes(keccak256(b"excess " + salt)[:3], "big") if level >= L1_FORKS.index("cancun") else None
        ),
        parent_beacon_root=keccak256(b"beacon " + salt) if level >= L1_FORKS.index("cancun") else None,
        requests_hash=EMPTY_REQUESTS_HASH if level >= L1_FORKS.index("prague") else None,
    )
    block = L1Block(hash=header.hash, header=header, transactions=tuple(one.raw for one in scripted))
    return block, receipts


def _blob_count(raw: bytes) -> int:
    return len(decode_transaction(raw).blob_hashes) if raw[0] == BLOB else 0
