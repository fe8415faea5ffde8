"""What a profile may name: `directory` as data source.

This module is loaded to list what is installed: import nothing heavy here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from kroma_core.api import Capability, DataSource, Offer, PluginContext, Secret, hookimpl
from kroma_core.chain.config import ChainConfig


@attrs.frozen(kw_only=True)
class DirectorySettings:
    """What a profile may say about it: `folder` or `url`, not both."""

    folder: Path | None = None
    """Where the content is: a folder that batcher and readers share."""
    url: str | Secret | None = None
    """Where the content is: a URL to which names are appended, of a bucket, say."""
    token: Secret | None = None
    """Sent with every request as `Authorization: Bearer`."""
    largest: int = 262_144
    """Bytes of the largest content that is read. Part of consensus: the same for all nodes of a chain."""
    seconds: float = 20.0
    """Seconds for one request."""


def check_settings(settings: DirectorySettings, chain: ChainConfig) -> Sequence[str]:
    """What is wrong with the settings, for `kroma check`."""
    return tuple(_problems(settings))


def _problems(settings: DirectorySettings) -> Iterator[str]:
    from kroma_core.errors import ConfigError
    from kroma_core.jsonrpc.address import ServerAddress
    from kroma_data_directory.commitment import LARGEST_SIZE

    if (settings.folder is None) == (settings.url is None):
        yield "expected one of folder and url"
    if settings.folder is not None and settings.folder.exists() and not settings.folder.is_dir():
        yield f"folder: {settings.folder} is not a folder"
    if settings.url is not None:
        try:
            if ServerAddress.parse(_revealed(settings.url)).scheme not in ("http", "https"):
                yield "url: expected an http or https URL"
        except ConfigError as error:
            yield from (f"url: {problem}" for problem in error.problems)
    if settings.token is not None and settings.url is None:
        yield "token: there is no url that it would be sent to"
    if not 1 <= settings.largest <= LARGEST_SIZE:
        yield f"largest: expected a number of bytes from 1 to {LARGEST_SIZE}, got {settings.largest}"
    if not settings.seconds > 0:
        yield f"seconds: expected a number above 0, got {settings.seconds:g}"


def _revealed(text: str | Secret) -> str:
    return text.reveal() if isinstance(text, Secret) else text


@asynccontextmanager
async def open_directory(settings: DirectorySettings, context: PluginContext) -> AsyncIterator[DataSource]:
    from kroma_core.errors import ConfigError
    from kroma_core.jsonrpc.address import ServerAddress
    from kroma_core.jsonrpc.background import BackgroundTasks
    from kroma_core.jsonrpc.over_http import http_requests
    from kroma_data_directory.part import DirectoryData
    from kroma_data_directory.stores import Bucket, Folder

    problems = tuple(_problems(settings))
    if problems:
        raise ConfigError(*problems)
    if settings.folder is not None:
        yield DirectoryData(kept=Folder(settings.folder), bucket=None, largest=settings.largest, emit=context.emit)
        return
    assert settings.url is not None
    address = ServerAddress.parse(_revealed(settings.url))
    headers = {} if settings.token is None else {"authorization": f"Bearer {settings.token.reveal()}"}
    async with http_requests(address, most_connections=4) as requests:
        bucket = Bucket(address=address, requests=requests, headers=headers, seconds=settings.seconds)
        kept = Folder(context.data_dir / "to-upload")
        part = DirectoryData(kept=kept, bucket=bucket, largest=settings.largest, emit=context.emit)
        async with BackgroundTasks() as nursery:
            nursery.start_soon(part.upload)
            yield part


@hookimpl
def provide_data_sources() -> Sequence[Offer[DataSource]]:
    return [
        Offer(
            kind="directory",
            config=DirectorySettings,
            open=open_directory,
            check=check_settings,
            summary="batcher data in a directory or an S3-compatible store, commitments on L1",
            capabilities=frozenset({Capability.PUBLISHES}),
        )
    ]
