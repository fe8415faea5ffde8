"""`kroma plugins`: what is installed, and what each part can be told."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from kroma_core.errors import ConfigError
from kroma_core.node.registry import InstalledOffer, Registry, discover, incompatibility
from kroma_core.node.setting_docs import Setting, describe

_COLUMNS = ("ROLE", "KIND", "DISTRIBUTION", "VERSION", "API", "CAPABILITIES")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "plugins",
        usage="kroma plugins [-h] [--json] [info KIND]",
        help="list what is installed, or describe one kind of part",
        description="List the parts that installed plugins offer, by role. Nothing is opened, and nothing heavy is "
        "imported. With `info KIND`: what the parts of that kind can be told in a profile.",
        epilog="exit code 1: a plugin could not be loaded, two offer the same, or there is no such kind",
    )
    command.add_argument("--json", action="store_true", help="as JSON")
    command.set_defaults(run=run)
    inner = command.add_subparsers(prog="kroma plugins", metavar="info KIND")
    info = inner.add_parser(
        "info",
        help="settings of one kind, with types and defaults",
        description="Describe the parts of one kind: role, distribution, version, API, capabilities, and the settings "
        "with types, defaults and meaning.",
    )
    info.add_argument("kind", metavar="KIND", help="what a profile writes as `kind`")
    info.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as a JSON list, one per role")
    info.set_defaults(run=run_info)


def run(arguments: argparse.Namespace) -> int:
    registry = discover()
    if arguments.json:
        print(json.dumps(_registry_json(registry), indent=2))
    else:
        _print_columns([_COLUMNS, *(_row(found) for found in registry.offers)])
    complaints = _complaints(registry)
    for complaint in complaints:
        print(f"kroma: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


def run_info(arguments: argparse.Namespace) -> int:
    registry = discover()
    found = [installed for installed in registry.offers if installed.offer.kind == arguments.kind]
    if not found:
        kinds = ", ".join(dict.fromkeys(installed.offer.kind for installed in registry.offers)) or "nothing"
        raise ConfigError(
            f"no installed plugin offers {arguments.kind!r}; installed: {kinds}", *map(str, registry.broken)
        )
    if arguments.json:
        print(json.dumps([_offer_json(installed) for installed in found], indent=2))
    else:
        print("\n\n".join(_page(installed) for installed in found))
    return 0


def _complaints(registry: Registry) -> list[str]:
    wrong = [incompatibility(installed) for installed in registry.offers]
    return [*map(str, registry.broken), *registry.problems, *(text for text in wrong if text is not None)]


def _row(installed: InstalledOffer) -> tuple[str, ...]:
    offer = installed.offer
    capabilities = ", ".join(sorted(offer.capabilities)) or "-"
    return (installed.role, offer.kind, installed.distribution, installed.version, str(offer.api), capabilities)


def _print_columns(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _page(installed: InstalledOffer) -> str:
    offer = installed.offer
    lines = [f"{installed.role} {offer.kind}"]
    if offer.summary:
        lines.append(f"  {offer.summary}")
    lines += [
        "",
        f"  distribution  {installed.source}",
        f"  plugin API    {offer.api}",
        f"  capabilities  {_listed(offer.capabilities)}",
        f"  requires      {_listed(offer.requires)}",
        "  settings",
    ]
    settings = _settings(installed)
    for setting in settings:
        default = "must be given" if setting.default is None else f"default {setting.default}"
        lines.append(f"    {setting.name}: {setting.type}; {default}")
        if setting.doc:
            lines.append(f"        {setting.doc}")
    if not settings:
        lines.append("    none")
    return "\n".join(lines)


def _settings(installed: InstalledOffer) -> Sequence[Setting]:
    """The settings of an offer; of one for another API nothing is known."""
    return describe(installed.offer.config) if incompatibility(installed) is None else ()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _registry_json(registry: Registry) -> dict[str, Any]:
    return {
        "offers": [_offer_json(installed) for installed in registry.offers],
        "broken": [attrs.asdict(item) for item in registry.broken],
        "problems": list(registry.problems),
    }


def _offer_json(installed: InstalledOffer) -> dict[str, Any]:
    offer = installed.offer
    return {
        "role": installed.role.value,
        "kind": offer.kind,
        "summary": offer.summary,
        "distribution": installed.distribution,
        "version": installed.version,
        "api": offer.api,
        "capabilities": sorted(offer.capabilities),
        "requires": sorted(offer.requires),
        "settings": [
            {
                "name": setting.name,
                "type": setting.type,
                "required": setting.default is None,
                "default": setting.default,
                "doc": setting.doc,
            }
            for setting in _settings(installed)
        ],
    }
