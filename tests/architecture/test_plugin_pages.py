"""docs/plugins is true: the roles' pages are those of the protocols, the tutorial's code stands in the template."""

from __future__ import annotations

import re
import tomllib
from typing import get_args, get_type_hints

import attrs
import pytest

from kroma_core import api, chain, errors
from kroma_core.api import API_VERSION, Capability, Offer
from kroma_core.events import Event
from kroma_core.node.registry import collect, incompatibility
from kroma_core.testing.declared import CAPABILITIES
from tests.architecture.role_pages import FOLDER, pages
from tests.architecture.sources import ROOT
from tests.architecture.test_imports import PUBLIC
from tests.node.sample_parts import SamplePlugin, offer

TEMPLATE = ROOT / "examples" / "plugin_template"
CODE = [path.read_text() for path in sorted(TEMPLATE.rglob("*.py"))]
WRAPPER = [path.read_text() for path in sorted((ROOT / "examples" / "engine_faults").rglob("*.py"))]


class LaterPlugin:
    @api.hookimpl
    def provide_time_machines(self) -> tuple[()]:
        return ()


@pytest.mark.parametrize("name", sorted(pages()))
def test_the_page_of_a_role_is_that_of_its_protocol(name: str) -> None:
    message = f"docs/plugins/{name} is not what `python -m tests.architecture.role_pages` writes"
    assert (FOLDER / name).read_text() == pages()[name], message


@pytest.mark.parametrize("kind", get_args(Event))
def test_observers_find_every_kind_of_event_with_its_fields(kind: type) -> None:
    _, _, after = (FOLDER / "observe.md").read_text().partition(f"\n`{kind.__name__}` (`kroma_core.events`): ")
    listed = [line for line in after.partition("(`kroma_core.")[0].splitlines() if line.startswith("- ")]
    fields = [field.name for field in attrs.fields(kind)]
    assert [line.removeprefix("- `").partition(":")[0] for line in listed] == fields


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("data", ["- `blob_hashes: tuple[Hash32, ...] = ()`", "- `timestamp: Timestamp`", "- `blobs: bool = False`: "]),
        ("l1", ["- `transactions: tuple[bytes, ...] = ", "- `safe: L1Ref | None = None`", "- `SAFE = 'safe'`"]),
        ("engine", ["- `prev_randao: Hash32`", "- `finalized: "]),
    ],
)
def test_the_page_of_a_role_has_the_fields_of_what_its_methods_are_given(name: str, expected: list[str]) -> None:
    lines = (FOLDER / f"{name}.md").read_text().splitlines()
    assert [one for one in expected if not any(line.startswith(one) for line in lines)] == []


def test_every_capability_belongs_to_a_role_and_is_explained() -> None:
    assert frozenset().union(*CAPABILITIES.values()) == frozenset(Capability)
    table = (ROOT / "docs" / "plugins.md").read_text().partition("\nCapabilities:\n")[2].partition("\n## ")[0]
    named = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    assert sorted(re.findall(r"`([a-z-]+)`", named)) == sorted(Capability)
    for role, capabilities in CAPABILITIES.items():
        lines = (FOLDER / f"{role}.md").read_text().splitlines()
        for capability in capabilities:
            assert any(line.startswith(f"- `{capability}`: ") for line in lines), capability


def test_what_is_public_is_listed_once_and_is_what_plugins_may_import() -> None:
    section = (ROOT / "docs" / "plugins.md").read_text().partition("\n## Public and private\n")[2].partition("\n## ")[0]
    table, private = section.partition("All else in")[::2]
    named = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`([a-z0-9_]+)`", named)) == PUBLIC | {"testing"}
    assert PUBLIC.isdisjoint(re.findall(r"`([a-z0-9_]+)`", private))


def test_what_a_check_is_handed_is_imported_from_where_the_page_says() -> None:
    assert "`kroma_core.chain.ChainConfig`" in (ROOT / "docs" / "plugins.md").read_text()
    assert chain.ChainConfig is get_type_hints(Offer)["check"].__args__[1]


def test_the_tutorials_code_stands_in_the_template() -> None:
    text = (FOLDER / "tutorial.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    assert [block for block in blocks if not any(block.strip() in code for code in CODE + WRAPPER)] == []
    entry = tomllib.loads(re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[0])
    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text())["project"]
    assert entry["project"]["entry-points"] == project["entry-points"]


def test_every_error_that_a_plugin_raises_is_explained() -> None:
    text = (FOLDER / "errors.md").read_text()
    for name in ("TemporaryError", "NotFound", "ResetError", "CriticalError", "ConfigError"):
        assert hasattr(errors, name)
        assert f"| `{name}` |" in text
    for name in ("Missing", "Invalid", "Syncing", "Inconsistent"):
        assert hasattr(api, name)
        assert f"`{name}`" in text
    assert f"`api={API_VERSION}`" in (FOLDER / "versions.md").read_text()


def test_what_the_page_on_versions_says_is_what_a_node_says() -> None:
    text = (FOLDER / "versions.md").read_text()
    newer = offer("fast", api=API_VERSION + 1)
    told = [
        *map(incompatibility, collect([("acme", "1.0", SamplePlugin(engine=[newer]))]).offers),
        *collect(
            [("acme", "1", SamplePlugin(engine=[offer("fast")])), ("rival", "2", SamplePlugin(engine=[offer("fast")]))]
        ).problems,
        *map(str, collect([("acme", "1.0", LaterPlugin())]).broken),
    ]
    for message in told:
        assert message is not None
        begin, _, end = message.partition("could not be loaded: ")
        assert begin in text
        assert end.rpartition("; ")[2] in text


def test_links_of_the_pages_lead_somewhere() -> None:
    broken = [
        f"{path.name}: {target}"
        for path in sorted(FOLDER.glob("*.md"))
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text())
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert broken == []


def test_the_template_imports_the_public_parts_of_core_only() -> None:
    imported = {name for code in CODE for name in re.findall(r"kroma_core\.([a-z0-9_]+)", code)}
    assert imported & {"node", "services", "cli"} == set()
