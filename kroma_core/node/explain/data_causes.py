"""What on L1 keeps the next block from being derived, when all of L1 has been read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from kroma_core.node.explain.schema import REORGANISED
from kroma_core.node.explain.situation import KeptVerdict, OpenChannel, Situation


@attrs.frozen
class Cause:
    """A fixed code for programs, a text for people, the rule that decided and the numbers that were compared."""

    code: str
    text: str
    rule: str | None = None
    numbers: dict[str, Any] = attrs.field(factory=dict)


_BATCHES = ("batch", "span batch", "attributes")
_LONGEST_DRIFT = 1800
"""Seconds that a block may be ahead of its L1 origin, at most, by any upgrade."""
_FRAMES_BEFORE = 10
"""L1 blocks before a channel was opened in which a frame of it may have come too early."""


def data_causes(situation: Situation) -> list[Cause]:
    """At least one. What came closest to being a block comes first."""
    last, run = situation.last_block, situation.run
    since = max(last["id"] if last else 0, run[0] if run and not last else 0)
    verdicts = situation.verdicts("void = 0 AND id > ?", since)
    batches = [one for one in verdicts if one.subject in _BATCHES]
    channels = [_incomplete(situation, channel) for channel in situation.open_channels()]
    found = [*_dropped_batch(situation, batches), *channels, *_waiting_batch(situation, batches)]
    below = _dropped_below(verdicts)
    if not found and not below and last is not None and last["l1"] == _reached(situation):
        return [_moving(last), *_dropped_earlier(situation, last, since)]
    if not found or found[0].code in ("future_batch", "foreign_batch"):
        found = [*below, *_dropped_earlier(situation, last, since), *found]
    else:
        found += below
    if not found:
        found += _past_batches(situation, batches)
    if not found:
        found += _strangers(situation, verdicts, since)
    return [*found, _silence(situation, since, alone=not found)]


def _dropped_earlier(situation: Situation, last: dict[str, Any] | None, since: int) -> list[Cause]:
    """What was dropped in the L1 block of the last L2 block, before that."""
    return _dropped_below(situation.verdicts("void = 0 AND l1 >= ? AND id <= ?", (last["l1"] if last else 0), since))


def _dropped_batch(situation: Situation, batches: list[KeptVerdict]) -> Iterator[Cause]:
    """The first batch that was dropped and is not just an old one, or the consequence of a gap."""
    for one in batches:
        if one.outcome != "dropped" or one.code in ("PAST", "FUTURE", "PARENT_CHANGED", "STRICT_ORDER"):
            continue
        what = _named(situation, one)
        refused = one.subject == "attributes"
        code = "engine_refused" if refused else "batch_dropped"
        yield Cause(code, f"{what} of L1 block {one.l1} was dropped: {one.words()}", one.rule, one.as_json())
        return


def _waiting_batch(situation: Situation, batches: list[KeptVerdict]) -> Iterator[Cause]:
    undecided = [one for one in batches if one.outcome == "undecided"]
    if undecided:
        one = undecided[-1]
        text = f"{_named(situation, one)} of L1 block {one.l1} cannot be judged yet: {one.words()}"
        yield Cause("batch_undecided", text, one.rule, one.as_json())
    for one in batches:
        if one.code == "FUTURE":
            number = situation.safe_number + 1
            foreign = _foreign(situation, one)
            text = (
                f"no batch for L2 block {number} has come: the next one that came, {_named(situation, one)} "
                f"of L1 block {one.l1}, is for a later one"
            )
            if foreign is not None:
                text = f"{foreign}, and none for L2 block {number} has come"
            elif situation.last_block is None and situation.run is not None:
                text += f"; derivation began at L1 block {situation.run[4]}, and what was posted before it is not read"
            yield Cause("future_batch" if foreign is None else "foreign_batch", text, one.rule, one.as_json())
            return


def _past_batches(situation: Situation, batches: list[KeptVerdict]) -> Iterator[Cause]:
    """Batches came, and none was for a block that is not there yet."""
    past = [one for one in batches if one.code == "PAST"]
    if not past:
        return
    one = past[-1]
    foreign = _foreign(situation, one)
    if foreign is not None:
        yield Cause("foreign_batch", f"{foreign}, and no others came", one.rule, one.as_json())
        return
    text = (
        f"batches come, but only for blocks that are safe already: the last one, {_named(situation, one)}, "
        f"in L1 block {one.l1}; none for L2 block {situation.safe_number + 1} has come"
    )
    yield Cause("past_batches", text, one.rule, one.as_json())


def _foreign(situation: Situation, one: KeptVerdict) -> str | None:
    """What is odd about the time of a batch, if no block of this chain could have it."""
    if not one.name.isdecimal():
        return None
    time, rollup = int(one.name), situation.chain.rollup
    l1 = situation.store.row("SELECT l1_time FROM l1_blocks WHERE l1 = ? ORDER BY id DESC", one.l1)
    if time < rollup.genesis.l2_time:
        odd = f"before the genesis of this chain ({rollup.genesis.l2_time})"
    elif (time - rollup.genesis.l2_time) % rollup.block_time:
        odd = f"between two blocks of this chain, which has one each {rollup.block_time} s"
    elif l1 is not None and time > l1[0] + max(rollup.max_sequencer_drift, _LONGEST_DRIFT):
        odd = f"{time - l1[0]} s later than that L1 block itself"
    else:
        return None
    return f"the batch that came in L1 block {one.l1} is for time {time}, {odd}: it looks like another chain's"


def _incomplete(situation: Situation, channel: OpenChannel) -> Cause:
    name = f"{channel.channel}/{channel.waits_for}"
    came = situation.verdicts(
        "void = 0 AND subject = 'frame' AND name = ? AND l1 >= ?", name, channel.opened - _FRAMES_BEFORE
    )
    text = (
        f"channel {channel.channel} waits for frame {channel.waits_for}; it was opened in L1 block {channel.opened}, "
        f"has {channel.frames} frames, and times out after L1 block {channel.times_out_after}"
    )
    if came:
        text += f"; a frame {channel.waits_for} came in L1 block {came[-1].l1} and was dropped: {came[-1].words()}"
    return Cause("channel_incomplete", text, 'derivation.md, "Channel Bank"', attrs.asdict(channel))


def _dropped_below(verdicts: list[KeptVerdict]) -> list[Cause]:
    """The last of the channels and inputs that were dropped; of frames, the first of the last channel's."""
    found: list[Cause] = []
    for subject, code in (("channel", "channel_dropped"), ("frame", "frame_dropped"), ("data", "data_dropped")):
        dropped = [one for one in verdicts if one.subject == subject and one.outcome == "dropped"]
        if dropped:
            one = dropped[-1]
            more = ""
            if subject == "frame":  # the first one is why those after it do not fit
                same = [frame for frame in dropped if frame.channel == one.channel]
                one, more = same[0], f"; and {len(same) - 1} more of that channel" if len(same) > 1 else ""
            text = f"{subject} {one.name} was dropped in L1 block {one.l1}: {one.words()}{more}"
            found.append(Cause(code, text, one.rule, one.as_json()))
    return found


def _strangers(situation: Situation, verdicts: list[KeptVerdict], since: int) -> Iterator[Cause]:
    """Transactions to the inbox that are not the batcher's, where none of the batcher has come."""
    ours = situation.store.row("SELECT l1, inputs FROM transactions WHERE void = 0 AND id > ? ORDER BY id DESC", since)
    if ours is not None:
        l1, inputs = ours
        if not inputs:
            yield Cause("no_inputs", f"the batcher's transaction in L1 block {l1} carries nothing that can be read")
        return
    dropped = [one for one in verdicts if one.subject == "transaction"]
    if dropped:
        one = dropped[-1]
        code = "unknown_batcher" if one.code == "SENDER" else "transaction_dropped"
        text = f"no data of the batcher; transaction 0x{one.name} to the inbox in L1 block {one.l1}: {one.words()}"
        yield Cause(code, text, one.rule, one.as_json())


def _moving(last: dict[str, Any]) -> Cause:
    text = (
        f"the safe head does not stand still: L1 block {last['l1']}, the last one, made L2 block {last['number']} safe"
    )
    return Cause("not_stalled", text)


def _reached(situation: Situation) -> int:
    """The number of the L1 block that is being read."""
    current = situation.current_l1
    return current[0] if current is not None else situation.chain.rollup.genesis.l1.number


def _silence(situation: Situation, since: int, *, alone: bool) -> Cause:
    """Since when there is no batcher data, and when the sequencing window ends."""
    store, last, reached = situation.store, situation.last_block, _reached(situation)
    newest = store.row("SELECT max(l1) FROM transactions WHERE void = 0 AND inputs > 0")
    seen = newest[0] if newest is not None else None
    rollup = situation.chain.rollup
    epoch = last["origin"] if last is not None else rollup.genesis.l1.number
    expiry = epoch + rollup.seq_window_size
    window = f"from L1 block {expiry} on, empty blocks are forced (sequencing window of epoch {epoch})"
    rule = 'derivation.md, "Batch Queue"'
    numbers = {"last_data": seen, "read": reached, "epoch": epoch, "window_ends": expiry,
               "inbox": "0x" + rollup.batch_inbox.hex()}  # fmt: skip
    if not alone:
        return Cause("window", window, rule, numbers)
    lost = store.row(
        "SELECT max(l1) FROM transactions WHERE void = ? AND inputs > 0 "
        "AND hash NOT IN (SELECT hash FROM transactions WHERE void = 0)",
        REORGANISED,
    )
    if seen is not None:
        came = f"no batcher data since L1 block {seen}"
    elif lost is not None and lost[0] is not None:
        came = "no batcher data have come on this branch of L1"
    else:
        batcher = rollup.genesis.system_config.batcher.hex()
        came = (
            f"no batcher data have come at all: no transaction to the batch inbox, 0x{rollup.batch_inbox.hex()}, "
            f"which batcher 0x{batcher} is to write to (as the rollup's configuration has them)"
        )
    if lost is not None and lost[0] is not None and lost[0] > (seen or -1):
        came += f"; what had come up to L1 block {lost[0]} was given up in a reorg, and did not come again"
    return Cause("no_batcher_data", f"{came}; L1 is read up to block {reached}; {window}", rule, numbers)


def _named(situation: Situation, one: KeptVerdict) -> str:
    number = f" for L2 block {situation.number_at(int(one.name))}" if one.name.isdecimal() else f" {one.name}"
    where = f" ({one.channel}:{one.batch})" if one.channel is not None and one.name.isdecimal() else ""
    what = "the block" if one.subject == "attributes" else f"the {one.subject}"
    return f"{what}{number}{where}"
