"""What on L1 keeps the next block from being derived, when all of L1 has been read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from kroma_core.node.explain.situation import KeptVerdict, OpenChannel, Situation


@attrs.frozen
class Cause:
    """A fixed code for programs, a text for people, the rule that decided and the numbers that were compared."""

    code: str
    text: str
    rule: str | None = None
    numbers: dict[str, Any] = attrs.field(factory=dict)


_BATCHES = ("batch", "span batch", "attributes")


def data_causes(situation: Situation) -> list[Cause]:
    """At least one. What came closest to being a block comes first."""
    last, run = situation.last_block, situation.run
    since = max(last["id"] if last else 0, run[0] if run and not last else 0)
    verdicts = situation.verdicts("void = 0 AND id > ?", since)
    batches = [one for one in verdicts if one.subject in _BATCHES]
    open_channels = situation.open_channels()
    found = [*_dropped_batch(situation, batches), *map(_incomplete, open_channels), *_waiting_batch(situation, batches)]
    if not found or found[0].code == "future_batch":
        earlier = situation.verdicts("void = 0 AND l1 >= ? AND id <= ?", (last["l1"] if last else 0), since)
        found = [*_dropped_below(verdicts), *_dropped_below(earlier), *found]
    else:
        found += _dropped_below(verdicts)
    if not found:
        found += _strangers(situation, verdicts, since)
    return [*found, *_silence(situation, since, alone=not found)]


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
            text = (
                f"no batch for L2 block {number} has come: the next one that came, {_named(situation, one)} "
                f"of L1 block {one.l1}, is for a later one"
            )
            yield Cause("future_batch", text, one.rule, one.as_json())
            return


def _incomplete(channel: OpenChannel) -> Cause:
    text = (
        f"channel {channel.channel} waits for frame {channel.waits_for}; it was opened in L1 block {channel.opened}, "
        f"has {channel.frames} frames, and times out after L1 block {channel.times_out_after}"
    )
    return Cause("channel_incomplete", text, 'derivation.md, "Channel Bank"', attrs.asdict(channel))


def _dropped_below(verdicts: list[KeptVerdict]) -> list[Cause]:
    """The last of the channels, frames and inputs that were dropped, of each kind."""
    found: list[Cause] = []
    for subject, code in (("channel", "channel_dropped"), ("frame", "frame_dropped"), ("data", "data_dropped")):
        dropped = [one for one in verdicts if one.subject == subject and one.outcome == "dropped"]
        if dropped:
            one = dropped[-1]
            text = f"{subject} {one.name} was dropped in L1 block {one.l1}: {one.words()}"
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


def _silence(situation: Situation, since: int, *, alone: bool) -> Iterator[Cause]:
    """Since when there is no batcher data, and when the sequencing window ends."""
    store, last, current = situation.store, situation.last_block, situation.current_l1
    reached = current[0] if current is not None else situation.chain.rollup.genesis.l1.number
    newest = store.row("SELECT max(l1) FROM transactions WHERE void = 0 AND inputs > 0")
    seen = newest[0] if newest is not None else None
    if alone and last is not None and last["l1"] == reached:
        text = (
            f"the safe head does not stand still: L1 block {reached}, the last one, made L2 block {last['number']} safe"
        )
        yield Cause("not_stalled", text)
        return
    rollup = situation.chain.rollup
    epoch = last["origin"] if last is not None else rollup.genesis.l1.number
    expiry = epoch + rollup.seq_window_size
    window = f"from L1 block {expiry} on, empty blocks are forced (sequencing window of epoch {epoch})"
    rule = 'derivation.md, "Batch Queue"'
    numbers = {"last_data": seen, "read": reached, "epoch": epoch, "window_ends": expiry}
    if alone:
        came = f"no batcher data since L1 block {seen}" if seen is not None else "no batcher data have come at all"
        yield Cause("no_batcher_data", f"{came}; L1 is read up to block {reached}; {window}", rule, numbers)
    else:
        yield Cause("window", window, rule, numbers)


def _named(situation: Situation, one: KeptVerdict) -> str:
    number = f" for L2 block {situation.number_at(int(one.name))}" if one.name.isdecimal() else f" {one.name}"
    where = f" ({one.channel}:{one.batch})" if one.channel is not None and one.name.isdecimal() else ""
    what = "the block" if one.subject == "attributes" else f"the {one.subject}"
    return f"{what}{number}{where}"
