"""`kroma explain`: why a block is (not) safe, what became of a transaction, and why the safe head stands still."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import attrs

from kroma_core.cli.failures import describe
from kroma_core.cli.locating import located
from kroma_core.cli.progress import bar
from kroma_core.cli.replaying import replay_of
from kroma_core.cli.stopping import run_until_signal
from kroma_core.codec.keccak import keccak256
from kroma_core.derive.steps import Derived
from kroma_core.errors import ConfigError, KromaError
from kroma_core.events import Event
from kroma_core.node.assemble import assemble
from kroma_core.node.engine_controller import Confirmed
from kroma_core.node.explain.answer import Answer
from kroma_core.node.explain.history import explain_block, explain_l1, explain_transaction, in_block
from kroma_core.node.explain.ledger import KEPT, Ledger
from kroma_core.node.explain.situation import Situation
from kroma_core.node.explain.stall import Surroundings, stall
from kroma_core.node.explain.store import STORE, StoreProblem, VerdictStore
from kroma_core.node.plan import Plan, plan_profile, plan_replay
from kroma_core.node.profile import SyncMode
from kroma_core.node.registry import discover
from kroma_core.node.replay import Progress
from kroma_core.recording import open_recording

_AT_ONCE = 5000
"""Events that are written together."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "explain",
        help="why a block is (not) safe, what became of a transaction, why the safe head stands still",
        description="Answers from what a node keeps of every verdict of derivation (--profile; running or not), "
        "or from a recording, which is derived for it.",
        epilog="exit code 1: nothing is known of what was asked",
    )
    questions = command.add_subparsers(title="questions", metavar="QUESTION", required=True)
    for name, value, what in (
        ("block", "N", "why L2 block N is safe or not, and which L1 transactions made it"),
        ("tx", "HASH", "what became of a batcher's L1 transaction, or of a transaction on L2"),
        ("l1", "N", "what happened in L1 block N"),
        ("stall", None, "why the safe head stands still"),
    ):
        question = questions.add_parser(name, help=what, description=f"Tells {what}.")
        if value is not None:
            question.add_argument("value", metavar=value, type=_hash if name == "tx" else _number)
        question.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a recording")
        question.add_argument(
            "--profile", type=Path, metavar="PROFILE.toml", help="the node; with FILE, its engine and data sources"
        )
        question.add_argument("--json", action="store_true", help="one JSON object")
        question.set_defaults(run=run, question=name, parser=question)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected the number of a block, got {text!r}")
    return int(text)


def _hash(text: str) -> bytes:
    digits = text.removeprefix("0x")
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        found = b""
    if len(found) != 32 or len(digits) != 64:
        raise argparse.ArgumentTypeError(f"expected a transaction hash of 32 bytes in hex, got {text!r}")
    return found


def run(arguments: argparse.Namespace) -> int:
    if arguments.file is not None:
        answer = _of_recording(arguments)
    elif arguments.profile is not None:
        answer = _of_node(arguments)
    else:
        arguments.parser.error("name the --profile of a node, or a recording")
    print(json.dumps(answer.as_json()) if arguments.json else answer.text())
    return 0 if answer.found else 1


def _of_node(arguments: argparse.Namespace) -> Answer:
    """The answer from the store of a node, which may be running."""
    plan = plan_profile(arguments.profile, discover(), os.environ)
    try:
        with closing(VerdictStore(plan.data_dir / STORE, read_only=True)) as store:
            situation = Situation(store, plan.chain, plan.node.l1_confirmations)
            syncs = plan.node.sync_mode is SyncMode.EXECUTION_LAYER
            blocks: dict[bytes, int] = {}
            if arguments.question == "tx" and not explain_transaction(situation, arguments.value).found:
                number = located(plan, arguments.value)
                blocks = {} if number is None else {arguments.value: number}
            return _answered(arguments, situation, Surroundings(now=time.time(), engine_syncs=syncs), blocks)
    except StoreProblem as error:
        raise ConfigError(str(error)) from error


def _of_recording(arguments: argparse.Namespace) -> Answer:
    """The answer from a recording, derived anew."""
    with open_recording(arguments.file) as recording:
        carries_chain = recording.expected is not None
    with tempfile.TemporaryDirectory(prefix="kroma-explain-") as scratch, closing(VerdictStore(None)) as store:
        plan = plan_replay(
            arguments.file, arguments.profile, discover(), os.environ, Path(scratch), without_execution=carries_chain
        )
        listener = _Listener(store)
        try:
            run_until_signal(lambda: _derive(arguments.file, plan, listener))
        except KromaError as error:
            print(f"kroma: {arguments.file}: derived in part: {'; '.join(describe(error))}", file=sys.stderr)
            listener.failed(error)
        listener.write()
        return _answered(arguments, Situation(store, plan.chain), Surroundings(running=True), listener.blocks)


def _answered(
    arguments: argparse.Namespace, situation: Situation, around: Surroundings, blocks: dict[bytes, int]
) -> Answer:
    """`blocks`: the L2 block of each L2 transaction, where that is known."""
    match arguments.question:
        case "block":
            return explain_block(situation, arguments.value, around)
        case "l1":
            return explain_l1(situation, arguments.value)
        case "tx" if arguments.value in blocks:
            return in_block(situation, arguments.value, blocks[arguments.value], around)
        case "tx":
            return explain_transaction(situation, arguments.value)
        case _:
            return stall(situation, around)


@attrs.define
class _Listener:
    """Writes what an observer is told, and notes which L2 transactions are in which block."""

    store: VerdictStore
    blocks: dict[bytes, int] = attrs.field(factory=dict, init=False)
    _events: list[Event] = attrs.field(factory=list, init=False)
    _ledger: Ledger = attrs.field(factory=Ledger, init=False)

    def on_event(self, event: Event) -> None:
        if type(event) in KEPT:
            self._events.append(event)
            if len(self._events) >= _AT_ONCE:
                self.write()

    def on_derived(self, derived: Derived, confirmed: Confirmed) -> None:
        for raw in derived.attributes.transactions:
            self.blocks[keccak256(raw)] = confirmed.ref.number

    def failed(self, error: KromaError) -> None:
        self._ledger.note("failed", {"error": "; ".join(describe(error))}, 0.0)

    def write(self) -> None:
        events, self._events = self._events, []
        self.store.write(self._ledger.changes(events, 0.0))


async def _derive(path: Path, plan: Plan, listener: _Listener) -> None:
    with open_recording(path) as recording, bar(path.name, "L1 heads") as advance:

        def on_progress(progress: Progress) -> None:
            advance(progress.steps, progress.steps_in_all)

        derived: Callable[[Derived, Confirmed], None] = listener.on_derived
        async with assemble(plan, observers={"explain": listener}) as parts:
            await replay_of(recording, plan, parts, expected=None, on_progress=on_progress, on_derived=derived).run()
