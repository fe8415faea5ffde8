"""`kroma check`: every problem of a profile at once, before anything opens."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from kroma_core.cli.plan_text import json_of, text_of
from kroma_core.cli.stopping import run_until_signal
from kroma_core.errors import ConfigError
from kroma_core.node.live_check import check_live
from kroma_core.node.plan import Plan, plan_profile
from kroma_core.node.plan_account import account_of
from kroma_core.node.registry import discover


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "check",
        help="find every problem of a profile without starting it",
        description="Read a profile, the files and plugins that it names and the chain's configuration, and tell every "
        "problem at once: unknown keys, missing plugins and files, capabilities that a part lacks, forks out of order, "
        "ports used twice. Nothing is opened. With --live the servers that the profile names are asked what they are, "
        "and compared with the chain's configuration and with each other: chain ids, genesis hashes, fork times, the "
        "beacon node's clock, how long it keeps blobs, the engine's secret and methods. With --plan everything that "
        "will be built is listed: each part with its distribution, each setting with its value and where that is from "
        "(a line of the profile, an environment variable, the default), what parts require and offer, who needs it, "
        "servers, ports, processes, and where derivation begins. Secrets are left out.",
        epilog="exit code 1: there are problems, one line each",
    )
    command.add_argument("profile", type=Path, metavar="PROFILE.toml")
    command.add_argument("--strict", action="store_true", help="warnings about the chain count as problems")
    command.add_argument(
        "--live", action="store_true", help="ask the servers that the profile names; nothing is written"
    )
    command.add_argument(
        "--plan", action="store_true", help="tell what will be built from where: every setting with its origin"
    )
    command.add_argument("--json", action="store_true", help="what --plan tells, as one JSON object")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    registry = discover()
    plan = plan_profile(arguments.profile, registry, os.environ, strict=arguments.strict)
    account = account_of(plan) if arguments.plan or arguments.json else None
    for warning in (*plan.chain.warnings, *registry.broken, *registry.problems):
        print(f"kroma: warning: {warning}", file=sys.stderr)
    lines: tuple[str, ...] = ()
    if arguments.live:
        report = run_until_signal(lambda: check_live(plan))
        for line in report.warnings:
            print(f"kroma: warning: {line}", file=sys.stderr)
        if report.problems:
            raise ConfigError(*report.problems)
        lines = report.servers
    if arguments.json and account is not None:
        print(json.dumps({**json_of(account), "asked": list(lines)}, indent=2))
        return 0
    print(f"{arguments.profile}: ok")
    print(summary(plan) if account is None else text_of(account))
    for line in lines:
        print(f"  asked    {line}")
    return 0


def summary(plan: Plan) -> str:
    """The chain and the parts of a plan, one line each."""
    rollup = plan.chain.rollup
    lines = [f"  chain    {rollup.name or 'unnamed'} (id {rollup.l2_chain_id}, family {rollup.family})"]
    for part in plan.parts:
        for name, each in ((part.role, part), *(("  shadow", shadow) for shadow in part.shadows)):
            names = [f"{layer.installed.offer.kind} ({layer.installed.source})" for layer in each.layers]
            lines.append(f"  {name:<8} {' on '.join(names)}")
    lines.append(f"  data in  {plan.data_dir}")
    return "\n".join(lines)


def parts_of(plan: Plan) -> dict[str, Any]:
    """The same as fields of a log line."""
    rollup = plan.chain.rollup
    parts: dict[str, list[str]] = {}
    for part in plan.parts:
        for name, each in ((str(part.role), part), *((f"{part.role} shadow", shadow) for shadow in part.shadows)):
            parts.setdefault(name, []).append(" on ".join(layer.installed.offer.kind for layer in each.layers))
    return {
        "profile": plan.name,
        "chain": rollup.name or "unnamed",
        "chain_id": rollup.l2_chain_id,
        "family": str(rollup.family),
        "parts": parts,
        "data_dir": str(plan.data_dir),
    }
