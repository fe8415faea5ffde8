"""Why the safe head stands still: the causes, what stands in the way most first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from kroma_core.events import Asked, Trouble
from kroma_core.node.explain.answer import Answer
from kroma_core.node.explain.data_causes import Cause, data_causes
from kroma_core.node.explain.situation import Situation

QUIET = 30.0
"""Seconds without a sign of life after which a node counts as not running."""
STALE = 120.0
"""Seconds after which an L1 head is old: ten slots of mainnet."""
LOOP = 3
"""Resets without a new block from which on they are the trouble."""


@attrs.frozen(kw_only=True)
class Surroundings:
    """What the store does not say: the time, whether the node is a live one, and how it was told to begin.

    `running` None: to be told by when the store was last written. `now` None: a recording is asked, time means nothing.
    """

    now: float | None = None
    running: bool | None = None
    engine_syncs: bool = False
    """The engine is to fetch the chain by itself first."""


def stall(situation: Situation, around: Surroundings) -> Answer:
    """Why the safe head stands where it stands."""
    causes = list(_causes(situation, around))
    safe = situation.safe_number
    current, heads = situation.current_l1, situation.state("l1_heads")
    head = heads[0]["unsafe"]["number"] if heads else None
    moving = causes[0].code in ("not_stalled", "catching_up")
    summary = causes[0].text if moving else f"safe head {safe} stands still: {causes[0].text}"
    facts = [(cause.code, cause.text) for cause in causes[1:]]
    facts.append(("safe head", f"L2 block {safe}" + _since(situation)))
    facts.append(("L1", f"read up to {current[0] if current else 'nothing'}, head {head if heads else 'not known'}"))
    facts += _finality(situation)
    if causes[0].rule:
        facts.append(("rule", causes[0].rule))
    data: dict[str, Any] = {
        "cause": causes[0].code,
        "causes": [attrs.asdict(cause) for cause in causes],
        "safe": safe,
        "current_l1": current[0] if current else None,
        "head_l1": head,
    }
    return Answer(summary=summary, facts=tuple(facts), data=data)


def _since(situation: Situation) -> str:
    last = situation.last_block
    return f", derived from L1 block {last['l1']}" if last else ", where derivation began"


def _finality(situation: Situation) -> Iterator[tuple[str, str]]:
    """Why the finalised head is not the safe one: it waits for L1 blocks to be final there."""
    heads, l1, last = situation.state("heads"), situation.state("l1_heads"), situation.last_block
    if heads is None or heads[0]["finalized"]["number"] >= situation.safe_number:
        return
    final = l1[0]["finalized"] if l1 is not None else None
    shown = "the L1 source shows no finalised block" if final is None else f"finalised on L1: block {final['number']}"
    needed = f", and the safe head rests on L1 block {last['l1']}" if last is not None else ""
    yield "finalised", f"L2 block {heads[0]['finalized']['number']}; {shown}{needed}"


def _causes(situation: Situation, around: Surroundings) -> Iterator[Cause]:
    """At least one."""
    failed = situation.state("failed")
    if failed is not None:
        yield Cause("failed", f"derivation cannot go on: {failed[0]['error']}")
    yield from _not_running(situation, around)
    troubles = list(_troubles(situation))
    loop = list(_reset_loop(situation))
    if situation.run is None:
        yield from troubles
        yield from _not_started(situation, around)
        return
    yield from loop
    yield from troubles
    migrating = list(_migrating(situation))
    yield from migrating
    behind = list(_place_on_l1(situation, around))
    if troubles or loop or migrating or any(cause.code in _ENOUGH for cause in behind):
        yield from behind
        return
    found = data_causes(situation)
    if any(cause.code == "l1_stale" for cause in behind) and not _shown_by_data(situation, found[0]):
        yield from behind
        yield from (cause for cause in found if cause.code != "not_stalled")
        return
    waits = [cause for cause in behind if cause.code == "waiting_for_confirmations"]
    if waits and all(cause.code in ("no_batcher_data", "not_stalled", "channel_incomplete") for cause in found):
        yield from waits
        yield from (cause for cause in found if cause.code != "not_stalled")
    else:
        yield from found
        yield from behind


_ENOUGH = frozenset({"catching_up", "no_progress", "l1_went_back"})
"""With these, what was read so far is not the reason."""
_BY_THE_BATCHER = frozenset(
    {
        "batch_dropped", "engine_refused", "channel_dropped", "frame_dropped", "data_dropped", "no_inputs",
        "past_batches", "future_batch", "foreign_batch",
    }
)  # fmt: skip
"""What the batcher's own data show to be wrong, also where L1 has brought nothing for long."""


_ENOUGH_READ = 4
"""L1 blocks after which a batcher that has never written is odd."""


def _shown_by_data(situation: Situation, cause: Cause) -> bool:
    """Whether new L1 blocks alone would not help: what has been read of an old L1 is wrong already.

    Strangers write to an inbox, and a batcher may pause; where nothing of the batcher has ever come, it is neither.
    """
    if cause.code in _BY_THE_BATCHER:
        return True
    ever = situation.store.row("SELECT 1 FROM transactions WHERE inputs > 0 LIMIT 1")
    (read,) = situation.store.row("SELECT count(*) FROM l1_blocks") or (0,)
    return (
        ever is None
        and read >= _ENOUGH_READ
        and cause.code in ("unknown_batcher", "transaction_dropped", "no_batcher_data")
    )


def _not_running(situation: Situation, around: Surroundings) -> Iterator[Cause]:
    if around.running is not None or around.now is None:
        if around.running is False:
            yield Cause("not_running", "the node is not running")
        return
    alive, ended = situation.state("alive"), situation.state("ended")
    last = max((found[1] for found in (alive, ended) if found is not None), default=0.0)
    if ended is not None and (alive is None or ended[1] >= alive[1]):
        why = f": {ended[0]['error']}" if ended[0].get("error") else ""
        yield Cause("not_running", f"the node was stopped {_long(around.now - last)} ago{why}")
    elif around.now - last > QUIET:
        yield Cause("not_running", f"the node is not running: its last sign of life is {_long(around.now - last)} old")


def _troubles(situation: Situation) -> Iterator[Cause]:
    found = {kind: value for kind, value, _ in situation.states("trouble/")}
    for kind in (Asked.DATA, Asked.ENGINE, Asked.L1, Asked.L1_HEADS, Asked.OTHER):
        if kind.value in found:
            yield _trouble(kind, found[kind.value])
    named = {"engine": "engine_silent", "l1": "l1_silent", "blobs": "data_silent", "data": "data_silent"}
    servers: dict[str, list[dict[str, Any]]] = {}
    for _, server, _ in situation.states("server/"):
        servers.setdefault(server["part"], []).append(server)
    for part, states in servers.items():
        role = part.split()[0]
        if named.get(role) == "data_silent" and Asked.DATA not in found:
            continue  # nobody waits for it: what was read so far was in no need of it
        if role in named and not any(state["speaks"] for state in states):
            where = ", ".join(f"{state['server']} ({state['outcome']})" for state in states)
            yield Cause(named[role], f"{part}: no answer from {where}")


def _trouble(kind: Asked, trouble: dict[str, Any]) -> Cause:
    error, times = trouble["error"], f"tried {trouble['count']} times"
    text = f"{trouble['what']}: {error} ({times})"
    if kind is Asked.DATA:
        code, who = "data_silent", "who should have the batcher's data does not answer"
    elif kind is Asked.ENGINE:
        syncing = trouble.get("trouble") == Trouble.SYNCING
        code, who = (
            ("engine_syncing", "the engine is syncing") if syncing else ("engine_silent", "the engine is silent")
        )
    elif kind in (Asked.L1, Asked.L1_HEADS):
        code, who = "l1_silent", "derivation waits for L1"
    else:
        code, who = "retrying", f"{trouble['part']} fails"
    numbers = {"attempts": trouble["count"], "since": trouble["since"], "error": error}
    return Cause(code, f"{who}: {text}", numbers=numbers)


def _reset_loop(situation: Situation) -> Iterator[Cause]:
    store = situation.store
    (first,) = store.row("SELECT min(id) FROM blocks WHERE number = (SELECT max(number) FROM blocks)") or (None,)
    resets = store.rows("SELECT reason FROM runs WHERE id > ? AND reason != 'start' ORDER BY id DESC", first or 0)
    trouble = situation.state(f"trouble/{Asked.DERIVATION}")
    count = max(len(resets), trouble[0]["count"] + 1 if trouble is not None else 0)
    if count < LOOP or trouble is None:
        return
    reason = trouble[0]["error"]
    missing = trouble[0].get("trouble") == Trouble.MISSING
    code, text = ("blobs_missing", "the batcher's data are missing, and ") if missing else ("reset_loop", "")
    text += f"derivation begins anew again and again ({count} times): {reason}"
    yield Cause(code, text, numbers={"resets": count})


def _long(seconds: float) -> str:
    """A time that a reader can imagine."""
    for unit, size in (("days", 86_400), ("hours", 3_600)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _migrating(situation: Situation) -> Iterator[Cause]:
    found = situation.state("migrating")
    if found is None:
        return
    told = found[0]
    done = f"{told['accounts']} accounts" + (f" and {told['slots']} slots of the next one" if told["slots"] else "")
    numbers = {name: told[name] for name in ("block", "accounts", "slots")}
    text = (
        f"{told['part']} migrates the state after block {told['block']}, which the next block begins with, to another "
        f"kind of trie: {done} so far; derivation goes on by itself"
    )
    yield Cause("migrating", text, numbers=numbers)


def _not_started(situation: Situation, around: Surroundings) -> Iterator[Cause]:
    heads = situation.state("l1_heads")
    if heads is None:
        yield Cause("no_l1_head", "derivation has not begun: the L1 source has not shown a head")
    elif around.engine_syncs:
        searching = situation.state("searching")
        where = f", at L2 block {searching[0]['at']} of {searching[0]['towards']}" if searching else ""
        unsafe = "the engine fetches the chain" if situation.state("unsafe") else "no unsafe block has come"
        yield Cause("engine_syncing", f"derivation has not begun: {unsafe}{where} (sync_mode = execution-layer)")
    else:
        searching = situation.state("searching")
        if searching is not None:
            at, towards = searching[0]["at"], searching[0]["towards"]
            yield Cause("searching", f"derivation has not begun: {searching[0]['what']}, at {at} of {towards}")
        else:
            yield Cause(
                "not_started", "derivation has not begun: the engine's heads are not known yet, or L1 is silent"
            )


def _place_on_l1(situation: Situation, around: Surroundings) -> Iterator[Cause]:
    heads, current = situation.state("l1_heads"), situation.current_l1
    if heads is None:
        yield Cause("no_l1_head", "the L1 source has not shown a head")
        return
    head = heads[0]["unsafe"]
    if around.now is not None and around.now - head["time"] > STALE:
        age = around.now - head["time"]
        yield Cause("l1_stale", f"the newest L1 block that is shown, {head['number']}, is {_long(age)} old",
                    numbers={"head": head["number"], "age": age})  # fmt: skip
    reached = current[0] if current is not None else -1
    readable = head["number"] - situation.confirmations
    if reached > head["number"]:
        yield Cause("l1_went_back", f"L1 shows head {head['number']}, below block {reached} that has been read",
                    numbers={"head": head["number"], "read": reached})  # fmt: skip
    elif reached < readable:
        seen = current[2] if current is not None else None
        quiet = around.now - seen if around.now is not None and seen is not None else 0.0
        run = situation.run
        why = f" (derivation began at L1 block {run[4]}: {run[2]})" if run is not None else ""
        if quiet > STALE:
            text = f"no progress for {quiet:.0f} s at L1 block {reached}, and L1 has {readable}: a part does not answer"
            yield Cause("no_progress", text, numbers={"read": reached, "head": head["number"]})
        else:
            yield Cause("catching_up", f"derivation is catching up: L1 block {reached} of {readable}{why}",
                        numbers={"read": reached, "head": head["number"]})  # fmt: skip
    elif situation.confirmations:
        text = (
            f"L1 is read up to block {reached} of {head['number']}: the node waits for {situation.confirmations} "
            "confirmations (l1_confirmations)"
        )
        yield Cause("waiting_for_confirmations", text, numbers={"confirmations": situation.confirmations})
