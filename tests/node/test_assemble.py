"""Opening the parts of a plan in order, handing them what they require, and closing them in reverse."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from kroma_core.api import Capability, PluginContext, Role
from kroma_core.api.shape import part_problems
from kroma_core.chain.builtin import builtin
from kroma_core.cli.failures import describe
from kroma_core.errors import ConfigError, TemporaryError
from kroma_core.events import Event, L1Traversed, PartDetached
from kroma_core.node.assemble import Parts, assemble
from kroma_core.node.compose import Broadcast
from kroma_core.node.data_directory import claimed
from kroma_core.node.plan import Plan, plan_profile
from kroma_core.node.registry import collect
from kroma_core.types import L1Number, L1Ref, Timestamp
from tests.node.sample_parts import Journal, Part, SamplePlugin, offer

CHAIN = builtin("op-sepolia")
EVENT = L1Traversed(block=L1Ref(hash=bytes(32), number=L1Number(1), parent_hash=bytes(32), timestamp=Timestamp(12)))


def plan_of(tmp_path: Path, journal: Journal, *, failing: Exception | None = None) -> Plan:
    registry = collect(
        [
            (
                "acme",
                "1.0",
                SamplePlugin(
                    l1=[offer("rpc", journal)],
                    blobs=[offer("beacon", journal, requires=(Role.L1,))],
                    data=[offer("blob", journal, requires=(Role.BLOBS,))],
                    engine=[offer("fast", journal, fail=failing)],
                    observe=[offer("metrics", journal)],
                ),
            )
        ]
    )
    path = tmp_path / "p.toml"
    path.write_text("[chain]\nname = 'op-sepolia'\n[[observe]]\nkind = 'metrics'\n[[blobs]]\nkind = 'beacon'\n")
    return plan_profile(path, registry, {})


def assembled(plan: Plan, check: Any = lambda parts: None) -> None:
    async def main() -> None:
        async with assemble(plan) as parts:
            check(parts)

    trio.run(main)


def test_parts_open_in_order_and_close_in_reverse(tmp_path: Path) -> None:
    journal: Journal = []
    assembled(plan_of(tmp_path, journal))
    names = ["metrics", "rpc", "beacon", "blob", "fast"]
    assert journal == [f"open {name}" for name in names] + [f"close {name}" for name in reversed(names)]


def test_required_roles_are_handed_over_by_name(tmp_path: Path) -> None:
    def check(parts: Any) -> None:
        assert parts.blobs[0].required == {"l1": parts.l1}
        assert parts.data[0].required == {"blobs": parts.blobs}
        assert parts.engine.required == {}

    assembled(plan_of(tmp_path, []), check)


def test_each_part_has_an_existing_folder_of_its_own_and_the_chain(tmp_path: Path) -> None:
    def check(parts: Any) -> None:
        assert parts.engine.context.data_dir == tmp_path / "data" / "p" / "engine" / "fast"
        assert parts.engine.context.data_dir.is_dir()
        assert parts.engine.context.chain == CHAIN

    assembled(plan_of(tmp_path, []), check)


def test_observers_of_the_profile_are_told_events(tmp_path: Path) -> None:
    told: list[Event] = []

    def check(parts: Parts) -> None:
        parts.emit(EVENT)
        told.extend(parts.l1.context.emit._observers["observe 'metrics' (acme 1.0)"].events)  # type: ignore[attr-defined]

    assembled(plan_of(tmp_path, []), check)
    assert told == [EVENT]


def test_a_part_that_fails_to_open_is_named_and_the_others_are_closed(tmp_path: Path) -> None:
    journal: Journal = []
    plan = plan_of(tmp_path, journal, failing=TemporaryError("no answer"))
    with pytest.raises(TemporaryError) as caught:
        assembled(plan)
    assert caught.value.__notes__ == ["while opening engine 'fast' (acme 1.0)"]
    assert journal[-4:] == ["close blob", "close beacon", "close rpc", "close metrics"]


class Halfway:
    """An engine with one method, and that in another form."""

    def heads(self) -> None:
        """Not async."""


class Unpooled(Part):
    """An engine without what a pool is asked for when `[eth]` is served."""

    pool_arrivals = None


@pytest.mark.parametrize(
    ("part", "capabilities", "told"),
    [
        (Halfway(), (), "heads: expected an async function"),
        (Halfway(), (), "execute: missing"),
        (Unpooled("fast", None, None, {}), (Capability.TX_POOL,), "pool_arrivals: missing (it claims tx-pool)"),
    ],
)
def test_a_part_without_the_methods_of_its_protocols_is_named_and_closed(
    part: Any, capabilities: tuple[Capability, ...], told: str, tmp_path: Path
) -> None:
    journal: Journal = []

    @asynccontextmanager
    async def open_part(settings: Any, context: PluginContext) -> AsyncIterator[Any]:
        try:
            yield part
        finally:
            journal.append("close")

    made = attrs.evolve(offer("fast", capabilities=frozenset(capabilities)), open=open_part)
    acme = SamplePlugin(l1=[offer("rpc")], data=[offer("calldata")], engine=[made])
    path = tmp_path / "p.toml"
    path.write_text("[chain]\nname = 'op-sepolia'\n")
    with pytest.raises(ConfigError) as caught:
        assembled(plan_profile(path, collect([("acme", "1.0", acme)]), {}))
    assert f"while opening engine 'fast' (acme 1.0): {told}" in describe(caught.value)
    assert journal == ["close"]


def test_what_is_not_claimed_is_not_asked_of_a_part() -> None:
    assert part_problems(Unpooled("fast", None, None, {}), Role.ENGINE, ()) == []


def test_an_error_of_the_node_closes_the_parts_and_names_none(tmp_path: Path) -> None:
    journal: Journal = []

    def fail(parts: Parts) -> None:
        raise TemporaryError("elsewhere")

    with pytest.raises(TemporaryError) as caught:
        assembled(plan_of(tmp_path, journal), fail)
    assert not getattr(caught.value, "__notes__", [])
    assert journal[-1] == "close metrics"


def test_cancellation_closes_the_parts(tmp_path: Path) -> None:
    journal: Journal = []

    async def main() -> None:
        with trio.move_on_after(0):
            async with assemble(plan_of(tmp_path, journal)):
                await trio.sleep_forever()

    trio.run(main)
    assert journal[-1] == "close metrics"


def test_two_nodes_do_not_share_a_data_directory(tmp_path: Path) -> None:
    with (
        claimed(tmp_path, CHAIN),
        pytest.raises(ConfigError, match="another node is using it"),
        claimed(tmp_path, CHAIN),
    ):
        pass


def test_a_data_directory_opens_again(tmp_path: Path) -> None:
    for _ in range(2):
        with claimed(tmp_path, CHAIN):
            pass


def test_another_chains_data_directory_is_refused_by_name(tmp_path: Path) -> None:
    with claimed(tmp_path, builtin("kroma-mainnet")):
        pass
    with (
        pytest.raises(ConfigError, match=r"belongs to chain kroma-mainnet .* this profile is for op-sepolia"),
        claimed(tmp_path, CHAIN),
    ):
        pass


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"schema": "x"}', "null"])
def test_a_damaged_identity_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "kroma.json").write_text(content)
    with pytest.raises(ConfigError, match=r"kroma\.json is damaged"), claimed(tmp_path, CHAIN):
        pass


def test_a_data_directory_of_another_schema_is_refused(tmp_path: Path) -> None:
    with claimed(tmp_path, CHAIN):
        pass
    path = tmp_path / "kroma.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    with pytest.raises(ConfigError, match="schema 99"), claimed(tmp_path, CHAIN):
        pass


class Listener:
    def __init__(self, fail: bool = False) -> None:
        self.fail = fail
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        if self.fail:
            raise ValueError("cannot")


def test_an_observer_that_raises_is_detached_and_the_others_are_told() -> None:
    bad, good = Listener(fail=True), Listener()
    broadcast = Broadcast({"bad": bad, "good": good})
    broadcast(EVENT)
    broadcast(EVENT)
    assert bad.events == [EVENT]
    assert [event for event in good.events if event == EVENT] == [EVENT, EVENT]
    assert PartDetached(part="bad", error="ValueError: cannot") in good.events


def test_observers_that_all_raise_stop_nothing() -> None:
    broadcast = Broadcast({"one": Listener(fail=True), "two": Listener(fail=True)})
    broadcast(EVENT)
    broadcast(EVENT)
