"""Conformance suite of role `observe`: what every observer has to do.

class TestMyObserver(ObserverSuite):
    def open_observer(self, folder):
        return my_observer(folder)
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import attrs
import trio

from kroma_core.api import Observer
from kroma_core.api.shape import shape_problems
from kroma_core.events import Event, HeadsMoved, L1Reorganised, L1Traversed, Outcome, Subject, Verdict
from kroma_core.testing.levels import Level, level
from kroma_core.testing.scripted_l1 import ScriptedL1

SLOWEST = 0.02
"""Seconds that a node can spare for one event, on the average of many."""


def sample_events() -> Sequence[Event]:
    """Events as a node tells them while it derives, and when L1 reorganises."""
    l1 = ScriptedL1()
    l1.mine_empty(3)
    first, tip = l1.genesis.id, l1.tip.id
    verdict = Verdict(
        subject=Subject.BATCH,
        name="1700000002",
        outcome=Outcome.DROPPED,
        reason=Outcome.DROPPED,
        rule='derivation.md, "Batch Queue"',
        numbers=(("timestamp", 1_700_000_002), ("parent", bytes(32))),
        origin=tip,
    )
    heads = HeadsMoved(unsafe=tip, safe=first, finalized=first, derived_l1=tip)
    return (L1Traversed(block=l1.tip.ref), verdict, heads, L1Reorganised(depth=2, old=tip, new=first))


class ObserverSuite(ABC):
    """Inherit, define `open_observer`, and name the class `Test...`."""

    @abstractmethod
    def open_observer(self, folder: Path) -> AbstractAsyncContextManager[Observer]:
        """The observer; `folder` is its own."""

    def run(self, body: Callable[[Observer], None], folder: Path) -> None:
        async def main() -> None:
            with trio.fail_after(60):
                async with self.open_observer(folder) as observer:
                    body(observer)
                    await trio.lowlevel.checkpoint()

        trio.run(main)

    @level(Level.DECLARED)
    def test_the_observer_has_the_methods_of_its_protocol(self, tmp_path: Path) -> None:
        def body(observer: Observer) -> None:
            assert shape_problems(observer, Observer) == []

        self.run(body, tmp_path)

    def test_it_takes_every_kind_of_event(self, tmp_path: Path) -> None:
        def body(observer: Observer) -> None:
            for event in sample_events():
                observer.on_event(event)
                observer.on_event(event)

        self.run(body, tmp_path)

    def test_closed_without_an_event_and_opened_again_it_works(self, tmp_path: Path) -> None:
        self.run(lambda observer: None, tmp_path)
        self.run(lambda observer: observer.on_event(sample_events()[0]), tmp_path)

    @level(Level.FAULTS)
    def test_an_event_of_a_kind_that_comes_later_is_no_error(self, tmp_path: Path) -> None:
        """New kinds of events are no breaking change of the plugin API."""

        @attrs.frozen
        class Later:
            block: int = 7

        def body(observer: Observer) -> None:
            later: Any = Later()
            observer.on_event(later)
            observer.on_event(sample_events()[0])

        self.run(body, tmp_path)

    @level(Level.LOAD)
    def test_it_does_not_hold_up_a_node(self, tmp_path: Path) -> None:
        events = sample_events()

        def body(observer: Observer) -> None:
            begin = time.perf_counter()
            for _ in range(500):
                for event in events:
                    observer.on_event(event)
            each = (time.perf_counter() - begin) / (500 * len(events))
            assert each < SLOWEST, f"{each:.4f} s an event"

        self.run(body, tmp_path)
