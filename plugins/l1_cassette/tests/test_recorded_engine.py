"""The engine that answers with recorded blocks."""

from __future__ import annotations

import json
import lzma
from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import pytest
import trio
from kroma_l1_cassette.engine import RecordedEngine, recorded_engine

from kroma_core.api import Building, Invalid, Syncing
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.load import chain_from_json
from kroma_core.errors import NotFound
from kroma_core.l2 import L2Label
from kroma_core.recording import ExpectedBlock, Recording, RecordingError, open_recording
from kroma_core.types import Timestamp

VECTORS = Path(__file__).parents[3] / "tests" / "vectors" / "data"
PLAIN = VECTORS / "op-chains" / "plain-bedrock.json.xz"
ZK = VECTORS / "kroma-chains" / "regolith-zk.json.xz"


def chain_of(recording: Recording) -> ChainConfig:
    return chain_from_json(
        recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=str(recording.path)
    )


def run(body: Callable[[RecordedEngine, list[ExpectedBlock]], Awaitable[None]], path: Path = PLAIN) -> None:
    with open_recording(path) as recording:
        assert recording.expected is not None
        engine, blocks = recorded_engine(recording, chain_of(recording)), list(recording.expected.blocks())
        trio.run(body, engine, blocks)


def test_other_attributes_are_invalid_and_the_first_difference_is_named() -> None:
    async def body(engine: RecordedEngine, blocks: list[ExpectedBlock]) -> None:
        good, heads = blocks[0].attributes, await engine.heads()
        for changed, field in (
            (attrs.evolve(good, timestamp=Timestamp(good.timestamp + 1)), "timestamp"),
            (attrs.evolve(good, transactions=(*good.transactions, b"\1")), "transactions (count)"),
            (attrs.evolve(good, transactions=(b"\1", *good.transactions[1:])), "transactions[0]"),
            (attrs.evolve(good, no_tx_pool=False), "no_tx_pool"),
        ):
            result = await engine.build(heads.unsafe, changed, heads)
            assert isinstance(result, Invalid)
            assert f"not those of the recorded block 1 (0x{blocks[0].hash.hex()}): {field}: expected" in result.reason
        assert isinstance(await engine.build(heads.unsafe, good, heads), Building)

    run(body)


def test_nothing_follows_the_last_recorded_block() -> None:
    async def body(engine: RecordedEngine, blocks: list[ExpectedBlock]) -> None:
        heads = await engine.heads()
        for block in blocks:
            await engine.execute(block.payload)
        result = await engine.build(blocks[-1].hash, blocks[-1].attributes, heads)
        assert isinstance(result, Invalid)
        assert "no block is recorded on block" in result.reason

    run(body)


def test_a_recorded_block_is_unknown_until_it_was_executed() -> None:
    async def body(engine: RecordedEngine, blocks: list[ExpectedBlock]) -> None:
        with pytest.raises(NotFound):
            await engine.block(blocks[0].hash)
        assert await engine.execute(blocks[1].payload) == Syncing()
        await engine.execute(blocks[0].payload)
        assert await engine.block(blocks[0].hash) == blocks[0].payload
        with pytest.raises(NotFound):
            await engine.block(blocks[0].number)  # not canonical before the heads moved

    run(body)


def test_genesis_is_the_one_of_the_rollup_config_with_its_state_root() -> None:
    async def body(engine: RecordedEngine, blocks: list[ExpectedBlock]) -> None:
        genesis = await engine.block(L2Label.UNSAFE)
        assert genesis.hash == blocks[0].payload.parent_hash
        assert genesis.state_root != bytes(32)

    run(body)


def test_a_genesis_with_a_zk_trie_is_the_one_of_the_rollup_config_too() -> None:
    async def body(engine: RecordedEngine, blocks: list[ExpectedBlock]) -> None:
        genesis = await engine.block(L2Label.UNSAFE)
        assert genesis.hash == blocks[0].payload.parent_hash
        assert genesis.state_root != bytes(32)

    run(body, ZK)


def test_there_are_no_proofs() -> None:
    async def body(engine: RecordedEngine, blocks: list[ExpectedBlock]) -> None:
        genesis = (await engine.heads()).unsafe
        with pytest.raises(NotFound):
            await engine.proof(bytes(20), [], genesis)
        with pytest.raises(NotFound):
            await engine.storage_root(bytes(20), genesis)

    run(body)


def test_a_recording_without_expected_chain_is_refused(tmp_path: Path) -> None:
    content = json.loads(lzma.decompress(PLAIN.read_bytes()))
    del content["expected"]
    path = tmp_path / "bare.json"
    path.write_text(json.dumps(content))
    with open_recording(path) as recording, pytest.raises(RecordingError, match="a recording without one"):
        recorded_engine(recording, chain_of(recording))


def test_the_expected_chain_of_another_genesis_is_refused() -> None:
    with open_recording(PLAIN) as recording, open_recording(ZK) as other:
        chain = chain_of(other)
        with pytest.raises(RecordingError):
            recorded_engine(recording, chain)
