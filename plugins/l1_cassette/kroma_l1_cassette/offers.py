"""What a profile may name: `cassette` as L1 source and as blob source, `recorded` as engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs

from kroma_core.api import (
    BlobSource,
    Capability,
    ExecutionEngine,
    L1Source,
    Offer,
    PluginContext,
    RecordingFile,
    hookimpl,
)


@attrs.frozen(kw_only=True)
class CassetteSettings:
    """A recorded L1."""

    path: RecordingFile
    """The recording: the project's own format, or `chain-vector/1` (JSON, also xz-compressed)."""
    follow: bool = False
    """Stay after the last recorded head instead of ending."""


@attrs.frozen(kw_only=True)
class BlobSettings:
    """Recorded blobs."""

    path: RecordingFile
    """The recording that holds the blobs."""


@attrs.frozen(kw_only=True)
class EngineSettings:
    """Recorded blocks in place of execution."""

    path: RecordingFile
    """The recording whose expected chain answers; it has to carry one."""


@asynccontextmanager
async def open_l1(settings: CassetteSettings, context: PluginContext) -> AsyncIterator[L1Source]:
    from kroma_core.recording import open_recording
    from kroma_l1_cassette.l1_source import CassetteL1

    with open_recording(settings.path) as recording:
        yield CassetteL1(recording, follow=settings.follow)


@asynccontextmanager
async def open_blobs(settings: BlobSettings, context: PluginContext) -> AsyncIterator[BlobSource]:
    from kroma_core.recording import open_recording
    from kroma_l1_cassette.blob_source import CassetteBlobs

    with open_recording(settings.path) as recording:
        yield CassetteBlobs(recording)


@asynccontextmanager
async def open_engine(settings: EngineSettings, context: PluginContext) -> AsyncIterator[ExecutionEngine]:
    from kroma_core.recording import open_recording
    from kroma_l1_cassette.engine import recorded_engine

    with open_recording(settings.path) as recording:
        yield recorded_engine(recording, context.chain)


@hookimpl
def provide_l1_sources() -> Sequence[Offer[L1Source]]:
    return [
        Offer(
            kind="cassette",
            config=CassetteSettings,
            open=open_l1,
            summary="a recorded L1, replayed head by head",
            capabilities=frozenset({Capability.TIMELINE, Capability.EXPECTATIONS}),
        )
    ]


@hookimpl
def provide_blob_sources() -> Sequence[Offer[BlobSource]]:
    return [Offer(kind="cassette", config=BlobSettings, open=open_blobs, summary="the blobs of a recording")]


@hookimpl
def provide_engines() -> Sequence[Offer[ExecutionEngine]]:
    return [
        Offer(
            kind="recorded",
            config=EngineSettings,
            open=open_engine,
            summary="answers with the blocks of a recording's expected chain, without executing",
        )
    ]
