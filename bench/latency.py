"""How long an answer of the node's RPC takes while it derives and executes one channel of 10 000 blocks.

    python -m bench.latency [--blocks N] [--json]

The chain is written as a recording first: L1 blocks without data, and at last one span batch with two transfers in each
L2 block. `kroma run` derives and executes it on the embedded engine, once with everything in one process, once with
engine and derivation in processes of their own; meanwhile one client asks `optimism_syncStatus`, a few milliseconds
after each answer.
"""

from __future__ import annotations

import argparse
import json
import lzma
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs
import trio

from bench.raw_client import LONGEST, answered, request
from bench.rows import Row, show
from kroma_core.chain.genesis_json import genesis_from_json, genesis_header, genesis_state
from kroma_core.chain.load import chain_from_json
from kroma_core.codec.keccak import keccak256
from kroma_core.derive.batches import SingularBatch
from kroma_core.derive.channel_out import encode_channel
from kroma_core.derive.decompress import Compression
from kroma_core.derive.frames import encode_frames
from kroma_core.derive.span_batch import SpanTerms
from kroma_core.derive.span_encoder import encode_span_batch, span_of
from kroma_core.recording import About, RecordingWriter, TimelineStep
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_recording import L1_CHAIN_CONFIG
from kroma_core.testing.wallet import Wallet
from kroma_core.types import L1Number, Timestamp
from tests.peers.node import Kroma, kroma
from tests.vectors.unit_files import OWN_VECTORS

LIKE = OWN_VECTORS / "op-chains" / "plain-jovian.json.xz"
BLOCKS = 10_000
TRANSFERS = 2
"""In each L2 block."""
SLOWEST = 0.050
"""Seconds within which 99 of 100 answers are wanted."""
PAUSE = 0.003
"""Seconds between an answer and the next question."""
FEWEST = 10
"""Answers; a short chain may be done sooner."""
_L1_TIME, _L2_TIME = 12, 2
_FRAME = 100_000
_LIMITS = {"seq_window_size": 100_000, "channel_timeout": 300, "max_sequencer_drift": 600}
_USER = Wallet.named("user")


@attrs.frozen(kw_only=True)
class Latency:
    """What the client saw, in seconds, and how long the node took for all blocks."""

    times: list[float] = attrs.field(repr=False)
    seconds: float

    @property
    def p50(self) -> float:
        return statistics.median(self.times)

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.times, n=100)[98]


def write_recording(path: Path, blocks: int) -> None:
    """Record an L1 whose last block has a channel with so many L2 blocks."""
    world = json.loads(lzma.decompress(LIKE.read_bytes()))
    genesis = {name: value for name, value in world["l2_genesis"].items() if value is not None}
    genesis["alloc"] = {**genesis["alloc"], _USER.address.hex(): {"balance": hex(10**24)}}
    start = int(genesis["timestamp"], 16)
    l1 = ScriptedL1(genesis_time=start, block_time=_L1_TIME)
    config = _rollup(world["rollup_config"], genesis, l1, start)
    l1_config = {"chainId": l1.chain_id, **L1_CHAIN_CONFIG}
    chain = chain_from_json(config, genesis, l1_config, source=path.name)
    l1.mine_empty(blocks * _L2_TIME // _L1_TIME + 1)
    span = span_of([_batch(number, l1, config, start) for number in range(1, blocks + 1)])
    encoded = encode_span_batch(span, SpanTerms.of(chain.rollup), first_of_epoch=False)
    channel = encode_channel([encoded], Compression.ZLIB, channel_id=keccak256(b"channel")[:16], max_frame_data=_FRAME)
    l1.mine([l1.batcher_tx(encode_frames([frame])) for frame in channel])
    with RecordingWriter(
        path,
        rollup_config=config,
        l1_chain_config=l1_config,
        l2_genesis=genesis,
        about=About(name=path.name, summary=f"one channel of {blocks} blocks"),
    ) as writer:
        for block_hash in l1.block_hashes:
            content = l1.content(block_hash)
            writer.add_block(content.header, content.transactions, content.receipts)
        writer.add_step(TimelineStep(unsafe=l1.tip.hash, safe=None, finalized=None))
        writer.finish()


def _rollup(like: dict[str, Any], genesis: dict[str, Any], l1: ScriptedL1, start: int) -> dict[str, Any]:
    """rollup.json of a chain like another one, on this L1 and with this L2 genesis."""
    found = genesis_from_json(genesis, source="genesis")
    old = chain_from_json(like, None, {"chainId": 900, **L1_CHAIN_CONFIG}, source="rollup")
    rules = old.rollup.schedule.at(start)
    header = genesis_header(found, genesis_state(found, rules), rules)
    system = {**like["genesis"]["system_config"], "batcherAddr": "0x" + l1.batcher.address.hex()}
    return {
        **like,
        **_LIMITS,
        "genesis": {
            "l1": {"hash": "0x" + l1.genesis.hash.hex(), "number": 0},
            "l2": {"hash": "0x" + header.hash.hex(), "number": 0},
            "l2_time": start,
            "system_config": system,
        },
        "l1_chain_id": l1.chain_id,
        "batch_inbox_address": "0x" + l1.inbox.hex(),
        "deposit_contract_address": "0x" + l1.portal.hex(),
        "l1_system_config_address": "0x" + l1.system_config.hex(),
    }


def _batch(number: int, l1: ScriptedL1, config: dict[str, Any], start: int) -> SingularBatch:
    epoch = number * _L2_TIME // _L1_TIME
    first = TRANSFERS * (number - 1)
    return SingularBatch(
        parent_hash=bytes.fromhex(config["genesis"]["l2"]["hash"][2:]),  # only the first one's is looked at
        epoch_number=L1Number(epoch),
        epoch_hash=l1.canonical_hash(epoch),
        timestamp=Timestamp(start + number * _L2_TIME),
        transactions=tuple(
            _USER.dynamic_fee(chain_id=config["l2_chain_id"], nonce=nonce, to=nonce.to_bytes(20, "big"), value=1)
            for nonce in range(first, first + TRANSFERS)
        ),
    )


def profile(path: Path, isolation: str) -> dict[str, Any]:
    """A node that stays after it has followed the recording."""
    return {
        "chain": {"recording": str(path)},
        "l1": {"kind": "cassette", "path": str(path), "follow": True},
        "data": [{"kind": "calldata"}],
        "engine": {"kind": "pyevm", "store": "memory"},
        "node": {"log_level": "error", "isolation": isolation},
    }


async def latency(folder: Path, path: Path, blocks: int, isolation: str) -> Latency:
    """Ask a node from its first answer on until it has all blocks."""
    async with kroma(folder, profile(path, isolation)) as node:
        return await trio.to_thread.run_sync(_asked, node, blocks)


def _asked(node: Kroma, blocks: int) -> Latency:
    host, port = node.rpc.url.removeprefix("http://").split(":")
    question, times = request((host, int(port))), []
    began = time.perf_counter()
    with socket.create_connection((host, int(port))) as client:
        while True:
            asked = time.perf_counter()
            client.sendall(question)
            received = b""
            while not answered(received):
                piece = client.recv(LONGEST)
                if not piece:
                    raise SystemExit(f"the node has hung up:\n{node.running.tail()}")
                received += piece
            times.append(time.perf_counter() - asked)
            status = json.loads(received.partition(b"\r\n\r\n")[2])["result"]
            if status["safe_l2"]["number"] >= blocks and len(times) >= FEWEST:
                return Latency(times=times, seconds=time.perf_counter() - began)
            time.sleep(PAUSE)


async def measure(folder: Path, blocks: int) -> list[Row]:
    """Both ways, one after the other."""
    path = folder / "channel.recording"
    await trio.to_thread.run_sync(write_recording, path, blocks)
    alone = await latency(folder / "none", path, blocks, "none")
    apart = await latency(folder / "process", path, blocks, "process")
    return [
        Row(
            what=f"99th percentile of optimism_syncStatus while a channel of {blocks} blocks is executed, ms",
            ours=f"{apart.p99 * 1000:.1f}",
            other=f"one process {alone.p99 * 1000:.1f}",
            ratio=alone.p99 / apart.p99,
            met=apart.p99 <= SLOWEST,
        ),
        Row(
            what="  median, and the slowest",
            ours=f"{apart.p50 * 1000:.1f} {max(apart.times) * 1000:.0f}",
            other=f"one process {alone.p50 * 1000:.1f} {max(alone.times) * 1000:.0f}",
            ratio=alone.p50 / apart.p50,
        ),
        Row(
            what="  the channel derived and executed meanwhile, L2 blocks/s",
            ours=f"{blocks / apart.seconds:.0f}",
            other=f"one process {blocks / alone.seconds:.0f}",
            ratio=alone.seconds / apart.seconds,
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description="Answers while the node is busy.")
    parser.add_argument("--blocks", type=int, default=BLOCKS)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kroma-bench-") as folder:
        found = trio.run(measure, Path(folder), arguments.blocks)
    show(found, as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
