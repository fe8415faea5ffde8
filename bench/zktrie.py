"""Kroma's ZK trie: Poseidon hashes a second beside a Go implementation, and what a block's state root costs.

    python -m bench.zktrie [--hashes N] [--accounts N] [--passes N] [--without-go] [--json]

Where Go is installed, go-iden3-crypto (bench/opnode/poseidon), whose parameters Kroma took over, computes the same
chain of hashes in turns with ours, and Kroma's own trie with these hashes (bench/opnode/zktrie) makes the same changes
and comes to the same roots. All are CPU time.

The block of the trie's rows has 100 transfers between accounts of a trie in memory: 200 accounts change, three fee
vaults, and eight slots of the L1 attributes contract. The blocks of the engine's rows have as many signed transfers,
executed by the embedded engine on a Kroma chain with ZK-trie state, from raw bytes to stored blocks. Blocks of a
recorded chain are traced for a prover. At last the trie's accounts are migrated to a Merkle-Patricia trie.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import attrs
import orjson
import trio
from kroma_engine_pyevm.chain import ChainStore
from kroma_engine_pyevm.engine import PyEvmEngine
from kroma_engine_pyevm.migration import migrate
from kroma_engine_pyevm.store import MemoryStore

from bench.engine_transfers import chain_with, engine_seconds, workload
from bench.go import GoMissing, Turns, turns
from bench.rows import Row, show
from kroma_core.api import Valid
from kroma_core.l2 import ForkchoiceState
from kroma_core.node.proving import trace_for_prover
from kroma_core.recording import open_recording
from kroma_core.types import Address, Hash32
from kroma_core.zktrie.accounts import Account, account_leaf, storage_leaf
from kroma_core.zktrie.hashing import key_of
from kroma_core.zktrie.nodes import EMPTY_ROOT, Leaf
from kroma_core.zktrie.poseidon import fastest_pair_hash
from kroma_core.zktrie.poseidon_pair import PairHash, pair_hash
from kroma_core.zktrie.trie import NodeCache, update

VECTOR = Path(__file__).parents[1] / "tests/vectors/data/kroma-chains/ecotone-zk.json.xz"
HASHES = 3000
ACCOUNTS = 10_000
PASSES = 7
TRANSFERS = 100
BLOCK_TIME = 2.0
"""Seconds within which the root of a block is wanted."""
TRACED_BLOCKS = 12
SLOTS = 8
"""Of the one contract."""
CONTRACT = bytes.fromhex("4200000000000000000000000000000000000002")


@attrs.define
class State:
    """Accounts with a nonce and a balance, one contract with eight slots, and their trie."""

    accounts: int
    stored: dict[Hash32, bytes] = attrs.field(factory=dict)
    root: Hash32 = EMPTY_ROOT
    storage: Hash32 = EMPTY_ROOT
    _nodes: NodeCache = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._nodes = NodeCache(self.stored, capacity=1_000_000)
        self.write(range(self.accounts), 1)

    def write(self, numbers: Sequence[int], block: int) -> int:
        """Change these accounts and the contract, as block `block` does; how many leaves that were."""
        slots = [storage_leaf(slot.to_bytes(32, "big"), block * SLOTS + slot) for slot in range(SLOTS)]
        self.storage = update(self._nodes, self.storage, _by_key(slots), self.stored)
        leaves = [account_leaf(_address(at), Account(nonce=block, balance=10**18 + block)) for at in numbers]
        leaves.append(account_leaf(CONTRACT, Account(storage_root=self.storage)))
        self.root = update(self._nodes, self.root, _by_key(leaves), self.stored)
        return len(leaves) + len(slots)


def _by_key(leaves: Sequence[Leaf | None]) -> dict[int, Leaf | None]:
    return {leaf.key: leaf for leaf in leaves if leaf is not None}


def _address(number: int) -> Address:
    return number.to_bytes(20, "big")


def measure(hashes: int, accounts: int, passes: int, *, with_go: bool = True) -> list[Row]:
    """Medians of `passes` passes."""
    return [
        *_hash_rows(hashes, passes, with_go=with_go),
        *_trie_rows(accounts, passes, with_go=with_go),
        *_engine_rows(passes),
        _trace_row(),
        _migration_row(accounts),
    ]


def _hash_rows(hashes: int, passes: int, *, with_go: bool) -> list[Row]:
    ours: list[float] = []
    plain: list[float] = []
    theirs: list[float] = []
    why_not = "not asked for"
    fast, slow = fastest_pair_hash(), pair_hash(int)
    with ExitStack() as opened:
        go: Turns | None = None
        if with_go:
            try:
                go = opened.enter_context(turns("poseidon", [str(hashes)]))
            except GoMissing as error:
                why_not = str(error)
        for _ in range(passes):
            last, seconds = _chain(fast, hashes)
            ours.append(hashes / seconds)
            plain.append(hashes / _chain(slow, hashes)[1])
            if go is not None:
                report = go.take()
                if report["last"] != str(last):
                    raise SystemExit(f"go-iden3-crypto gets another hash: {report['last']}, ours is {last}")
                theirs.append(hashes / report["cpu_seconds"])
    own, other = statistics.median(ours), statistics.median(theirs) if theirs else None
    return [
        Row(
            what="Poseidon of pairs, hashes/s (other side: go-iden3-crypto)",
            ours=f"{own:.0f}",
            other=why_not if other is None else f"{other:.0f}",
            ratio=None if other is None else own / other,
        ),
        Row(what="the same with Python's own numbers, hashes/s", ours=f"{statistics.median(plain):.0f}"),
    ]


def _chain(hashed: PairHash, count: int) -> tuple[int, float]:
    """Each hash is of the one before and its number; the last, and the seconds of CPU."""
    start, last = time.process_time(), 0
    for number in range(count):
        last = hashed(last, number)
    return last, time.process_time() - start


def _trie_rows(accounts: int, passes: int, *, with_go: bool) -> list[Row]:
    state = State(accounts)
    count = min(2 * TRANSFERS + 3, accounts)
    blocks = [(range(at % 7, accounts, max(1, accounts // count))[:count], at + 2) for at in range(passes)]
    lone = [(range(at, at + 1), 100 + at) for at in (number * 31 % accounts for number in range(10 * passes))]
    with ExitStack() as opened:
        theirs, why_not = None, "not asked for"
        if with_go:
            try:
                theirs = opened.enter_context(turns("zktrie", [str(accounts)]))
            except GoMissing as error:
                why_not = str(error)
        whole, single = _taken(state, blocks, theirs), _taken(state, lone, theirs)
    return [
        _leaves_row(f"trie of {accounts} accounts, leaves changed/s, a block's (other side: zktrie)", whole, why_not),
        _leaves_row("the same, one account and eight slots at a time", single, why_not),
        Row(
            what=f"state root of a block of {TRANSFERS} transfers, seconds",
            ours=f"{whole.ours:.3f}",
            other=why_not if whole.theirs is None else f"{whole.theirs:.3f}",
            ratio=None if whole.theirs is None else whole.theirs / whole.ours,
            least=BLOCK_TIME,
            met=whole.ours < BLOCK_TIME,
        ),
    ]  # fmt: skip


@attrs.frozen(kw_only=True)
class _Taken:
    """Medians: seconds of CPU for one pass, of ours and theirs, and the leaves that it changes."""

    ours: float
    theirs: float | None
    leaves: int


def _taken(state: State, writes: Sequence[tuple[range, int]], go: Turns | None) -> _Taken:
    """The same changes on both sides, in turns. Ends the program where the roots differ."""
    own: list[float] = []
    other: list[float] = []
    leaves = 0
    for numbers, block in writes:
        start = time.process_time()
        leaves = state.write(numbers, block)
        own.append(time.process_time() - start)
        if go is not None:
            report = go.take(json.dumps({"accounts": list(numbers), "block": block}))
            if report["root"] != state.root.hex():
                raise SystemExit(f"zktrie gets another root: {report['root']}, ours is {state.root.hex()}")
            other.append(report["cpu_seconds"])
    return _Taken(ours=statistics.median(own), theirs=statistics.median(other) if other else None, leaves=leaves)


def _leaves_row(what: str, taken: _Taken, why_not: str) -> Row:
    theirs = taken.theirs
    return Row(
        what=what,
        ours=f"{taken.leaves / taken.ours:.0f}",
        other=why_not if theirs is None else f"{taken.leaves / theirs:.0f}",
        ratio=None if theirs is None else theirs / taken.ours,
    )


def _engine_rows(passes: int) -> list[Row]:
    chain, *_ = chain_with((), VECTOR)
    work = workload(chain.rollup.l2_chain_id, passes * TRANSFERS, TRANSFERS)
    seconds = trio.run(engine_seconds, work, MemoryStore(), VECTOR) / len(work.blocks)
    return [
        Row(
            what=f"blocks of {TRANSFERS} transfers through the embedded engine in the ZK era, a second",
            ours=f"{1 / seconds:.1f}",
        ),
        Row(
            what="seconds for one of them, its root included",
            ours=f"{seconds:.3f}",
            least=BLOCK_TIME,
            met=seconds < BLOCK_TIME,
        ),
    ]


def _trace_row() -> Row:
    """Of the first blocks of the recorded chain, from the question to the text that a prover reads."""
    chain, *_ = chain_with((), VECTOR)
    with open_recording(VECTOR) as recording:
        assert recording.expected is not None
        blocks = [block.payload for block, _ in zip(recording.expected.blocks(), range(TRACED_BLOCKS), strict=False)]

    async def traced() -> float:
        engine = PyEvmEngine(chain, MemoryStore())
        for payload in blocks:
            assert await engine.execute(payload) == Valid()
        last, genesis = blocks[-1].hash, chain.rollup.genesis.l2.hash
        await engine.set_heads(ForkchoiceState(unsafe=last, safe=genesis, finalized=genesis))
        steps = 0
        start = time.process_time()
        for payload in blocks:
            trace = await trace_for_prover(chain, engine, engine, payload.number)
            assert orjson.dumps(trace)
            steps += sum(len(result["structLogs"]) for result in trace["executionResults"])
        return steps / (time.process_time() - start)

    return Row(what="instructions in block traces for a prover, with proofs, a second", ours=f"{trio.run(traced):.0f}")


def _migration_row(accounts: int) -> Row:
    state = State(accounts)
    kept = MemoryStore()
    kept.write({b"n" + node_hash: node for node_hash, node in state.stored.items()})
    store = ChainStore(kept)
    key_of.cache_clear()
    start = time.process_time()
    trio.run(migrate, store.zk, store.merkle_patricia, state.root, store)
    rate = (accounts + 1 + SLOTS) / (time.process_time() - start)
    return Row(what="accounts and slots migrated to Merkle-Patricia tries, a second", ours=f"{rate:.0f}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.zktrie", description="Poseidon and the ZK trie.")
    parser.add_argument("--hashes", type=int, default=HASHES, help="hashes a pass")
    parser.add_argument("--accounts", type=int, default=ACCOUNTS, help="accounts in the trie")
    parser.add_argument("--passes", type=int, default=PASSES)
    parser.add_argument("--without-go", action="store_true", help="leave the other side out")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = measure(arguments.hashes, arguments.accounts, arguments.passes, with_go=not arguments.without_go)
    show(rows, as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
