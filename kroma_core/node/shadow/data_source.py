"""The leading data and blob sources of a node, with others in their shadow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs

from kroma_core.api import BlobSource, DataSource, Missing, Role
from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.node.shadow.data_exchange import BlobsExchange, ReadExchange, Reading
from kroma_core.node.shadow.leading import Leading
from kroma_core.node.shadow.recent_blobs import RecentBlobs
from kroma_core.node.shadow.source_comparison import Compares, Exchange, SourceComparison, SourceFollowing, Tell
from kroma_core.node.shadow.source_follower import source_follower
from kroma_core.types import Hash32, L1Ref

SHARE: Final = 4
"""Of blobs, and of data that is in blobs, a fourth as many steps may wait as of others: each holds up to a megabyte."""


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


def shadow_blobs(leading: Leading) -> BlobSource:
    """The stand-in of a leading blob source with shadows."""
    return ShadowedBlobs(leading.open_part, _offered_to(leading, compares_blobs))


def shadow_data(leading: Leading) -> DataSource:
    """The stand-in of a leading data source with shadows."""
    return ShadowedData(leading.open_part, _offered_to(leading, compares_data), leading.blobs)


def compares_blobs(following: SourceFollowing, source: BlobSource, tell: Tell) -> SourceComparison:
    """What compares the answers of an open blob source."""
    return SourceComparison(role=Role.BLOBS, part=source, following=following)


def compares_data(following: SourceFollowing, source: DataSource, tell: Tell) -> SourceComparison:
    """What compares the answers of an open data source."""
    return SourceComparison(role=Role.DATA, part=source, following=following)


def _offered_to(leading: Leading, compares: Compares) -> Callable[[Any], None]:
    few = attrs.evolve(leading.limits, queue=max(leading.limits.queue // SHARE, 1))
    leading = attrs.evolve(leading, limits=few)
    followers = [source_follower(leading, part, compares) for part in leading.part.shadows]

    def offer(step: Exchange) -> None:
        for follower in followers:
            follower.offer(step)

    return offer
