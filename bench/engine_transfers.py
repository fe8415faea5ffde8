"""Plain transfers of ether through the embedded engine and through py-evm as it comes, in transactions a second.

    python -m bench.engine_transfers [--transfers N] [--json]

Both sides get the same signed bytes: decoding, sender recovery, execution, receipts, roots and storing the block all
count. py-evm runs its Prague VM on an in-memory database with the fastest hash back-end; the engine executes L2 blocks
with L1 fee, operator fee and DA footprint, once in memory and once on disk.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

from coincurve import PrivateKey
from eth.chains.base import MiningChain
from eth.consensus.noproof import NoProofConsensus
from eth.db.atomic import AtomicDB
from eth.vm.forks.prague import PragueVM
from kroma_engine_pyevm.engine import PyEvmEngine
from kroma_engine_pyevm.store import MemoryStore, Store, open_rocks

from bench.rows import Row, show
from kroma_core.api import Building, Sealed, Valid
from kroma_core.chain.config import ChainConfig, GenesisAccount
from kroma_core.chain.genesis_json import genesis_header, genesis_state
from kroma_core.chain.load import chain_from_json
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rlp import Encodable, encode
from kroma_core.l2 import PayloadAttributes
from kroma_core.recording import open_recording
from kroma_core.types import BlockId, Timestamp

VECTOR = Path(__file__).parents[1] / "tests/vectors/data/op-chains/plain-jovian.json.xz"
TRANSFERS = 2000
PASSES = 5
PER_BLOCK = 200
SENDERS = 50
LEAST = 1.5
_BALANCE = 10**21
_FEE_CAP = 10**11
_GAS = 21_000


@attrs.frozen(kw_only=True)
class Workload:
    """Blocks of signed transfers, and the accounts that send them."""

    chain_id: int
    senders: tuple[bytes, ...]
    blocks: tuple[tuple[bytes, ...], ...]


def workload(chain_id: int, transfers: int, per_block: int = PER_BLOCK) -> Workload:
    """Each sender in turn pays one of as many receivers, half of them new."""
    keys = [PrivateKey(keccak256(b"sender" + index.to_bytes(4, "big"))) for index in range(SENDERS)]
    senders = [_address(key) for key in keys]
    raws = []
    for index in range(transfers):
        nonce, sender = divmod(index, SENDERS)
        to = keccak256(index.to_bytes(8, "big"))[12:] if index % 2 else senders[(sender + 1) % SENDERS]
        raws.append(_signed(keys[sender], [chain_id, nonce, 1, _FEE_CAP, _GAS, to, 10**15, b"", []]))
    blocks = [tuple(raws[start : start + per_block]) for start in range(0, transfers, per_block)]
    return Workload(chain_id=chain_id, senders=tuple(senders), blocks=tuple(blocks))


def _address(key: PrivateKey) -> bytes:
    return keccak256(key.public_key.format(compressed=False)[1:])[12:]


def _signed(key: PrivateKey, fields: Sequence[Encodable]) -> bytes:
    unsigned = list(fields)
    signature = key.sign_recoverable(keccak256(b"\x02" + encode(unsigned)), hasher=None)
    r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:64]))
    return b"\x02" + encode([*unsigned, signature[64], r, s])


# --- plain py-evm


def py_evm_seconds(work: Workload) -> float:
    vm_class = PragueVM.configure(consensus_class=NoProofConsensus)
    chain_class: Any = MiningChain.configure(vm_configuration=((0, vm_class),), chain_id=work.chain_id)
    genesis = {
        "difficulty": 0,
        "gas_limit": 30_000_000,
        "timestamp": 1,
        "base_fee_per_gas": 10**9,
        "coinbase": bytes(20),
    }
    accounts = {sender: {"balance": _BALANCE, "nonce": 0, "code": b"", "storage": {}} for sender in work.senders}
    chain = chain_class.from_genesis(AtomicDB(), genesis, accounts)
    started = time.perf_counter()
    for block in work.blocks:
        builder = chain.get_vm().get_transaction_builder()
        chain.mine_all([builder.decode(raw) for raw in block])
    seconds = time.perf_counter() - started
    done = chain.get_canonical_block_by_number(len(work.blocks)).header.gas_used
    assert done == _GAS * len(work.blocks[-1]), f"py-evm used {done} gas in its last block"
    return seconds


# --- the embedded engine


def chain_with(accounts: Sequence[bytes], vector: Path = VECTOR) -> tuple[ChainConfig, bytes, PayloadAttributes]:
    """The vector's chain with these accounts in its genesis; an L1-attributes deposit, and attributes to copy."""
    with open_recording(vector) as recording:
        assert recording.l2_genesis is not None
        assert recording.expected is not None
        chain = chain_from_json(
            recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=vector.name
        )
        first = recording.expected.block(1)
    assert chain.genesis is not None
    assert first is not None
    alloc = {**chain.genesis.alloc, **{account: GenesisAccount(balance=_BALANCE) for account in accounts}}
    genesis = attrs.evolve(chain.genesis, alloc=alloc)
    rules = chain.rollup.schedule.at(genesis.timestamp)
    header = genesis_header(genesis, genesis_state(genesis, rules), rules)
    rollup_genesis = attrs.evolve(chain.rollup.genesis, l2=BlockId(header.hash, 0))
    rollup = attrs.evolve(chain.rollup, genesis=rollup_genesis)
    return attrs.evolve(chain, rollup=rollup, genesis=genesis), first.attributes.transactions[0], first.attributes


async def engine_seconds(work: Workload, store: Store, vector: Path = VECTOR) -> float:
    """Seconds to build, seal, execute and adopt the blocks on the vector's chain."""
    chain, l1_info, example = chain_with(work.senders, vector)
    engine = PyEvmEngine(chain, store)
    heads = await engine.heads()
    assert chain.genesis is not None
    seconds = 0.0
    for number, block in enumerate(work.blocks, start=1):
        attributes = attrs.evolve(
            example,
            timestamp=Timestamp(chain.genesis.timestamp + number * chain.rollup.block_time),
            transactions=(l1_info, *block),
        )
        started = time.perf_counter()
        building = await engine.build(heads.unsafe, attributes, heads)
        assert isinstance(building, Building), building
        sealed = await engine.seal(building)
        assert isinstance(sealed, Sealed)
        executed = await engine.execute(sealed.payload)
        assert isinstance(executed, Valid)
        heads = attrs.evolve(heads, unsafe=sealed.payload.hash)
        await engine.set_heads(heads)
        seconds += time.perf_counter() - started
        receipts = await engine.receipts(sealed.payload.hash)
        assert len(receipts) == len(block) + 1
    return seconds


@contextlib.contextmanager
def on_disk() -> Iterator[Store]:
    with tempfile.TemporaryDirectory(prefix="kroma-bench-") as folder, open_rocks(Path(folder) / "chain") as store:
        yield store


@contextlib.contextmanager
def in_memory() -> Iterator[Store]:
    yield MemoryStore()


def measure(transfers: int, passes: int) -> list[Row]:
    """Medians of `passes` passes; the sides take turns."""
    chain, *_ = chain_with(())
    work = workload(chain.rollup.l2_chain_id, transfers)
    plain: list[float] = []
    ours: dict[str, list[float]] = {"in memory": [], "on disk": []}
    stores: dict[str, Callable[[], contextlib.AbstractContextManager[Store]]] = {
        "in memory": in_memory,
        "on disk": on_disk,
    }
    for _ in range(passes):
        plain.append(py_evm_seconds(work))
        for name, opened in stores.items():
            with opened() as store:
                ours[name].append(trio.run(engine_seconds, work, store))
    theirs = statistics.median(plain)
    rows = []
    for name, seconds in ours.items():
        ratio = theirs / statistics.median(seconds)
        rows.append(
            Row(
                what=f"transfers through the embedded engine, {name}, transactions/s",
                ours=f"{transfers / statistics.median(seconds):.0f}",
                other=f"py-evm {transfers / theirs:.0f}",
                ratio=ratio,
                least=LEAST,
                met=ratio >= LEAST,
            )
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.engine_transfers", description="Transfers, side by side.")
    parser.add_argument("--transfers", type=int, default=TRANSFERS)
    parser.add_argument("--passes", type=int, default=PASSES)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    show(measure(arguments.transfers, arguments.passes), as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
