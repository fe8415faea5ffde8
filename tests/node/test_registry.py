"""Finding plugins: what they offer, and that one which fails takes no other down."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from kroma_core.api import API_VERSION, Role, hookimpl
from kroma_core.node.registry import collect, discover, incompatibility
from tests.node.sample_parts import SamplePlugin, offer


@attrs.frozen
class Distribution:
    name: str
    version: str


@attrs.frozen
class Entry:
    """An installed entry point, without a file system."""

    value: str
    dist: Distribution
    plugin: Any

    def load(self) -> Any:
        if isinstance(self.plugin, Exception):
            raise self.plugin
        return self.plugin


def entry(name: str, plugin: Any) -> Entry:
    return Entry(value=name, dist=Distribution(name, "1.0"), plugin=plugin)


def test_offers_know_their_distribution() -> None:
    registry = discover([entry("acme-engine", SamplePlugin(engine=[offer("fast")]))])
    [found] = registry.offers
    assert (found.role, found.offer.kind, found.source) == (Role.ENGINE, "fast", "acme-engine 1.0")


def test_no_plugin_at_all_is_an_empty_registry() -> None:
    assert discover([]).offers == ()


def test_the_order_of_installation_does_not_matter() -> None:
    one = entry("one", SamplePlugin(engine=[offer("b")]))
    two = entry("two", SamplePlugin(engine=[offer("a")], l1=[offer("c")]))
    assert discover([one, two]) == discover([two, one])


@pytest.mark.parametrize(
    "failure", [ImportError("No module named 'eth'"), SyntaxError("bad"), RuntimeError("no"), KeyError("x")]
)
def test_a_plugin_that_fails_to_import_is_named_and_the_others_stay(failure: Exception) -> None:
    registry = discover([entry("broken-one", failure), entry("good", SamplePlugin(engine=[offer("fast")]))])
    [broken] = registry.broken
    assert broken.distribution == "broken-one"
    assert str(failure) in str(broken)
    assert [found.offer.kind for found in registry.offers] == ["fast"]


def test_a_hook_that_raises_breaks_its_plugin_only() -> None:
    class Raising:
        @hookimpl
        def provide_engines(self) -> Any:
            raise ValueError("no licence")

    registry = collect([("bad", "1", Raising()), ("good", "1", SamplePlugin(engine=[offer("fast")]))])
    assert [broken.distribution for broken in registry.broken] == ["bad"]
    assert "no licence" in registry.broken[0].error
    assert len(registry.offers) == 1


def test_a_hook_that_this_core_does_not_know_breaks_the_plugin() -> None:
    class Unknown:
        @hookimpl
        def provide_time_machines(self) -> Any:
            return ()

    [broken] = collect([("odd", "1", Unknown())]).broken
    assert "provide_time_machines" in broken.error


def test_something_else_than_an_offer_breaks_the_plugin() -> None:
    [broken] = collect([("odd", "1", SamplePlugin(engine=["pyevm"]))]).broken
    assert "expected an Offer" in broken.error


def test_a_config_class_has_to_be_of_attrs() -> None:
    [broken] = collect([("odd", "1", SamplePlugin(engine=[offer("fast", config=dict)]))]).broken
    assert "not an attrs class" in broken.error


def test_two_distributions_with_one_kind_are_a_problem_that_names_both() -> None:
    registry = collect(
        [("acme", "1", SamplePlugin(engine=[offer("fast")])), ("rival", "2", SamplePlugin(engine=[offer("fast")]))]
    )
    [problem] = registry.problems
    assert "engine 'fast'" in problem
    assert "acme 1" in problem
    assert "rival 2" in problem


def test_one_kind_may_fill_several_roles() -> None:
    registry = collect([("acme", "1", SamplePlugin(l1=[offer("cassette")], blobs=[offer("cassette")]))])
    assert registry.problems == ()
    assert registry.find(Role.L1, "cassette") is not None
    assert registry.find(Role.ENGINE, "cassette") is None


def test_an_offer_for_another_api_version_says_which() -> None:
    [newer] = collect([("acme", "1", SamplePlugin(engine=[offer("fast", api=API_VERSION + 1)]))]).offers
    assert f"written for plugin API {API_VERSION + 1}, newer" in (incompatibility(newer) or "")
    [same] = collect([("acme", "1", SamplePlugin(engine=[offer("fast")]))]).offers
    assert incompatibility(same) is None
