"""A divergence of L1, blob or data sources, again: by asking, and by the hash that says what the answer has to be.

A source of L1 blocks or blobs is asked only where a profile names it: it answers from elsewhere. Offline the hash alone
tells which of the two recorded answers is right. What a data source reads is in the bundle.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from kroma_core.api import BlobSource, Missing, PluginContext, Role
from kroma_core.errors import KromaError
from kroma_core.node.plan import PlannedPart
from kroma_core.node.registry import InstalledOffer
from kroma_core.node.shadow.data_exchange import (
    BlobsExchange,
    ReadExchange,
    read_blobs_exchange,
    read_data_exchange,
)
from kroma_core.node.shadow.divergence import PartVersion
from kroma_core.node.shadow.l1_exchange import BlockExchange, ReceiptsExchange, read_l1_exchange
from kroma_core.node.shadow.leading import version_of
from kroma_core.node.shadow.replaying import NOT_INSTALLED, Asked, Replayed, ReplayTask, Side
from kroma_core.recording.json_fields import Fields
from kroma_core.types import Hash32, L1Ref

SourceExchange = BlockExchange | ReceiptsExchange | BlobsExchange | ReadExchange


@attrs.frozen
class _Unasked:
    """A source that could not be asked, and why."""

    reason: str


async def replay_source(task: ReplayTask) -> Replayed:
    """Ask both sources what they were asked then, and judge what they gave. Raises `DecodeError`, `RecordingError`."""
    exchange: Any = _exchange(task)
    outputs: dict[Side, Any] = {Side.LEADER: exchange.answer, Side.FOLLOWER: exchange.read(_fields(task, "follower"))}
    sides = []
    for side, then in tuple(outputs.items()):
        part = _part(task, side)
        now = _Unasked(NOT_INSTALLED) if part is None else await _answer(task, part, exchange)
        if isinstance(now, _Unasked):
            sides.append(_judged(task, side, exchange, then, now))
        else:
            outputs[side] = now
            again = "gives what it gave then" if now == then else "gives something else than then"
            version = None if part is None else version_of(part)
            sides.append(Asked(side=side, version=version, note="; ".join((again, *_verdict(exchange, now)))))
    settled = attrs.evolve(exchange, answer=outputs[Side.LEADER])
    return Replayed(sides=tuple(sides), differences=tuple(settled.differences(outputs[Side.FOLLOWER])))


def _exchange(task: ReplayTask) -> SourceExchange:
    """The question, with the leader's answer of then."""
    inputs, told = _fields(task, "inputs"), _fields(task, "leader")
    match task.bundle.divergence.role:
        case Role.L1:
            return read_l1_exchange(task.bundle.divergence.cursor.number, inputs, told)
        case Role.BLOBS:
            return read_blobs_exchange(inputs, told)
        case _:
            return read_data_exchange(task.chain.rollup.schedule.at, inputs, told)


def _fields(task: ReplayTask, which: str) -> Fields:
    divergence = task.bundle.divergence
    found: Mapping[str, Any] = {
        "inputs": divergence.inputs,
        "leader": divergence.leader_output,
        "follower": divergence.follower_output,
    }[which]
    return Fields.of(dict(found), file=task.bundle.path, part=which if which == "inputs" else f"outputs.{which}")


def _part(task: ReplayTask, side: Side) -> PlannedPart | InstalledOffer | None:
    """The part to ask; a data source may require blobs, which the bundle has."""
    found = task.part(side)
    divergence = task.bundle.divergence
    if found is not None or divergence.role is not Role.DATA:
        return found
    kind = divergence.leader.kind if side is Side.LEADER else divergence.follower.kind
    offer = task.registry.find(Role.DATA, kind)
    if offer is None or any(field.default is attrs.NOTHING for field in attrs.fields(offer.offer.config)):
        return None
    return offer


async def _answer(task: ReplayTask, part: PlannedPart | InstalledOffer, exchange: SourceExchange) -> Any:
    offer = part.installed.offer if isinstance(part, PlannedPart) else part.offer
    required: dict[str, Sequence[BlobSource]] = {}
    if isinstance(exchange, ReadExchange) and Role.BLOBS in offer.requires:
        required["blobs"] = (_BundledBlobs(exchange.blobs),)
    lacking = [role for role in offer.requires if role.value not in required]
    if lacking:
        return _Unasked(f"it requires {', '.join(lacking)}")
    settings = part.settings if isinstance(part, PlannedPart) else offer.config()
    context = PluginContext(chain=task.chain, data_dir=task.folder, clock=time.time, emit=lambda event: None)
    try:
        async with offer.open(settings, context, **required) as source:
            return await exchange.asked_of(source)
    except KromaError as error:
        return _Unasked(str(error))


def _judged(task: ReplayTask, side: Side, exchange: SourceExchange, then: Any, why: _Unasked) -> Asked:
    """What the hash says of an answer of then; where there is none that could, nobody can say anything."""
    verdict = tuple(_verdict(exchange, then))
    if not verdict:
        return Asked(side=side, version=None, note=why.reason)
    divergence = task.bundle.divergence
    version: PartVersion = divergence.leader if side is Side.LEADER else divergence.follower
    return Asked(side=side, version=version, note="; ".join(("was not asked again", *verdict)))


def _verdict(exchange: SourceExchange, answer: Any) -> Iterator[str]:
    if isinstance(exchange, ReadExchange):
        return
    found = tuple(exchange.contradictions(answer))
    if found:
        yield f"its answer is WRONG: {'; '.join(found)}"
    else:
        yield "its answer is what the hash covers"


@attrs.frozen
class _BundledBlobs:
    """The blobs in a bundle."""

    kept: Mapping[Hash32, bytes]

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
        missing = tuple(one for one in versioned_hashes if one not in self.kept)
        if missing:
            return Missing(versioned_hashes=missing, source="the bundle")
        return tuple(self.kept[one] for one in versioned_hashes)
