"""What a profile may name: `blob` as data source, `beacon` and `archive` as blob sources."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs

from kroma_core.api import BlobSource, Capability, DataSource, Facts, Offer, PluginContext, Role, Secret, hookimpl
from kroma_core.chain.config import ChainConfig


@attrs.frozen(kw_only=True)
class BlobDataSettings:
    """Batcher data in blobs."""

    check_commitments: bool = False
    """Check every blob against its versioned hash once more, for blob sources that are not trusted to do so."""


@attrs.frozen(kw_only=True)
class BeaconSettings:
    """A beacon node of the L1."""

    url: str | Secret
    """http:// or https:// address of its API, without `/eth/v1`. One that holds a key is named as a secret."""
    authorization: Secret | None = None
    """Value of an Authorization header."""
    timeout: float = 10.0
    """Seconds until a request counts as unanswered, its whole answer included."""


@attrs.frozen(kw_only=True)
class ArchiveSettings:
    """A server that keeps blobs which beacon nodes have given up."""

    url: str | Secret
    """Where blobs are, with `{versioned_hash}`, or with `{slot}`, `{block_hash}` or `{block_number}` in it. One that
    holds a key is named as a secret."""
    authorization: Secret | None = None
    """Value of an Authorization header."""
    genesis_time: int | None = None
    """Time of the beacon chain's slot 0, where the URL has `{slot}`: 1606824023 on mainnet, 1655733600 on sepolia."""
    slot_seconds: int = 12
    """Length of a slot, where the URL has `{slot}`."""
    timeout: float = 10.0
    """Seconds until a request counts as unanswered, its whole answer included."""


@asynccontextmanager
async def open_blob_data(
    settings: BlobDataSettings, context: PluginContext, *, blobs: Sequence[BlobSource]
) -> AsyncIterator[DataSource]:
    from kroma_da_blob.blob_data import BlobData

    yield BlobData(blobs, check_commitments=settings.check_commitments)


@asynccontextmanager
async def open_beacon(settings: BeaconSettings, context: PluginContext) -> AsyncIterator[BlobSource]:
    from kroma_da_blob.opening import opened_beacon

    async with opened_beacon(settings, context) as source:
        yield source


@asynccontextmanager
async def open_archive(settings: ArchiveSettings, context: PluginContext) -> AsyncIterator[BlobSource]:
    from kroma_da_blob.opening import opened_archive

    async with opened_archive(settings, context) as source:
        yield source


def check_beacon(settings: BeaconSettings, chain: ChainConfig) -> Sequence[str]:
    from kroma_da_blob.opening import beacon_problems

    return beacon_problems(settings)


def check_archive(settings: ArchiveSettings, chain: ChainConfig) -> Sequence[str]:
    from kroma_da_blob.opening import archive_problems

    return archive_problems(settings)


async def inspect_beacon(settings: BeaconSettings, context: PluginContext) -> Sequence[Facts]:
    from kroma_da_blob.opening import inspected_beacon

    return await inspected_beacon(settings, context)


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


@hookimpl
def provide_blob_sources() -> Sequence[Offer[BlobSource]]:
    return [
        Offer(
            kind="beacon",
            config=BeaconSettings,
            open=open_beacon,
            check=check_beacon,
            inspect=inspect_beacon,
            summary="the beacon API of an L1 node: blobs, or blob_sidecars",
        ),
        Offer(
            kind="archive",
            config=ArchiveSettings,
            open=open_archive,
            check=check_archive,
            summary="an archive of blobs behind a URL, by versioned hash, slot or L1 block",
        ),
    ]
