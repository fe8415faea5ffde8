"""The kit finds what it is there to find: each planted fault of a transport turns its test red, and no other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from kroma_core.api import Message, MessageVerdict
from kroma_core.testing.loopback import VERDICT_SECONDS, LoopbackTransport
from kroma_core.testing.transport import TransportSuite
from tests.contract.planted import red_tests


class Plain(LoopbackTransport):
    def verdict(self, message: Message, verdict: MessageVerdict) -> Any:
        return super().verdict(message, verdict)


class Trimming(LoopbackTransport):
    """Loses zeros at the end."""

    async def publish(self, topic: str, data: bytes) -> None:
        await super().publish(topic, data.rstrip(b"\0"))


class OneTopic(LoopbackTransport):
    """Sends everything on one topic."""

    async def publish(self, topic: str, data: bytes) -> None:
        await super().publish(TransportSuite.topics[0], data)


class NewestFirst(LoopbackTransport):
    """Takes the newer of two that wait, where many wait."""

    async def next_message(self) -> Message:
        waiting = self._to_take.statistics().current_buffer_used
        first = await super().next_message()
        if waiting != 5:
            return first
        second = await super().next_message()
        self._arrived.send_nowait(first)
        return second


class Echo(LoopbackTransport):
    """Hears itself."""

    async def publish(self, topic: str, data: bytes) -> None:
        await super().publish(topic, data)
        self._arrived.send_nowait(Message(id=b"echo", topic=topic, data=data, sender=self.name))


class Repeating(LoopbackTransport):
    """Does not notice what it has had."""

    def _receive(self, message: Message) -> None:
        if message.data.endswith(b"again"):
            self._seen.clear()
        super()._receive(message)


class ShortIds(LoopbackTransport):
    async def next_message(self) -> Message:
        message = await super().next_message()
        return attrs.evolve(message, id=b"\1") if b"same beginning" in message.data else message


class DeadEnd(LoopbackTransport):
    """Passes nothing on where somebody waits for it right away."""

    async def verdict(self, message: Message, verdict: MessageVerdict) -> None:
        if message.data != b"\1 good":
            await super().verdict(message, verdict)


class Hasty(LoopbackTransport):
    """Passes on what it has not been told about."""

    async def next_message(self) -> Message:
        message = await super().next_message()
        if message.data == b"\1 undecided":
            self._pass_on(message)
        return message


class Lenient(LoopbackTransport):
    """Passes on what is ignored, and what is rejected."""

    async def verdict(self, message: Message, verdict: MessageVerdict) -> None:
        await super().verdict(message, MessageVerdict.ACCEPT if message.data == b"\1 bad" else verdict)


class Careless(LoopbackTransport):
    """Says that it has sent what nobody is there for."""

    async def publish(self, topic: str, data: bytes) -> None:
        if self._peers:
            await super().publish(topic, data)


class Small(LoopbackTransport):
    def _receive(self, message: Message) -> None:
        if len(message.data) < 100_000:
            super()._receive(message)


class Forgetting(LoopbackTransport):
    """Loses what does not fit its short queue."""

    def _receive(self, message: Message) -> None:
        if self._to_take.statistics().current_buffer_used < 50:
            super()._receive(message)


class Patient(LoopbackTransport):
    """Takes a verdict whenever it comes."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, verdict_seconds=3600)


class Hurried(LoopbackTransport):
    """Gives up waiting for a verdict too soon."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, verdict_seconds=VERDICT_SECONDS / 10)


class SecondThoughts(LoopbackTransport):
    """Takes the last verdict for the one that counts."""

    async def verdict(self, message: Message, verdict: MessageVerdict) -> None:
        due = self._due.get(message.id)
        await super().verdict(message, verdict)
        if due is not None and verdict is MessageVerdict.REJECT:
            self._due[message.id] = due


class Bookish(LoopbackTransport):
    """Wants to have heard of what it is told about."""

    async def verdict(self, message: Message, verdict: MessageVerdict) -> None:
        if message.id not in self._seen:
            raise KeyError(message.id)
        await super().verdict(message, verdict)


class Dropping(LoopbackTransport):
    """Has a message in its hand when it is given up."""

    async def next_message(self) -> Message:
        message = await super().next_message()
        for _ in range(10):  # for long enough that some caller gives up here, in whatever order tasks run
            await trio.lowlevel.checkpoint()
        return message


class Locked(LoopbackTransport):
    """Stays locked when publishing is given up."""

    locked = False

    async def publish(self, topic: str, data: bytes) -> None:
        if self.locked:
            return
        self.locked = True
        await super().publish(topic, data)
        self.locked = False


class HalfDecided(LoopbackTransport):
    """Thinks that it has done what it was about to do."""

    async def verdict(self, message: Message, verdict: MessageVerdict) -> None:
        due = self._due.pop(message.id, -1.0)
        await trio.lowlevel.checkpoint()
        if trio.current_time() <= due and verdict is MessageVerdict.ACCEPT:
            self._pass_on(message)


class Clinging(LoopbackTransport):
    """Cannot send any more when one of its peers has gone."""

    most = 0

    async def publish(self, topic: str, data: bytes) -> None:
        self.most = max(self.most, len(self._peers))
        if len(self._peers) < self.most:
            raise BrokenPipeError
        await super().publish(topic, data)


class Unfinished(LoopbackTransport):
    """Waits until somebody takes what came; see `opened`."""


FAULTS: list[tuple[type, set[str]]] = [
    (LoopbackTransport, set()),
    (Plain, {"test_the_transport_has_the_methods_of_its_protocol"}),
    (Trimming, {"test_what_one_publishes_comes_whole_to_its_peer"}),
    (OneTopic, {"test_each_message_comes_on_the_topic_that_it_was_published_on"}),
    (NewestFirst, {"test_messages_come_in_the_order_in_which_they_were_published"}),
    (Echo, {"test_what_a_node_publishes_does_not_come_back_to_it"}),
    (Repeating, {"test_the_same_data_are_one_message"}),
    (ShortIds, {"test_messages_are_told_apart_by_their_ids"}),
    (DeadEnd, {"test_an_accepted_message_is_passed_on_to_the_other_peers"}),
    (Hasty, {"test_a_message_is_not_passed_on_before_its_verdict"}),
    (Lenient, {"test_a_message_that_is_not_accepted_is_not_passed_on"}),
    (Careless, {"test_publishing_without_peers_is_a_temporary_error"}),
    (Small, {"test_a_message_of_the_largest_size_comes_whole"}),
    (Forgetting, {"test_messages_that_go_both_ways_at_once_all_come"}),
    (Patient, {"test_a_verdict_counts_until_its_deadline_and_not_later"}),
    (Hurried, {"test_a_verdict_counts_until_its_deadline_and_not_later"}),
    (SecondThoughts, {"test_a_second_verdict_is_ignored"}),
    (Bookish, {"test_a_verdict_on_a_message_that_never_came_is_ignored"}),
    (Dropping, {"test_waiting_that_is_given_up_anywhere_loses_no_message"}),
    (Locked, {"test_publishing_that_is_given_up_anywhere_leaves_the_transport_usable"}),
    (HalfDecided, {"test_a_verdict_that_is_given_up_anywhere_can_be_given_again"}),
    (Clinging, {"test_a_peer_that_leaves_takes_nobody_along"}),
    (Unfinished, {"test_closing_does_not_wait_for_messages_that_nobody_takes"}),
]


def suite_of(kind: type[LoopbackTransport]) -> type:
    class Suite(TransportSuite):
        verdict_seconds = VERDICT_SECONDS

        def open_peer(self, folder: Path, peers: Sequence[Any]) -> AbstractAsyncContextManager[Any]:
            return opened(kind, peers)

        def clock(self) -> trio.abc.Clock:
            return MockClock(autojump_threshold=0)

    return Suite


@asynccontextmanager
async def opened(kind: type[LoopbackTransport], peers: Sequence[Any]) -> AsyncIterator[LoopbackTransport]:
    transport = kind(name="node")
    for peer in peers:
        transport.connect(peer)
    yield transport
    if kind is Unfinished and any(data.endswith(b"not taken") for data in waiting(transport)):
        await trio.sleep_forever()
    transport.close()


def waiting(transport: LoopbackTransport) -> list[bytes]:
    """The data of what was not taken; it stays there."""
    found = [transport._to_take.receive_nowait() for _ in range(transport._to_take.statistics().current_buffer_used)]
    for message in found:
        transport._arrived.send_nowait(message)
    return [message.data for message in found]


@pytest.mark.parametrize(("kind", "red"), FAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_planted_faults_of_transports_are_named(kind: Any, red: set[str], tmp_path: Path) -> None:
    assert red_tests(suite_of(kind), tmp_path) == red
