"""What a profile may name: `blob` as data source."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs

from kroma_core.api import BlobSource, Capability, DataSource, Offer, PluginContext, Role, hookimpl


@attrs.frozen(kw_only=True)
class BlobDataSettings:
    """Batcher data in blobs."""

    check_commitments: bool = False
    """Check every blob against its versioned hash once more, for blob sources that are not trusted to do so."""


@asynccontextmanager
async def open_blob_data(
    settings: BlobDataSettings, context: PluginContext, *, blobs: Sequence[BlobSource]
) -> AsyncIterator[DataSource]:
    from kroma_da_blob.blob_data import BlobData

    yield BlobData(blobs, check_commitments=settings.check_commitments)


@hookimpl
def provide_data_sources() -> Sequence[Offer[DataSource]]:
    return [
        Offer(
            kind="blob",
            config=BlobDataSettings,
            open=open_blob_data,
            summary="batcher data in the blobs of L1 transactions",
            requires=(Role.BLOBS,),
            capabilities=frozenset({Capability.PUBLISHES}),
        )
    ]
