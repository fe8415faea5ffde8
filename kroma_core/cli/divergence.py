"""`kroma divergence`: what two parts differed in, from the bundle that a node wrote; and whether they still do."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from kroma_core.api import Role
from kroma_core.cli.stopping import run_until_signal
from kroma_core.node.plan import plan_profile
from kroma_core.node.registry import discover
from kroma_core.node.shadow.bundle import Bundle, read_bundle
from kroma_core.node.shadow.replaying import Replayed, chain_of, replay
from kroma_core.recording.compare import Difference

_PARTS = {
    Role.ENGINE: "engines",
    Role.L1: "L1 sources",
    Role.BLOBS: "blob sources",
    Role.DATA: "data sources",
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "divergence",
        help="show or replay a divergence that a node found in shadow mode",
        description="A node that finds two parts to differ ([[engine.shadow]] and the like) writes a bundle: one file "
        "with the chain, what was asked, both answers and the versions of both parts.",
    )
    what = command.add_subparsers(title="commands", metavar="COMMAND", required=True)
    show = what.add_parser(
        "show",
        help="what differed, field by field",
        description="What differed, field by field. Nothing is opened.",
    )
    again = what.add_parser(
        "replay",
        help="ask again, offline, with what is installed here",
        description="Put the question of a bundle again to parts of the same kinds: those that are installed here and "
        "need no settings, or those of a profile. Offline, but for what a profile names. A side that cannot be asked "
        "stands with the answer that the bundle has.",
        epilog="exit code 1: the answers still differ, or nobody can be asked",
    )
    for each in (show, again):
        each.add_argument("file", type=Path, metavar="FILE", help="a bundle, *.divergence.json.gz")
        each.add_argument("--json", action="store_true", help="one JSON object")
    again.add_argument(
        "--profile", type=Path, metavar="PROFILE.toml", help="take the parts and their settings from this profile"
    )
    show.set_defaults(run=_show)
    again.set_defaults(run=_replay)


def _show(arguments: argparse.Namespace) -> int:
    bundle = read_bundle(arguments.file)
    if arguments.json:
        print(json.dumps(_as_json(bundle)))
    else:
        print("\n".join([*_header(bundle), *_fields(bundle.divergence.differences)]))
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    bundle = read_bundle(arguments.file)
    registry = discover()
    plan = None if arguments.profile is None else plan_profile(arguments.profile, registry, os.environ)
    with tempfile.TemporaryDirectory(prefix="kroma-divergence-") as folder:
        found = run_until_signal(lambda: replay(bundle, registry, plan, Path(folder)))
    if arguments.json:
        print(json.dumps(_replayed_json(bundle, found)))
    else:
        print("\n".join(_replayed_text(bundle, found)))
    return 1 if found.differences else 0


def _header(bundle: Bundle) -> list[str]:
    found = bundle.divergence
    rollup = chain_of(bundle).rollup
    return [
        f"{bundle.path}: two {_PARTS.get(found.role, found.role)} differ at {found.cursor}",
        f"  found    {bundle.found} by {bundle.made_by}",
        f"  chain    {rollup.name or 'unnamed'} (id {rollup.l2_chain_id}, family {rollup.family})",
        f"  leader   {found.leader}",
        f"  follower {found.follower}",
        f"  inputs   {', '.join(_counted(name, value) for name, value in found.inputs.items() if value is not None)}",
    ]


def _counted(name: str, value: Any) -> str:
    """An input by its name, and how many there are where it is a list."""
    return f"{name} ({len(value)})" if isinstance(value, list) else name


def _fields(differences: Sequence[Difference]) -> list[str]:
    lines = [f"  differ in {len(differences)} field{'s' if len(differences) != 1 else ''}:"]
    for one in differences:
        lines += [f"    {one.field}", f"      leader    {one.expected}", f"      follower  {one.got}"]
    return lines


def _replayed_text(bundle: Bundle, found: Replayed) -> list[str]:
    lines = _header(bundle)
    for side in found.sides:
        asked = f"{side.version} {side.note}" if side.version is not None else f"not asked: {side.note}"
        lines.append(f"  now      {side.side}: {asked}")
    if found.differences:
        return [*lines, *_fields(found.differences), "  they still differ"]
    return [*lines, "  they agree now"]


def _as_json(bundle: Bundle) -> dict[str, Any]:
    found = bundle.divergence
    return {
        "file": str(bundle.path),
        "role": found.role.value,
        "cursor": {
            "place": found.cursor.place.value,
            "number": found.cursor.number,
            "hash": "0x" + found.cursor.hash.hex(),
        },
        "found": bundle.found,
        "made_by": bundle.made_by,
        "leader": attrs.asdict(found.leader),
        "follower": attrs.asdict(found.follower),
        "differences": _differences_json(found.differences),
    }


def _replayed_json(bundle: Bundle, found: Replayed) -> dict[str, Any]:
    return {
        **_as_json(bundle),
        "sides": [
            {
                "side": side.side.value,
                "asked": None if side.version is None else attrs.asdict(side.version),
                "note": side.note,
            }
            for side in found.sides
        ],
        "differs": bool(found.differences),
        "differences_now": _differences_json(found.differences),
    }


def _differences_json(differences: Sequence[Difference]) -> list[dict[str, str]]:
    return [{"field": one.field, "leader": one.expected, "follower": one.got} for one in differences]
