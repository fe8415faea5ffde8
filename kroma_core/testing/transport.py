"""Conformance suite of role `p2p`: what every transport has to do.

class TestMyTransport(TransportSuite):
    @asynccontextmanager
    async def open_peer(self, folder, peers):
        async with my_transport(folder, addresses_of(peers)) as transport:
            await until_messages_can_go(transport, peers)
            yield transport
"""

from __future__ import annotations

from abc import ABC
from pathlib import Path

import pytest
import trio

from kroma_core.api import MessageVerdict, Transport
from kroma_core.api.shape import shape_problems
from kroma_core.errors import TemporaryError
from kroma_core.testing.levels import Level, level
from kroma_core.testing.transport_faults import TransportFaults
from kroma_core.testing.transport_line import Line

FORMS = (b"\1", b"\0", b"\1\0", bytes(range(256)), b"\xff" * 50_000)
"""Data as it comes: one byte, zeros at the end, all bytes, more than a packet."""


class TransportSuite(TransportFaults, ABC):
    """Inherit, define `open_peer`, and name the class `Test...`."""

    @level(Level.DECLARED)
    def test_the_transport_has_the_methods_of_its_protocol(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            assert shape_problems(line.bob, Transport) == []

        self.run(body, tmp_path)

    def test_what_one_publishes_comes_whole_to_its_peer(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            for data in FORMS:
                await line.alice.publish(self.topics[0], data)
                message = await self.comes(line.bob, data)
                assert message.sender, "a message names the peer that it came from"

        self.run(body, tmp_path)

    def test_each_message_comes_on_the_topic_that_it_was_published_on(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            for topic in self.topics:
                await line.alice.publish(topic, b"\1 on " + topic.encode())
                await self.comes(line.bob, b"\1 on " + topic.encode(), topic)

        self.run(body, tmp_path)

    def test_messages_come_in_the_order_in_which_they_were_published(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            for turn in range(5):
                await line.alice.publish(self.topics[0], b"\1 turn %d" % turn)
            for turn in range(5):
                await self.comes(line.bob, b"\1 turn %d" % turn)

        self.run(body, tmp_path)

    def test_what_a_node_publishes_does_not_come_back_to_it(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            await line.alice.publish(self.topics[0], b"\1 mine")
            message = await self.comes(line.bob, b"\1 mine")
            await line.bob.verdict(message, MessageVerdict.ACCEPT)
            await self.nothing_comes(line.alice)

        self.run(body, tmp_path)

    def test_the_same_data_are_one_message(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            for _ in range(2):
                await self.published(line.alice, b"\1 again")
            await line.alice.publish(self.topics[0], b"\1 other")
            first = await self.comes(line.bob, b"\1 again")
            other = await self.comes(line.bob, b"\1 other")
            assert first.id != other.id

        self.run(body, tmp_path)

    def test_messages_are_told_apart_by_their_ids(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            found = []
            for data in (b"\1 same beginning: 1", b"\1 same beginning: 2"):
                await line.alice.publish(self.topics[0], data)
                found.append((await self.comes(line.bob, data)).id)
            assert len({*found}) == 2

        self.run(body, tmp_path)

    def test_an_accepted_message_is_passed_on_to_the_other_peers(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            await line.alice.publish(self.topics[0], b"\1 good")
            await line.bob.verdict(await self.comes(line.bob, b"\1 good"), MessageVerdict.ACCEPT)
            await self.comes(line.carol, b"\1 good")

        self.run(body, tmp_path)

    def test_a_message_is_not_passed_on_before_its_verdict(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            await line.alice.publish(self.topics[0], b"\1 undecided")
            await self.comes(line.bob, b"\1 undecided")
            await self.nothing_comes(line.carol)

        self.run(body, tmp_path)

    @pytest.mark.parametrize("verdict", [MessageVerdict.REJECT, MessageVerdict.IGNORE], ids=lambda one: one.value)
    def test_a_message_that_is_not_accepted_is_not_passed_on(self, verdict: MessageVerdict, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            await line.alice.publish(self.topics[0], b"\1 bad")
            await line.bob.verdict(await self.comes(line.bob, b"\1 bad"), verdict)
            await self.nothing_comes(line.carol)

        self.run(body, tmp_path)

    def test_publishing_without_peers_is_a_temporary_error(self, tmp_path: Path) -> None:
        async def main() -> None:
            with trio.fail_after(self.patience):
                async with self.open_peer(tmp_path, ()) as alone:
                    with pytest.raises(TemporaryError):
                        await alone.publish(self.topics[0], b"\1 to nobody")

        trio.run(main, clock=self.clock())

    @level(Level.LOAD)
    def test_a_message_of_the_largest_size_comes_whole(self, tmp_path: Path) -> None:
        data = bytes(index % 251 for index in range(self.largest))

        async def body(line: Line) -> None:
            await line.alice.publish(self.topics[0], data)
            await self.comes(line.bob, data)

        self.run(body, tmp_path)

    @level(Level.LOAD)
    def test_messages_that_go_both_ways_at_once_all_come(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            async def send(sender: Transport, name: str) -> None:
                for turn in range(self.many):
                    await sender.publish(self.topics[0], b"\1 %s %d" % (name.encode(), turn))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(send, line.alice, "alice")
                nursery.start_soon(send, line.carol, "carol")
            came: set[bytes] = set()
            with trio.move_on_after(self.patience):
                while len(came) < 2 * self.many:
                    came.add((await line.bob.next_message()).data)
            wanted = {b"\1 %s %d" % (name, turn) for name in (b"alice", b"carol") for turn in range(self.many)}
            assert came == wanted

        self.run(body, tmp_path)
