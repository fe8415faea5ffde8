"""The engine's chain in its store: blocks, receipts, states, heads, and which blocks are canonical.

Everything is kept, of every branch. Keys have a letter in front: n trie node, of either kind of trie, c code (by hash);
m how far the state at a ZK root was migrated (by root); h header, t transactions, r receipts, R receipts with nonces
that the root leaves out (by block hash); # canonical hash (by number); x place (by transaction hash); and the two
single ones below.

A transaction's place is written when its block becomes canonical, together with the heads. It is not deleted when the
block is left: a place counts only where the chain still has that block.
"""

from __future__ import annotations

import bisect
import functools
import threading
from collections.abc import Mapping

from kroma_core.api import TransactionPlace
from kroma_core.chain.config import RollupConfig
from kroma_core.codec.headers import Header
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.payloads import payload_from_header
from kroma_core.codec.rlp import decode_list, encode_bytes, encode_list
from kroma_core.errors import ConfigError, CriticalError, DecodeError
from kroma_core.forks import Rules, Schedule, StateCommitment
from kroma_core.l2 import ForkchoiceState, Payload
from kroma_core.types import ZERO_ADDRESS, Hash32, L2Number, Timestamp
from kroma_core.zktrie import trie as zk_trie
from kroma_engine_pyevm.blocks import ExecutedBlock
from kroma_engine_pyevm.migration import Progress
from kroma_engine_pyevm.state import WorldState
from kroma_engine_pyevm.state_tries import MerklePatriciaState, StateTrie, ZkState
from kroma_engine_pyevm.store import Store
from kroma_engine_pyevm.trie import NodeCache

SCHEMA_VERSION = 2
_WITHOUT_PLACES = 1
"""The schema before places of transactions were kept."""
_HEADS = b"heads"
_IDENTITY = b"identity"
_CACHED_HEADERS = 2048
_CACHED_CODES = 1024
_BLOCKS_MIGRATED_AT_ONCE = 500


class ChainStore:
    """What the engine keeps. Values are checked when they are written, not when they are read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.merkle_patricia = MerklePatriciaState(NodeCache(_TrieNodes(store)))
        self.zk = ZkState(zk_trie.NodeCache(_TrieNodes(store)))
        self._headers: dict[Hash32, Header] = {}
        self._remembering = threading.Lock()  # queries read from a thread
        self.code = functools.lru_cache(_CACHED_CODES)(self._read_code)

    # --- identity

    def claim(self, identity: str) -> bool:
        """Make this the store of the chain `identity`; True if it is a new store.

        Data of the schema before is brought to this one. Raises `ConfigError` where it is another chain's, or of a
        schema that is not known.
        """
        found = self._store.get(_IDENTITY)
        if found is None:
            return True
        schema, _, other = found.decode(errors="replace").partition("\n")
        if schema not in (str(SCHEMA_VERSION), str(_WITHOUT_PLACES)):
            raise ConfigError(f"the engine's data is of schema {schema}, this version reads {SCHEMA_VERSION}")
        if other != identity:
            raise ConfigError(f"the engine's data belongs to chain {other}, not to {identity}")
        if schema == str(_WITHOUT_PLACES):
            self._add_places(identity)
        return False

    def _add_places(self, identity: str) -> None:
        """Write the places of all canonical transactions; the schema last, so that a killed process begins again."""
        entries: dict[bytes, bytes] = {}
        for number in range(self._known_header(self.heads().unsafe).number + 1):
            block_hash = self.canonical(number)
            if block_hash is not None:
                entries |= self._places(block_hash)
            if number % _BLOCKS_MIGRATED_AT_ONCE == 0:
                self._store.write(entries)
                entries = {}
        self._store.write({**entries, _IDENTITY: f"{SCHEMA_VERSION}\n{identity}".encode()})

    def _places(self, block_hash: Hash32) -> dict[bytes, bytes]:
        return {
            b"x" + keccak256(raw): block_hash + index.to_bytes(4, "big")
            for index, raw in enumerate(self._list(b"t", block_hash))
        }

    def begin(self, identity: str, genesis: ExecutedBlock) -> None:
        """Write the genesis block and its state, at once with the identity."""
        heads = ForkchoiceState(unsafe=genesis.hash, safe=genesis.hash, finalized=genesis.hash)
        self._store.write(
            {
                **_entries(genesis),
                _canonical(genesis.header.number): genesis.hash,
                _HEADS: _encode_heads(heads),
                _IDENTITY: f"{SCHEMA_VERSION}\n{identity}".encode(),
            }
        )

    # --- blocks

    def header(self, block_hash: Hash32) -> Header | None:
        """The header of a stored block."""
        header = self._headers.get(block_hash)
        if header is None:
            raw = self._store.get(b"h" + block_hash)
            if raw is None:
                return None
            header = Header.decode(raw)
            self._remember(block_hash, header)
        return header

    def _remember(self, block_hash: Hash32, header: Header) -> None:
        with self._remembering:
            if len(self._headers) >= _CACHED_HEADERS:
                del self._headers[next(iter(self._headers))]
            self._headers[block_hash] = header

    def payload(self, block_hash: Hash32) -> Payload | None:
        header = self.header(block_hash)
        if header is None:
            return None
        return payload_from_header(header, block_hash, self._list(b"t", block_hash))

    def receipts(self, block_hash: Hash32) -> tuple[bytes, ...] | None:
        return None if self.header(block_hash) is None else self._list(b"r", block_hash)

    def stored_receipts(self, block_hash: Hash32) -> tuple[bytes, ...] | None:
        """Receipts with the nonces of deposits, also where their root leaves those out."""
        if self._store.get(b"R" + block_hash) is None:
            return self.receipts(block_hash)
        return self._list(b"R", block_hash)

    def locate(self, transaction_hash: Hash32) -> TransactionPlace | None:
        """Where the canonical chain has a transaction."""
        raw = self._store.get(b"x" + transaction_hash)
        if raw is None:
            return None
        block_hash, index = raw[:32], int.from_bytes(raw[32:], "big")
        number = L2Number(self._known_header(block_hash).number)
        if self.canonical(number) != block_hash:
            return None
        return TransactionPlace(block_hash=block_hash, number=number, index=index)

    def transactions(self, block_hash: Hash32) -> tuple[bytes, ...]:
        """The transactions of a block that is there."""
        return self._list(b"t", block_hash)

    def canonical(self, number: int) -> Hash32 | None:
        return self._store.get(_canonical(number)) or None

    def save(self, block: ExecutedBlock) -> None:
        self._store.write(_entries(block))
        self._remember(block.hash, block.header)

    def ancestor(self, block_hash: Hash32, number: int) -> Hash32:
        """The ancestor of a block at `number`, which is not above it."""
        header = self._known_header(block_hash)
        while header.number > number:
            if self.canonical(header.number) == block_hash:
                found = self.canonical(number)
                if found is not None:
                    return found
            block_hash = header.parent_hash
            header = self._known_header(block_hash)
        return block_hash

    def _known_header(self, block_hash: Hash32) -> Header:
        header = self.header(block_hash)
        if header is None:
            raise CriticalError(f"engine store: block 0x{block_hash.hex()} is missing")
        return header

    def _list(self, letter: bytes, block_hash: Hash32) -> tuple[bytes, ...]:
        raw = self._store.get(letter + block_hash)
        if raw is None:
            raise CriticalError(f"engine store: the content of block 0x{block_hash.hex()} is missing")
        return tuple([item for item in decode_list(raw) if isinstance(item, bytes)])

    def _read_code(self, code_hash: Hash32) -> bytes:
        code = self._store.get(b"c" + code_hash)
        if code is None:
            raise CriticalError(f"engine store: code 0x{code_hash.hex()} is missing")
        return code

    # --- states

    def trie_of(self, rules: Rules) -> StateTrie:
        """The kind of trie that these rules name."""
        return self.zk if rules.state is StateCommitment.ZK_TRIE else self.merkle_patricia

    def expect_states(self, config: RollupConfig) -> None:
        """Raises `ConfigError` where the state of a head, or of a block beside the change from one kind of trie to
        another, is in another kind than the rules of its time name.
        """
        schedule, heads = config.schedule, self.heads()
        for block_hash in {heads.unsafe, heads.safe, heads.finalized, *self._beside_change(config)}:
            header = self._known_header(block_hash)
            try:
                self.state_after(header, schedule).account(ZERO_ADDRESS)
            except DecodeError as error:
                kind = schedule.at(header.timestamp).state.value
                raise ConfigError(
                    f"the engine's data has the state of block {header.number} in another kind of trie than {kind!r}, "
                    f"which the chain's rules name: was the time of an upgrade changed? ({error})"
                ) from error

    def _beside_change(self, config: RollupConfig) -> list[Hash32]:
        """The last canonical block with the genesis' kind of state, and the first with another."""
        genesis, schedule = config.genesis, config.schedule
        times = range(genesis.l2_time, self._known_header(self.heads().unsafe).timestamp + 1, config.block_time)
        kind = schedule.at(genesis.l2_time).state
        change = bisect.bisect_left(times, True, key=lambda time: schedule.at(Timestamp(time)).state is not kind)
        if change == len(times):
            return []
        found = [self.canonical(genesis.l2.number + place) for place in (change - 1, change)]
        return [block_hash for block_hash in found if block_hash is not None]

    def state_after(self, header: Header, schedule: Schedule) -> WorldState:
        """The state that a stored block left."""
        return WorldState(self.trie_of(schedule.at(header.timestamp)), header.state_root, self.code)

    def state_before(self, rules: Rules, parent: Header, schedule: Schedule) -> WorldState:
        """The state that a block with these rules begins with: its parent's, in the block's own kind of trie.

        Raises `CriticalError` where it would have to be migrated first.
        """
        if schedule.at(parent.timestamp).state is rules.state:
            return self.state_after(parent, schedule)
        progress = self.migration(parent.state_root)
        if progress is None or not progress.complete:
            raise CriticalError(f"engine store: the state of block {parent.number} has not been migrated")
        return WorldState(self.trie_of(rules), progress.root, self.code)

    def migration(self, zk_root: Hash32) -> Progress | None:
        raw = self._store.get(b"m" + zk_root)
        return None if raw is None else Progress.decode(raw)

    def save_migration(self, zk_root: Hash32, progress: Progress, nodes: Mapping[Hash32, bytes]) -> None:
        entries = {b"n" + node_hash: node for node_hash, node in nodes.items()}
        self._store.write({**entries, b"m" + zk_root: progress.encode()})

    # --- heads

    def heads(self) -> ForkchoiceState:
        raw = self._store.get(_HEADS)
        if raw is None:
            raise CriticalError("engine store: it has no heads")
        return ForkchoiceState(unsafe=raw[:32], safe=raw[32:64], finalized=raw[64:])

    def set_heads(self, heads: ForkchoiceState) -> None:
        """Write the heads, and make the chain of the unsafe head the canonical one, with its transactions' places."""
        entries: dict[bytes, bytes] = {_HEADS: _encode_heads(heads)}
        old = self._known_header(self.heads().unsafe)
        header = self._known_header(heads.unsafe)
        for number in range(header.number + 1, old.number + 1):
            entries[_canonical(number)] = b""
        block_hash = heads.unsafe
        while self.canonical(header.number) != block_hash:
            entries[_canonical(header.number)] = block_hash
            entries |= self._places(block_hash)
            block_hash = header.parent_hash
            header = self._known_header(block_hash)
        self._store.write(entries)


class _TrieNodes:
    """The store as tries see it."""

    def __init__(self, store: Store) -> None:
        self._get = store.get

    def get(self, key: bytes) -> bytes | None:
        return self._get(b"n" + key)


def _entries(block: ExecutedBlock) -> dict[bytes, bytes]:
    entries = {b"n" + node_hash: node for node_hash, node in block.nodes.items()}
    entries |= {b"c" + code_hash: code for code_hash, code in block.codes.items()}
    entries[b"h" + block.hash] = block.header.encode()
    entries[b"t" + block.hash] = encode_list([encode_bytes(raw) for raw in block.transactions])
    entries[b"r" + block.hash] = encode_list([encode_bytes(raw) for raw in block.receipts])
    if block.stored_receipts != block.receipts:
        entries[b"R" + block.hash] = encode_list([encode_bytes(raw) for raw in block.stored_receipts])
    return entries


def _canonical(number: int) -> bytes:
    return b"#" + number.to_bytes(8, "big")


def _encode_heads(heads: ForkchoiceState) -> bytes:
    return heads.unsafe + heads.safe + heads.finalized
