"""Opening the blob sources of a profile, and what shows to be wrong with their settings before that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from kroma_core.api import BlobSource, Facts, PluginContext, Secret
from kroma_core.errors import ConfigError
from kroma_core.jsonrpc.address import ServerAddress
from kroma_da_blob.answers import SlotClock
from kroma_da_blob.archive_source import PLACES, ArchiveBlobs, places_in
from kroma_da_blob.beacon_source import BeaconBlobs
from kroma_da_blob.offers import ArchiveSettings, BeaconSettings
from kroma_da_blob.web import open_server

BEACON_PART = "blobs beacon"
ARCHIVE_PART = "blobs archive"


@asynccontextmanager
async def opened_beacon(settings: BeaconSettings, context: PluginContext) -> AsyncIterator[BlobSource]:
    """A beacon node as a blob source, once it has been asked for its clock. One that is down is opened all the same."""
    async with _beacon(settings, context) as source:
        await source.probe()
        yield source


async def inspected_beacon(settings: BeaconSettings, context: PluginContext) -> Sequence[Facts]:
    """What a beacon node says of itself."""
    async with _beacon(settings, context) as source:
        return [await source.facts()]


@asynccontextmanager
async def _beacon(settings: BeaconSettings, context: PluginContext) -> AsyncIterator[BeaconBlobs]:
    async with open_server(
        revealed(settings.url),
        part=BEACON_PART,
        emit=context.emit,
        seconds=settings.timeout,
        headers=headers_of(settings.authorization),
    ) as server:
        yield BeaconBlobs(server, part=BEACON_PART, l1_chain_id=context.chain.rollup.l1_chain_id, emit=context.emit)


@asynccontextmanager
async def opened_archive(settings: ArchiveSettings, context: PluginContext) -> AsyncIterator[BlobSource]:
    """An archive as a blob source. It is not asked anything before a blob is needed: it may charge for it."""
    clock = None
    if settings.genesis_time is not None:
        clock = SlotClock(genesis_time=settings.genesis_time, slot_ms=1000 * settings.slot_seconds)
    async with open_server(
        revealed(settings.url),
        part=ARCHIVE_PART,
        emit=context.emit,
        seconds=settings.timeout,
        headers=headers_of(settings.authorization),
    ) as server:
        yield ArchiveBlobs(server, clock=clock)


def beacon_problems(settings: BeaconSettings) -> Sequence[str]:
    unknown = places_in(revealed(settings.url))
    return [*(f"url: {{{name}}} means nothing here" for name in unknown), *_shared_problems(settings)]


def archive_problems(settings: ArchiveSettings) -> Sequence[str]:
    places = places_in(revealed(settings.url))
    known = ", ".join(f"{{{name}}}" for name in PLACES)
    problems = [f"url: {{{name}}} means nothing here; there are {known}" for name in places if name not in PLACES]
    if not set(places) & set(PLACES):
        problems.append(f"url: expected one of {known} in it, to say which blobs are wanted")
    if "slot" in places and settings.genesis_time is None:
        problems.append("genesis_time: missing; the URL has {slot}")
    if settings.slot_seconds < 1:
        problems.append(f"slot_seconds: expected at least 1, got {settings.slot_seconds}")
    return [*problems, *_shared_problems(settings)]


def _shared_problems(settings: BeaconSettings | ArchiveSettings) -> Iterator[str]:
    try:
        scheme = ServerAddress.parse(revealed(settings.url)).scheme
        if scheme not in ("http", "https"):
            yield f"url: expected http:// or https://, got {scheme}://"
    except ConfigError as error:
        yield f"url: {error}"
    if not settings.timeout > 0:
        yield f"timeout: expected more than 0 seconds, got {settings.timeout:g}"


def revealed(url: str | Secret) -> str:
    """The URL itself; not for messages."""
    return url.reveal() if isinstance(url, Secret) else url


def headers_of(authorization: Secret | None) -> dict[str, str]:
    return {} if authorization is None else {"authorization": authorization.reveal()}
