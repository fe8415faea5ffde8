"""How often the engine is asked for what happened."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import trio
import trio.testing

from kroma_core.l2 import ForkchoiceState
from kroma_core.node.eth.blocks import Blocks
from kroma_core.node.eth.feed import ChainFeed


class Engine:
    """Stands still, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def heads(self) -> ForkchoiceState:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        assert self.asked < 100, "asked without a pause"
        return ForkchoiceState(unsafe=bytes(32), safe=bytes(32), finalized=bytes(32))


def test_the_engine_is_asked_at_intervals_and_once_more_for_a_nudge() -> None:
    engine = Engine()
    feed = ChainFeed(cast(Blocks, SimpleNamespace(engine=engine, pool=None)), period=10.0)
    asked: list[int] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed.run)
            await trio.sleep(5)
            asked.append(engine.asked)
            await trio.sleep(7)
            feed.nudge()
            for _ in range(3):
                await trio.sleep(6)
                asked.append(engine.asked)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert asked == [1, 3, 4, 4]
