"""From frames to a store and a commitment, and from there to the blocks that they were made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from bucket import bucket
from kroma_data_directory.offers import DirectorySettings, check_settings
from maker import opened_part

from kroma_core.api import Secret
from kroma_core.errors import CriticalError
from kroma_core.events import Event, Retrying
from kroma_core.l1 import InboxTransaction
from kroma_core.testing.conformance.suites import scripted_chain
from kroma_core.testing.data_vectors import derive_recorded
from kroma_core.testing.engine_world import VECTORS
from kroma_core.types import L1Number, L1Ref, Timestamp

BLOCK = L1Ref(hash=b"\7" * 32, number=L1Number(7), parent_hash=b"\6" * 32, timestamp=Timestamp(0))


def txs(contents: Sequence[bytes]) -> list[InboxTransaction]:
    return [
        InboxTransaction(index=index, hash=bytes(32), type=2, sender=bytes(20), data=data)
        for index, data in enumerate(contents)
    ]


def run(main: Any) -> None:
    async def limited() -> None:
        with trio.fail_after(60):
            await main()

    trio.run(limited)


def test_a_chain_whose_batches_one_node_publishes_is_derived_by_another(tmp_path: Path) -> None:
    async def main() -> None:
        with bucket() as objects:
            settings = DirectorySettings(url=objects.url)
            async with (
                opened_part(settings, tmp_path / "batcher") as batcher,
                opened_part(settings, tmp_path / "verifier") as verifier,
            ):

                async def read_back(frames: bytes) -> tuple[bytes, ...]:
                    contents = batcher.encode([frames])
                    assert all(len(content) == 37 for content in contents)
                    await batcher.published()
                    return tuple(one for found in await verifier.read(BLOCK, txs(contents)) for one in found)

                found, expected = await derive_recorded(VECTORS / "op-bedrock.json.xz", read_back)
            assert found == expected == 94
            assert sum(line.startswith("GET") for line in objects.asked) >= len(objects.stored) > 0

    run(main)


def test_what_a_batcher_could_not_upload_is_uploaded_when_it_is_opened_again(tmp_path: Path) -> None:
    async def main() -> None:
        with bucket() as objects:
            objects.refuse_puts = 10**6
            async with opened_part(DirectorySettings(url=objects.url), tmp_path) as part:
                contents = part.encode([b"frames"])
                assert list(await part.read(BLOCK, txs(contents))) == [(b"\0frames",)]
            assert objects.stored == {}
            objects.refuse_puts = 0
            async with opened_part(DirectorySettings(url=objects.url), tmp_path) as part:
                await part.published()
                assert objects.stored == {f"/chain/{contents[0][5:].hex()}": b"\0frames"}
                assert list((tmp_path / "to-upload").iterdir()) == []
                assert list(await part.read(BLOCK, txs(contents))) == [(b"\0frames",)]

    run(main)


def test_uploads_are_tried_again_with_growing_pauses(tmp_path: Path) -> None:
    told: list[Event] = []

    async def main() -> None:
        with bucket() as objects:
            objects.refuse_puts = 3
            async with opened_part(DirectorySettings(url=objects.url), tmp_path, told.append) as part:
                part.encode([b"frames"])
                await part.published()

    run(main)
    assert [event.delay for event in told if isinstance(event, Retrying)] == [0.25, 0.5, 1.0]
    assert all("HTTP status 503" in event.error for event in told if isinstance(event, Retrying))


def test_a_token_goes_with_every_request_and_into_no_message(tmp_path: Path) -> None:
    async def main() -> None:
        with bucket() as objects:
            settings = DirectorySettings(url=objects.url, token=Secret("sesame"))
            async with opened_part(settings, tmp_path) as part:
                contents = part.encode([b"frames"])
                await part.published()
                await part.read(BLOCK, txs(contents))
            assert objects.tokens == {"Bearer sesame"}
            assert "sesame" not in repr(settings)

    run(main)


def test_a_folder_that_is_shared_needs_no_upload(tmp_path: Path) -> None:
    async def main() -> None:
        settings = DirectorySettings(folder=tmp_path / "shared")
        async with opened_part(settings, tmp_path / "a") as batcher, opened_part(settings, tmp_path / "b") as verifier:
            contents = batcher.encode([b"one", b"two"])
            await batcher.published()
            assert list(await verifier.read(BLOCK, txs(contents))) == [(b"\0onetwo",)]
            assert [path.name for path in (tmp_path / "shared").iterdir()] == [contents[0][5:].hex()]

    run(main)


def test_a_frame_that_nobody_would_read_is_not_published(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened_part(DirectorySettings(folder=tmp_path, largest=100), tmp_path / "own") as part:
            assert len(part.encode([bytes(99)])) == 1
            with pytest.raises(CriticalError, match="readers take at most 100"):
                part.encode([bytes(100)])

    run(main)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "expected one of folder and url"),
        ({"folder": Path("a"), "url": "http://b"}, "expected one of folder and url"),
        ({"folder": Path(__file__)}, "is not a folder"),
        ({"url": "s3://bucket/chain"}, "url: "),
        ({"url": "ws://b"}, "url: expected an http or https URL"),
        ({"folder": Path("a"), "token": Secret("t")}, "token: there is no url"),
        ({"folder": Path("a"), "largest": 0}, "largest: expected"),
        ({"folder": Path("a"), "seconds": 0.0}, "seconds: expected"),
    ],
)
def test_settings_that_cannot_work_are_told(settings: dict[str, Any], problem: str) -> None:
    [found] = check_settings(DirectorySettings(**settings), scripted_chain())
    assert problem in found
