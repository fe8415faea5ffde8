"""Role `blobs`: where blobs come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from kroma_core.types import Hash32, L1Ref


@attrs.frozen(kw_only=True)
class Missing:
    """The source answered and lacks these blobs (pruned, or never there). Never an empty blob in their place.

    `source` names the source to an operator: a file, a host.
    """

    versioned_hashes: tuple[Hash32, ...]
    source: str = attrs.field(default="", eq=False)


class BlobSource(Protocol):
    """Blobs of an L1 block by versioned hash, each checked against its KZG commitment by the source."""

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
        """The blobs (131 072 bytes each), in the order asked for.

        Raises `TemporaryError` when the source does not answer.
        """
        ...
