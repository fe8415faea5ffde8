"""A real op-geth behind `engine_rpc` keeps the contract of an engine, and comes to the recorded blocks."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from kroma_core.api import Role
from kroma_core.chain.config import ChainConfig
from kroma_core.events import BlockDerived, Event, Retrying
from kroma_core.l2 import Heads
from kroma_core.node.assemble import assemble
from kroma_core.node.plan import plan_profile
from kroma_core.node.registry import discover
from kroma_core.node.retry import RetryPolicy
from kroma_core.node.run import Node
from kroma_core.recording import open_recording
from kroma_core.testing.engine import EngineSuite
from tests.contract.offers import opened
from tests.peers.l2 import EngineAt, op_geth
from tests.peers.rollup import read_vector, recorded_rollup
from tests.vectors.unit_files import OWN_VECTORS

CHAINS = OWN_VECTORS / "op-chains"


def settings(geth: EngineAt) -> dict[str, Any]:
    return {"url": geth.engine_url, "jwt_secret": geth.jwt}


class TestOpGeth(EngineSuite):
    offer = (Role.ENGINE, "rpc")
    recording_path = CHAINS / "plain-jovian.json.xz"
    keeps_safe_head = False

    @asynccontextmanager
    async def open_engine(self, chain: ChainConfig, folder: Path) -> AsyncIterator[Any]:
        rollup = recorded_rollup(read_vector(self.recording_path))
        async with (
            op_geth(folder, rollup) as geth,
            opened(*self.offer, chain, folder, settings(geth), clock=time.time) as engine,
        ):
            yield engine


class TestOpGethBeforeTheFirstFork(TestOpGeth):
    recording_path = CHAINS / "plain-bedrock.json.xz"


@attrs.define
class Relay:
    """A port of its own in front of whichever engine runs now."""

    target: int | None = None

    async def serve(self, *, task_status: trio.TaskStatus[int]) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        task_status.started(listeners[0].socket.getsockname()[1])
        await trio.serve_listeners(self._pass_on, listeners)

    async def _pass_on(self, client: trio.SocketStream) -> None:
        with suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            if self.target is None:
                return
            engine = await trio.open_tcp_stream("127.0.0.1", self.target)
            async with engine, trio.open_nursery() as nursery:
                nursery.start_soon(_copy, client, engine, nursery.cancel_scope)
                nursery.start_soon(_copy, engine, client, nursery.cancel_scope)


async def _copy(source: trio.SocketStream, sink: trio.SocketStream, scope: trio.CancelScope) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        async for piece in source:
            await sink.send_all(piece)
    scope.cancel()


PROFILE = """
[chain]
recording = "{recording}"
[l1]
kind = "cassette"
path = "{recording}"
[[blobs]]
kind = "cassette"
path = "{recording}"
[[data]]
kind = "calldata"
[[data]]
kind = "blob"
[engine]
kind = "rpc"
url = "http://127.0.0.1:{port}"
jwt_secret = "{jwt}"
"""


@pytest.mark.parametrize("loses_everything", [False, True], ids=["keeps its chain", "loses its chain"])
def test_an_engine_that_is_killed_in_the_middle_is_found_again(loses_everything: bool, tmp_path: Path) -> None:
    path = CHAINS / "plain-jovian.json.xz"
    rollup = recorded_rollup(read_vector(path))
    relay, halfway, events = Relay(), trio.Event(), list[Event]()

    def emit(event: Event) -> None:
        events.append(event)
        if isinstance(event, BlockDerived) and event.block.number == 40:
            halfway.set()

    async def follow(port: int, jwt: Path) -> Heads | None:
        profile = tmp_path / "node.toml"
        profile.write_text(PROFILE.format(recording=path, port=port, jwt=jwt))
        plan = plan_profile(profile, discover(), {})
        async with assemble(plan, clock=time.time) as parts:
            return await Node(
                config=plan.chain,
                l1=parts.l1,
                data=parts.data,
                engine=parts.engine,
                emit=emit,
                policy=RetryPolicy(first=0.1, longest=0.5),
                resets_without_progress=None,
                timeline=True,
            ).run()

    async def main() -> None:
        with trio.fail_after(120):
            async with trio.open_nursery() as nursery:
                port = await nursery.start(relay.serve)
                found: list[Heads | None] = []
                async with trio.open_nursery() as node:
                    async with op_geth(tmp_path / "first", rollup) as geth:
                        relay.target = int(geth.engine_url.rpartition(":")[2])

                        async def run() -> None:
                            found.append(await follow(port, geth.jwt))

                        node.start_soon(run)
                        await halfway.wait()
                        await geth.running.stop(signal.SIGKILL)
                        relay.target = None
                    folder = tmp_path / ("second" if loses_everything else "first")
                    async with op_geth(folder, rollup) as geth:
                        relay.target = int(geth.engine_url.rpartition(":")[2])
                        while not found:
                            await trio.sleep(0.1)
                        last = await geth.rpc.block("latest")
                nursery.cancel_scope.cancel()
        with open_recording(path) as recording:
            assert recording.expected is not None
            expected = recording.expected.block(recording.expected.block_count)
        assert expected is not None
        assert found[0] is not None
        assert found[0].safe.hash == expected.hash
        assert last["hash"] == "0x" + expected.hash.hex()

    trio.run(main)
    assert any(isinstance(event, Retrying) for event in events)
