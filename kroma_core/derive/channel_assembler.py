"""The channel stage in strict order: one channel at a time, frames only in sequence.

Spec: holocene/derivation.md, "Channel Bank".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kroma_core.derive.channels import Channel, ChannelProblem, RawChannel, channel_timeout
from kroma_core.derive.frames import Frame
from kroma_core.events import Outcome, Subject, Verdict
from kroma_core.forks import Rules
from kroma_core.types import L1Ref

CHANNEL_ASSEMBLER_RULE: Final = 'holocene/derivation.md, "Channel Bank"'


class ChannelAssembler:
    """The staging channel. `read` is to be called before every `ingest`, as with the channel bank."""

    def __init__(self, configured_timeout: int, report: Callable[[Verdict], None]) -> None:
        self._configured_timeout = configured_timeout
        self._report = report
        self._channel: Channel | None = None

    def read(self, origin: L1Ref, rules: Rules) -> RawChannel | None:
        """Take out the channel if it is complete; drop it if it is too old."""
        channel = self._channel
        if channel is None:
            return None
        timeout = channel_timeout(rules, self._configured_timeout)
        if channel.timed_out(origin.number, timeout):
            self._give_up(
                ChannelProblem.TIMED_OUT, origin, opened=channel.opened_at, origin=origin.number, timeout=timeout
            )
            return None
        if not channel.is_ready:
            return None
        self._channel = None
        return channel.content()

    def ingest(self, frame: Frame, origin: L1Ref, rules: Rules) -> None:
        """Put a frame into the channel. A first frame opens a channel and ends the one before, complete or not."""
        if frame.number == 0:
            if self._channel is not None:
                self._give_up(ChannelProblem.ABANDONED, origin)
            self._channel = Channel(frame.channel_id, origin.number, in_order=True)
        channel = self._channel
        problem = ChannelProblem.NO_CHANNEL if channel is None else channel.add(frame, origin.number)
        if problem is not None:
            self._report(
                Verdict(
                    subject=Subject.FRAME,
                    name=frame.name,
                    outcome=Outcome.DROPPED,
                    reason=problem,
                    rule=CHANNEL_ASSEMBLER_RULE,
                    numbers=(("number", frame.number),),
                    origin=origin.id,
                )
            )
        elif channel is not None and channel.size > rules.rlp_bytes_per_channel:
            self._give_up(ChannelProblem.TOO_LARGE, origin, size=channel.size, limit=rules.rlp_bytes_per_channel)

    def flush(self, origin: L1Ref) -> None:
        """Drop the staging channel: a batch of the channel before it was invalid."""
        if self._channel is not None:
            self._give_up(ChannelProblem.FLUSHED, origin)

    def _give_up(self, reason: ChannelProblem, block: L1Ref, **numbers: int) -> None:
        assert self._channel is not None
        self._report(
            Verdict(
                subject=Subject.CHANNEL,
                name=self._channel.id.hex(),
                outcome=Outcome.DROPPED,
                reason=reason,
                rule=CHANNEL_ASSEMBLER_RULE,
                numbers=tuple(numbers.items()),
                origin=block.id,
            )
        )
        self._channel = None
