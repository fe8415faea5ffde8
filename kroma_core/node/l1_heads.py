"""The heads of L1 as they move, while derivation is busy with older blocks: the newest count."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from kroma_core.api import L1Source
from kroma_core.errors import TemporaryError
from kroma_core.events import Asked, Event, L1HeadsChanged
from kroma_core.l1 import L1Heads
from kroma_core.node.retry import RetryPolicy, tried_again
from kroma_core.types import L1Ref


@attrs.define(kw_only=True)
class L1HeadTracker:
    """What the L1 source showed last. `on_change` is called after each change."""

    emit: Callable[[Event], None]
    policy: RetryPolicy
    on_change: Callable[[], None] = lambda: None
    heads: L1Heads | None = attrs.field(default=None, init=False)
    finalized: L1Ref | None = attrs.field(default=None, init=False)
    """The highest block that was shown as finalised: a source that goes back behind it is not believed."""

    def show(self, heads: L1Heads) -> None:
        """Take note of heads."""
        if heads == self.heads:
            return
        final = heads.finalized
        if final is not None and (self.finalized is None or final.number >= self.finalized.number):
            self.finalized = final
        self.heads = heads
        self.emit(L1HeadsChanged(heads=heads))
        self.on_change()

    async def follow(self, source: L1Source) -> None:
        """Take note of all heads that the source reports, until it has no more; subscribes again where it fails."""
        attempt = 1
        while True:
            try:
                async for heads in source.subscribe():
                    self.show(heads)
                    attempt = 1
                return
            except TemporaryError as error:
                if self.policy.is_last(attempt):
                    raise
                delay = self.policy.delay(attempt)
                again = tried_again(
                    error, part="driver", what="follow L1", attempt=attempt, delay=delay, asked=Asked.L1_HEADS
                )
                self.emit(again)
            await trio.sleep(delay)
            attempt += 1
