"""`kroma run`: the node of a profile."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path

import attrs

from kroma_core.api import Capability, Observer, Role
from kroma_core.cli import version
from kroma_core.cli.check import parts_of, summary
from kroma_core.cli.event_log import EventLog
from kroma_core.cli.log_lines import LogLines
from kroma_core.cli.progress import catching_up
from kroma_core.cli.services import engine_services_of, services_of
from kroma_core.cli.stopping import run_until_signal
from kroma_core.l2 import Heads
from kroma_core.node.assemble import assemble, assemble_engine
from kroma_core.node.engine_node import EngineNode
from kroma_core.node.explain.recorder import VerdictRecorder
from kroma_core.node.explain.store import STORE
from kroma_core.node.metrics import NodeMetrics
from kroma_core.node.plan import Plan, plan_profile
from kroma_core.node.profile import LogFormat, LogLevel
from kroma_core.node.registry import discover
from kroma_core.node.replay import FRUITLESS_RESETS
from kroma_core.node.retry import IMPATIENT, RetryPolicy
from kroma_core.node.run import Node
from kroma_core.node.view import Service
from kroma_core.node.watch import Watch


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "run",
        help="run the node of a profile",
        description="Open the parts that a profile names and follow L1 with them. With a recording as L1 the node runs "
        "to its end, unless the L1 source is told to stay. Events go to stderr, from the profile's log level on; the "
        "heads that were reached go to stdout. SIGINT and SIGTERM stop the node; it goes on from there the next time.",
        epilog="exit code 130: interrupted",
    )
    command.add_argument("profile", type=Path, metavar="PROFILE.toml")
    command.add_argument("--json", action="store_true", help="the heads as one JSON object")
    command.add_argument("--log-level", type=LogLevel, choices=list(LogLevel), help="instead of the profile's")
    command.add_argument("--log-format", type=LogFormat, choices=list(LogFormat), help="instead of the profile's")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    plan = plan_profile(arguments.profile, discover(), os.environ)
    plan = attrs.evolve(
        plan,
        node=attrs.evolve(
            plan.node,
            log_level=arguments.log_level or plan.node.log_level,
            log_format=arguments.log_format or plan.node.log_format,
        ),
    )
    arguments.log_format = plan.node.log_format  # the last line too, where the command fails
    lines = LogLines(format=plan.node.log_format)
    for warning in plan.chain.warnings:
        lines.write(LogLevel.WARNING, "warning", {"message": warning}, f"kroma: warning: {warning}")
    lines.write(LogLevel.INFO, "starting", parts_of(plan), f"kroma: {plan.name}\n{summary(plan)}")
    heads = run_until_signal(lambda: run_plan(plan))
    print(_as_json(heads) if arguments.json else _as_text(heads))
    return 0


async def run_plan(plan: Plan) -> Heads | None:
    """Open the parts of a plan and follow L1 until it ends, or the plan's last block is safe."""
    with catching_up(plan.chain, shown=plan.node.log_format is LogFormat.TEXT) as progress, closing(_log(plan)) as log:
        metrics = NodeMetrics(version=version.text(), clock=time.time)
        watch = Watch(clock=time.time)
        observers: dict[str, Observer] = {"log": log, "metrics": metrics, "watch": watch}
        if progress is not None:
            observers["progress"] = progress
        if not plan.node.derive:
            await _run_engine(plan, observers, log, metrics)
            return None
        recorder = VerdictRecorder(plan.explain, time.time) if plan.explain.keep else None
        if recorder is not None:
            observers["explain"] = recorder
        return await _follow(plan, observers, log, services_of(plan, metrics, watch, recorder), recorder)


def _log(plan: Plan) -> EventLog:
    return EventLog(level=plan.node.log_level, format=plan.node.log_format)


async def _run_engine(plan: Plan, observers: Mapping[str, Observer], log: EventLog, metrics: NodeMetrics) -> None:
    async with assemble_engine(plan, observers=observers) as alone:
        await EngineNode(
            name=plan.name,
            config=plan.chain,
            engine=alone.engine,
            emit=alone.emit,
            data_dir=plan.data_dir,
            set_log_level=log.set_level,
            services=engine_services_of(plan, metrics),
        ).run()


async def _follow(
    plan: Plan,
    observers: Mapping[str, Observer],
    log: EventLog,
    services: Sequence[Service],
    recorder: VerdictRecorder | None,
) -> Heads | None:
    recorded = any(Capability.TIMELINE in part.installed.offer.capabilities for part in plan.of_role(Role.L1))
    async with assemble(plan, observers=observers, shadows=True) as parts, AsyncExitStack() as stack:
        if recorder is not None:
            await stack.enter_async_context(recorder.kept_in(plan.data_dir / STORE, parts.emit))
        node = Node(
            config=plan.chain,
            l1=parts.l1,
            data=parts.data,
            engine=parts.engine,
            emit=parts.emit,
            policy=IMPATIENT if recorded else RetryPolicy(),
            resets_without_progress=FRUITLESS_RESETS if recorded else None,
            stop_after=plan.node.stop_after,
            name=plan.name,
            data_dir=plan.data_dir,
            set_log_level=log.set_level,
            timeline=recorded,
            l1_confirmations=plan.node.l1_confirmations,
            sync_mode=plan.node.sync_mode,
            checkpoint=plan.node.checkpoint,
            derivations=parts.derivations,
            services=services,
        )
        return await node.run()


def _as_text(heads: Heads | None) -> str:
    if heads is None:
        return "the L1 source ended without a head"
    return f"safe {heads.safe.id}, unsafe {heads.unsafe.id}, finalized {heads.finalized.id}"


def _as_json(heads: Heads | None) -> str:
    found = None
    if heads is not None:
        found = {
            name: {"number": ref.number, "hash": "0x" + ref.hash.hex()}
            for name, ref in (("safe", heads.safe), ("unsafe", heads.unsafe), ("finalized", heads.finalized))
        }
    return json.dumps(found)
