"""Archives as blob sources: which URL is asked, and which answers count."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from kroma_da_blob.offers import ArchiveSettings, BeaconSettings, check_archive, check_beacon, open_archive

from kroma_core.api import BlobSource, Missing, PluginContext, Secret
from kroma_core.errors import TemporaryError
from kroma_core.forks import Fork
from kroma_core.jsonrpc.server import Response
from kroma_core.testing.beacon_node import BeaconNode
from kroma_core.testing.blob_source_faults import hashes_of, sample_blob, sample_l1
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on

CHAIN = rollup_on(sample_l1(), forks=all_forks_until(Fork.ECOTONE))


def with_archive(path: str, body: Callable[[BlobSource, BeaconNode], Awaitable[None]]) -> None:
    async def main() -> None:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                node = BeaconNode(l1=sample_l1())
                url = await nursery.start(node.serve)
                settings = ArchiveSettings(url=url + path, genesis_time=node.l1.genesis_time)
                context = PluginContext(chain=CHAIN, data_dir=Path(), clock=lambda: 0.0, emit=lambda event: None)
                async with open_archive(settings, context) as source:
                    await body(source, node)
                nursery.cancel_scope.cancel()

    trio.run(main)


def test_by_versioned_hash_each_blob_is_asked_for_once() -> None:
    async def body(source: BlobSource, node: BeaconNode) -> None:
        hashes = hashes_of(node.l1)
        assert await source.blobs(node.l1.tip.ref, hashes) == tuple(node.l1.blob_content(one) for one in hashes)
        assert node.asked("archive") == 3  # the fourth is the first once more

    with_archive("/archive/{versioned_hash}", body)


def test_by_slot_all_blobs_of_a_block_come_at_once() -> None:
    async def body(source: BlobSource, node: BeaconNode) -> None:
        hashes = hashes_of(node.l1)
        assert await source.blobs(node.l1.tip.ref, hashes) == tuple(node.l1.blob_content(one) for one in hashes)
        assert [path for path, _ in node.requests] == ["/eth/v1/beacon/blob_sidecars/1"]

    with_archive("/eth/v1/beacon/blob_sidecars/{slot}", body)


def test_a_query_in_the_url_is_sent() -> None:
    async def body(source: BlobSource, node: BeaconNode) -> None:
        (wanted,) = hashes_of(node.l1)[:1]
        await source.blobs(node.l1.tip.ref, [wanted])
        assert node.requests[-1][1] == {"full": ["yes"], "block": [f"0x{node.l1.tip.hash.hex()}"]}

    with_archive("/archive/{versioned_hash}?full=yes&block={block_hash}", body)


def test_what_an_archive_does_not_have_is_missing() -> None:
    async def body(source: BlobSource, node: BeaconNode) -> None:
        gone, there = hashes_of(node.l1)[:2]
        node.l1.forget_blob(gone)
        found = await source.blobs(node.l1.tip.ref, [gone, there])
        assert found == Missing(versioned_hashes=(gone,))

    with_archive("/archive/{versioned_hash}", body)


def test_a_blob_may_be_the_whole_body() -> None:
    async def body(source: BlobSource, node: BeaconNode) -> None:
        (wanted,) = hashes_of(node.l1)[:1]
        content = node.l1.blob_content(wanted)
        node.plant["archive"] = lambda: Response(body=content, content_type="application/octet-stream")
        assert await source.blobs(node.l1.tip.ref, [wanted]) == (content,)

    with_archive("/archive/{versioned_hash}", body)


@pytest.mark.parametrize("path", ["/archive/{versioned_hash}", "/eth/v1/beacon/blob_sidecars/{slot}"])
def test_another_blob_than_the_one_asked_for_is_refused_by_name(path: str) -> None:
    async def body(source: BlobSource, node: BeaconNode) -> None:
        (wanted,) = hashes_of(node.l1)[:1]
        node.damage[wanted] = sample_blob(b"wrong")
        with pytest.raises(
            TemporaryError, match=f"expected blob 0x{wanted.hex()}, got under the commitment of 0x"
        ) as caught:
            await source.blobs(node.l1.tip.ref, [wanted])
        assert "archive of http://127.0.0.1" in str(caught.value)

    with_archive(path, body)


@pytest.mark.parametrize("status", [400, 500, 403])
def test_a_server_that_refuses_has_not_said_that_it_lacks_a_blob(status: int) -> None:
    async def body(source: BlobSource, node: BeaconNode) -> None:
        node.plant["archive"] = lambda: Response.text("no", status=status)
        with pytest.raises(TemporaryError, match=f"got {status}: no"):
            await source.blobs(node.l1.tip.ref, hashes_of(node.l1)[:1])

    with_archive("/archive/{versioned_hash}", body)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (ArchiveSettings(url="http://h/blobs"), "expected one of {versioned_hash}, {slot}"),
        (ArchiveSettings(url="http://h/{slot}"), "genesis_time: missing"),
        (ArchiveSettings(url="http://h/{hash}/{versioned_hash}"), "{hash} means nothing here"),
        (ArchiveSettings(url="ftp://h/{versioned_hash}"), "expected one of http"),
        (ArchiveSettings(url="http://h/{slot}", genesis_time=1, slot_seconds=0), "slot_seconds: expected at least 1"),
        (ArchiveSettings(url="http://h/{versioned_hash}", timeout=0), "timeout: expected more than 0"),
        (BeaconSettings(url="http://h/{slot}"), "{slot} means nothing here"),
        (BeaconSettings(url="ws://h"), "expected http:// or https://, got ws://"),
    ],
)
def test_settings_that_cannot_work_are_told_before_the_start(
    settings: ArchiveSettings | BeaconSettings, problem: str
) -> None:
    if isinstance(settings, ArchiveSettings):
        found = check_archive(settings, CHAIN)
    else:
        found = check_beacon(settings, CHAIN)
    assert [one for one in found if problem in one]


def test_settings_that_can_work_have_no_problem() -> None:
    assert check_archive(ArchiveSettings(url=Secret("http://h/xyz/{versioned_hash}")), CHAIN) == []
    assert check_beacon(BeaconSettings(url="https://user:word@h/x"), CHAIN) == []
