"""`optimism_syncStatus` over loopback: requests a second and the time of an answer, beside a real op-node.

    python -m bench.rpc [--seconds S] [--without-peers]

Both nodes have followed the same recorded chain to its end and are otherwise idle. The client is the same: raw sockets,
several connections with one request each on its way, so that its own work counts little.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs
import trio

from bench.raw_client import LONGEST, answered
from bench.raw_client import request as request_for
from bench.rows import Row, show
from tests.peers.node import kroma
from tests.peers.programs import PROGRAMS
from tests.peers.rollup import CHAINS
from tests.peers.rpc import until
from tests.peers.test_serve import following

CHAIN = "plain-bedrock"
SECONDS = 4.0
CONNECTIONS = 8
LEAST = 1000.0
"""Requests a second that are wanted."""
SLOWEST = 0.050
"""Seconds within which 99 of 100 answers are wanted, one after the other."""


@attrs.frozen(kw_only=True)
class Load:
    """What a client saw. Seconds; `p50` and `p99` with one request at a time."""

    rate: float
    p50: float
    p99: float


def load(url: str, seconds: float) -> Load:
    """Ask for `seconds` on several connections, then as long on one."""
    host, port = url.removeprefix("http://").split(":")
    address = (host, int(port))
    times = _one_by_one(address, seconds)
    return Load(
        rate=_together(address, seconds),
        p50=statistics.median(times),
        p99=statistics.quantiles(times, n=100)[98],
    )


def _one_by_one(address: tuple[str, int], seconds: float) -> list[float]:
    request, times = request_for(address), []
    with socket.create_connection(address) as client:
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            client.sendall(request)
            received = b""
            while not answered(received):
                received += client.recv(LONGEST)
            times.append(time.perf_counter() - began)
    return times


def _together(address: tuple[str, int], seconds: float) -> float:
    request, count = request_for(address), 0
    clients = [socket.create_connection(address) for _ in range(CONNECTIONS)]
    received = dict.fromkeys(clients, b"")
    began = time.perf_counter()
    for client in clients:
        client.sendall(request)
    while time.perf_counter() - began < seconds:
        for client in select.select(clients, [], [])[0]:
            received[client] += client.recv(LONGEST)
            if answered(received[client]):
                count += 1
                received[client] = b""
                client.sendall(request)
    rate = count / (time.perf_counter() - began)
    for client in clients:
        client.close()
    return rate


def profile() -> dict[str, Any]:
    """A node that stays after it has followed the recording."""
    path = str(CHAINS / f"{CHAIN}.json.xz")
    return {
        "chain": {"recording": path},
        "l1": {"kind": "cassette", "path": path, "follow": True},
        "data": [{"kind": "calldata"}],
        "engine": {"kind": "pyevm", "store": "memory"},
        "node": {"log_level": "error"},
    }


async def measure(folder: Path, seconds: float, *, with_peers: bool = True) -> list[Row]:
    """Ours, then op-node where it has been built."""
    async with kroma(folder / "ours", profile()) as node:
        await node.until_safe(1)
        await until(
            node.status,
            lambda status: bool(status["current_l1"] == status["head_l1"]),
            seconds=120,
            what="our node at the end of the recording",
        )
        ours = await trio.to_thread.run_sync(load, node.rpc.url, seconds)
    if not with_peers:
        return rows(ours, None, "not asked for")
    if not os.access(PROGRAMS / "op-node", os.X_OK):
        return rows(ours, None, "op-node is not built: make peers")
    async with following(folder, CHAIN) as (world, _, peer):
        await peer.until_safe(world["expected"]["safe_after"][-1]["safe_l2"]["number"])
        theirs = await trio.to_thread.run_sync(load, peer.url, seconds)
    return rows(ours, theirs, "")


def rows(ours: Load, theirs: Load | None, why_not: str) -> list[Row]:
    return [
        Row(
            what="optimism_syncStatus over loopback, requests/s",
            ours=f"{ours.rate:.0f}",
            other=why_not if theirs is None else f"op-node {theirs.rate:.0f}",
            ratio=None if theirs is None else ours.rate / theirs.rate,
            least=LEAST,
            met=ours.rate >= LEAST,
        ),
        Row(
            what="  one at a time: median and 99th percentile, ms",
            ours=f"{ours.p50 * 1000:.2f} {ours.p99 * 1000:.2f}",
            other="" if theirs is None else f"op-node {theirs.p50 * 1000:.2f} {theirs.p99 * 1000:.2f}",
            ratio=None if theirs is None else theirs.p99 / ours.p99,
            met=ours.p99 <= SLOWEST,
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.rpc", description="The node's RPC under load.")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--without-peers", action="store_true", help="do not run op-node beside it")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kroma-bench-") as folder:
        found = trio.run(lambda: measure(Path(folder), arguments.seconds, with_peers=not arguments.without_peers))
    show(found, as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
