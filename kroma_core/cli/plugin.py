"""`kroma plugin new`: begin a plugin as a distribution that installs and says what is still to be written."""

from __future__ import annotations

import argparse
from pathlib import Path

from kroma_core.api import Role
from kroma_core.errors import ConfigError


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "plugin",
        usage="kroma plugin [-h] new NAME --role ROLE [--in FOLDER]",
        help="begin a plugin of your own",
        description="Begin a plugin of your own: a distribution that installs, is listed by `kroma plugins`, and whose "
        "tests say what is still to be written.",
    )
    inner = command.add_subparsers(prog="kroma plugin", metavar="new", required=True)
    new = inner.add_parser(
        "new",
        help="write the files of a new plugin",
        description="Write the files of a new plugin into a new folder NAME. Nothing is overwritten: a folder that is "
        "there already is left as it is, and that is an error.",
        epilog="exit code 1: the folder exists, or the name cannot be one: a keyword or a module of Python, a module "
        "or a distribution that is installed, a kind that an installed plugin offers for this role",
    )
    new.add_argument("name", metavar="NAME", help="name of the distribution, and what a profile writes as `kind`")
    new.add_argument("--role", required=True, choices=[role.value for role in Role], help="the place in a node")
    new.add_argument("--in", dest="folder", type=Path, default=Path(), metavar="FOLDER", help="where (default: here)")
    new.set_defaults(run=run_new)


def run_new(arguments: argparse.Namespace) -> int:
    from kroma_core.cli.new_plugin.files import plugin_files
    from kroma_core.cli.new_plugin.names import check_name
    from kroma_core.node.registry import discover

    name: str = arguments.name
    role = Role(arguments.role)
    check_name(name, role, discover())
    files = plugin_files(name, role)
    top: Path = arguments.folder / name
    try:
        top.mkdir(parents=True)
    except FileExistsError as error:
        raise ConfigError(f"{top} exists already; nothing was written") from error
    for path, text in files.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(text)
    print(f"wrote {len(files)} files into {top}")
    print(f"next: cd {top} && pip install -e . && pytest")
    return 0
