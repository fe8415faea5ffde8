"""The channel stage before strict order: many channels at once, frames in any order, the oldest dropped when full.

Spec: derivation.md, "Channel Bank".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kroma_core.derive.channels import Channel, ChannelProblem, RawChannel, channel_timeout
from kroma_core.derive.frames import Frame
from kroma_core.events import Outcome, Subject, Verdict
from kroma_core.forks import Rules
from kroma_core.types import L1Ref

CHANNEL_BANK_RULE: Final = 'derivation.md, "Channel Bank"'

_U64 = 2**64


class ChannelBank:
    """Open channels in the order of their opening.

    `read` is to be called before every `ingest`: pruning depends on what was read before. A frame of a channel that
    was read, pruned or dropped opens a new channel of that id, even if it is not a first frame; before any ready
    channel may be read, such a channel blocks those behind it until it times out.
    """

    def __init__(self, configured_timeout: int, report: Callable[[Verdict], None]) -> None:
        self._configured_timeout = configured_timeout
        self._report = report
        self._channels: dict[bytes, Channel] = {}
        self._size = 0
        self._ready = 0

    def read(self, origin: L1Ref, rules: Rules) -> RawChannel | None:
        """Take out the channel that may be read now, after dropping those at the head that are too old."""
        timeout = channel_timeout(rules, self._configured_timeout)
        while (head := next(iter(self._channels.values()), None)) and head.timed_out(origin.number, timeout):
            self._remove(head)
            self._report_channel(
                head, ChannelProblem.TIMED_OUT, origin, opened=head.opened_at, origin=origin.number, timeout=timeout
            )
        if not self._ready:
            return None
        for channel in self._channels.values():
            if channel.is_ready and not channel.timed_out(origin.number, timeout):
                self._remove(channel)
                return channel.content()
            if not rules.any_ready_channel:
                return None
        return None

    def ingest(self, frame: Frame, origin: L1Ref, rules: Rules) -> None:
        """Put a frame into its channel, opening it if need be; then drop the oldest while there is too much."""
        channel = self._channels.get(frame.channel_id)
        if channel is None:
            channel = Channel(frame.channel_id, origin.number, in_order=False)
            self._channels[frame.channel_id] = channel
        timeout = channel_timeout(rules, self._configured_timeout)
        if channel.timed_out(origin.number, timeout):
            self._report_frame(
                frame,
                ChannelProblem.TIMED_OUT,
                origin,
                opened=channel.opened_at,
                origin=origin.number,
                timeout=timeout,
            )
            return
        size, ready = channel.size, channel.is_ready
        problem = channel.add(frame, origin.number)
        if problem is not None:
            self._report_frame(frame, problem, origin, number=frame.number)
            return
        self._size = (self._size + channel.size - size) % _U64
        self._ready += channel.is_ready - ready
        self._prune(origin, rules)

    def close(self, origin: L1Ref) -> None:
        """Give up all channels: strict order begins with L1 block `origin`."""
        for channel in self._channels.values():
            self._report_channel(channel, ChannelProblem.ORDER_BEGINS, origin, opened=channel.opened_at)
        self._channels.clear()
        self._size = self._ready = 0

    def _prune(self, origin: L1Ref, rules: Rules) -> None:
        while self._size > rules.channel_bank_size and self._channels:
            oldest = next(iter(self._channels.values()))
            total = self._size
            self._remove(oldest)
            self._report_channel(
                oldest,
                ChannelProblem.BANK_FULL,
                origin,
                size=oldest.size,
                bank=total,
                limit=rules.channel_bank_size,
            )

    def _remove(self, channel: Channel) -> None:
        del self._channels[channel.id]
        self._size = (self._size - channel.size) % _U64
        self._ready -= channel.is_ready

    def _report_frame(self, frame: Frame, reason: ChannelProblem, block: L1Ref, **numbers: int) -> None:
        self._report(
            Verdict(
                subject=Subject.FRAME,
                name=frame.name,
                outcome=Outcome.DROPPED,
                reason=reason,
                rule=CHANNEL_BANK_RULE,
                numbers=tuple(numbers.items()),
                origin=block.id,
            )
        )

    def _report_channel(self, channel: Channel, reason: ChannelProblem, block: L1Ref, **numbers: int) -> None:
        self._report(
            Verdict(
                subject=Subject.CHANNEL,
                name=channel.id.hex(),
                outcome=Outcome.DROPPED,
                reason=reason,
                rule=CHANNEL_BANK_RULE,
                numbers=tuple(numbers.items()),
                origin=block.id,
            )
        )
