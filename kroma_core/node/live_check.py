"""What a profile's servers say of themselves, compared with the chain's configuration and with each other.

Nothing is opened and nothing written: a node whose check passes begins on the chain that its operator means. Every
mismatch is told, not the first alone.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import attrs
import trio

from kroma_core.api import Clock, Facts, PluginContext, Role
from kroma_core.chain.config import ChainConfig, RollupConfig
from kroma_core.chain.config_fields import Fields, Findings
from kroma_core.chain.geth_config import compare_with_rollup
from kroma_core.errors import ConfigError, KromaError
from kroma_core.node.data_directory import expect_own
from kroma_core.node.live_checkpoint import look_for_checkpoint
from kroma_core.node.plan import Plan, PlannedPart

LONGEST: Final = 30.0
"""Seconds that a part has to tell about its servers."""
L1_BLOCK_SECONDS: Final = 12
"""Where no beacon node tells the length of a slot."""
_DAY: Final = 86400


@attrs.frozen(kw_only=True)
class LiveReport:
    """What came out: problems and warnings, one line each, and what every server said."""

    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    servers: tuple[str, ...]


@attrs.frozen
class _Inspected:
    """A part with what its servers told."""

    part: PlannedPart
    facts: tuple[Facts, ...]
    follows: bool = False
    """Whether it is in the shadow of another: nothing is asked of it that the node itself needs."""

    @property
    def role(self) -> Role:
        return self.part.role

    def name(self, facts: Facts) -> str:
        shadow = " shadow" if self.follows else ""
        return f"{self.role}{shadow} {self.part.installed.offer.kind} {facts.server}"


async def check_live(plan: Plan, *, clock: Clock = time.time) -> LiveReport:
    """Ask every server of a plan's parts, all at once, and compare."""
    problems: list[str] = []
    findings = Findings()
    try:
        expect_own(plan.data_dir, plan.chain)
    except ConfigError as error:
        problems += error.problems
    inspected = await _inspect_all(plan, clock, problems)
    rollup = plan.chain.rollup
    for one in inspected:
        for facts in one.facts:
            problems += [f"{one.name(facts)}: {text}" for text in _problems_of(one.role, facts, rollup)]
        configured = next((facts for facts in one.facts if facts.chain_config is not None), None)
        if one.role is Role.ENGINE and configured is not None:
            fields = Fields.of(configured.chain_config, source=one.name(configured), findings=findings)
            compare_with_rollup(fields, rollup, "the rollup config")
    problems += findings.problems
    problems += _beacon_problems(inspected)
    problems += _retention_problems(inspected, plan, clock())
    servers = list(_lines(inspected, plan, clock()))
    if not problems:
        with tempfile.TemporaryDirectory(prefix="kroma-check-") as folder:
            checkpoint = await look_for_checkpoint(plan, clock, Path(folder), LONGEST)
        problems += checkpoint.problems
        servers += [checkpoint.told] if checkpoint.told is not None else []
    return LiveReport(
        problems=tuple(dict.fromkeys(problems)), warnings=tuple(findings.warnings), servers=tuple(servers)
    )


async def _inspect_all(plan: Plan, clock: Clock, problems: list[str]) -> list[_Inspected]:
    """What each part tells, in the plan's order."""
    found: dict[int, _Inspected] = {}
    following = {id(layer) for part in plan.parts for shadow in part.shadows for layer in shadow.layers}

    async def ask(place: int, part: PlannedPart, folder: Path) -> None:
        inspect = part.installed.offer.inspect
        if inspect is None:
            return
        context = PluginContext(chain=plan.chain, data_dir=folder, clock=clock, emit=lambda event: None)
        try:
            with trio.move_on_after(LONGEST) as scope:
                facts = tuple(await inspect(part.settings, context))
                found[place] = _Inspected(part, facts, follows=id(part) in following)
        except ConfigError as error:
            problems.extend(f"{part}: {problem}" for problem in error.problems)
        except KromaError as error:
            problems.append(f"{part}: {error}")
        if scope.cancelled_caught:
            problems.append(f"{part}: no answer within {LONGEST:g} s")

    with tempfile.TemporaryDirectory(prefix="kroma-check-") as folder:
        async with trio.open_nursery() as nursery:
            for place, part in enumerate(plan.layers):
                nursery.start_soon(ask, place, part, Path(folder))
    return [found[place] for place in sorted(found)]


def _problems_of(role: Role, facts: Facts, rollup: RollupConfig) -> Iterator[str]:
    """What is wrong with one server by itself."""
    if facts.silent is not None:
        yield f"no answer: {facts.silent}"
        return
    yield from facts.problems
    l2 = role is Role.ENGINE
    key, expected = ("l2_chain_id", rollup.l2_chain_id) if l2 else ("l1_chain_id", rollup.l1_chain_id)
    if facts.chain_id not in (None, expected):
        yield f"its chain id is {facts.chain_id}, but {key} of the rollup config is {expected}"
    begin = rollup.genesis.l2 if l2 else rollup.genesis.l1
    if facts.genesis not in (None, begin.hash):
        yield (
            f"its block {begin.number} is 0x{(facts.genesis or b'').hex()}, "
            f"but the rollup config's genesis has {'L2' if l2 else 'L1'} block 0x{begin.hash.hex()}"
        )


def _facts_of(inspected: Sequence[_Inspected], role: Role, *, follows: bool = False) -> list[tuple[str, Facts]]:
    """What the servers of a role said, with their names; with `follows`, of parts in the shadow of others too."""
    asked = (one for one in inspected if one.role is role and (follows or not one.follows))
    return [(one.name(facts), facts) for one in asked for facts in one.facts]


def _beacon_problems(inspected: Sequence[_Inspected]) -> Iterator[str]:
    """Beacon nodes whose slots are not the times of L1's blocks."""
    heads = [(name, facts.head_time) for name, facts in _facts_of(inspected, Role.L1) if facts.head_time is not None]
    for name, beacon in _facts_of(inspected, Role.BLOBS, follows=True):
        if beacon.slot_zero is None or not beacon.slot_ms:
            continue
        for source, time_ in heads:
            since = (time_ - beacon.slot_zero) * 1000
            if since < 0 or since % beacon.slot_ms:
                yield (
                    f"{name}: its slots begin at {beacon.slot_zero} and last {beacon.slot_ms / 1000:g} s, "
                    f"so that no block of it has the time {time_} of the newest block of {source}"
                )


def _retention_problems(inspected: Sequence[_Inspected], plan: Plan, now: float) -> Iterator[str]:
    """Blobs that derivation will ask for and that nobody in the profile keeps that long."""
    sources = plan.of_role(Role.BLOBS)
    kept = [facts.blob_retention for _, facts in _facts_of(inspected, Role.BLOBS)]
    told = [seconds for seconds in kept if seconds is not None]
    if not sources or len(told) < len(sources):
        return  # one of them may keep them for good
    needed = _oldest_blobs(inspected, plan)
    # Nodes give blobs up by the age of slots: on a chain that stands still nothing expires.
    newest = max((facts.head_time for _, facts in _facts_of(inspected, Role.L1) if facts.head_time), default=now)
    if needed is not None and needed < newest - max(told):
        yield (
            f"blobs: derivation begins with blobs from about {_day(needed)}, and the beacon nodes keep them for "
            f"{max(told) / _DAY:.1f} days: another [[blobs]] source that keeps them is needed (kind archive)"
        )


def _oldest_blobs(inspected: Sequence[_Inspected], plan: Plan) -> int | None:
    """Time of the oldest blobs that derivation may read; None where it is not known, or where it reads none.

    It goes back from the safe head by the sequencer's drift and a channel timeout.
    """
    rollup = plan.chain.rollup
    engines = [facts for _, facts in _facts_of(inspected, Role.ENGINE)]
    safe = next((facts.safe_time for facts in engines if facts.safe_time), None)
    asked = any(part.installed.offer.inspect is not None for part in plan.layers if part.role is Role.ENGINE)
    if safe is None and (plan.data_dir.exists() or (asked and all(facts.silent for facts in engines))):
        return None  # an engine that keeps its chain in the folder and is not open, or that gave no answer
    first = _first_blobs(plan.chain)
    if first is None:
        return None
    slot_ms = next((facts.slot_ms for _, facts in _facts_of(inspected, Role.BLOBS) if facts.slot_ms), None)
    l1_block = slot_ms / 1000 if slot_ms else L1_BLOCK_SECONDS
    back = rollup.max_sequencer_drift + int(rollup.channel_timeout * l1_block)
    begin = rollup.genesis.l2_time if safe is None else safe - back
    return max(begin, first, rollup.genesis.l2_time)


def _first_blobs(chain: ChainConfig) -> int | None:
    """From which time on batcher data may stand in blobs."""
    rollup = chain.rollup
    times = sorted({int(rollup.genesis.l2_time), *map(int, rollup.schedule.times.values())})
    return next((time_ for time_ in times if rollup.schedule.at(time_).blobs), None)


def _lines(inspected: Sequence[_Inspected], plan: Plan, now: float) -> Iterator[str]:
    """What was found out, one line a server."""
    asked = {id(one.part) for one in inspected}
    for one in inspected:
        for facts in one.facts:
            told = ", ".join(_told(one.role, facts, now, plan.chain.rollup))
            yield f"{one.name(facts)}: {told or 'no answer'}"
    for part in plan.layers:
        if id(part) not in asked and not part.installed.is_wrapper and part.role in (Role.L1, Role.BLOBS, Role.ENGINE):
            yield f"{part.role} {part.installed.offer.kind}: asks no server"


def _told(role: Role, facts: Facts, now: float, rollup: RollupConfig) -> Iterator[str]:
    if facts.chain_id is not None:
        yield f"chain {facts.chain_id}"
    if facts.genesis is not None:
        yield f"genesis 0x{facts.genesis.hex()[:8]}..."
    if facts.head_time is not None:
        yield f"newest block {max(0, round(now - facts.head_time))} s old"
    if facts.safe_time is not None:
        blocks = (facts.safe_time - rollup.genesis.l2_time) // rollup.block_time
        yield f"safe up to L2 block {rollup.genesis.l2.number + blocks}"
    if role is Role.ENGINE and facts.silent is None:
        yield "fork times compared" if facts.chain_config is not None else "does not tell its fork times"
    if facts.slot_ms is not None:
        yield f"slots of {facts.slot_ms / 1000:g} s"
    if facts.blob_retention is not None:
        yield f"keeps blobs for {facts.blob_retention / _DAY:.1f} days"


def _day(time_: int) -> str:
    return datetime.fromtimestamp(time_, UTC).strftime("%Y-%m-%d") if time_ < 2**36 else str(time_)
