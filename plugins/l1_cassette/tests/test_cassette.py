"""A recorded L1 shows its heads one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from kroma_l1_cassette.l1_source import CassetteL1
from kroma_l1_cassette.offers import CassetteSettings, open_l1

from kroma_core.api import PluginContext, RecordingFile
from kroma_core.api.settings import InputFile
from kroma_core.chain.config import ChainConfig
from kroma_core.errors import NotFound
from kroma_core.forks import Fork
from kroma_core.l1 import L1Heads, L1Label
from kroma_core.recording import RecordingError
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_recording import record
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on
from kroma_core.types import L1Number


def scripted() -> ScriptedL1:
    """Three blocks, a reorg of two, three blocks: nine heads, the branch point shown twice."""
    l1 = ScriptedL1(fork="cancun")
    l1.mine_empty(3)
    l1.reorg(2)
    l1.mine_empty(3)
    return l1


def chain_of(l1: ScriptedL1) -> ChainConfig:
    return rollup_on(l1, forks=all_forks_until(Fork.ECOTONE))


@asynccontextmanager
async def opened(l1: ScriptedL1, folder: Path, *, follow: bool = False) -> AsyncIterator[CassetteL1]:
    chain = chain_of(l1)
    path = record(l1, folder / "l1.krec", chain.rollup)
    context = PluginContext(chain=chain, data_dir=folder, clock=lambda: 0.0, emit=lambda event: None)
    async with open_l1(CassetteSettings(path=RecordingFile(InputFile(path)), follow=follow), context) as source:
        assert isinstance(source, CassetteL1)
        yield source


def test_the_heads_come_in_the_order_of_the_timeline_and_then_end(tmp_path: Path) -> None:
    l1 = scripted()

    async def main() -> list[L1Heads]:
        async with opened(l1, tmp_path) as source:
            return [heads async for heads in source.subscribe()]

    assert trio.run(main) == list(l1.timeline)


def test_the_source_stands_still_until_the_next_head_is_asked_for(tmp_path: Path) -> None:
    l1 = scripted()

    async def main() -> None:
        async with opened(l1, tmp_path) as source:
            assert await source.head(L1Label.UNSAFE) == l1.genesis.ref
            heads = aiter(source.subscribe())
            for position, expected in enumerate(l1.timeline):
                assert await anext(heads) == expected
                assert (source.position, source.step_count) == (position, len(l1.timeline))
                for _ in range(2):
                    assert await source.head(L1Label.UNSAFE) == expected.unsafe
            with pytest.raises(StopAsyncIteration):
                await anext(heads)

    trio.run(main)


def test_the_canonical_chain_is_that_of_the_current_head(tmp_path: Path) -> None:
    l1 = scripted()

    async def main() -> None:
        async with opened(l1, tmp_path) as source:
            async for heads in source.subscribe():
                walked = heads.unsafe
                while walked.number > 0:
                    assert await source.ref(walked.number) == walked
                    walked = await source.ref(walked.parent_hash)
                with pytest.raises(NotFound):
                    await source.ref(L1Number(heads.unsafe.number + 1))

    trio.run(main)


def test_a_later_block_is_known_by_hash_already(tmp_path: Path) -> None:
    l1 = scripted()

    async def main() -> None:
        async with opened(l1, tmp_path) as source:
            assert (await source.block(l1.tip.hash)).hash == l1.tip.hash

    trio.run(main)


def test_with_follow_it_stays_after_the_last_head(tmp_path: Path) -> None:
    l1 = scripted()

    async def main() -> None:
        async with opened(l1, tmp_path, follow=True) as source:
            seen = []
            with trio.move_on_after(0.2) as scope:
                async for heads in source.subscribe():
                    seen.append(heads)
            assert scope.cancelled_caught
            assert seen == list(l1.timeline)

    trio.run(main)


def test_a_head_that_was_not_recorded_is_not_found(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(scripted(), tmp_path) as source:
            with pytest.raises(NotFound, match="no finalized head was recorded at timeline step 0"):
                await source.head(L1Label.FINALIZED)

    trio.run(main)


def test_a_recording_without_expectations_has_none(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(scripted(), tmp_path) as source:
            assert source.expectations() is None

    trio.run(main)


def test_a_file_that_is_no_recording_is_refused_at_opening(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a recording")
    context = PluginContext(chain=chain_of(scripted()), data_dir=tmp_path, clock=lambda: 0.0, emit=lambda event: None)

    async def main() -> None:
        async with open_l1(CassetteSettings(path=RecordingFile(InputFile(path))), context):
            pass

    with pytest.raises(RecordingError, match=str(path)):
        trio.run(main)
