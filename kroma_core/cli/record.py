"""`kroma record`: the L1 that a node follows, written down while it follows."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import attrs

from kroma_core.api import Capability, Observer, Role
from kroma_core.cli import version
from kroma_core.cli.event_log import EventLog
from kroma_core.cli.log_lines import LogLines
from kroma_core.cli.progress import catching_up
from kroma_core.cli.stopping import run_until_signal
from kroma_core.errors import ConfigError
from kroma_core.l1 import L1Heads
from kroma_core.node.assemble import assemble
from kroma_core.node.chain_choice import files_of_table
from kroma_core.node.plan import Plan, plan_profile
from kroma_core.node.profile import ChainTable, LogFormat, LogLevel, read_profile
from kroma_core.node.recorder.recorder import Recorder
from kroma_core.node.recorder.tape import Tape
from kroma_core.node.registry import discover
from kroma_core.node.replay import FRUITLESS_RESETS
from kroma_core.node.retry import IMPATIENT, RetryPolicy
from kroma_core.recording import About, RecordingError, RecordingWriter, partial_of


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "record",
        help="record the L1 that a node follows",
        description="Follow L1 with the parts of a profile, from the rollup's genesis on and in a data folder of its "
        "own, and write down what the node sees: L1 blocks with receipts, blobs, heads, and the chain that it derives. "
        "`kroma replay FILE` gives the same chain elsewhere. SIGINT and SIGTERM end the recording; what was recorded "
        "by then is FILE. A process that is killed leaves FILE.partial, which --rescue completes.",
    )
    command.add_argument("profile", nargs="?", type=Path, metavar="PROFILE.toml")
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help="the recording; it must not exist")
    end = command.add_mutually_exclusive_group()
    end.add_argument("--until", type=_count, metavar="L1NUMBER", help="stop after this L1 block")
    end.add_argument("--blocks", type=_count, metavar="N", help="stop after N L1 blocks above the rollup's L1 genesis")
    end.add_argument("--rescue", action="store_true", help="make FILE of FILE.partial, up to the last whole step")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    out: Path = arguments.out
    if arguments.rescue:
        with RecordingWriter.rescue(out) as writer:
            _finish(writer)
        return 0
    if arguments.profile is None:
        raise ConfigError("kroma record: name a profile, or --rescue")
    plan = plan_profile(arguments.profile, discover(), os.environ)
    arguments.log_format = plan.node.log_format  # the last line too, where the command fails
    lines = LogLines(format=plan.node.log_format)
    for warning in plan.chain.warnings:
        lines.write(LogLevel.WARNING, "warning", {"message": warning}, f"kroma: warning: {warning}")
    if not plan.node.derive:
        raise ConfigError(f"{arguments.profile}: [node] derive: a node that does not derive has nothing to record")
    partial = partial_of(out)
    if partial.exists():
        raise ConfigError(
            f"{partial}: what an interrupted recording left; `kroma record --rescue --out {out}` makes a recording of "
            "it, or remove it"
        )
    problems: list[str] = []
    table = read_profile(arguments.profile, os.environ, problems).chain or ChainTable()
    files = files_of_table(table, plan.chain)
    about = About(
        name=out.name,
        summary=f"the L1 that a node of profile {plan.name} followed",
        made_by=f"kroma record, {version.text()}; engine {', '.join(part.name for part in plan.of_role(Role.ENGINE))}",
    )
    with (
        RecordingWriter(
            out,
            rollup_config=files.rollup,
            l1_chain_config=files.l1,
            l2_genesis=files.genesis,
            about=about,
            check=False,
            lasting=True,
        ) as writer,
        tempfile.TemporaryDirectory(prefix="kroma-record-") as scratch,
    ):
        writer.keep()
        try:
            run_until_signal(lambda: _record(_moved(plan, Path(scratch)), writer, _end(arguments, plan)))
        except KeyboardInterrupt:
            lines.write(LogLevel.INFO, "stopped", {}, "kroma: stopped")
        except BaseException:
            _save(writer, lines)
            raise
        _finish(writer)
    return 0


async def _record(plan: Plan, writer: RecordingWriter, until: Callable[[L1Heads], bool]) -> None:
    with catching_up(plan.chain, shown=plan.node.log_format is LogFormat.TEXT) as progress:
        log = EventLog(level=plan.node.log_level, format=plan.node.log_format)
        recorded = any(Capability.TIMELINE in part.installed.offer.capabilities for part in plan.of_role(Role.L1))
        recorder = Recorder(
            config=plan.chain,
            tape=Tape(writer=writer),
            patience=IMPATIENT if recorded else RetryPolicy(),
            resets_without_progress=FRUITLESS_RESETS if recorded else None,
            emit=log.on_event,
            until=until,
        )
        observers: dict[str, Observer] = {"log": log}
        if progress is not None:
            observers["progress"] = progress
        async with assemble(plan, observers=observers, wrap=recorder.wrap) as parts:
            await recorder.run(parts)


def _moved(plan: Plan, folder: Path) -> Plan:
    """The plan in another data folder: the node begins at genesis, and touches nobody's chain."""
    parts = tuple(attrs.evolve(part, data_dir=folder / part.data_dir.relative_to(plan.data_dir)) for part in plan.parts)
    return attrs.evolve(plan, data_dir=folder, parts=parts)


def _end(arguments: argparse.Namespace, plan: Plan) -> Callable[[L1Heads], bool]:
    last: int | None = arguments.until
    if arguments.blocks is not None:
        last = plan.chain.rollup.genesis.l1.number + arguments.blocks
    return lambda heads: last is not None and heads.unsafe.number >= last


def _finish(writer: RecordingWriter) -> None:
    """Give the recording its name, if there is anything in it."""
    writer.go_back()
    if not writer.steps:
        writer.lasting = False  # nothing is worth keeping
        print(f"{writer.path}: nothing was recorded", flush=True)
        return
    writer.finish()
    print(f"{writer.path}: {writer.steps} L1 heads recorded", flush=True)


def _save(writer: RecordingWriter, lines: LogLines) -> None:
    """Keep what there is, after a failure that is about to be told."""
    try:
        _finish(writer)
    except RecordingError as error:
        for line in (str(error), f"{writer.partial} has what was recorded: --rescue completes it"):
            lines.write(LogLevel.ERROR, "failed", {"error": line}, f"kroma: {line}")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise argparse.ArgumentTypeError(f"expected a number, got {text}")
    return int(text)
