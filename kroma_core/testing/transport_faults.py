"""Level `faults` of role `p2p`: late and odd verdicts, callers that give up, peers that leave."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio

from kroma_core.api import Message, MessageVerdict
from kroma_core.testing.cancelling import STEPS, Done, given_up_after
from kroma_core.testing.levels import Level, level
from kroma_core.testing.transport_line import AtLine, Line

ACCEPT, REJECT = MessageVerdict.ACCEPT, MessageVerdict.REJECT


class TransportFaults(AtLine):
    """Tests of a `TransportSuite`."""

    @level(Level.FAULTS)
    def test_a_verdict_counts_until_its_deadline_and_not_later(self, tmp_path: Path) -> None:
        if self.verdict_seconds is None:
            pytest.skip("the maker says that verdicts have no deadline")
        deadline = self.verdict_seconds

        async def body(line: Line) -> None:
            await line.alice.publish(self.topics[0], b"\1 in time")
            message = await self.comes(line.bob, b"\1 in time")
            await trio.sleep(deadline / 2)
            await line.bob.verdict(message, ACCEPT)
            await self.comes(line.carol, b"\1 in time")
            await line.alice.publish(self.topics[0], b"\1 late")
            message = await self.comes(line.bob, b"\1 late")
            await trio.sleep(deadline * 1.5)
            await line.bob.verdict(message, ACCEPT)
            await self.nothing_comes(line.carol)

        self.run(body, tmp_path)

    @level(Level.FAULTS)
    def test_a_second_verdict_is_ignored(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            await line.alice.publish(self.topics[0], b"\1 judged")
            message = await self.comes(line.bob, b"\1 judged")
            await line.bob.verdict(message, REJECT)
            await line.bob.verdict(message, ACCEPT)
            await self.nothing_comes(line.carol)

        self.run(body, tmp_path)

    @level(Level.FAULTS)
    def test_a_verdict_on_a_message_that_never_came_is_ignored(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            made_up = Message(id=b"\5" * 20, topic=self.topics[0], data=b"\1 made up", sender="nobody")
            for verdict in MessageVerdict:
                await line.bob.verdict(made_up, verdict)
            await self.nothing_comes(line.carol)

        self.run(body, tmp_path)

    @level(Level.FAULTS)
    def test_waiting_that_is_given_up_anywhere_loses_no_message(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            came: list[bytes] = []
            for turn, steps in enumerate(STEPS):
                await line.alice.publish(self.topics[0], b"\1 turn %d" % turn)
                outcome = await given_up_after(steps, line.bob.next_message)
                if isinstance(outcome, Done):
                    came.append(outcome.result.data)
            with trio.move_on_after(self.patience):
                while len(came) < len(STEPS):
                    came.append((await line.bob.next_message()).data)
            assert came == [b"\1 turn %d" % turn for turn in range(len(STEPS))]

        self.run(body, tmp_path)

    @level(Level.FAULTS)
    def test_publishing_that_is_given_up_anywhere_leaves_the_transport_usable(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            for steps in STEPS:
                given_up, sent = b"\1 given up %d" % steps, b"\1 sent %d" % steps
                await given_up_after(steps, partial(line.alice.publish, self.topics[0], given_up))
                await line.alice.publish(self.topics[0], sent)
                found = b""
                with trio.move_on_after(self.patience):
                    while found != sent:
                        found = (await line.bob.next_message()).data
                        assert found in (given_up, sent)
                assert found == sent

        self.run(body, tmp_path)

    @level(Level.FAULTS)
    def test_a_verdict_that_is_given_up_anywhere_can_be_given_again(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            for steps in STEPS:
                data = b"\1 judged after %d" % steps
                await line.alice.publish(self.topics[0], data)
                message = await self.comes(line.bob, data)
                await given_up_after(steps, partial(line.bob.verdict, message, ACCEPT))
                await line.bob.verdict(message, ACCEPT)
                await self.comes(line.carol, data)

        self.run(body, tmp_path)

    @level(Level.FAULTS)
    def test_a_peer_that_leaves_takes_nobody_along(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            async with self.open_peer(tmp_path, (line.alice,)) as dave:
                await line.alice.publish(self.topics[0], b"\1 with dave")
                await self.comes(dave, b"\1 with dave")
            await self.comes(line.bob, b"\1 with dave")
            await line.alice.publish(self.topics[0], b"\1 without dave")
            await self.comes(line.bob, b"\1 without dave")

        self.run(body, tmp_path)

    @level(Level.FAULTS)
    def test_closing_does_not_wait_for_messages_that_nobody_takes(self, tmp_path: Path) -> None:
        async def body(line: Line) -> None:
            with trio.move_on_after(self.patience) as scope:
                async with self.open_peer(tmp_path, (line.alice,)):
                    await line.alice.publish(self.topics[0], b"\1 not taken")
                    await self.comes(line.bob, b"\1 not taken")
            assert not scope.cancelled_caught, f"still closing after {self.patience} s"

        self.run(body, tmp_path)
