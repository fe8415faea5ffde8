"""The embedded engine in the shadow of what op-geth and kroma-geth recorded, and of itself: nothing right is reported.

Where a recording has abandoned branches, a second embedded engine leads: recordings have the blocks of the final one.
"""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import trio

from kroma_core.cli.replaying import replay_of
from kroma_core.events import (
    BlockDerived,
    Diverged,
    Event,
    FollowerAgreed,
    FollowerBehind,
    FollowerDetached,
    Subject,
    Verdict,
    Warned,
)
from kroma_core.node.assemble import assemble
from kroma_core.node.plan import plan_replay
from kroma_core.node.registry import discover
from kroma_core.recording import open_recording
from tests.vectors.unit_files import vectors_root

pytest.importorskip("kroma_l1_cassette", reason="recordings are read by the plugin l1_cassette")
pytest.importorskip("kroma_engine_pyevm", reason="chains are executed by the plugin engine_pyevm")

FOLDERS = ("op-chains", "kroma-chains")
QUICK = ("invalid-tx-isthmus-2.",)
"""Names of those that the default suite takes."""
BRANCHES = ("reorg", "hostile", "bench")
"""Names of those whose leading engine executes: some for their branches, and one to execute much."""

PROFILE = """
[engine]
kind = "{leader}"
{setting}
[[engine.shadow]]
kind = "pyevm"
store = "memory"
[shadow]
policy = "halt"
queue = 1000000
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    root = vectors_root(metafunc.config)
    files = sorted(path for folder in FOLDERS for path in (root / folder).glob("*.json.xz"))
    metafunc.parametrize(
        "path",
        [
            pytest.param(path, id=path.name, marks=() if path.name.startswith(QUICK) else pytest.mark.slow)
            for path in files
        ],
    )


@attrs.define
class Told:
    """An observer that keeps what is told."""

    events: list[Event] = attrs.field(factory=list)

    def on_event(self, event: Event) -> None:
        self.events.append(event)


def test_a_right_engine_agrees_on_every_block(path: Path, tmp_path: Path) -> None:
    executed = path.name.startswith(BRANCHES)
    leader = ("pyevm", 'store = "memory"') if executed else ("recorded", 'path = "the recording"')
    profile = tmp_path / "shadowed.toml"
    profile.write_text(PROFILE.format(leader=leader[0], setting=leader[1]))
    told = Told()

    async def main() -> int:
        plan = plan_replay(path, profile, discover(), {}, tmp_path / "data", without_execution=not executed)
        with open_recording(path) as recording:
            async with assemble(plan, observers={"told": told}, shadows=True) as parts:
                return (await replay_of(recording, plan, parts, expected=None).run()).head.number

    head = trio.run(main)
    amiss = [one for one in told.events if isinstance(one, Diverged | FollowerDetached | FollowerBehind | Warned)]
    assert amiss == []
    derived = [one for one in told.events if isinstance(one, BlockDerived) and not one.consolidated]
    refused = [one for one in told.events if isinstance(one, Verdict) and one.subject is Subject.ATTRIBUTES]
    agreed = [one for one in told.events if isinstance(one, FollowerAgreed)]
    assert len(agreed) == len(derived) + len(refused)
    assert head == max(int(one.at.split()[2]) for one in agreed)
