"""A node with engine and derivation in processes of their own does what it does without, also when they are killed."""

from __future__ import annotations

import json
import lzma
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
import trio

from kroma_core.api import Role
from kroma_core.errors import ConfigError
from kroma_core.events import BlockDerived, Event, PipelineReset
from kroma_core.l2 import Heads
from kroma_core.node.assemble import Parts, assemble
from kroma_core.node.isolation.derivation import InOwnProcess
from kroma_core.node.isolation.engine import RemoteEngine
from kroma_core.node.plan import Plan, plan_profile
from kroma_core.node.registry import collect, discover
from kroma_core.node.replay import FRUITLESS_RESETS
from kroma_core.node.retry import RetryPolicy
from kroma_core.node.run import Node
from tests.node.sample_parts import SamplePlugin, offer
from tests.vectors.unit_files import OWN_VECTORS

CHAINS = OWN_VECTORS / "op-chains"
KROMA = Path(sys.executable).with_name("kroma")


def profile(folder: Path, name: str, isolation: str = "process", more: str = "") -> Path:
    path = folder / f"{isolation}.toml"
    recording = f"'{CHAINS / name}.json.xz'"
    path.write_text(
        f"""
        [chain]
        recording = {recording}
        [l1]
        kind = "cassette"
        path = {recording}
        [[blobs]]
        kind = "cassette"
        path = {recording}
        [[data]]
        kind = "calldata"
        [[data]]
        kind = "blob"
        [engine]
        kind = "pyevm"
        [node]
        isolation = "{isolation}"
        data_dir = "{folder / isolation}"
        {more}
        """
    )
    return path


@attrs.define
class Seen:
    """An observer that keeps events, and does something when a block has been derived."""

    events: list[Event] = attrs.field(factory=list)
    on_block: Callable[[int], None] = lambda number: None

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, BlockDerived):
            self.on_block(event.block.number)


async def followed(plan: Plan, seen: Seen, prepare: Callable[[Parts], None] = lambda parts: None) -> Heads | None:
    with trio.fail_after(120):
        async with assemble(plan, observers={"seen": seen}) as parts:
            prepare(parts)
            return await Node(
                config=plan.chain,
                l1=parts.l1,
                data=parts.data,
                engine=parts.engine,
                emit=parts.emit,
                policy=RetryPolicy(first=0.01, longest=0.1),
                resets_without_progress=FRUITLESS_RESETS,
                timeline=True,
                derivations=parts.derivations,
            ).run()


def planned(path: Path) -> Plan:
    return plan_profile(path, discover(), {})


@pytest.mark.parametrize(
    "name",
    [
        "reorg-ecotone",
        pytest.param("hostile-holocene-1", marks=pytest.mark.slow),
        pytest.param("invalid-payload-canyon", marks=pytest.mark.slow),
    ],
)
def test_events_and_heads_are_the_same_in_processes_and_without(name: str, tmp_path: Path) -> None:
    found = {}
    for isolation in ("none", "process"):
        seen = Seen()
        heads = trio.run(followed, planned(profile(tmp_path, name, isolation)), seen)
        found[isolation] = heads, seen.events
    assert found["process"] == found["none"]
    assert any(isinstance(event, BlockDerived) for event in found["none"][1])


def test_derivation_begins_anew_when_its_process_is_killed(tmp_path: Path) -> None:
    plan = planned(profile(tmp_path, "timeouts-canyon"))
    seen, pids = Seen(), list[int]()

    def prepare(parts: Parts) -> None:
        derivations = parts.derivations
        assert isinstance(derivations, InOwnProcess)

        def kill(number: int) -> None:
            if number == 10 and not pids:
                assert derivations.process.pid is not None
                pids.append(derivations.process.pid)
                os.kill(derivations.process.pid, signal.SIGKILL)

        seen.on_block = kill

    heads = trio.run(followed, plan, seen, prepare)
    assert heads is not None
    assert heads.safe.hash == recorded_head("timeouts-canyon")
    resets = [event.reason for event in seen.events if isinstance(event, PipelineReset)]
    assert sum("killed (SIGKILL)" in reason for reason in resets) == 1


def test_the_engine_goes_on_when_its_process_is_killed(tmp_path: Path) -> None:
    plan = planned(profile(tmp_path, "timeouts-canyon"))
    seen, pids = Seen(), list[int]()

    def prepare(parts: Parts) -> None:
        engine = parts.engine
        assert isinstance(engine, RemoteEngine)

        def kill(number: int) -> None:
            pid = engine._process.pid
            if number in (8, 16) and pid is not None and pid not in pids:
                pids.append(pid)
                os.kill(pid, signal.SIGKILL)

        seen.on_block = kill

    heads = trio.run(followed, plan, seen, prepare)
    assert heads is not None
    assert heads.safe.hash == recorded_head("timeouts-canyon")
    assert len(pids) == 2


def test_a_node_with_processes_ends_within_five_seconds_and_leaves_none(tmp_path: Path) -> None:
    path = profile(tmp_path, "bench-jovian")
    with subprocess.Popen([KROMA, "run", path], stderr=subprocess.PIPE, stdout=subprocess.PIPE) as node:
        children: list[int] = []
        while len(children) < 2 or not (tmp_path / "process" / "engine" / "pyevm" / "chain").exists():
            time.sleep(0.05)
            children = children_of(node.pid)
        time.sleep(1)
        began = time.monotonic()
        node.send_signal(signal.SIGTERM)
        _, told = node.communicate(timeout=30)
        assert time.monotonic() - began < 5
    assert node.returncode == 130, told
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []


def test_an_engine_that_requires_other_parts_cannot_have_a_process(tmp_path: Path) -> None:
    registry = collect(
        [
            (
                "acme",
                "1.0",
                SamplePlugin(l1=[offer("rpc")], data=[offer("calldata")], engine=[offer("tied", requires=(Role.L1,))]),
            )
        ]
    )
    path = tmp_path / "p.toml"
    path.write_text("[chain]\nname = 'op-sepolia'\n[node]\nisolation = 'process'\n")
    with pytest.raises(ConfigError, match="'tied' requires l1, so it cannot have a process of its own"):
        plan_profile(path, registry, {})


def recorded_head(name: str) -> bytes:
    world = json.loads(lzma.decompress((CHAINS / f"{name}.json.xz").read_bytes()))
    return bytes.fromhex(world["expected"]["safe_after"][-1]["safe_l2"]["hash"][2:])


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return found
