"""L1 blocks from a JSON-RPC server on loopback: verified, and derived from, a second.

    python -m bench.l1_rpc [--blocks N] [--chain N] [--json]

Two L1s, each behind a server in a process of its own. One has blocks like those of a busy public chain (200
transactions, 400 logs), whose header, transactions and receipts the source `rpc` fetches and verifies. The other is a
made-up recorded chain that `kroma serve` shows: the node's driver derives it to its end, with an engine that executes
nothing. Settings of the source are its defaults.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import trio
from kroma_derive_calldata.call_data import CallData
from kroma_l1_rpc.offers import RpcSettings, open_rpc

from bench.rows import Row, show
from bench.sealing_engine import SealingEngine
from bench.synthetic_chain import write_recording
from kroma_core.api import L1Source, PluginContext
from kroma_core.chain.config import ChainConfig
from kroma_core.codec.receipts import Log
from kroma_core.derive.steps import Derived
from kroma_core.forks import Fork
from kroma_core.l1 import L1Block, L1Receipts
from kroma_core.node.driver import Driver
from kroma_core.node.engine_controller import Confirmed
from kroma_core.testing.rpc_json import block_json, receipt_json, text
from kroma_core.testing.scripted_blocks import ScriptedTransaction, scripted_block
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on
from kroma_core.testing.wallet import Wallet
from kroma_core.types import L1Number

BLOCKS = 400
CHAIN = 6_000
"""L2 blocks of the made-up chain: a sixth as many L1 blocks."""
TRANSACTIONS, LOGS = 200, 2
LEAST = 80.0
"""Busy L1 blocks a second that one core verifies."""
KROMA = "import sys; from kroma_core.cli import main; sys.exit(main())"
_PATIENCE = 120.0


def busy_chain() -> ChainConfig:
    """The rollup on the busy L1."""
    return rollup_on(ScriptedL1(), forks=all_forks_until(Fork.ECOTONE))


def busy_blocks(count: int, transactions: int = TRANSACTIONS) -> Iterator[tuple[L1Block, L1Receipts]]:
    """Blocks with the same transactions each: transfers of tokens, and one deposit."""
    l1 = ScriptedL1()
    alice, token = Wallet.named("alice"), b"\x70" * 20
    topics = tuple(bytes((number,)) * 32 for number in range(3))
    logs = (Log(token, topics, bytes(32)),) * LOGS
    made = [
        ScriptedTransaction(
            raw=alice.dynamic_fee(chain_id=l1.chain_id, nonce=nonce, to=token, data=bytes(68)), logs=logs
        )
        for nonce in range(transactions - 1)
    ]
    made.append(l1.deposit(sender=alice.address, to=token))
    block = l1.genesis
    yield block, ()
    for number in range(1, count + 1):
        salt = number.to_bytes(8, "big")
        time_ = block.header.timestamp + 12
        block, receipts = scripted_block(block, made, number=number, time=time_, salt=salt, fork="prague")
        yield block, receipts


class Prepared:
    """A server whose answers were made before it is asked, so that it costs the measurement little."""

    def __init__(self, blocks: Iterator[tuple[L1Block, L1Receipts]], chain_id: int) -> None:
        self._chain_id = orjson.dumps(hex(chain_id))
        self._blocks: dict[tuple[str, bool], bytes] = {}
        self._receipts: dict[str, bytes] = {}
        for block, receipts in blocks:
            number, name = block.header.number, text(block.hash)
            for full in (True, False):
                shown = orjson.dumps(block_json(block.header, block.hash, block.transactions, full=full))
                for key in (hex(number), name, "latest", "safe", "finalized"):
                    self._blocks[key, full] = shown
            self._receipts[name] = orjson.dumps(
                [
                    receipt_json(receipt, raw, block.hash, number, place)
                    for place, (receipt, raw) in enumerate(zip(receipts, block.transactions, strict=True))
                ]
            )

    def answer(self, asked: Any) -> bytes:
        if isinstance(asked, list):
            return b"[" + b",".join(self.answer(call) for call in asked) + b"]"
        return b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (asked["id"], self._result(asked["method"], asked["params"]))

    def _result(self, method: str, params: list[Any]) -> bytes:
        match method:
            case "eth_chainId":
                return self._chain_id
            case "eth_getBlockReceipts":
                return self._receipts[params[0]]
            case _:
                return self._blocks.get((params[0], params[1]), b"null")

    async def connection(self, stream: trio.SocketStream) -> None:
        """HTTP as the client of this project speaks it."""
        received = b""
        with contextlib.suppress(trio.BrokenResourceError):
            while True:
                while b"\r\n\r\n" not in received:
                    more = await stream.receive_some()
                    if not more:
                        return
                    received += more
                head, _, received = received.partition(b"\r\n\r\n")
                [size] = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                while len(received) < size:
                    received += await stream.receive_some()
                body, received = received[:size], received[size:]
                answer = self.answer(orjson.loads(body))
                await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer)


async def serve(blocks: int) -> None:
    """Show the busy L1 until killed; says where on standard output."""
    prepared = Prepared(busy_blocks(blocks), ScriptedL1().chain_id)
    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, prepared.connection, 0, host="127.0.0.1"))
        print(f"http://127.0.0.1:{listener.socket.getsockname()[1]}", flush=True)


@contextlib.contextmanager
def server(*command: str) -> Iterator[str]:
    """A process of Python that tells a URL in the first line it prints; the URL."""
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            urls = [word.rstrip(",;") for word in line.split() if word.startswith("http://")]
            if not urls:
                raise SystemExit(f"{' '.join(command)} did not start: {line.strip()!r}")
            yield urls[0]
        finally:
            process.terminate()


@contextlib.asynccontextmanager
async def source(url: str, chain: ChainConfig, folder: Path) -> AsyncIterator[L1Source]:
    context = PluginContext(chain=chain, data_dir=folder, clock=time.time, emit=lambda event: None)
    async with open_rpc(RpcSettings(urls=(url,)), context) as opened:
        yield opened


async def verify(url: str, blocks: int) -> Mapping[str, float]:
    """Read block after block with its receipts; blocks a second by the clock, and by the time of the processor."""
    with tempfile.TemporaryDirectory(prefix="kroma-bench-") as folder:
        async with source(url, busy_chain(), Path(folder)) as l1:
            began, worked = time.perf_counter(), time.process_time()
            for number in range(1, blocks + 1):
                ref = await l1.ref(L1Number(number))
                block = await l1.block(ref.hash)
                receipts = await l1.receipts(ref.hash)
                assert len(receipts) == len(block.transactions)
            took, busy = time.perf_counter() - began, time.process_time() - worked
    return {"clock": blocks / took, "processor": blocks / busy}


async def derive(url: str, chain: ChainConfig, last: int, folder: Path) -> float:
    """Derive a chain up to an L2 block; L1 blocks a second."""
    async with source(url, chain, folder) as l1:
        with trio.fail_after(_PATIENCE):
            reached = 0

            def on_derived(derived: Derived, confirmed: Confirmed) -> None:
                nonlocal reached
                reached = derived.derived_from.number
                if confirmed.ref.number >= last:
                    raise _Done

            driver = Driver(
                config=chain,
                l1=l1,
                data=[CallData()],
                engine=SealingEngine(chain),
                emit=lambda event: None,
                on_derived=on_derived,
            )
            began = time.perf_counter()
            with contextlib.suppress(_Done):
                await driver.follow()
            return reached / (time.perf_counter() - began)


class _Done(Exception):
    """The chain has been derived."""


def measure(blocks: int, chain: int) -> list[Row]:
    """Both measurements."""
    with server("-m", "bench.l1_rpc", "--serve", "--blocks", str(blocks)) as url:
        found = trio.run(verify, url, blocks)
    rows = [
        Row(
            what=f"L1 blocks of {TRANSACTIONS} transactions from an RPC, verified with receipts, a second",
            ours=f"{found['clock']:.0f}",
            other="no other side",
            least=LEAST,
            met=found["clock"] >= LEAST,
        ),
        Row(what="  a second of processor time", ours=f"{found['processor']:.0f}"),
    ]
    with tempfile.TemporaryDirectory(prefix="kroma-bench-") as name:
        folder = Path(name)
        path = folder / "made-up.recording"
        config = write_recording(path, chain, blobs=False)
        with server("-c", KROMA, "serve", str(path), "--port", "0", "--beacon-port", "0") as url:
            speed = trio.run(derive, url, config, chain, folder)
    rows.append(Row(what="small L1 blocks from `kroma serve`, verified and derived, a second", ours=f"{speed:.0f}"))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.l1_rpc", description="L1 blocks from a loopback RPC.")
    parser.add_argument("--blocks", type=int, default=BLOCKS, help="busy L1 blocks (%(default)s)")
    parser.add_argument("--chain", type=int, default=CHAIN, help="L2 blocks of the made-up chain (%(default)s)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    arguments = parser.parse_args()
    if arguments.serve:
        with contextlib.suppress(KeyboardInterrupt):
            trio.run(serve, arguments.blocks)
        return 0
    show(measure(arguments.blocks, arguments.chain), as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
