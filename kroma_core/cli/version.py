"""`kroma version`"""

from __future__ import annotations

import argparse
import json
import platform
from importlib import metadata

from kroma_core.api.roles import API_VERSION

DISTRIBUTION = "kroma-core"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("version", help="print the version", description="Print the version of the node.")
    command.add_argument("--json", action="store_true", help="as one JSON object")
    command.set_defaults(run=run)


def number() -> str:
    """The version alone."""
    return metadata.version(DISTRIBUTION)


def text() -> str:
    found = _found()
    return f"kroma {found['version']} (plugin API {found['api']}, Python {found['python']})"


def run(arguments: argparse.Namespace) -> int:
    print(json.dumps(_found()) if arguments.json else text())
    return 0


def _found() -> dict[str, object]:
    return {
        "version": number(),
        "api": API_VERSION,
        "python": platform.python_version(),
    }
