"""Whole recorded chains through the embedded engine alone.

`test_chains` derives and builds them; here every block is executed from its payload, as one that came from a peer, and
what the reference client refused is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from kroma_engine_pyevm.engine import PyEvmEngine
from kroma_engine_pyevm.store import MemoryStore

from kroma_core.api import Applied, Building, Invalid, Valid
from kroma_core.chain.load import chain_from_json
from kroma_core.codec.deposits import is_deposit
from kroma_core.l2 import ForkchoiceState
from kroma_core.recording import ExpectedBlock, open_recording
from tests.vectors.unit_files import hex_bytes, load, vectors_root

FOLDERS = ("op-chains", "kroma-chains")
QUICK = (
    "plain-regolith",
    "plain-ecotone",
    "plain-holocene",
    "upgrade-canyon",
    "upgrade-ecotone",
    "upgrade-isthmus",
    "upgrade-jovian",
    "upgrade-karst",
    "invalid-tx-canyon-2",
    "invalid-tx-ecotone-2",
    "invalid-tx-jovian-2",
    "reorg-mpt",
    "regolith-zk",
    "allforks",
    "mpt-transition",
)
"""What the default suite takes from the project's own copy; the others run with `--all`."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    root = vectors_root(metafunc.config)
    given = metafunc.config.getoption("--vectors") is not None
    pattern = "invalid-tx-*" if metafunc.function is test_invalid_transactions_are_refused else "*"
    paths = [path for folder in FOLDERS for path in sorted((root / folder).glob(f"{pattern}.json*"))]
    metafunc.parametrize(
        "path",
        [
            pytest.param(path, id=_name(path), marks=() if given or _name(path) in QUICK else pytest.mark.slow)
            for path in paths
        ],
    )


def _name(path: Path) -> str:
    return path.name.split(".")[0]


def _opened(path: Path) -> tuple[PyEvmEngine, tuple[ExpectedBlock, ...]]:
    """An engine at the recording's genesis, and the recorded blocks."""
    with open_recording(path) as recording:
        assert recording.expected is not None
        blocks = tuple(recording.expected.blocks())
        chain = chain_from_json(
            recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=path.name
        )
    return PyEvmEngine(chain, MemoryStore()), blocks


def test_every_block_is_valid_when_it_comes_from_outside(path: Path) -> None:
    engine, blocks = _opened(path)

    async def main() -> None:
        for block in blocks:
            assert await engine.execute(block.payload) == Valid(), block.number
            assert await engine.receipts(block.hash) == block.receipts
        finalized = (await engine.heads()).finalized
        last = blocks[-1].hash
        assert await engine.set_heads(ForkchoiceState(unsafe=last, safe=last, finalized=finalized)) == Applied()
        for block in blocks:
            assert await engine.block(block.number) == block.payload

    trio.run(main)


def test_invalid_transactions_are_refused(path: Path) -> None:
    """Each on the block it was meant for. One that stood twice in its batch is good alone and bad the second time."""
    engine, blocks = _opened(path)
    recorded: list[dict[str, Any]] = load(path)["cases"]

    async def main() -> None:
        for block in blocks:
            assert await engine.execute(block.payload) == Valid()
        for case in recorded:
            block = blocks[case["l2_block"] - 1]
            raw = hex_bytes(case["bad_tx"])
            if case["valid"]:
                assert raw in block.payload.transactions, case["case"]
                continue
            deposits = tuple(one for one in block.attributes.transactions if is_deposit(one))
            result: object = None
            for added in ((raw,), (raw, raw)):
                attributes = attrs.evolve(block.attributes, transactions=deposits + added)
                result = await engine.build(block.payload.parent_hash, attributes, await engine.heads())
                if not isinstance(result, Building):
                    break
            assert isinstance(result, Invalid), case["case"]
            assert result.latest_valid == block.payload.parent_hash

    trio.run(main)
