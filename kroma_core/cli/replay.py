"""`kroma replay`: derive and execute recordings, and compare with the chain that is recorded in them."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import attrs

from kroma_core.api import Role
from kroma_core.cli.event_text import sentence
from kroma_core.cli.failures import describe, is_foreseen, show_trace
from kroma_core.cli.progress import Advance, bar
from kroma_core.cli.replaying import replay_of
from kroma_core.cli.stopping import run_until_signal
from kroma_core.errors import KromaError
from kroma_core.events import (
    Diverged,
    Event,
    FollowerAgreed,
    FollowerAttached,
    FollowerBehind,
    FollowerDetached,
    Warned,
)
from kroma_core.node.assemble import assemble
from kroma_core.node.plan import Plan, plan_replay
from kroma_core.node.registry import Registry, discover
from kroma_core.node.replay import Progress, ReplayResult
from kroma_core.recording import RecordingError, open_recording, verify

_WITHOUT_EXECUTION = "attributes only (the engine plays recordings)"
"""What a replay has compared where its engine computes nothing."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "replay",
        help="derive and execute recordings and compare every hash",
        description="Derive and execute each recording and compare it with the chain recorded in it: attributes, "
        "payloads, block hashes, receipts, and the safe head after each step of its timeline. Per file: `ok`, or the "
        "first difference with block, field, expected, got. The parts never see what is expected.",
        epilog="exit code 1: a file differs or cannot be replayed, or a part and one in its shadow differ",
    )
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="recordings, of either format")
    command.add_argument(
        "--profile",
        type=Path,
        metavar="PROFILE.toml",
        help="take engine, data sources and what follows in shadow mode from this profile; chain, L1 and blobs remain "
        "the recording's",
    )
    command.add_argument("--json", action="store_true", help="one JSON object a file")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    registry = discover()
    good = True
    for path in arguments.files:
        good &= _replay_one(path, arguments.profile, registry, as_json=arguments.json)
    return 0 if good else 1


def _replay_one(path: Path, profile: Path | None, registry: Registry, *, as_json: bool) -> bool:
    """Replay one file and tell what came of it; whether that is as recorded."""
    try:
        with tempfile.TemporaryDirectory(prefix="kroma-replay-") as scratch, bar(path.name, "blocks") as advance:
            plan = plan_replay(path, profile, registry, os.environ, Path(scratch))
            shadows = ShadowNotes()
            result = run_until_signal(lambda: replay_plan(path, plan, advance, shadows))
    except (KromaError, OSError, ExceptionGroup) as error:
        if not is_foreseen(error):
            raise
        show_trace(error)
        lines = describe(error)
        if as_json:
            print(json.dumps({"file": str(path), "ok": False, "errors": lines}), flush=True)
        else:
            for line in lines:
                print(line if line.startswith(f"{path}: ") else f"{path}: {line}", file=sys.stderr, flush=True)
        return False
    if as_json:
        told = {"divergences": shadows.bundles, "compared_steps": shadows.followers, "followers_told": shadows.lines}
        followed = told if shadows.followers or shadows.lines else {}
        print(json.dumps(_as_json(path, plan, result) | followed), flush=True)
    else:
        counts = (f"{part}: steps compared: {compared}" for part, compared in shadows.followers.items())
        for line in (*shadows.lines, *counts):
            print(f"{path}: {line}", file=sys.stderr, flush=True)
        print(_as_text(path, plan, result), flush=True)
    return result.difference is None and not shadows.bundles


@attrs.define
class ShadowNotes:
    """What observers are told of the parts in the shadow of others, as far as not all was well."""

    lines: list[str] = attrs.field(factory=list)
    bundles: list[str] = attrs.field(factory=list)
    """Of the divergences that were found."""
    followers: dict[str, int] = attrs.field(factory=dict)
    """How many steps of each were compared."""

    def on_event(self, event: Event) -> None:
        match event:
            case Diverged(bundle=bundle):
                self.bundles.append(bundle)
                self.lines.append(sentence(event))
            case FollowerDetached():
                self.lines.append(sentence(event))
            case Warned(part=part) if part in self.followers:
                self.lines.append(sentence(event))
            case FollowerAttached(part=part):
                self.followers.setdefault(part, 0)
            case FollowerAgreed(part=part, compared=compared):
                self.followers[part] = compared
            case FollowerBehind(dropped=dropped) if dropped:
                self.lines.append(sentence(event))
            case _:
                pass


async def replay_plan(path: Path, plan: Plan, advance: Advance, shadows: ShadowNotes) -> ReplayResult:
    """Open the parts of a plan, replay a recording with them, and compare; what follows them is told to `shadows`.

    The L1 data is verified as a whole first: damage where derivation does not look is damage all the same.
    """

    def on_progress(progress: Progress) -> None:
        advance(progress.blocks, progress.blocks_in_all)

    with open_recording(path) as recording:
        for problem in verify(recording, with_expected=False):
            raise RecordingError(problem)
        observers = {"shadows": shadows} if any(part.shadows for part in plan.parts) else {}
        async with assemble(plan, observers=observers, shadows=True) as parts:
            return await replay_of(recording, plan, parts, expected=recording.expected, on_progress=on_progress).run()


def _as_text(path: Path, plan: Plan, result: ReplayResult) -> str:
    if result.difference is not None:
        sources = plan.of_role(Role.DATA)
        if any(part.table.at is not None for part in sources):  # a profile has said which
            return f"{path}: {result.difference}"
        kinds = ", ".join(part.installed.offer.kind for part in sources)
        return f"{path}: {result.difference} (data sources, in this order: {kinds}; --profile names others)"
    if not result.compared:
        verdict = "ok: nothing recorded to compare with"
    elif plan.executes:
        verdict = f"ok: {result.blocks} blocks, every hash equal"
    else:
        verdict = f"ok: {result.blocks} blocks, {_WITHOUT_EXECUTION}"
    return f"{path}: {verdict}, head 0x{result.head.hash.hex()}"


def _as_json(path: Path, plan: Plan, result: ReplayResult) -> dict[str, Any]:
    difference = result.difference
    return {
        "file": str(path),
        "ok": difference is None,
        "blocks": result.blocks,
        "head": {"number": result.head.number, "hash": "0x" + result.head.hash.hex()},
        "compared": result.compared,
        "executed": plan.executes,
        "scope": "all" if plan.executes else _WITHOUT_EXECUTION,
        "difference": None
        if difference is None
        else {
            "where": difference.where,
            "field": difference.field,
            "expected": difference.expected,
            "got": difference.got,
        },
    }
