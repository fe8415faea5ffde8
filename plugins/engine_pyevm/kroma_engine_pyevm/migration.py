"""The state of Kroma's ZK-trie era brought into Merkle-Patricia tries, for the first block of the era after it.

Every leaf is read with the address or slot that its key was made of, account after account in the order of the ZK trie.
After each lot of accounts the nodes are written together with how far it has come, so a process that was killed goes on
where it was. An account is done as a whole: one that was begun is begun again, which writes the same nodes.
Spec: kroma-geth, core/blockchain.go, core/kroma_migration.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import attrs
import trio

from kroma_core.errors import CriticalError
from kroma_core.types import Address, Hash32
from kroma_core.zktrie.accounts import account_of, word_of
from kroma_core.zktrie.hashing import key_of
from kroma_core.zktrie.nodes import Leaf
from kroma_core.zktrie.trie import leaves
from kroma_engine_pyevm.state_tries import MerklePatriciaState, StoredAccount, ZkState

ACCOUNTS_AT_ONCE = 128
_SLOTS_AT_ONCE = 256
"""Each preimage is hashed: as many as take some hundredths of a second."""
_NODES_KEPT = 10_000
"""New nodes that are held in memory before they are written: well within what the cache of nodes remembers."""
_ADDRESS_SIZE = 20


@attrs.frozen(kw_only=True)
class Progress:
    """How far the migration of one ZK root has come: the root so far, and the key of the last account in it."""

    root: Hash32
    last: int | None = None
    complete: bool = False
    accounts: int = 0

    def encode(self) -> bytes:
        last = b"" if self.last is None else self.last.to_bytes(32, "big")
        return b"%b%b%b%b" % (self.root, bytes((self.complete,)), self.accounts.to_bytes(8, "big"), last)

    @classmethod
    def decode(cls, raw: bytes) -> Progress:
        return cls(
            root=raw[:32],
            complete=raw[32] == 1,
            accounts=int.from_bytes(raw[33:41], "big"),
            last=int.from_bytes(raw[41:], "big") if len(raw) > 41 else None,
        )


class MigrationStore(Protocol):
    """Where the migration keeps what it has done."""

    def migration(self, zk_root: Hash32) -> Progress | None: ...

    def save_migration(self, zk_root: Hash32, progress: Progress, nodes: Mapping[Hash32, bytes]) -> None:
        """Write both at once, or neither."""
        ...


async def migrate(
    zk: ZkState,
    merkle: MerklePatriciaState,
    zk_root: Hash32,
    store: MigrationStore,
    accounts_at_once: int = ACCOUNTS_AT_ONCE,
    nodes_kept: int = _NODES_KEPT,
    on_progress: Callable[[Progress, int], None] = lambda progress, slots: None,
) -> Hash32:
    """The Merkle-Patricia root of the state at `zk_root`; at once if it was migrated before.

    Cancelled or killed, the next call goes on. Yields after each lot. `on_progress` is told how far it is, at the
    beginning and whenever something was written, with the slots of an account that is not done yet. Raises
    `CriticalError` where a leaf does not say what its key was made of.
    """
    progress = store.migration(zk_root) or Progress(root=merkle.empty_root)
    if not progress.complete:
        on_progress(progress, 0)
    waiting = leaves(zk.nodes, zk_root, progress.last)
    while not progress.complete:
        written: dict[Hash32, bytes] = {}
        accounts: dict[Address, StoredAccount | None] = {}
        last = progress.last
        for leaf in _some(waiting, accounts_at_once):
            account = account_of(leaf.words)
            storage_root = merkle.empty_root
            if account.storage_root != zk.empty_root:
                done, slots = 0, leaves(zk.nodes, account.storage_root)
                while words := {
                    int.from_bytes(_preimage(one), "big"): word_of(one.words) for one in _some(slots, _SLOTS_AT_ONCE)
                }:
                    done += len(words)
                    storage_root = merkle.storage_after(storage_root, words, written)
                    if len(written) >= nodes_kept:
                        store.save_migration(zk_root, progress, written)
                        written = {}
                        on_progress(progress, done)
                    await trio.lowlevel.checkpoint()
            address = _preimage(leaf)[:_ADDRESS_SIZE]
            accounts[address] = StoredAccount(account.nonce, account.balance, storage_root, account.code_hash)
            last = leaf.key
        progress = Progress(
            root=merkle.accounts_after(progress.root, accounts, written),
            last=last,
            complete=not accounts,
            accounts=progress.accounts + len(accounts),
        )
        store.save_migration(zk_root, progress, written)
        on_progress(progress, 0)
        await trio.lowlevel.checkpoint()
    return progress.root


def _some(found: Iterator[Leaf], count: int) -> Iterator[Leaf]:
    """The next leaves; unlike a slice of the iterator, none when it has ended."""
    for _, leaf in zip(range(count), found, strict=False):
        yield leaf


def _preimage(leaf: Leaf) -> bytes:
    if not leaf.preimage or key_of(leaf.preimage) != leaf.key:
        raise CriticalError(f"migration: nobody knows what key {leaf.key:#066x} of the ZK trie was made of")
    return leaf.preimage
