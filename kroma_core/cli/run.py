"""`kroma run`: the node of a profile."""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from pathlib import Path

from kroma_core.api import Capability, Role
from kroma_core.cli.check import summary
from kroma_core.cli.event_log import EventLog
from kroma_core.cli.stopping import run_until_signal
from kroma_core.l2 import Heads
from kroma_core.node.assemble import assemble, assemble_engine
from kroma_core.node.authrpc.serve import serve_authrpc
from kroma_core.node.engine_node import EngineNode
from kroma_core.node.plan import Plan, plan_profile
from kroma_core.node.registry import discover
from kroma_core.node.replay import FRUITLESS_RESETS
from kroma_core.node.retry import IMPATIENT, RetryPolicy
from kroma_core.node.run import Node


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
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    plan = plan_profile(arguments.profile, discover(), os.environ)
    for warning in plan.chain.warnings:
        print(f"kroma: warning: {warning}", file=sys.stderr)
    print(f"kroma: {plan.name}\n{summary(plan)}", file=sys.stderr)
    heads = run_until_signal(lambda: run_plan(plan))
    print(_as_json(heads) if arguments.json else _as_text(heads))
    return 0


async def run_plan(plan: Plan) -> Heads | None:
    """Open the parts of a plan and follow L1 until it ends, or the plan's last block is safe."""
    log = EventLog(level=plan.node.log_level, format=plan.node.log_format)
    if not plan.node.derive:
        async with assemble_engine(plan, observers={"log": log}) as alone:
            table = plan.servers.authrpc
            await EngineNode(
                name=plan.name,
                config=plan.chain,
                engine=alone.engine,
                emit=alone.emit,
                data_dir=plan.data_dir,
                services=[functools.partial(serve_authrpc, table)] if table is not None else [],
            ).run()
        return None
    recorded = any(Capability.TIMELINE in part.installed.offer.capabilities for part in plan.of_role(Role.L1))
    async with assemble(plan, observers={"log": log}) as parts:
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
