"""Sources of plugins in the shadow of others, each in its process, asking servers that are right or wrong."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from kroma_core.api import Role
from kroma_core.codec.receipts import Log
from kroma_core.events import Diverged, Event, FollowerAgreed, FollowerAttached, FollowerDetached
from kroma_core.forks import Fork
from kroma_core.node.plan import plan_profile
from kroma_core.node.registry import discover
from kroma_core.node.shadow.follower import Follower
from kroma_core.node.shadow.leading import following, leading_of
from kroma_core.node.shadow.recent_blobs import RecentBlobs
from kroma_core.node.shadow.roles import SHADOWED
from kroma_core.testing.rpc_node import RpcNode
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_recording import record
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on

pytest.importorskip("kroma_l1_rpc", reason="the follower is the plugin's L1 source")


def busy_l1() -> ScriptedL1:
    l1 = ScriptedL1(fork="cancun")
    for number in range(3):
        l1.mine([l1.contract_tx(Log(b"\2" * 20, (), bytes((number, place)))) for place in range(3)])
    return l1


@attrs.define
class Watched:
    """What observers are told, and a way to wait for it."""

    events: list[Event] = attrs.field(factory=list)
    _changed: trio.Event = attrs.field(factory=trio.Event)

    def emit(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()
        self._changed = trio.Event()

    async def until(self, kind: type[Any], count: int = 1) -> list[Any]:
        while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
            await self._changed.wait()
        return found


def never(part: Any) -> Any:
    raise AssertionError(f"{part} was to be opened in a process of its own")


def run(
    folder: Path, node: RpcNode, body: Callable[[Any, ScriptedL1, Watched], Awaitable[None]], watched: Watched
) -> None:
    """Run `body` with an L1 source that leads, and one of JSON-RPC in its shadow that asks `node`."""
    l1 = busy_l1()
    rollup = rollup_on(l1, forks=all_forks_until(Fork.ECOTONE)).rollup
    recording = record(l1, folder / "l1.recording", rollup, last_head_only=True)

    async def main() -> None:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                url = await nursery.start(node.serve)
                (folder / "p.toml").write_text(
                    f"[chain]\nrecording = {str(recording)!r}\n"
                    f"[l1]\nkind = 'cassette'\npath = {str(recording)!r}\n"
                    f"[[l1.shadow]]\nkind = 'rpc'\nurls = ['{url}']\n"
                    f"[engine]\nkind = 'recorded'\npath = {str(recording)!r}\n"
                    f"[[data]]\nkind = 'calldata'\n[node]\ndata_dir = {str(folder / 'data')!r}\n"
                )
                plan = plan_profile(folder / "p.toml", discover(), {})
                [part] = plan.of_role(Role.L1)
                followers: list[Follower[Any]] = []
                leading = leading_of(plan, part, l1, never, lambda: 0.0, watched.emit, followers, RecentBlobs())
                source = SHADOWED[Role.L1](leading)
                async with following(followers):
                    await body(source, l1, watched)
                nursery.cancel_scope.cancel()

    trio.run(main)


async def read(source: Any, l1: ScriptedL1, number: int) -> None:
    await source.block(l1.canonical_hash(number))
    await source.receipts(l1.canonical_hash(number))


@pytest.mark.slow
def test_a_source_over_json_rpc_agrees_from_its_own_process_and_again_after_that_was_killed(tmp_path: Path) -> None:
    watched = Watched()

    async def body(source: Any, l1: ScriptedL1, watched: Watched) -> None:
        await read(source, l1, 1)
        await watched.until(FollowerAgreed, 2)
        [child] = children()
        os.kill(child, signal.SIGKILL)
        await read(source, l1, 2)
        await watched.until(FollowerAgreed, 4)

    run(tmp_path, RpcNode(l1=busy_l1()), body, watched)
    [detached] = [event for event in watched.events if isinstance(event, FollowerDetached)]
    assert "killed (SIGKILL)" in detached.reason
    assert sum(isinstance(event, FollowerAttached) for event in watched.events) == 2
    assert not any(isinstance(event, Diverged) for event in watched.events)


def test_a_server_that_leaves_out_a_receipt_is_caught_by_the_source_itself_which_is_detached(tmp_path: Path) -> None:
    watched = Watched()

    async def body(source: Any, l1: ScriptedL1, watched: Watched) -> None:
        await read(source, l1, 2)
        await watched.until(FollowerDetached)

    node = RpcNode(l1=busy_l1(), change={"eth_getBlockReceipts": lambda found: found[:-1]})
    run(tmp_path, node, body, watched)
    [detached] = [event for event in watched.events if isinstance(event, FollowerDetached)]
    assert detached.part.startswith("l1 shadow 1 'rpc' (kroma-l1-rpc ")
    assert "receipts of L1 block 2" in detached.reason
    assert not any(isinstance(event, Diverged) for event in watched.events)


def children() -> list[int]:
    """The processes that this one has started to host parts."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        if parent == os.getpid() and "kroma_core.node.isolation.child" in command:
            found.append(int(folder.name))
    return found
