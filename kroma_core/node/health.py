"""Whether a node is ready to be asked and alive, with reasons: a function of its status and of what its events told.

Ready: its answers are current. Alive: it makes progress, or says what it waits for; a node that is not should be
restarted.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from kroma_core.node.watch import Signs
from kroma_core.status import SyncStatus


@attrs.frozen(kw_only=True)
class HealthLimits:
    """What still counts as healthy; times in seconds."""

    l1_age: float = 120
    """Age of the newest L1 block: ten slots of mainnet."""
    lag: int = 10
    """L1 blocks between the L1 head and the last one from which everything has been derived."""
    silence: float = 5
    """How long an engine or all servers of a source may fail to answer."""
    trouble: float = 5
    """How long something may have been tried again."""
    stalled: float = 600
    """Without any progress for so long, and nothing that explains it, the node is no longer alive."""


DEFAULT_LIMITS = HealthLimits()


@attrs.frozen
class Reason:
    """Why a node is not healthy: a fixed code for programs, and a text for people."""

    code: str
    text: str


@attrs.frozen(kw_only=True)
class Health:
    """The judgement; no reasons mean yes."""

    not_ready: tuple[Reason, ...]
    not_alive: tuple[Reason, ...]


def judge(
    status: SyncStatus, signs: Signs, now: float, *, confirmations: int = 0, limits: HealthLimits = DEFAULT_LIMITS
) -> Health:
    """Judge a node; `confirmations` is how far below the L1 head it stays on purpose."""
    causes = (*_silences(signs, now, limits), *_troubles(signs, now, limits))
    diverged = (Reason("diverged", text) for text in signs.diverged)
    behind = _behind(status, confirmations, limits)
    return Health(
        not_ready=(*_positions(status, now, limits), *behind, *_searches(signs), *causes, *diverged),
        not_alive=tuple(_stalled(status, signs, now, limits)) if not causes else (),
    )


def _positions(status: SyncStatus, now: float, limits: HealthLimits) -> Iterator[Reason]:
    if status.heads is None:
        yield Reason("not_started", "the engine's heads are not known yet")
    if status.head_l1 is None:
        yield Reason("no_l1_head", "the L1 source has not shown a head yet")
        return
    age = now - status.head_l1.timestamp
    if age > limits.l1_age:
        text = f"the newest L1 block, {status.head_l1.number}, is {age:.0f} s old (limit {limits.l1_age:g} s)"
        yield Reason("l1_stale", text)


def _behind(status: SyncStatus, confirmations: int, limits: HealthLimits) -> tuple[Reason, ...]:
    if status.current_l1 is None:
        return (Reason("never_derived", "nothing has been derived since the start"),)
    if status.head_l1 is None:
        return ()
    lag = status.head_l1.number - status.current_l1.number
    if lag <= limits.lag + confirmations:
        return ()
    text = f"derivation stands at L1 block {status.current_l1.number}, {lag} below the head {status.head_l1.number}"
    return (Reason("not_synced", text),)


def _searches(signs: Signs) -> Iterator[Reason]:
    if signs.search is not None:
        yield Reason("searching", signs.search)


def _silences(signs: Signs, now: float, limits: HealthLimits) -> Iterator[Reason]:
    for silence in signs.silent:
        seconds = now - silence.since
        if seconds > limits.silence:
            servers = ", ".join(silence.servers)
            text = f"{silence.part}: no answer from {servers} for {seconds:.0f} s ({silence.outcome})"
            yield Reason(f"{silence.part.split()[0]}_silent", text)


def _troubles(signs: Signs, now: float, limits: HealthLimits) -> Iterator[Reason]:
    for trouble in signs.troubles:
        seconds = now - trouble.since
        if seconds > limits.trouble:
            yield Reason("retrying", f"{trouble.part} has tried to {trouble.what} for {seconds:.0f} s: {trouble.error}")


def _stalled(status: SyncStatus, signs: Signs, now: float, limits: HealthLimits) -> Iterator[Reason]:
    seconds = now - signs.progress
    if seconds <= limits.stalled or status.head_l1 is None:
        return
    if status.current_l1 is None or status.current_l1.number + limits.lag < status.head_l1.number:
        yield Reason("stalled", f"no progress for {seconds:.0f} s, and nothing that would explain it")
