"""`kroma recordings`: recordings as a derivation test suite for other clients."""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kroma_core.cli import version
from kroma_core.cli.progress import bar
from kroma_core.cli.stopping import run_until_signal
from kroma_core.errors import ConfigError
from kroma_core.suite import line_client, whole_client
from kroma_core.suite.chains import SuiteChain, chosen, read_suite
from kroma_core.suite.export import export
from kroma_core.suite.line_client import LineClient
from kroma_core.suite.results import Outcome, Report, Result, form_of
from kroma_core.suite.whole_client import WholeClient

_ENDINGS = (".json", ".json.xz", ".krec")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "recordings",
        help="make a derivation test suite of recordings, and hold any client to it",
        description="Recordings as a test suite for derivation, for clients in any language. docs/recordings.md says "
        "more, and so does the README.md of every suite.",
    )
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)
    making = actions.add_parser(
        "export",
        help="write a suite",
        description="Write recordings as a suite: a manifest, and for each chain two plain JSON files, what a client "
        "gets and what it must come to.",
    )
    making.add_argument("folder", type=Path, metavar="DIR", help="where to; it must be empty or absent")
    making.add_argument("files", type=Path, nargs="+", metavar="FILE", help="recordings, or folders of them")
    making.set_defaults(run=run_export)
    _add_runner(
        actions,
        "run",
        "hold a whole client to it: `kroma serve` is its L1, its safe head is compared",
        whole_client.PLACES,
        120.0,
    ).add_argument(
        "--steps", action="store_true", help="walk through the timeline, and compare after each of its steps"
    )
    _add_runner(
        actions,
        "derive",
        "hold a derivation library to it: it prints attributes, a line each, and is told of its blocks",
        line_client.PLACES,
        60.0,
    )


def _add_runner(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    what: str,
    places: dict[str, str],
    seconds: float,
) -> argparse.ArgumentParser:
    told = "; ".join(f"{{{place}}} {meaning}" for place, meaning in places.items())
    command = actions.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        usage=f"kroma recordings {name} [options] DIR -- COMMAND [WORD ...]",
        epilog=f"In COMMAND these are filled in: {told}. Exit code 0: something passed, and nothing failed.",
    )
    command.add_argument("folder", type=Path, metavar="DIR", help="a suite")
    command.add_argument("command", nargs="+", metavar="COMMAND", help="the client, after --")
    command.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="this chain, or those of a pattern (plain-*)"
    )
    command.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="NAME=REASON",
        help="not this chain, or those of a pattern; the report has the reason",
    )
    command.add_argument(
        "--report",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="write a report: FILE.md a table to paste, FILE.json, FILE.xml JUnit; may be given several times",
    )
    command.add_argument("--client", metavar="NAME", help="the client's name and version in reports")
    command.add_argument(
        "--seconds", type=_seconds, default=seconds, metavar="S", help="how long a chain or step may take (%(default)g)"
    )
    command.add_argument("--work", type=Path, metavar="FOLDER", help="keep the clients' folders and logs there")
    command.set_defaults(run=run_client, procedure=name)
    return command


def run_export(arguments: argparse.Namespace) -> int:
    files = list(_recordings(arguments.files))
    with bar("export", "chains") as advance:
        for done, _ in enumerate(export(files, arguments.folder, f"kroma recordings export, {version.text()}"), 1):
            advance(done, len(files))
    print(f"{arguments.folder}: {len(files)} chains")
    return 0


def _recordings(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(one for one in path.iterdir() if one.name.endswith(_ENDINGS))
        if not found:
            raise ConfigError(f"{path}: has no recordings ({', '.join(_ENDINGS)})")
        yield from found


def run_client(arguments: argparse.Namespace) -> int:
    for path in arguments.report:
        form_of(path)
    chains = chosen(read_suite(arguments.folder), arguments.only)
    skips = dict(_skips(arguments.skip))
    command = list(_whole_paths(arguments.command))
    with _work(arguments.work) as work:
        if arguments.procedure == "run":
            client: WholeClient | LineClient = WholeClient(
                command=command, seconds=arguments.seconds, work=work, steps=arguments.steps
            )
        else:
            client = LineClient(command=command, seconds=arguments.seconds, work=work)
        results = [_result(client, chain, skips) for chain in chains]
    procedure = {"run": "whole client", "derive": "derivation library"}[arguments.procedure]
    report = Report(
        client=arguments.client or Path(arguments.command[0]).name,
        procedure=f"{procedure}{', step by step' if getattr(arguments, 'steps', False) else ''}",
        suite=f"suite {arguments.folder.name}, {version.text()}",
        results=tuple(results),
    )
    for path in arguments.report:
        report.write(path)
    print(report.summary())
    return 0 if report.passed else 1


def _result(client: WholeClient | LineClient, chain: SuiteChain, skips: dict[str, str]) -> Result:
    reason = next((reason for name, reason in skips.items() if Path(chain.name).match(name)), None)
    if reason is not None:
        result = Result(chain=chain.name, family=chain.family, forks=chain.forks, outcome=Outcome.SKIPPED, seconds=0.0,
                        reason=reason)  # fmt: skip
    else:
        result = run_until_signal(lambda: client.run(chain))
    told = f": {result.reason}" if result.reason else ""
    if result.outcome is Outcome.FAILED and result.log.strip():
        told += f"; its log ends: {result.log.strip().splitlines()[-1].strip()}"
    print(f"{result.outcome:<7}  {result.chain}  {result.seconds:.1f} s{told}", flush=True)
    return result


def _whole_paths(command: list[str]) -> Iterator[str]:
    """The command, which will run in another folder: words that name files here become whole paths."""
    for turn, word in enumerate(command):
        named = Path(word).is_file() and (turn > 0 or "/" in word)
        yield str(Path(word).absolute()) if named else word  # a link keeps its name: python knows its environment by it


def _skips(given: list[str]) -> Iterator[tuple[str, str]]:
    for one in given:
        name, found, reason = one.partition("=")
        if not found or not reason:
            raise ConfigError(f"--skip {one}: expected NAME=REASON; a report says why a chain was left out")
        yield name, reason


@contextmanager
def _work(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="kroma-suite-") as scratch:
        yield Path(scratch)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, got {text}")
    return found
