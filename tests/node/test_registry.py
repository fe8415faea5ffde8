"""Finding plugins: what they offer, and that one which fails takes no other down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import attrs
import pytest

from kroma_core.api import API_VERSION, Capability, Offer, Role, hookimpl
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


def test_everything_that_is_wrong_with_the_offers_of_a_distribution_is_told_at_once() -> None:
    @attrs.frozen
    class Almost:
        kind: str = "odd"
        config: type = int

    wrong = [
        Almost(),
        offer("Fast"),
        attrs.evolve(offer("fast"), open=None),
        attrs.evolve(offer("slow"), capabilities=frozenset({"time-travel"}), requires=("moon",)),
        attrs.evolve(offer("high"), api="1"),
        offer("good"),
    ]
    [broken] = collect([("odd", "1", SamplePlugin(engine=wrong))]).broken
    assert broken.error.split("; ") == [
        "provide_engines returned Almost, without open, check, inspect, summary, requires, capabilities, api, "
        "expected an Offer",
        "the kind 'Fast' of role engine is not lower-case letters, digits, '_' and '-'",
        "engine 'fast': open is None, expected a function",
        "engine 'slow': requires has 'moon', expected members of Role",
        "engine 'slow': capabilities has 'time-travel', expected members of Capability",
        "engine 'high': api is '1', expected the number of a plugin API",
    ]


@pytest.mark.parametrize(("returned", "told"), [(None, "NoneType"), ("pyevm", "str"), (offer("fast"), "Offer")])
def test_a_hook_that_returns_no_sequence_breaks_its_plugin(returned: object, told: str) -> None:
    class Returning:
        @hookimpl
        def provide_engines(self) -> Any:
            return returned

    [broken] = collect([("odd", "1", Returning())]).broken
    assert broken.error == f"provide_engines returned {told}, expected a sequence of offers"


def test_a_plugin_that_uses_what_this_core_does_not_have_is_asked_for_its_api() -> None:
    """So does one that was written for a later API, at import or when its hook is called."""

    class LaterField:
        @hookimpl
        def provide_engines(self) -> Any:
            return [Offer(kind="fast", config=object, open=None, colour="red")]  # type: ignore[arg-type,call-arg]

    class LaterCapability:
        @hookimpl
        def provide_engines(self) -> Any:
            return [Capability.TIME_TRAVEL]  # type: ignore[attr-defined]

    class LaterRole:
        @hookimpl
        def provide_time_machines(self) -> Any:
            return ()

    later_name = ImportError("cannot import name 'Later' from 'kroma_core.api'", name="kroma_core.api")
    plugins = [LaterField(), LaterCapability(), LaterRole(), later_name]
    broken = discover([entry(f"later-{place}", plugin) for place, plugin in enumerate(plugins)]).broken
    assert len(broken) == 4
    for one in broken:
        assert one.error.endswith("; this node has plugin API 1: is the plugin written for another one?"), one


def test_a_library_that_a_plugin_lacks_is_not_taken_for_another_api() -> None:
    missing = ModuleNotFoundError("No module named 'eth'", name="eth")
    [broken] = discover([entry("one", missing)]).broken
    assert broken.error == "ModuleNotFoundError: No module named 'eth'"


@pytest.mark.parametrize("step", [-1, 1])
def test_an_offer_for_another_api_is_not_measured_by_this_one(step: int) -> None:
    """What it calls a capability may be one there; its profile is told of the version alone."""
    odd = attrs.evolve(offer("fast", api=API_VERSION + step), capabilities=frozenset({"time-travel"}), open=None)
    registry = collect([("acme", "1", SamplePlugin(engine=[odd], l1=[offer("rpc")]))])
    assert registry.broken == ()
    assert [incompatibility(found) is None for found in registry.offers] == [True, False]


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
    [older] = collect([("acme", "1", SamplePlugin(engine=[offer("fast", api=API_VERSION - 1)]))]).offers
    assert f"written for plugin API {API_VERSION - 1}, older" in (incompatibility(older) or "")
    [same] = collect([("acme", "1", SamplePlugin(engine=[offer("fast")]))]).offers
    assert incompatibility(same) is None


def test_a_misspelt_hook_gets_a_suggestion() -> None:
    class Misspelt:
        @hookimpl
        def provide_data_source(self) -> Any:
            return ()

    [broken] = collect([("odd", "1", Misspelt())]).broken
    assert broken.error.endswith('; did you mean "provide_data_sources"?')


def test_a_plugin_without_a_marked_hook_is_named() -> None:
    class Unmarked:
        def provide_engines(self) -> Any:
            return [offer("fast")]

    [broken] = collect([("odd", "1", Unmarked())]).broken
    assert str(broken) == ("plugin odd 1 could not be loaded: its entry point offers nothing: is @hookimpl missing?")


@asynccontextmanager
async def _takes_nothing_else(settings: Any, context: Any) -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def _stands_on_an_engine(settings: Any, context: Any, *, engine: Any) -> AsyncIterator[None]:
    yield


async def _bare(settings: Any, context: Any) -> AsyncIterator[None]:
    yield


async def _coroutine(settings: Any, context: Any) -> None:
    pass


@contextmanager
def _plain(settings: Any, context: Any) -> Iterator[None]:
    yield


@pytest.mark.parametrize(
    ("opens", "requires", "told"),
    [
        (
            _takes_nothing_else,
            (Role.ENGINE,),
            "open cannot be called as open(settings, context, engine=), which its `requires` asks for: "
            "got an unexpected keyword argument 'engine'",
        ),
        (
            _stands_on_an_engine,
            (),
            "open cannot be called as open(settings, context), which its `requires` asks for: "
            "missing a required argument: 'engine'",
        ),
        (_bare, (), "open is an async generator function: is @asynccontextmanager missing?"),
        (_coroutine, (), "open is a coroutine function: is @asynccontextmanager missing?"),
        (
            _plain,
            (),
            "open gives a plain context manager: is @contextmanager written for @asynccontextmanager?",
        ),
    ],
)
def test_an_open_that_a_node_cannot_call_breaks_its_plugin(opens: Any, requires: tuple[Role, ...], told: str) -> None:
    one = attrs.evolve(offer("thin", requires=requires), open=opens)
    [broken] = collect([("odd", "1", SamplePlugin(engine=[one]))]).broken
    assert broken.error == f"engine 'thin': {told}"


def test_capabilities_that_are_text_break_their_plugin() -> None:
    fast: Any = offer("fast")
    one = attrs.evolve(fast, capabilities="executes")
    [broken] = collect([("odd", "1", SamplePlugin(engine=[one]))]).broken
    assert broken.error == "engine 'fast': capabilities is 'executes', expected members of Capability"
