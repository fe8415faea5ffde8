"""The leading data and blob sources of a node, with others in their shadow."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import attrs
import trio

from kroma_core.api import BlobSource, DataSource, Missing, Role
from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.node.shadow.data_exchange import BlobsExchange, ReadExchange, Reading
from kroma_core.node.shadow.leading import Leading
from kroma_core.node.shadow.source_comparison import Compares, Exchange, SourceComparison, SourceFollowing, Tell
from kroma_core.node.shadow.source_follower import compared
from kroma_core.types import Hash32, L1Ref

REMEMBERED: Final = 64
"""Blobs that were read last (8 MiB), for followers that read the same transactions, and for a divergence's file."""


@attrs.define
class ShadowedData:
    """Hands on what the leader reads, at once, and offers it for comparison, a transaction at a time.

    Errors are the leader's own. `recent` are the blobs that the leader was given last.
    """

    _leader: DataSource
    _offer: Callable[[ReadExchange], None]
    _recent: RecentBlobs
    _rules: Rules | None = attrs.field(default=None, init=False)
    """Those with which the leader was asked last what it claims: of the block that is read next."""

    def claims(self, tx: InboxTransaction, rules: Rules) -> bool:
        self._rules = rules
        return self._leader.claims(tx, rules)

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        rules = self._rules
        found = await self._leader.read(block, txs)
        if rules is not None:
            for tx, inputs in zip(txs, found, strict=False):
                self._offer(
                    ReadExchange(
                        block=block,
                        rules=rules,
                        transaction=tx,
                        blobs=self._recent.of(tx.blob_hashes),
                        answer=Reading(claims=True, inputs=tuple(inputs)),
                    )
                )
        return found

    def __getattr__(self, name: str) -> Any:
        """What the leader can do beyond its role."""
        return getattr(self._leader, name)


@attrs.define
class ShadowedBlobs:
    """The same of a blob source. An answer that blobs are missing is not compared: others may keep them for longer."""

    _leader: BlobSource
    _offer: Callable[[BlobsExchange], None]

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
        found = await self._leader.blobs(block, versioned_hashes)
        if not isinstance(found, Missing):
            self._offer(BlobsExchange(block=block, versioned_hashes=tuple(versioned_hashes), answer=tuple(found)))
        return found

    def __getattr__(self, name: str) -> Any:
        """What the leader can do beyond its role."""
        return getattr(self._leader, name)


@attrs.define
class RecentBlobs:
    """The blobs that the leading sources gave last, by versioned hash."""

    _kept: OrderedDict[Hash32, bytes] = attrs.field(factory=OrderedDict, init=False)

    def note(self, versioned_hash: Hash32, blob: bytes) -> None:
        self._kept[versioned_hash] = blob
        self._kept.move_to_end(versioned_hash)
        if len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)

    def of(self, versioned_hashes: Iterable[Hash32]) -> dict[Hash32, bytes]:
        """Those of them that are still there."""
        return {one: self._kept[one] for one in versioned_hashes if one in self._kept}


@attrs.frozen
class NotedBlobs:
    """A leading blob source; its answers are noted on their way, and never given twice."""

    _source: BlobSource
    _recent: RecentBlobs

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
        found = await self._source.blobs(block, versioned_hashes)
        if not isinstance(found, Missing):
            for name, blob in zip(versioned_hashes, found, strict=False):
                self._recent.note(name, blob)
        return found


@attrs.frozen
class BlobsAgain:
    """What a following data source has for a blob source: the blobs that its leader got, or else the leading source."""

    _source: BlobSource
    _recent: RecentBlobs

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
        held = self._recent.of(versioned_hashes)
        if len(held) == len(set(versioned_hashes)):
            await trio.lowlevel.checkpoint()
            return tuple(held[one] for one in versioned_hashes)
        return await self._source.blobs(block, versioned_hashes)


def shadow_blobs(leading: Leading) -> BlobSource:
    """The stand-in of a leading blob source with shadows."""
    return ShadowedBlobs(leading.open_part, _offered_to(leading, compares_blobs))


def shadow_data(leading: Leading) -> DataSource:
    """The stand-in of a leading data source with shadows."""
    return ShadowedData(leading.open_part, _offered_to(leading, compares_data), RecentBlobs())


def compares_blobs(following: SourceFollowing, source: BlobSource, tell: Tell) -> SourceComparison:
    """What compares the answers of an open blob source."""
    return SourceComparison(role=Role.BLOBS, part=source, following=following)


def compares_data(following: SourceFollowing, source: DataSource, tell: Tell) -> SourceComparison:
    """What compares the answers of an open data source."""
    return SourceComparison(role=Role.DATA, part=source, following=following)


def _offered_to(leading: Leading, compares: Compares) -> Callable[[Any], None]:
    followers = [
        leading.follower(part, functools.partial(compared, leading, part, compares)) for part in leading.part.shadows
    ]

    def offer(step: Exchange) -> None:
        for follower in followers:
            follower.offer(step)

    return offer
