"""L1, blob and data sources in each other's shadow over recorded chains: what is right is not reported."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import attrs
import pytest
import trio

from kroma_core.cli.replaying import replay_of
from kroma_core.events import (
    Diverged,
    Event,
    FollowerAgreed,
    FollowerBehind,
    FollowerDetached,
    InboxRead,
    L1Traversed,
    Warned,
)
from kroma_core.node.assemble import assemble
from kroma_core.node.plan import plan_replay
from kroma_core.node.registry import discover
from kroma_core.recording import open_recording
from tests.vectors.unit_files import vectors_root

FOLDERS = ("op-chains", "kroma-chains")
QUICK = ("expiry-zk.", "forks-zk.")
"""Names of those that the default suite takes."""

PROFILE = """
[l1]
kind = "cassette"
path = "the recording"
[[l1.shadow]]
kind = "cassette"
[[blobs]]
kind = "cassette"
path = "the recording"
[[blobs.shadow]]
kind = "cassette"
[[data]]
kind = "blob"
[[data.shadow]]
kind = "blob"
[[data]]
kind = "calldata"
[[data.shadow]]
kind = "calldata"
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


def test_followers_agree_on_everything_that_is_read(path: Path, tmp_path: Path) -> None:
    """Abandoned branches are read where the chain is executed; where it is not, they are left out."""
    profile = tmp_path / "shadowed.toml"
    profile.write_text(PROFILE)
    told = Told()
    executed = path.name.startswith("reorg")

    async def main() -> None:
        plan = plan_replay(path, profile, discover(), {}, tmp_path / "data", without_execution=not executed)
        with open_recording(path) as recording:
            async with assemble(plan, observers={"told": told}, shadows=True) as parts:
                await replay_of(recording, plan, parts, expected=None).run()

    trio.run(main)
    amiss = [one for one in told.events if isinstance(one, Diverged | FollowerDetached | FollowerBehind | Warned)]
    assert amiss == []
    agreed = Counter(one.part.split()[0] for one in told.events if isinstance(one, FollowerAgreed))
    read = {one.block.hash for one in told.events if isinstance(one, L1Traversed)}
    carried = [one for one in told.events if isinstance(one, InboxRead)]
    assert agreed["l1"] >= len(read) > 0
    assert agreed["data"] == len(carried) > 0
    if path.name.startswith("blobs"):
        assert agreed["blobs"] > 0
