"""op-units/frames_to_batches: batcher data of L1 blocks in, batches out, in order and at the right L1 block."""

from __future__ import annotations

from typing import Any

from kroma_core.derive.batch_source import BatchSource
from kroma_core.derive.batches import Batch
from tests.vectors.client_json import chain_config, numbered_l1, singular_batch, span_batch
from tests.vectors.unit_files import hex_bytes, unit_cases


@unit_cases("op-units/frames_to_batches")
def test_batches_come_out_in_the_order_and_at_the_block_of_the_client(
    case: dict[str, Any], unit_file: dict[str, Any]
) -> None:
    rollup = chain_config(case["rollup_config"]).rollup
    source: BatchSource | None = None
    found: list[tuple[int, Batch]] = []
    for block in case["l1_blocks"]:
        origin, rules = numbered_l1(block), rollup.schedule.at(block["time"])
        if source is None:
            source = BatchSource(rollup, origin, rules, lambda verdict: None)
        else:
            source.advance(origin, rules)
        inputs = [hex_bytes(data) for data in block["data"] or ()]
        while True:
            while batch := source.next_batch():
                found.append((origin.number, batch))
            if not inputs:
                break
            source.feed(inputs.pop(0))
    assert found == [
        (
            expected["at_l1"],
            singular_batch(expected["singular"]) if "singular" in expected else span_batch(expected["span"]),
        )
        for expected in case["expected"] or ()
    ]
