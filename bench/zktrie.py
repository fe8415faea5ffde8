"""Kroma's ZK trie: Poseidon hashes a second beside a Go implementation, and what a block's state root costs.

    python -m bench.zktrie [--hashes N] [--accounts N] [--passes N] [--without-go] [--json]

Where Go is installed, go-iden3-crypto (bench/opnode/poseidon), whose parameters Kroma took over, computes the same
chain of hashes in turns with ours. Both are CPU time. No package of Kroma's trie itself is to be had for Go or Python.

The block of the trie's rows has 100 transfers between accounts of a trie in memory: 200 accounts change, three fee
vaults, and eight slots of the L1 attributes contract. The blocks of the engine's rows have as many signed transfers,
executed by the embedded engine on a Kroma chain with ZK-trie state, from raw bytes to stored blocks.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import attrs
import trio
from kroma_engine_pyevm.store import MemoryStore

from bench.engine_transfers import chain_with, engine_seconds, workload
from bench.go import GoMissing, Turns, turns
from bench.rows import Row, show
from kroma_core.types import Address, Hash32
from kroma_core.zktrie.accounts import Account, account_leaf, storage_leaf
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
        slots = [storage_leaf(slot.to_bytes(32, "big"), block * 8 + slot) for slot in range(8)]
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
    return [*_hash_rows(hashes, passes, with_go=with_go), *_trie_rows(accounts, passes), *_engine_rows(passes)]


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


def _trie_rows(accounts: int, passes: int) -> list[Row]:
    state = State(accounts)
    changed = 2 * TRANSFERS + 3
    count = min(changed, accounts)
    block = _timed(lambda at: state.write(range(at % 7, accounts, max(1, accounts // count))[:count], at + 2), passes)
    lone = _timed(lambda at: sum(state.write([at * 31 % accounts], 100 + at) for at in range(at, at + 10)), passes)
    return [
        Row(what=f"trie of {accounts} accounts: leaves changed a second, a block's at once", ours=f"{block.rate:.0f}"),
        Row(what="the same, one account and eight slots at a time", ours=f"{lone.rate:.0f}"),
        Row(
            what=f"state root of a block of {TRANSFERS} transfers, seconds",
            ours=f"{block.seconds:.3f}",
            least=BLOCK_TIME,
            met=block.seconds < BLOCK_TIME,
        ),
    ]


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


@attrs.frozen
class _Timing:
    seconds: float
    rate: float


def _timed(once: Callable[[int], int], passes: int) -> _Timing:
    seconds, leaves = [], 0
    for at in range(passes):
        start = time.process_time()
        leaves = once(at)
        seconds.append(time.process_time() - start)
    median = statistics.median(seconds)
    return _Timing(median, leaves / median)


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
