"""The measurements of bench/ run, on inputs so small that their figures mean nothing."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import trio

from bench import channel_decode, engine_precompiles, engine_transfers, memory, pipeline, rpc
from bench.rows import Row, rows_from_json, show, table
from bench.run import MEASUREMENTS
from bench.synthetic_chain import write_recording
from kroma_core.jsonrpc.methods import Methods
from tests.jsonrpc.clients import served

VECTOR = Path(__file__).parents[1] / "vectors/data/op-chains/plain-canyon.json.xz"


def test_the_whole_pipeline_is_measured_on_any_plain_chain() -> None:
    first, *shares = pipeline.measure(VECTOR, passes=1, with_go=False)
    assert "plain-canyon" in first.what
    assert first.other == "not asked for"
    assert first.ratio is None
    assert len(shares) == 2


def test_channels_are_measured_without_the_other_side() -> None:
    row = channel_decode.measure(channel_decode.made_channel(blocks=3, transactions=10), passes=1, with_go=False)
    assert "3 blocks, 10 transactions" in row.what
    assert row.met is None


def test_transfers_are_measured_beside_plain_py_evm() -> None:
    rows = engine_transfers.measure(transfers=10, passes=1)
    assert rows
    assert all(row.ratio is not None for row in rows)


def test_expensive_blocks_are_measured() -> None:
    assert engine_precompiles.measure(gas=400_000)


def test_a_made_up_chain_is_derived_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "made-up.recording"
    write_recording(path, 130, blobs=False)
    (point,) = trio.run(memory.derive, path, 130)
    assert point.blocks == 100
    assert 0 < point.now <= point.most


def test_a_made_up_chain_is_the_same_each_time(tmp_path: Path) -> None:
    one, other = tmp_path / "one.recording", tmp_path / "other.recording"
    for path in (one, other):
        write_recording(path, 60, blobs=False)
    assert one.read_bytes() == other.read_bytes()


def test_memory_is_measured_in_tenfold_steps() -> None:
    assert memory.points_up_to(100) == (100,)
    assert memory.points_up_to(99_999) == (100, 1000, 10_000)
    assert memory.points_up_to(100_000) == (100, 1000, 10_000, 100_000)


def test_the_rpc_is_measured_with_requests_that_are_answered() -> None:
    async def status() -> dict[str, object]:
        return {"current_l1": {}}

    async def main() -> rpc.Load:
        methods = Methods()
        methods.add("optimism_syncStatus", status)
        async with served(methods=methods) as server:
            return await trio.to_thread.run_sync(rpc.load, server.url, 0.2)

    load = trio.run(main)
    assert load.rate > 0
    assert 0 < load.p50 <= load.p99
    assert [row.other for row in rpc.rows(load, None, "no peers")] == ["no peers", ""]


def test_rows_come_back_from_their_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Row(what="speed", ours="2", other="1", ratio=2.0, least=1.5, met=True), Row(what="size", ours="3")]
    show(rows, as_json=True)
    assert rows_from_json(capsys.readouterr().out) == rows
    assert table(rows).row_count == 2


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_every_measurement_is_a_program_of_its_own(name: str) -> None:
    assert callable(importlib.import_module(f"bench.{name}").main)
