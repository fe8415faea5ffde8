"""Fuzz targets of derivation's first half: batcher data, frames, channels, batches, and the stage that joins them.

A target is given mutated samples and has to come back: hostile data is answered with values. Where something was
accepted, its encoder has to give it back.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from kroma_core.chain.config import RollupConfig
from kroma_core.codec.headers import Header
from kroma_core.derive.batch_codec import decode_batch, encode_singular_batch
from kroma_core.derive.batch_source import BatchSource
from kroma_core.derive.batches import Batch, SingularBatch, SpanBatch
from kroma_core.derive.channel_reader import open_channel
from kroma_core.derive.channels import RawChannel
from kroma_core.derive.decompress import Inflated, decompress
from kroma_core.derive.frame_queue import in_strict_order
from kroma_core.derive.frames import decode_frames, encode_frames
from kroma_core.derive.inbox import authorised
from kroma_core.derive.malformed import Malformed
from kroma_core.derive.span_batch import SpanTerms, UnusableBatch
from kroma_core.derive.span_encoder import encode_span_batch
from kroma_core.errors import DecodeError
from kroma_core.forks import Rules
from kroma_core.l1 import L1Block
from kroma_core.types import L1Number, L1Ref, Timestamp
from tests.vectors.client_json import chain_config
from tests.vectors.unit_files import OWN_VECTORS, hex_bytes, load_unit

TERMS = SpanTerms(chain_id=901, genesis_time=Timestamp(1_700_000_000), block_time=2)
RULES = Rules(brotli=True, span_batches=True, any_ready_channel=True, rlp_bytes_per_channel=50_000)
STRICT = attrs.evolve(RULES, strict_order=True)
_LARGEST_SAMPLE = 4000


@attrs.frozen
class Target:
    """`run` says whether it accepted its input; `AssertionError` and everything else that it raises is a find."""

    run: Callable[[bytes], bool]
    samples: tuple[bytes, ...]


def _samples(name: str, key: str) -> tuple[bytes, ...]:
    unit = load_unit(OWN_VECTORS, f"op-units/{name}")
    assert unit is not None
    found = [hex_bytes(case[key]) for case in unit["cases"] if isinstance(case.get(key), str)]
    return tuple(sample for sample in found if len(sample) <= _LARGEST_SAMPLE)


def _frames(data: bytes) -> bool:
    frames = decode_frames(data)
    if isinstance(frames, Malformed):
        return False
    assert encode_frames(frames) == data
    kept, dropped = in_strict_order(frames)
    assert len(kept) + len(dropped) == len(frames)
    assert in_strict_order(kept) == (kept, [])
    return True


def _inflate(data: bytes) -> bool:
    inflated = decompress(data, limit=RULES.rlp_bytes_per_channel, brotli_allowed=True)
    return isinstance(inflated, Inflated) and len(inflated.data) <= RULES.rlp_bytes_per_channel


def _channel(data: bytes) -> bool:
    channel = RawChannel(id=bytes(16), data=data, frames=1, opened_at=L1Number(1))
    reader = open_channel(channel, RULES, TERMS)
    if isinstance(reader, Malformed):
        return False
    while isinstance(reader.next(), SingularBatch | SpanBatch | UnusableBatch):
        pass
    return reader.batches > 0


def _batch(data: bytes) -> bool:
    batch = decode_batch(data, TERMS)
    if isinstance(batch, Malformed | UnusableBatch):
        return False
    again = _encoded(batch)
    if again is not None:
        assert decode_batch(again, TERMS) == batch
    return True


def _encoded(batch: Batch) -> bytes | None:
    """None for a batch that can be read but not written: with numbers that wrapped around, say."""
    if isinstance(batch, SingularBatch):
        return encode_singular_batch(batch)
    try:
        return encode_span_batch(batch, TERMS, first_of_epoch=False)
    except (DecodeError, ValueError):
        return None


def _stage(rules: Rules) -> Callable[[bytes], bool]:
    """Inputs fed one after the other, three of them an L1 block; the sample is all of them, each after its length."""
    config = _config()

    def run(data: bytes) -> bool:
        source = BatchSource(config, _origin(1), rules, lambda verdict: None)
        number, pos, found = 1, 0, 0
        while pos < len(data):
            size = int.from_bytes(data[pos : pos + 2], "big")
            source.feed(data[pos + 2 : pos + 2 + size])
            pos += 2 + size
            number += 1
            while source.next_batch():
                found += 1
                if rules.strict_order and found % 5 == 0:
                    source.flush_channel()
            if number % 3 == 0:
                source.advance(_origin(number), STRICT if number > 9 else rules)
        return found > 0

    return run


def _config() -> RollupConfig:
    unit = load_unit(OWN_VECTORS, "op-units/frames_to_batches")
    assert unit is not None
    return chain_config(unit["cases"][0]["rollup_config"]).rollup


def _origin(number: int) -> L1Ref:
    return L1Ref(hash=bytes(32), number=L1Number(number), parent_hash=bytes(32), timestamp=Timestamp(12 * number))


def _stage_samples() -> tuple[bytes, ...]:
    unit = load_unit(OWN_VECTORS, "op-units/frames_to_batches")
    assert unit is not None
    samples = []
    for case in unit["cases"]:
        inputs = [hex_bytes(data) for block in case["l1_blocks"] for data in block["data"] or ()]
        samples.append(b"".join(len(data).to_bytes(2, "big") + data for data in inputs))
    return tuple(sample for sample in samples if len(sample) <= _LARGEST_SAMPLE)


def _inbox() -> Target:
    unit = load_unit(OWN_VECTORS, "op-units/data_source")
    assert unit is not None
    transactions = {hex_bytes(raw) for case in unit["cases"] for raw in case["transactions"] or ()}
    batcher = hex_bytes(unit["batcher_address"])
    config = chain_config(unit["cases"][0]["rollup_config"]).rollup

    def run(data: bytes) -> bool:
        block = L1Block(hash=bytes(32), header=HEADER, transactions=(data,))
        return len(authorised(block, config, batcher)) == 1

    return Target(run, tuple(sorted(transactions)))


HEADER = Header(
    parent_hash=bytes(32),
    uncle_hash=bytes(32),
    coinbase=bytes(20),
    state_root=bytes(32),
    transactions_root=bytes(32),
    receipts_root=bytes(32),
    bloom=bytes(256),
    difficulty=0,
    number=1,
    gas_limit=30_000_000,
    gas_used=0,
    timestamp=12,
    extra_data=b"",
    mix_hash=bytes(32),
    nonce=bytes(8),
)


def targets() -> dict[str, Target]:
    """Every target of derivation's first half, with samples from the unit vectors."""
    channels = _samples("channel_decode", "channel_data")
    return {
        "frames": Target(_frames, _samples("frames", "data")),
        "inflate": Target(_inflate, channels),
        "channel": Target(_channel, channels),
        "singular": Target(_batch, _samples("singular_batch", "encoded")),
        "span": Target(_batch, _samples("span_batch", "encoded")),
        "channel-bank": Target(_stage(RULES), _stage_samples()),
        "channel-assembler": Target(_stage(STRICT), _stage_samples()),
        "inbox": _inbox(),
    }
