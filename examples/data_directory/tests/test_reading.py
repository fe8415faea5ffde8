"""What is read, and what never passes for data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from bucket import bucket
from kroma_data_directory.commitment import Commitment
from kroma_data_directory.offers import DirectorySettings
from maker import opened_part

from kroma_core.errors import TemporaryError
from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.testing.faults import Fault, Plant, fault_front
from kroma_core.types import L1Number, L1Ref, Timestamp

BLOCK = L1Ref(hash=b"\7" * 32, number=L1Number(7), parent_hash=b"\6" * 32, timestamp=Timestamp(0))
CONTENT = b"\0" + b"frames" * 10
# keccak-256 of the 61 bytes of CONTENT, by another implementation (web3.keccak)
NAME = "9131453f9e9bba32b97a6b3f949b9197d7a87b990017f7c9cf80b10bad2e289e"
COMMITMENT = bytes.fromhex("d1" + "0000003d" + NAME)


def tx(data: bytes, type: int = 2) -> InboxTransaction:
    return InboxTransaction(index=0, hash=b"\x11" * 32, type=type, sender=bytes(20), data=data)


async def read(part: Any, *data: bytes) -> list[tuple[bytes, ...]]:
    return list(await part.read(BLOCK, [tx(one) for one in data]))


def with_folder(tmp_path: Path, body: Callable[[Any, Path], Awaitable[None]], **settings: Any) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()

    async def main() -> None:
        with trio.fail_after(120):
            async with opened_part(DirectorySettings(folder=shared, **settings), tmp_path / "own") as part:
                await body(part, shared)

    trio.run(main)


def test_a_commitment_is_37_bytes_with_size_and_keccak() -> None:
    assert Commitment.to(CONTENT).encode() == COMMITMENT
    assert Commitment.decode(COMMITMENT) == Commitment(size=61, hash=bytes.fromhex(NAME))


def test_transactions_with_a_commitment_are_claimed_and_no_others(tmp_path: Path) -> None:
    async def body(part: Any, shared: Path) -> None:
        assert part.claims(tx(COMMITMENT), Rules())
        assert part.claims(tx(COMMITMENT), Rules(blobs=True))
        others = [b"", b"\0frames", COMMITMENT[:-1], COMMITMENT + b"\0", b"\xd0" + COMMITMENT[1:], b"\1\0" + bytes(32)]
        assert [data for data in others if part.claims(tx(data), Rules())] == []
        assert not part.claims(tx(COMMITMENT, type=3), Rules(blobs=True))

    with_folder(tmp_path, body)


def test_content_in_a_file_of_its_name_is_read(tmp_path: Path) -> None:
    async def body(part: Any, shared: Path) -> None:
        (shared / NAME).write_bytes(CONTENT)
        assert await read(part, COMMITMENT, COMMITMENT) == [(CONTENT,), (CONTENT,)]

    with_folder(tmp_path, body)


def test_content_that_is_missing_may_come_later(tmp_path: Path) -> None:
    async def body(part: Any, shared: Path) -> None:
        with pytest.raises(TemporaryError, match=f"transaction 0x1111.*{NAME}: No such file"):
            await read(part, COMMITMENT)
        (shared / NAME).write_bytes(CONTENT)
        assert await read(part, COMMITMENT) == [(CONTENT,)]

    with_folder(tmp_path, body)


@pytest.mark.parametrize("wrong", [CONTENT[:-1], CONTENT + b"s", b"", CONTENT[:-1] + b"S"])
def test_wrong_content_is_no_data_and_no_absence_of_data(wrong: bytes, tmp_path: Path) -> None:
    async def body(part: Any, shared: Path) -> None:
        (shared / NAME).write_bytes(wrong)
        with pytest.raises(TemporaryError, match=r"expected 61 bytes|expected content with keccak"):
            await read(part, COMMITMENT)

    with_folder(tmp_path, body)


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    async def body(part: Any, shared: Path) -> None:
        with (shared / NAME).open("wb") as file:
            file.truncate(1 << 40)  # a sparse file: reading it would take a terabyte of memory
        with pytest.raises(TemporaryError, match="expected 61 bytes, got 62"):
            await read(part, COMMITMENT)

    with_folder(tmp_path, body)


def test_a_commitment_to_more_than_the_limit_carries_nothing_and_is_not_asked_for(tmp_path: Path) -> None:
    async def body(part: Any, shared: Path) -> None:
        (shared / NAME).write_bytes(CONTENT)
        empty = Commitment.to(b"").encode()
        assert await read(part, COMMITMENT, empty) == [(), ()]

    with_folder(tmp_path, body, largest=60)


def with_bucket(tmp_path: Path, body: Callable[[Any, Any, Plant], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        plant = Plant()
        with trio.fail_after(120), bucket() as objects:
            async with (
                fault_front(objects.url, plant) as front,
                opened_part(DirectorySettings(url=front, **settings), tmp_path) as part,
            ):
                await body(part, objects, plant)

    trio.run(main)


def test_an_object_behind_the_url_is_read(tmp_path: Path) -> None:
    async def body(part: Any, objects: Any, plant: Plant) -> None:
        with pytest.raises(TemporaryError, match=f"GET of object {NAME}.*HTTP status 404"):
            await read(part, COMMITMENT)
        objects.stored[f"/chain/{NAME}"] = CONTENT
        assert await read(part, COMMITMENT) == [(CONTENT,)]
        assert objects.asked == [f"GET /chain/{NAME}"] * 2

    with_bucket(tmp_path, body)


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.TRUNCATED, Fault.EMPTY, Fault.NOT_FOUND, Fault.WRONG])
def test_a_server_that_fails_is_asked_again_later(fault: Fault, tmp_path: Path) -> None:
    async def body(part: Any, objects: Any, plant: Plant) -> None:
        objects.stored[f"/chain/{NAME}"] = CONTENT
        plant.fault = fault
        with pytest.raises(TemporaryError):
            await read(part, COMMITMENT)
        plant.clear()
        assert await read(part, COMMITMENT) == [(CONTENT,)]

    with_bucket(tmp_path, body)


def test_a_server_that_is_silent_is_given_up(tmp_path: Path) -> None:
    async def body(part: Any, objects: Any, plant: Plant) -> None:
        plant.fault = Fault.SLOW
        with pytest.raises(TemporaryError, match=r"no whole answer within 0\.05 s"):
            await read(part, COMMITMENT)
        plant.clear()

    with_bucket(tmp_path, body, seconds=0.05)


def test_an_answer_that_is_too_large_is_not_taken(tmp_path: Path) -> None:
    async def body(part: Any, objects: Any, plant: Plant) -> None:
        objects.stored[f"/chain/{NAME}"] = bytes(10_000_000)
        with pytest.raises(TemporaryError, match="at most 61 bytes, got more"):
            await read(part, COMMITMENT)

    with_bucket(tmp_path, body)
