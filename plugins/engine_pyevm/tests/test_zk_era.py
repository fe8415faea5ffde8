"""Kroma's ZK-trie era in the engine: its rules, its proofs, and the migration of its state."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import pytest
import rlp
import trio
from kroma_engine_pyevm.chain import ChainStore
from kroma_engine_pyevm.engine import PyEvmEngine
from kroma_engine_pyevm.instructions import op_undefined
from kroma_engine_pyevm.machines import machine_for
from kroma_engine_pyevm.migration import Progress, migrate
from kroma_engine_pyevm.state_tries import StoredAccount
from kroma_engine_pyevm.store import MemoryStore
from trie.hexary import HexaryTrie

from kroma_core.api import Invalid, Valid
from kroma_core.codec.deposits import DepositTransaction, decode_deposit
from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.keccak import EMPTY_HASH, keccak256
from kroma_core.errors import ConfigError, CriticalError
from kroma_core.forks import Rules, StateCommitment
from kroma_core.state_proof import proven_account, proven_word
from kroma_core.types import Address, Gas, Hash32, Timestamp, Wei
from kroma_core.zktrie.hashing import key_of
from kroma_core.zktrie.nodes import Leaf
from kroma_core.zktrie.poseidon_parameters import MODULUS
from kroma_core.zktrie.proof import is_zk_proof
from kroma_core.zktrie.trie import update

from .chains import DATA, advance, chain_and_blocks

TRANSITION = DATA / "kroma-chains" / "mpt-transition.json.xz"
MESSAGE_PASSER = bytes.fromhex("4200000000000000000000000000000000000003")
ALICE = bytes.fromhex("a1" * 20)


class Killed(BaseException):
    """The end of a process."""


@attrs.define
class MortalStore:
    """Migration progress in a chain store that is killed when it has written `lives` times."""

    store: ChainStore
    lives: int

    def migration(self, zk_root: Hash32) -> Progress | None:
        return self.store.migration(zk_root)

    def save_migration(self, zk_root: Hash32, progress: Progress, nodes: Mapping[Hash32, bytes]) -> None:
        if not self.lives:
            raise Killed
        self.lives -= 1
        self.store.save_migration(zk_root, progress, nodes)


def zk_state(storage: Mapping[int, int], accounts: int) -> tuple[MemoryStore, Hash32]:
    """A store that holds a ZK state of this many accounts, each with a balance of its own and this storage."""
    kept = MemoryStore()
    trie = ChainStore(kept).zk
    written: dict[Hash32, bytes] = {}
    root = trie.storage_after(trie.empty_root, storage, written)
    state: dict[Address, StoredAccount | None] = {
        at.to_bytes(20, "big"): StoredAccount(at, at * 7, root, EMPTY_HASH) for at in range(1, accounts + 1)
    }
    state_root = trie.accounts_after(trie.empty_root, state, written)
    kept.write({b"n" + node_hash: node for node_hash, node in written.items()})
    return kept, state_root


def migrated(storage: Mapping[int, int], accounts: int) -> Hash32:
    """The root of the same accounts by py-evm's trie."""
    slots = HexaryTrie({})
    for slot, word in storage.items():
        slots[keccak256(slot.to_bytes(32, "big"))] = rlp.encode(word)
    state = HexaryTrie({})
    for at in range(1, accounts + 1):
        state[keccak256(at.to_bytes(20, "big"))] = rlp.encode([at, at * 7, slots.root_hash, EMPTY_HASH])
    root: Hash32 = state.root_hash
    return root


def test_blocks_are_built_through_the_change_of_the_state() -> None:
    chain, blocks = chain_and_blocks(TRANSITION)

    async def main() -> None:
        engine = PyEvmEngine(chain, MemoryStore())
        for block in blocks:
            await advance(engine, block)
            assert (await engine.heads()).unsafe == block.hash, block.number

    trio.run(main)


def test_accounts_and_storage_are_proven_in_both_eras() -> None:
    chain, blocks = chain_and_blocks(TRANSITION)
    slots = [at.to_bytes(32, "big") for at in (1, 99)]

    async def main() -> None:
        engine = PyEvmEngine(chain, MemoryStore())
        eras = set()
        for block in blocks:
            assert await engine.execute(block.payload) == Valid()
            proof = await engine.proof(MESSAGE_PASSER, slots, block.hash)
            account = proven_account(block.payload.state_root, MESSAGE_PASSER, proof.account_proof)
            assert account is not None
            assert account.storage_root == proof.storage_root == await engine.storage_root(MESSAGE_PASSER, block.hash)
            for slot, word, nodes in proof.storage:
                assert proven_word(account.storage_root, slot, nodes) == word
            absent = await engine.proof(ALICE, slots, block.hash)
            assert proven_account(block.payload.state_root, ALICE, absent.account_proof) is None
            assert [proven_word(absent.storage_root, slot, nodes) for slot, _, nodes in absent.storage] == [0, 0]
            eras.add(is_zk_proof(proof.account_proof))
        assert eras == {True, False}

    trio.run(main)


def test_a_balance_that_the_zk_trie_cannot_hold_makes_the_block_invalid() -> None:
    chain, blocks = chain_and_blocks(TRANSITION)
    first = blocks[0]
    attributes = first.attributes
    assert attributes is not None
    template = decode_deposit(attributes.transactions[0], legacy=True)

    def minting(amount: int) -> DepositTransaction:
        return attrs.evolve(
            template, source_hash=bytes(32), sender=ALICE, to=ALICE, mint=Wei(amount), gas=Gas(100_000), data=b""
        )

    async def main() -> None:
        engine = PyEvmEngine(chain, MemoryStore())
        results = []
        for amount in (MODULUS - 1, MODULUS):
            raw = minting(amount).encode_legacy()
            changed = attrs.evolve(attributes, transactions=(attributes.transactions[0], raw), no_tx_pool=True)
            results.append(await engine.build(first.payload.parent_hash, changed, await engine.heads()))
        good, bad = results
        assert not isinstance(good, Invalid)
        assert isinstance(bad, Invalid)
        assert "balance of account 0xa1a1" in bad.reason
        assert await engine.execute(first.payload) == Valid()

    trio.run(main)


@pytest.mark.parametrize(
    ("height", "moved"),
    [(1, 0), (53, 10**9), (53, 14), (53, 38), (53, 42), (53, 104), (53, 106)],
    ids=["to-the-past", "to-the-future", "earlier", "a-block-earlier", "a-block-later", "later", "to-the-head"],
)
def test_data_whose_state_is_in_the_other_eras_trie_is_refused(height: int, moved: int) -> None:
    """The time of the change was moved after blocks were executed."""
    chain, blocks = chain_and_blocks(TRANSITION)
    kept = MemoryStore()

    async def main() -> None:
        engine = PyEvmEngine(chain, kept)
        for block in blocks[:height]:
            await advance(engine, block)

    trio.run(main)
    schedule = chain.rollup.schedule
    mpt = next(fork for fork in schedule.times if schedule.table[fork].rules.get("state") is StateCommitment.MPT)
    genesis = chain.rollup.genesis.l2_time
    changed = attrs.evolve(schedule, times={**schedule.times, mpt: Timestamp(genesis + moved)})
    with pytest.raises(ConfigError, match="in another kind of trie"):
        PyEvmEngine(attrs.evolve(chain, rollup=attrs.evolve(chain.rollup, schedule=changed)), kept)
    PyEvmEngine(chain, kept)


def test_selfdestruct_is_no_instruction_before_the_change() -> None:
    assert machine_for(Rules(selfdestruct=False)).instructions[0xFF] is op_undefined
    assert machine_for(Rules()).instructions[0xFF] is not op_undefined


@pytest.mark.parametrize("accounts", [0, 1, 4, 5, 9])
def test_a_state_is_migrated_as_a_whole(accounts: int) -> None:
    storage = {slot: slot + 1 for slot in range(5)}
    kept, root = zk_state(storage, accounts)
    store = ChainStore(kept)
    assert trio.run(migrate, store.zk, store.merkle_patricia, root, store, 4) == migrated(storage, accounts)
    progress = store.migration(root)
    assert progress is not None
    assert (progress.complete, progress.accounts) == (True, accounts)


def test_a_migration_that_is_killed_anywhere_goes_on_and_ends_at_the_same_root() -> None:
    storage = {slot: slot + 1 for slot in range(5)}
    expected = migrated(storage, 11)
    for lives in range(5):
        kept, root = zk_state(storage, 11)
        for _ in range(2):
            store = ChainStore(kept)
            mortal = MortalStore(store, lives)
            try:
                found = trio.run(migrate, store.zk, store.merkle_patricia, root, mortal, 4)
            except Killed:
                mortal.lives = 9
            else:
                assert found == expected
        store = ChainStore(kept)
        assert trio.run(migrate, store.zk, store.merkle_patricia, root, MortalStore(store, 9), 4) == expected
        # Whatever was migrated once is not migrated again.
        assert trio.run(migrate, store.zk, store.merkle_patricia, root, MortalStore(store, 0), 4) == expected


def test_nodes_are_written_while_the_storage_of_an_account_is_read() -> None:
    storage = {slot: slot + 1 for slot in range(600)}
    kept, root = zk_state(storage, 2)
    store = ChainStore(kept)
    lives = MortalStore(store, 99)
    told: list[tuple[int, int]] = []

    def tell(progress: Progress, slots: int) -> None:
        told.append((progress.accounts, slots))

    found = trio.run(migrate, store.zk, store.merkle_patricia, root, lives, 4, 100, tell)
    assert found == migrated(storage, 2)
    assert lives.lives == 99 - 2 * 3 - 2
    assert told == [(0, 0), (0, 256), (0, 512), (0, 600), (0, 256), (0, 512), (0, 600), (2, 0), (2, 0)]
    fresh = ChainStore(kept).merkle_patricia
    account = fresh.account(found, (1).to_bytes(20, "big"))
    assert account is not None
    assert [fresh.word(account.storage_root, slot) for slot in (0, 599, 600)] == [1, 600, 0]


def test_a_leaf_that_does_not_say_what_its_key_was_made_of_stops_the_migration() -> None:
    for preimage in (b"", bytes(32)):
        kept, root = zk_state({}, 3)
        store = ChainStore(kept)
        written: dict[Hash32, bytes] = {}
        words = (bytes(32), bytes(32), EMPTY_HASH, bytes(32))
        changed = update(store.zk.nodes, root, {key_of(ALICE): Leaf(key_of(ALICE), words, preimage)}, written)
        kept.write({b"n" + node_hash: node for node_hash, node in written.items()})
        with pytest.raises(CriticalError, match="nobody knows"):
            trio.run(migrate, store.zk, store.merkle_patricia, changed, store)


def test_progress_comes_back_from_its_bytes() -> None:
    for progress in (
        Progress(root=EMPTY_ROOT),
        Progress(root=bytes(32), last=0, accounts=3),
        Progress(root=bytes(range(32)), last=MODULUS - 1, complete=True, accounts=2**40),
    ):
        assert Progress.decode(progress.encode()) == progress
