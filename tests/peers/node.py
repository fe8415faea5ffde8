"""Our node as its users start it: `kroma run PROFILE`, in a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

from tests.peers.l2 import EngineAt, OpGeth
from tests.peers.programs import Running, free_port, running
from tests.peers.rollup import Rollup
from tests.peers.rpc import Rpc, until

KROMA = Path(sys.executable).with_name("kroma")
PYEVM: dict[str, Any] = {"kind": "pyevm"}
"""The embedded engine."""

Tables = Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Kroma:
    """A node of ours that runs. `rpc` is what its `[rpc]` table serves."""

    rpc: Rpc
    running: Running
    folder: Path

    async def status(self) -> dict[str, Any]:
        """`optimism_syncStatus`."""
        status: dict[str, Any] = await self.rpc.call("optimism_syncStatus")
        return status

    async def until_safe(self, number: int, seconds: float = 120.0) -> dict[str, Any]:
        """The sync status, once the safe head has `number`."""

        async def ask() -> dict[str, Any]:
            self.running.check()
            return await self.status()

        return await until(
            ask,
            lambda status: bool(status["safe_l2"]["number"] >= number),
            seconds=seconds,
            what=f"our safe head at {number}",
        )


def engine_rpc(engine: OpGeth) -> dict[str, Any]:
    """The `[engine]` table of an external engine."""
    return {"kind": "rpc", "url": engine.engine_url, "jwt_secret": str(engine.jwt), "eth_url": engine.rpc.url}


def l1_rpc(url: str) -> dict[str, Any]:
    """The `[l1]` table of a live L1."""
    return {"kind": "rpc", "urls": [url], "poll_interval": 0.5, "labels_interval": 1.0}


def beacon(url: str) -> dict[str, Any]:
    """One of the `[[blobs]]` tables: a beacon node."""
    return {"kind": "beacon", "url": url}


def verifier(
    folder: Path,
    rollup: Rollup,
    *,
    l1: Tables,
    engine: Tables,
    blobs: Sequence[Tables] = (),
    node: Tables | None = None,
    **servers: Tables,
) -> dict[str, Any]:
    """The profile of a node that derives `rollup`, with its data in `folder`; calldata alone, without `blobs`."""
    files = rollup.write(folder)
    data = [{"kind": "calldata"}, *([{"kind": "blob"}] if blobs else [])]
    return {
        "chain": {name: str(files / f"{file}.json") for name, file in CHAIN_FILES.items()},
        "l1": l1,
        "blobs": list(blobs),
        "data": data,
        "engine": engine,
        "node": {"data_dir": str(folder / "data"), **(node or {})},
        **servers,
    }


CHAIN_FILES = {"rollup": "rollup", "genesis": "genesis", "l1": "l1"}


@asynccontextmanager
async def kroma(folder: Path, profile: Tables, *, name: str = "kroma") -> AsyncIterator[Kroma]:
    """`kroma run` with a profile, once its RPC answers; `[rpc]` is added where it has none."""
    port = free_port()
    tables = {"rpc": {"port": port}, **profile}
    rpc = Rpc(f"http://127.0.0.1:{tables['rpc']['port']}")

    async def ready() -> bool:
        return await rpc.answers("optimism_version")

    async with _started(folder, tables, name, ready) as started:
        yield Kroma(rpc=rpc, running=started, folder=folder)


@asynccontextmanager
async def engine_of_ours(
    folder: Path, rollup: Rollup, *, name: str = "kroma-engine", **servers: Tables
) -> AsyncIterator[EngineAt]:
    """The embedded engine alone, for another rollup node to drive over the Engine API; `servers`: further tables."""
    port, secret = free_port(), folder / "jwt.txt"
    files = rollup.write(folder)
    profile = {
        "chain": {name: str(files / f"{file}.json") for name, file in CHAIN_FILES.items()},
        "engine": PYEVM,
        "node": {"data_dir": str(folder / "data"), "derive": False},
        "authrpc": {"port": port, "jwt_secret": str(secret)},
        **servers,
    }
    url = f"http://127.0.0.1:{port}"

    async def ready() -> bool:
        return await Rpc(url).reached()

    async with _started(folder, profile, name, ready):
        yield EngineAt(engine_url=url, jwt=secret)


@attrs.frozen(kw_only=True)
class ServedL1:
    """A recording as an L1: its JSON-RPC, and the URL of its beacon API."""

    rpc: Rpc
    beacon: str
    running: Running


@asynccontextmanager
async def kroma_serve(folder: Path, recording: Path, *options: str) -> AsyncIterator[ServedL1]:
    """`kroma serve` of a recording."""
    port, beacon_port = free_port(), free_port()
    ports = ["--port", str(port), "--beacon-port", str(beacon_port)]
    rpc = Rpc(f"http://127.0.0.1:{port}")
    command = [KROMA, "serve", recording.resolve(), *ports, *options]
    async with running("kroma-serve", command, folder, ready=rpc.answers) as started:
        yield ServedL1(rpc=rpc, beacon=f"http://127.0.0.1:{beacon_port}", running=started)


async def kroma_to_its_end(folder: Path, profile: Tables, *, stop_after: int, seconds: float) -> dict[str, Any]:
    """The heads that `kroma run` tells after it has stopped at safe block `stop_after`."""
    node = {**profile.get("node", {}), "stop_after": stop_after}
    told = folder / "heads.json"
    async with _started(folder, {**profile, "node": node}, "kroma", None, output=told) as started:
        code = await started.ended(seconds)
        assert code == 0, started.tail()
    heads: dict[str, Any] = json.loads(told.read_text())
    return heads


@asynccontextmanager
async def _started(
    folder: Path,
    profile: Tables,
    name: str,
    ready: Callable[[], Awaitable[bool]] | None,
    *,
    output: Path | None = None,
) -> AsyncIterator[Running]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(toml_text(profile))
    command = [KROMA, "run", path] if output is None else [KROMA, "run", path, "--json"]
    async with running(name, command, folder, ready=ready, output=output) as started:
        yield started


@asynccontextmanager
async def kroma_record(folder: Path, profile: Tables, out: Path, *options: str) -> AsyncIterator[Running]:
    """`kroma record` with a profile; leaving the block ends the recording."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "record.toml"
    path.write_text(toml_text(profile))
    async with running("kroma-record", [KROMA, "record", path, "--out", out, *options], folder) as started:
        yield started


async def replayed(
    folder: Path, recording: Path, engine: Tables = PYEVM, *, seconds: float, **more: Tables
) -> tuple[int, dict[str, Any], str]:
    """Exit code, report and messages of `kroma replay` of a recording on an engine; `more`: further tables."""
    folder.mkdir(parents=True, exist_ok=True)
    path, told = folder / "replay.toml", folder / "replay.json"
    path.write_text(toml_text({"engine": engine, "node": {"log_level": "warning"}, **more}))
    command = [KROMA, "replay", "--json", "--profile", path, recording]
    async with running("replay", command, folder, output=told) as started:
        code = await started.ended(seconds)
    return code, json.loads(told.read_text() or "{}"), started.tail()


def toml_text(tables: Tables) -> str:
    """Tables of plain values as TOML, which writes text, numbers and lists as JSON does."""
    lines: list[str] = []
    for table, content in tables.items():
        for one in content if isinstance(content, list) else [content]:
            lines.append(f"[[{table}]]" if isinstance(content, list) else f"[{table}]")
            lines += [f"{key} = {_toml_value(value)}" for key, value in one.items()]
    return "\n".join(lines) + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(one) for one in value) + "]"
    return json.dumps(value)
