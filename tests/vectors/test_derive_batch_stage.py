"""op-units/batch_stage: decoded batches in, L1 block after L1 block, and the batches that become blocks out."""

from __future__ import annotations

from collections import deque
from typing import Any

import attrs

from kroma_core.codec.keccak import keccak256
from kroma_core.derive.batch_codec import decode_batch
from kroma_core.derive.batch_queue import BatchQueue
from kroma_core.derive.batch_stage import BatchStage
from kroma_core.derive.batches import Batch, SingularBatch
from kroma_core.derive.epoch_window import EpochWindow, NextBatch, Waiting
from kroma_core.derive.malformed import Malformed
from kroma_core.derive.span_batch import SpanTerms, UnusableBatch
from kroma_core.errors import CriticalError, ResetError
from kroma_core.events import Verdict
from kroma_core.l2 import Payload
from kroma_core.types import BlockId, L2Number, L2Ref
from tests.vectors.client_json import chain_config, l1_ref, l2_ref_from_json, singular_batch
from tests.vectors.test_derive_batch_rules import block_with
from tests.vectors.unit_files import hex_bytes, unit_cases


class Channels:
    """The channels of one L1 block, as the client's harness hands them out."""

    def __init__(self) -> None:
        self._channels: deque[deque[Batch]] = deque()

    def add(self, channels: list[list[str]], terms: SpanTerms) -> None:
        for channel in channels:
            batches: deque[Batch] = deque()
            for raw in channel:
                batch = decode_batch(hex_bytes(raw), terms)
                assert not isinstance(batch, Malformed | UnusableBatch)
                batches.append(batch)
            self._channels.append(batches)

    def pull(self) -> Batch | Waiting:
        if not self._channels:
            return Waiting.EXHAUSTED
        if not self._channels[0]:
            self._channels.popleft()
            return Waiting.MORE
        return self._channels[0].popleft()

    def flush(self) -> None:
        if self._channels:
            self._channels[0].clear()


@unit_cases("op-units/batch_stage")
def test_batches_come_out_as_from_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    config = chain_config(case["rollup_config"])
    schedule = config.rollup.schedule
    terms = SpanTerms.of(config.rollup)
    channels = Channels()
    origins = [l1_ref(entry["block"]) for entry in case["l1"]]
    verdicts: list[Verdict] = []
    window = EpochWindow(config, origins[0], verdicts.append)
    strict = schedule.at(origins[0].timestamp).strict_order
    queue = BatchQueue(config, window, channels.pull)
    stage: BatchQueue | BatchStage = BatchStage(config, window, channels.pull, channels.flush) if strict else queue

    safe = l2_ref_from_json(case["l2_safe_head"])
    blocks = {block["number"]: block_with(l2_ref_from_json(block), config) for block in case["l2_earlier"]}
    derived: list[dict[str, Any]] = []
    fatal = False
    for entry, origin in zip(case["l1"], origins, strict=True):
        channels.add(entry["channels"], terms)
        if schedule.at(origin.timestamp).strict_order and stage is queue:
            stage = BatchStage(config, queue.end(), channels.pull, channels.flush)
        try:
            while (found := run(stage, safe, origin, blocks)) is not Waiting.EXHAUSTED:
                if isinstance(found, NextBatch):
                    derived.append({"at_l1": origin.number, "batch": found.batch, "concluding": found.concludes})
                    safe = successor(safe, found.batch)
                    payload = block_with(safe, config)
                    transactions = payload.transactions + found.batch.transactions
                    blocks[safe.number] = attrs.evolve(payload, transactions=transactions)
        except (CriticalError, ResetError):
            fatal = True
            break
    assert fatal == bool(case.get("fatal"))
    assert derived == [
        {"at_l1": entry["at_l1"], "batch": singular_batch(entry["batch"]), "concluding": entry["concluding"]}
        for entry in case["expected"]
    ]
    assert all(verdict.rule for verdict in verdicts)


def run(stage: BatchQueue | BatchStage, safe: L2Ref, origin: Any, blocks: dict[int, Payload]) -> NextBatch | Waiting:
    """The stage's answer; what it asks for about L2 comes out of `blocks`."""
    asking = stage.next(safe, origin)
    answer: Payload | None = None
    try:
        number = next(asking)
        while True:
            answer = blocks.get(number)
            number = asking.send(answer)
    except StopIteration as done:
        found: NextBatch | Waiting = done.value
        return found


def successor(parent: L2Ref, batch: SingularBatch) -> L2Ref:
    """The next safe head in the client's harness, which names blocks by their number."""
    number = L2Number(parent.number + 1)
    origin = BlockId(batch.epoch_hash, batch.epoch_number)
    return L2Ref(
        hash=keccak256(f"l2 {number}".encode()),
        number=number,
        parent_hash=parent.hash,
        timestamp=batch.timestamp,
        l1_origin=origin,
        sequence_number=parent.sequence_number + 1 if origin == parent.l1_origin else 0,
    )
