"""An engine under test and the recorded chain that it is to arrive at: what all suites of an engine stand on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import attrs
import trio

from kroma_core.api import Applied, Building, ExecutionEngine, Sealed, Valid
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.load import chain_from_json
from kroma_core.l2 import ForkchoiceState, Payload
from kroma_core.recording import ExpectedBlock, open_recording
from kroma_core.types import Hash32

VECTORS = Path(__file__).with_name("vectors")
"""Recorded chains that come with the kit."""
BLOCKS = 5
ABSENT: Hash32 = b"\x5a" * 32


@attrs.frozen(kw_only=True)
class World:
    """An engine at genesis, and the blocks that it is to arrive at."""

    engine: ExecutionEngine
    chain: ChainConfig
    blocks: tuple[ExpectedBlock, ...]

    @property
    def genesis(self) -> Hash32:
        return self.chain.rollup.genesis.l2.hash

    def heads(self, unsafe: int, safe: int = 0, finalized: int = 0) -> ForkchoiceState:
        """Heads at these numbers; 0 is genesis."""
        hashes = [self.genesis, *(block.hash for block in self.blocks)]
        return ForkchoiceState(unsafe=hashes[unsafe], safe=hashes[safe], finalized=hashes[finalized])

    async def built(self, number: int) -> Payload:
        """Block `number`, built from its attributes on the block below; not yet executed."""
        block = self.blocks[number - 1]
        building = await self.engine.build(block.payload.parent_hash, block.attributes, self.heads(number - 1))
        assert isinstance(building, Building), building
        sealed = await self.engine.seal(building)
        assert isinstance(sealed, Sealed), sealed
        return sealed.payload

    async def advance(self, last: int) -> None:
        """Build, execute and adopt the blocks up to `last`."""
        for number in range(1, last + 1):
            assert await self.engine.execute(await self.built(number)) == Valid()
            assert await self.engine.set_heads(self.heads(number)) == Applied()


class EngineOnRecordedChain(ABC):
    """What the suites of an engine have in common: how it is opened, and the chain that it is to arrive at."""

    recording_path: Path = VECTORS / "op-jovian.json.xz"
    """A recording with an expected chain that the engine can execute."""

    @abstractmethod
    def open_engine(self, chain: ChainConfig, folder: Path) -> AbstractAsyncContextManager[ExecutionEngine]:
        """The engine, keeping its chain in `folder`; at genesis where that is empty."""

    def recorded(self, blocks: int | None = BLOCKS) -> tuple[ChainConfig, tuple[ExpectedBlock, ...]]:
        """The recorded chain and its first blocks; None for all of them."""
        with open_recording(self.recording_path) as recording:
            expected = recording.expected
            assert expected is not None, f"{recording.path} has no expected chain"
            last = expected.block_count if blocks is None else blocks
            found = [block for number in range(1, last + 1) if (block := expected.block(number)) is not None]
            chain = chain_from_json(
                recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=str(recording.path)
            )
        return chain, tuple(found)

    def run(self, body: Callable[[World], Awaitable[None]], folder: Path, *, blocks: int | None = BLOCKS) -> None:
        chain, found = self.recorded(blocks)

        async def main() -> None:
            with trio.fail_after(300):
                async with self.open_engine(chain, folder) as engine:
                    await body(World(engine=engine, chain=chain, blocks=found))

        trio.run(main)
