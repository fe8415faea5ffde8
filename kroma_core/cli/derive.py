"""`kroma derive`: the payload attributes that follow from a recorded L1."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kroma_core.cli.progress import bar
from kroma_core.cli.replaying import replay_of
from kroma_core.cli.stopping import run_until_signal
from kroma_core.codec.attributes import attributes_to_json
from kroma_core.derive.steps import Derived
from kroma_core.node.assemble import assemble
from kroma_core.node.engine_controller import Confirmed
from kroma_core.node.plan import Plan, plan_replay
from kroma_core.node.registry import discover
from kroma_core.node.replay import Progress
from kroma_core.recording import open_recording

_DEPOSIT = 0x7E


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "derive",
        help="print the payload attributes that a recorded L1 leads to",
        description="Derive the L2 chain of a recording and print one line for each block: its L1 origin, the kind of "
        "batch, the L1 block it was read from, and sizes. A recording that carries its chain is derived without "
        "executing it; another one is executed. Where an engine that executes follows an L1 reorg, a block that is "
        "derived again is printed again.",
        epilog="exit code 1: no block of those asked for is derived from the recording",
    )
    command.add_argument("file", type=Path, metavar="FILE", help="a recording")
    command.add_argument("--from", type=_number, default=0, metavar="N", dest="first", help="first L2 block to print")
    command.add_argument("--to", type=_number, metavar="N", dest="last", help="last L2 block to print")
    command.add_argument("--json", action="store_true", help="one JSON object a block, with the whole attributes")
    command.add_argument("--profile", type=Path, metavar="PROFILE.toml", help="take engine and data sources from it")
    command.set_defaults(run=run, parser=command)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected the number of an L2 block, got {text!r}")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    if arguments.last is not None and arguments.last < arguments.first:
        arguments.parser.error(f"--to {arguments.last} is below --from {arguments.first}")
    shown, highest = 0, 0

    def show(derived: Derived, confirmed: Confirmed) -> None:
        nonlocal shown, highest
        number = confirmed.ref.number
        highest = max(highest, number)
        if number >= arguments.first and (arguments.last is None or number <= arguments.last):
            print(json.dumps(_as_json(derived, confirmed)) if arguments.json else _as_text(derived, confirmed))
            shown += 1

    with open_recording(arguments.file) as recording:
        carries_chain = recording.expected is not None
    with tempfile.TemporaryDirectory(prefix="kroma-derive-") as scratch:
        plan = plan_replay(
            arguments.file, arguments.profile, discover(), os.environ, Path(scratch), without_execution=carries_chain
        )
        run_until_signal(lambda: _derive(arguments.file, plan, show))
    if shown:
        return 0
    upto = f" to {arguments.last}" if arguments.last is not None else " on"
    name, given = arguments.file, f" --profile {arguments.profile}" if arguments.profile is not None else ""
    reached = f"the blocks derived from it end at {highest}" if highest else "no block is derived from it"
    print(f"kroma: {name}: none of the L2 blocks from {arguments.first}{upto}: {reached}", file=sys.stderr)
    if not highest:
        told = f"why: kroma explain stall {name}{given}; what its batcher data hold: kroma decode {name}{given}"
        print(f"kroma: {told}", file=sys.stderr)
    return 1


async def _derive(path: Path, plan: Plan, show: Callable[[Derived, Confirmed], None]) -> None:
    with open_recording(path) as recording, bar(path.name, "L1 heads") as advance:

        def on_progress(progress: Progress) -> None:
            advance(progress.steps, progress.steps_in_all)

        async with assemble(plan) as parts:
            await replay_of(recording, plan, parts, expected=None, on_progress=on_progress, on_derived=show).run()


def _sizes(derived: Derived) -> dict[str, int]:
    transactions = derived.attributes.transactions
    deposits = sum(1 for raw in transactions if raw[:1] == bytes((_DEPOSIT,)))
    return {
        "transactions": len(transactions),
        "deposits": deposits,
        "bytes": sum(map(len, transactions)),
    }


def _as_text(derived: Derived, confirmed: Confirmed) -> str:
    sizes = _sizes(derived)
    return (
        f"{confirmed.ref.number}  time {derived.attributes.timestamp}  origin {confirmed.ref.l1_origin.number}"
        f"+{confirmed.ref.sequence_number}  {derived.kind}  from L1 {derived.derived_from.number}  "
        f"{sizes['transactions']} transactions ({sizes['deposits']} deposits)  {sizes['bytes']} bytes"
    )


def _as_json(derived: Derived, confirmed: Confirmed) -> dict[str, Any]:
    origin, source = confirmed.ref.l1_origin, derived.derived_from
    return {
        "number": confirmed.ref.number,
        "l1_origin": {"number": origin.number, "hash": "0x" + origin.hash.hex()},
        "sequence_number": confirmed.ref.sequence_number,
        "batch": derived.kind.value,
        "derived_from": {"number": source.number, "hash": "0x" + source.hash.hex()},
        **_sizes(derived),
        "attributes": attributes_to_json(derived.attributes),
    }
