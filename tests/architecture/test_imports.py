"""Who may import whom."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.sources import core_files, imports_of, part_of, plugin_files, plugin_folders, relative

VALUES = frozenset(
    {
        "types", "l1", "l2", "forks", "errors", "events", "output", "status", "state_proof", "proofs", "chain", "codec",
        "zktrie",
    }
)  # fmt: skip
PUBLIC = VALUES | {"api", "derive", "jsonrpc", "recording"}
"""What plugins may import; `testing` in their tests as well."""

MAY_IMPORT: dict[str, frozenset[str]] = {
    **dict.fromkeys(VALUES, VALUES),
    "derive": VALUES | {"derive"},
    "jsonrpc": VALUES | {"jsonrpc"},
    "recording": VALUES | {"recording"},
    "api": VALUES | {"api"},
    "node": PUBLIC | {"node"},
    "services": PUBLIC | {"services"},
    "testing": PUBLIC | {"testing", "services", "node"},
    "suite": VALUES | {"jsonrpc", "recording", "suite"},
    "cli": PUBLIC | {"node", "services", "suite", "cli"},
    "__init__": frozenset(),
}

HEAVY = (
    "eth", "eth_account", "eth_keys", "trie", "rlp", "ckzg", "web3", "py_ecc", "py_arkworks_bls12381", "rocksdict",
    "httpx", "trio_websocket", "jwt", "libp2p", "h11", "wsproto", "prometheus_client", "sqlite3", "rich",
)  # fmt: skip
"""Packages that take long to import, or that not everybody who lists plugins has."""


def test_every_part_of_core_has_a_place_in_the_law() -> None:
    assert {part_of(path) for path in core_files()} <= set(MAY_IMPORT)


def test_core_imports_only_downwards() -> None:
    broken = []
    for path in core_files():
        allowed = MAY_IMPORT[part_of(path)]
        for name, line in imports_of(path):
            parts = name.split(".")
            if parts[0] == "kroma_core" and len(parts) > 1 and parts[1] not in allowed:
                broken.append(f"{relative(path)}:{line} imports {name}")
    assert broken == []


def test_the_kit_takes_nothing_of_the_node_but_how_it_finds_plugins() -> None:
    found = {name for path in core_files() if part_of(path) == "testing" for name, _ in imports_of(path)}
    assert {".".join(name.split(".")[:3]) for name in found if name.startswith("kroma_core.node")} == {
        "kroma_core.node.registry"
    }


def test_core_imports_no_plugin() -> None:
    broken = [
        f"{relative(path)}:{line} imports {name}"
        for path in core_files()
        for name, line in imports_of(path)
        if name.startswith("kroma_") and not name.startswith("kroma_core")
    ]
    assert broken == []


def test_plugins_import_the_public_parts_of_core_only() -> None:
    broken = []
    for path in plugin_files():
        for name, line in imports_of(path):
            parts = name.split(".")
            if parts[0] == "kroma_core" and len(parts) > 1 and parts[1] not in PUBLIC:
                broken.append(f"{relative(path)}:{line} imports {name}")
    assert broken == []


def test_plugins_do_not_import_each_other() -> None:
    broken = []
    for path in plugin_files():
        own = next(part for part in path.parts if part.startswith("kroma_"))
        for name, line in imports_of(path):
            package = name.split(".")[0]
            if package.startswith("kroma_") and package not in (own, "kroma_core"):
                broken.append(f"{relative(path)}:{line} imports {name}")
    assert broken == []


def test_nothing_speaks_asyncio() -> None:
    broken = [
        f"{relative(path)}:{line}"
        for path in [*core_files(), *plugin_files()]
        for name, line in imports_of(path)
        if name.split(".")[0] in ("asyncio", "aiohttp")
    ]
    assert broken == []


def test_listing_plugins_imports_nothing_heavy() -> None:
    script = (
        "import sys; from kroma_core.node.registry import discover; found = discover(); "
        f"print(len(found.offers), *[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    offers, *heavy = done.stdout.split()
    assert heavy == []
    assert int(offers) >= len(plugin_folders())


@pytest.mark.parametrize("package", ["kroma_core.api", "kroma_core.derive.frames"])
def test_what_plugins_import_brings_no_private_part(package: str) -> None:
    script = f"import sys, {package}; print([name for name in sys.modules if name.startswith('kroma_core.')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert "kroma_core.node" not in done.stdout
    assert "kroma_core.cli" not in done.stdout
