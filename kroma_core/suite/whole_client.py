"""Procedure "client": a recording is served as the client's L1, and its safe head is watched over JSON-RPC."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from kroma_core.errors import ConfigError, KromaError, TemporaryError
from kroma_core.jsonrpc.client import Client, open_client
from kroma_core.suite.chains import ExpectedChain, SuiteChain
from kroma_core.suite.commands import ClientEnded, Started, check_places, filled, free_port, fresh, places_of, started
from kroma_core.suite.results import Outcome, Result
from kroma_core.types import BlockId

PLACES = {
    "l1": "URL of the L1's JSON-RPC",
    "beacon": "URL of the L1's beacon API",
    "rollup": "the file rollup.json",
    "genesis": "the file genesis.json of the L2",
    "l1_config": "the file with the L1's chain config; where none was recorded, it is not there",
    "rpc_port": "where the client is to answer optimism_syncStatus",
    "eth_port": "where it is to answer eth_getBlockByNumber of the L2, if it can",
    **{f"port{turn}": "a free port, for what else it needs" for turn in range(1, 5)},
    "work": "an empty folder of its own",
    "name": "the chain's name",
}
SERVE = (sys.executable, "-c", "import sys; from kroma_core.cli import main; sys.exit(main(sys.argv[1:]))", "serve")
_EVERY = 0.1
_READY_SECONDS = 30.0
_PLAIN = {"rollup": "rollup_config", "genesis": "l2_genesis", "l1_config": "l1_chain_config"}


class Differs(KromaError):
    """The client is somewhere else than where it was to come."""


@attrs.frozen(kw_only=True)
class WholeClient:
    """How a client is run. `steps`: through every step of the timeline; otherwise to its end at once."""

    command: Sequence[str]
    seconds: float
    work: Path
    steps: bool = False

    def __attrs_post_init__(self) -> None:
        check_places(self.command, PLACES, ("l1", "rpc_port"))

    async def run(self, chain: SuiteChain) -> Result:
        """Raises `ConfigError` where the suite or the command cannot be used at all."""
        chain.check()
        begin = time.monotonic()
        folder = fresh(self.work / chain.name)
        try:
            lacking = self._write_files(chain, folder)
            if lacking is not None:
                return self._result(chain, begin, Outcome.SKIPPED, lacking)
            await self._compare(chain, folder)
        except (Differs, ClientEnded) as error:
            log = folder / "client" / "client.log"
            tail = log.read_text(errors="replace")[-4000:] if log.is_file() else ""
            return self._result(chain, begin, Outcome.FAILED, str(error), tail)
        return self._result(chain, begin, Outcome.PASSED)

    def _result(self, chain: SuiteChain, begin: float, outcome: Outcome, reason: str = "", log: str = "") -> Result:
        return Result(
            chain=chain.name,
            family=chain.family,
            forks=chain.forks,
            outcome=outcome,
            seconds=time.monotonic() - begin,
            reason=reason,
            log=log,
        )

    def _write_files(self, chain: SuiteChain, folder: Path) -> str | None:
        """The files that the command names; what the recording lacks of them."""
        world = chain.inputs()
        for place, key in _PLAIN.items():
            if world.get(key) is not None:
                content = {name: value for name, value in world[key].items() if value is not None}
                (folder / f"{place}.json").write_text(json.dumps(content, indent=1))
            elif place != "l1_config" and place in places_of(self.command):
                return f"the recording has no {key}, and the command asks for {{{place}}}"
        return None

    async def _compare(self, chain: SuiteChain, folder: Path) -> None:
        expected = chain.expected_chain()
        async with AsyncExitStack() as stack:
            options = ["--step"] if self.steps else []
            l1, beacon = await stack.enter_async_context(_served(chain.l1, folder, options))
            ports = {name: free_port() for name in PLACES if "port" in name}
            values = {name: folder / f"{name}.json" for name in _PLAIN} | {
                "l1": l1, "beacon": beacon, "work": folder / "client", "name": chain.name, **ports
            }  # fmt: skip
            command = filled(self.command, values)
            client = await stack.enter_async_context(started("client", command, folder / "client"))
            rpc = await stack.enter_async_context(_asked(ports["rpc_port"]))
            l2 = await stack.enter_async_context(_asked(ports["eth_port"]))
            watched = _Watched(
                client=client,
                rpc=rpc,
                l2=l2 if "eth_port" in places_of(self.command) else None,
                expected=expected,
                moving=self.steps,
            )
            if not self.steps:
                await watched.until(len(expected.safe_after) - 1, self.seconds)
                return
            walk = await stack.enter_async_context(open_client(l1, part="suite l1"))
            for step in range(len(expected.safe_after)):
                if step:
                    await walk.call("kroma_step")
                await watched.until(step, self.seconds)


@attrs.frozen(kw_only=True)
class _Watched:
    """A client that runs, and what it is to come to. `moving`: L1 moves on and reorganises meanwhile."""

    client: Started
    rpc: Client
    l2: Client | None
    expected: ExpectedChain
    moving: bool

    async def until(self, step: int, seconds: float) -> None:
        """Returns when it has come to the safe head of a step. Raises `Differs`, `ClientEnded`."""
        safe = self.expected.safe_after[step]
        if safe.behind:
            return  # the reference had not noticed a reorg yet; a client that has is elsewhere, and is right
        seen = "it has not answered"
        with trio.move_on_after(seconds):
            while True:
                self.client.check()
                try:
                    status = await self.rpc.call("optimism_syncStatus")
                    here = _block(status["safe_l2"])
                except TemporaryError:
                    await trio.sleep(_EVERY)
                    continue
                except (KromaError, KeyError, TypeError, ValueError) as error:
                    seen = f"optimism_syncStatus: {error}"
                    await trio.sleep(_EVERY)
                    continue
                if here == safe.safe_l2 and _has_read(status, step, self.expected):
                    return
                read = status.get("current_l1") or {}
                seen = f"it stands at safe head {here}, and has read L1 up to block {read.get('number', '?')}"
                if not self.moving:
                    await self._check_branch(here)
                await trio.sleep(_EVERY)
        raise Differs(
            f"step {step + 1} of {len(self.expected.safe_after)}: expected safe head {safe.safe_l2} within {seconds:g} "
            f"s; {seen}{await self._first_difference()}"
        )

    async def _check_branch(self, here: BlockId) -> None:
        """Raises `Differs` where a safe head is none of the final chain's."""
        blocks = self.expected.blocks
        index = here.number - blocks[0].number
        if index < 0:
            return
        if index >= len(blocks):
            raise Differs(f"expected the chain to end at {blocks[-1].id}, got safe head {here}")
        if blocks[index].hash != here.hash:
            raise Differs(
                f"expected L2 block {blocks[index].id}, got 0x{here.hash.hex()}{await self._first_difference()}"
            )

    async def _first_difference(self) -> str:
        """The lowest block that is another one than expected, as far as the client can be asked."""
        if self.l2 is None:
            return ""
        try:
            for block in self.expected.blocks:
                found = await self.l2.call("eth_getBlockByNumber", hex(block.number), False)
                if found is None:
                    return f"; it has no L2 block {block.number}"
                if found["hash"] != f"0x{block.hash.hex()}":
                    fields = {
                        "parentHash": f"0x{block.payload.parent_hash.hex()}",
                        "timestamp": hex(block.payload.timestamp),
                        "stateRoot": f"0x{block.payload.state_root.hex()}",
                        "receiptsRoot": f"0x{block.payload.receipts_root.hex()}",
                        "gasUsed": hex(block.payload.gas_used),
                        "gasLimit": hex(block.payload.gas_limit),
                        "extraData": f"0x{block.payload.extra_data.hex()}",
                    }
                    told = [f"{name} {want}, got {found.get(name)}" for name, want in fields.items()
                            if found.get(name) != want]  # fmt: skip
                    count = len(found.get("transactions", ()))
                    if count != len(block.payload.transactions):
                        told.insert(0, f"{len(block.payload.transactions)} transactions, got {count}")
                    return f"; the first other block is {block.number}: expected {'; '.join(told) or block.id}"
        except (KromaError, KeyError, TypeError) as error:
            return f"; its blocks cannot be compared: {error}"
        return ""


def _has_read(status: Any, step: int, expected: ExpectedChain) -> bool:
    """Whether the client has nothing more to read, so that its head will stay. Who does not tell is believed."""
    read, reached = status.get("current_l1"), expected.safe_after[step].derived_l1
    return read is None or reached is None or int(read["number"]) >= reached.number


def _block(ref: Any) -> BlockId:
    return BlockId(bytes.fromhex(ref["hash"].removeprefix("0x")), int(ref["number"]))


@asynccontextmanager
async def _asked(port: int) -> AsyncIterator[Client]:
    async with open_client(f"http://127.0.0.1:{port}", part="suite client", timeout=5.0) as client:
        yield client


def _serve_command(l1: Path, options: Sequence[str]) -> list[str]:
    return [*SERVE, str(l1.resolve()), "--port", "0", "--beacon-port", "0", *options]


@asynccontextmanager
async def _served(l1: Path, folder: Path, options: Sequence[str]) -> AsyncIterator[tuple[str, str]]:
    """URLs of `kroma serve` of a chain, once it listens."""
    async with started("serve", _serve_command(l1, options), folder) as server:
        urls = None
        with trio.move_on_after(_READY_SECONDS):
            while urls is None:
                urls = await _urls(server, l1)
        if urls is None:
            raise ConfigError(f"serve {l1}: it does not listen after {_READY_SECONDS:g} s: {server.tail()}")
        yield urls


async def _urls(server: Started, l1: Path) -> tuple[str, str] | None:
    """What `kroma serve` has said; None while it has not."""
    words = server.log.read_text(errors="replace").partition("\n")[0].split()
    if len(words) == 4 and words[0] == "L1":
        return words[1], words[3]
    try:
        server.check()
    except ClientEnded as error:
        raise ConfigError(f"serve {l1}: {error}: {server.tail()}") from error
    await trio.sleep(0.02)
    return None
