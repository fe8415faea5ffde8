"""What tests of derivation's first half are made of: L1 blocks, rules, frames, transactions and batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from kroma_core.chain.config import RollupConfig
from kroma_core.codec.rlp import encode
from kroma_core.derive.batch_codec import encode_singular_batch
from kroma_core.derive.batch_source import BatchSource
from kroma_core.derive.batches import Batch, SingularBatch
from kroma_core.derive.frames import Frame
from kroma_core.derive.span_batch import SpanTerms
from kroma_core.events import ChannelRead, FramesRead, Verdict
from kroma_core.forks import Rules
from kroma_core.types import L1Number, L1Ref, Timestamp
from tests.vectors.client_json import chain_config
from tests.vectors.unit_files import OWN_VECTORS, load_unit

CHAIN_ID = 901
TERMS = SpanTerms(chain_id=CHAIN_ID, genesis_time=Timestamp(1_700_000_000), block_time=2)
BEDROCK = Rules()
DELTA = Rules(any_ready_channel=True, span_batches=True)
STRICT = Rules(
    any_ready_channel=True, span_batches=True, brotli=True, rlp_bytes_per_channel=100_000_000, strict_order=True
)
ALICE_CHANNEL = b"a" * 16
BOB_CHANNEL = b"b" * 16


def rollup() -> RollupConfig:
    """op-units' chain: id 901, channel timeout 300."""
    unit = load_unit(OWN_VECTORS, "op-units/frames_to_batches")
    assert unit is not None
    return chain_config(unit["cases"][0]["rollup_config"]).rollup


def origin(number: int) -> L1Ref:
    return L1Ref(
        hash=number.to_bytes(32, "big"),
        number=L1Number(number),
        parent_hash=(number - 1).to_bytes(32, "big"),
        timestamp=Timestamp(1_700_000_000 + 12 * number),
    )


def frame(channel_id: bytes, number: int, data: bytes = b"", *, last: bool = False) -> Frame:
    return Frame(channel_id=channel_id, number=number, data=data, is_last=last)


def block(number: int, transactions: Sequence[bytes] = ()) -> SingularBatch:
    """The singular batch of the L2 block at `number`, six of them an epoch."""
    return SingularBatch(
        parent_hash=bytes([1]) * 32,
        epoch_number=L1Number(100 + number // 6),
        epoch_hash=bytes([2]) * 32,
        timestamp=Timestamp(TERMS.genesis_time + 2 * number),
        transactions=tuple(transactions),
    )


def encoded(*numbers: int) -> list[bytes]:
    return [encode_singular_batch(block(number)) for number in numbers]


class Reader:
    """Drives a `BatchSource` through L1 blocks and keeps what comes out."""

    def __init__(self, rules: Rules, first: int = 1) -> None:
        self.batches: list[tuple[int, Batch]] = []
        self.reports: list[Verdict | ChannelRead | FramesRead] = []
        self.source = BatchSource(rollup(), origin(first), rules, self.reports.append)
        self.rules = rules

    def inputs(self, *inputs: bytes) -> None:
        """Feed inputs of the current L1 block."""
        self._drain()
        for data in inputs:
            self.source.feed(data)
            self._drain()

    def advance(self, number: int, rules: Rules | None = None) -> None:
        self.rules = rules or self.rules
        self.source.advance(origin(number), self.rules)
        self._drain()

    def _drain(self) -> None:
        while batch := self.source.next_batch():
            self.batches.append((self.source.origin.number, batch))

    @property
    def reasons(self) -> list[str]:
        return [str(report.reason) for report in self.reports if isinstance(report, Verdict)]


# --- strategies

words = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20)
u64 = st.integers(0, 2**64 - 1)
u256 = st.integers(0, 2**256 - 1)
amounts = st.one_of(st.integers(0, 300), u256)
access_lists = st.lists(st.tuples(addresses, st.lists(words, max_size=9)), max_size=3)
call_data = st.one_of(st.binary(max_size=80), st.binary(min_size=250, max_size=300))


@st.composite
def transactions(draw: st.DrawFn) -> bytes:
    """A transaction that a span batch can hold, with any numbers; nobody need have signed it."""
    kind = draw(st.sampled_from((0, 1, 2, 4)))
    nonce, gas, value, data = draw(u64), draw(u64), draw(amounts), draw(call_data)
    receiver = draw(addresses if kind == 4 else st.one_of(st.just(b""), addresses))
    parity, r, s = draw(st.integers(0, 1)), draw(u256), draw(u256)
    if kind == 0:
        v = draw(st.sampled_from((27, 35 + 2 * CHAIN_ID))) + parity
        return encode([nonce, draw(amounts), gas, receiver, value, data, v, r, s])
    fees = [draw(amounts)] if kind == 1 else [draw(amounts), draw(amounts)]
    fields: list[Any] = [CHAIN_ID, nonce, *fees, gas, receiver, value, data, draw(access_lists)]
    if kind == 4:
        fields.append(draw(st.lists(st.tuples(u256, addresses, u64, st.integers(0, 255), u256, u256), max_size=2)))
    return bytes((kind,)) + encode([*fields, parity, r, s])


@st.composite
def block_runs(draw: st.DrawFn) -> list[SingularBatch]:
    """Consecutive blocks whose epochs go on by 0 or 1."""
    number, epoch = draw(st.integers(0, 1000)), draw(st.integers(0, 2**64 - 20))
    batches = []
    for place in range(draw(st.integers(1, 12))):
        epoch += draw(st.integers(0, 1)) if place else 0
        batches.append(
            SingularBatch(
                parent_hash=draw(words),
                epoch_number=L1Number(epoch),
                epoch_hash=draw(words),
                timestamp=Timestamp(TERMS.genesis_time + 2 * (number + place)),
                transactions=tuple(draw(st.lists(transactions(), max_size=3))),
            )
        )
    return batches
