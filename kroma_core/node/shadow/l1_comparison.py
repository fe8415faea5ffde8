"""What two L1 sources say of one block hash, compared; and which of the two the hash itself contradicts.

A block hash covers the header, and the header's roots cover transactions and receipts. So a difference between sources
is always the fault of one whose answer does not hash to what was asked for, and that can be told offline.
"""

from __future__ import annotations

from collections.abc import Iterator

from kroma_core.codec.trie_root import ordered_root
from kroma_core.l1 import L1Block, L1Receipts
from kroma_core.node.shadow.sequences import bytes_differences, list_differences
from kroma_core.recording.compare import Difference, differences
from kroma_core.recording.problems import shown
from kroma_core.types import Hash32


def block_differences(leader: L1Block, follower: L1Block) -> Iterator[Difference]:
    """Every field of the header that differs, the root of the transactions, and the first transaction that does."""
    if leader == follower:
        return
    yield from bytes_differences("hash", leader.hash, follower.hash)
    yield from differences(leader.header, follower.header, "header")
    if leader.transactions != follower.transactions:
        one, other = ordered_root(leader.transactions), ordered_root(follower.transactions)
        yield Difference(field="root of the transactions", expected=shown(one), got=shown(other))
        yield from list_differences("transactions", leader.transactions, follower.transactions)


def receipt_differences(leader: L1Receipts, follower: L1Receipts) -> Iterator[Difference]:
    """The root of the receipts, how many there are, and the fields of the first one that differ."""
    if leader == follower:
        return
    one, other = receipts_root_of(leader), receipts_root_of(follower)
    if one != other:
        yield Difference(field="root of the receipts", expected=shown(one), got=shown(other))
    yield from list_differences("receipts", leader, follower)


def receipts_root_of(receipts: L1Receipts) -> Hash32:
    """The root that a header with these receipts has."""
    return ordered_root([receipt.encode() for receipt in receipts])


def block_contradictions(block_hash: Hash32, block: L1Block) -> Iterator[str]:
    """What in an answer is not what `block_hash` covers; nothing for a right one."""
    found = block.header.hash
    if found != block_hash:
        yield f"the header hashes to 0x{found.hex()}"
    if block.hash != block_hash:
        yield f"it calls itself block 0x{block.hash.hex()}"
    root = ordered_root(block.transactions)
    if root != block.header.transactions_root:
        yield (
            f"the transactions have the root 0x{root.hex()}, the header says 0x{block.header.transactions_root.hex()}"
        )


def receipt_contradictions(receipts_root: Hash32, receipts: L1Receipts) -> Iterator[str]:
    """The same of receipts, by the root in their block's header."""
    root = receipts_root_of(receipts)
    if root != receipts_root:
        yield f"the receipts have the root 0x{root.hex()}, the header says 0x{receipts_root.hex()}"
