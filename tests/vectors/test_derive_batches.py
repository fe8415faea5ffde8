"""op-units channel_decode, singular_batch, span_batch, span_to_singular: batches in channels, and their codec."""

from __future__ import annotations

from typing import Any

import pytest

from kroma_core.codec.rlp import encode_bytes
from kroma_core.derive.batch_codec import decode_batch, encode_singular_batch
from kroma_core.derive.batches import SingularBatch, SpanBatch
from kroma_core.derive.channel_reader import open_channel
from kroma_core.derive.channels import RawChannel
from kroma_core.derive.malformed import Malformed
from kroma_core.derive.span_batch import SpanTerms, UnusableBatch
from kroma_core.derive.span_encoder import encode_span_batch, span_of
from kroma_core.derive.span_to_singular import SpanMismatch, singular_batches
from kroma_core.errors import DecodeError
from kroma_core.forks import Rules
from kroma_core.types import L1Number, Timestamp
from tests.vectors.client_json import l1_ref, l2_ref_from_json, same_bytes, singular_batch, span_batch
from tests.vectors.unit_files import hex_bytes, unit_cases

CHANNEL_TERMS = SpanTerms(chain_id=901, genesis_time=Timestamp(1_700_000_000), block_time=2)


def _terms(unit_file: dict[str, Any]) -> SpanTerms:
    config = unit_file["config"]
    return SpanTerms(
        chain_id=config["l2_chain_id"],
        genesis_time=Timestamp(config["genesis_l2_time"]),
        block_time=config["block_time"],
    )


@unit_cases("op-units/channel_decode")
def test_channel_holds_the_batches_that_the_client_reads(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    channel = RawChannel(id=bytes(16), data=hex_bytes(case["channel_data"]), frames=1, opened_at=L1Number(1))
    rules = Rules(brotli=case["is_fjord"], rlp_bytes_per_channel=case["max_rlp_bytes"])
    expected = case["expected"]
    reader = open_channel(channel, rules, CHANNEL_TERMS)
    if "open_error" in expected:
        assert isinstance(reader, Malformed), expected["open_error"]
        return
    assert not isinstance(reader, Malformed), reader
    found = []
    while isinstance(batch := reader.next(), SingularBatch | SpanBatch | UnusableBatch):
        found.append(batch)
    wanted_batches = expected["batches"] or ()
    assert len(found) == len(wanted_batches)
    for batch, wanted in zip(found, wanted_batches, strict=True):
        if isinstance(batch, SingularBatch):
            assert same_bytes(encode_singular_batch(batch), wanted)
        elif isinstance(batch, SpanBatch):
            encodings = [encode_span_batch(batch, CHANNEL_TERMS, first_of_epoch=bit) for bit in (False, True)]
            assert any(same_bytes(encoding, wanted) for encoding in encodings)


@unit_cases("op-units/singular_batch")
def test_singular_batch_is_decoded_as_by_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    batch = decode_batch(hex_bytes(case["encoded"]), CHANNEL_TERMS)
    if "error" in case:
        assert isinstance(batch, Malformed), case["error"]
        return
    assert batch == singular_batch(case["expected"])
    assert isinstance(batch, SingularBatch)
    encoded = encode_singular_batch(batch)
    assert encoded == hex_bytes(case["canonical"])
    assert encode_bytes(encoded) == hex_bytes(case["rlp_in_channel"])


@unit_cases("op-units/span_batch")
def test_span_batch_is_decoded_and_encoded_as_by_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    terms = _terms(unit_file)
    if "singular_batches" in case:
        _assert_encoded(case, terms)
    if "encoded" not in case:
        return
    batch = decode_batch(hex_bytes(case["encoded"]), terms)
    if "error" in case:
        assert isinstance(batch, Malformed if case["error_stage"] == "decode" else UnusableBatch), case["error"]
        return
    assert batch == span_batch(case["expected"])


def _assert_encoded(case: dict[str, Any], terms: SpanTerms) -> None:
    batches = [singular_batch(found) for found in case["singular_batches"]]
    first_of_epoch = case["first_sequence_number"] == 0
    if "encode_error" in case:
        with pytest.raises((ValueError, DecodeError)):
            encode_span_batch(span_of(batches), terms, first_of_epoch=first_of_epoch)
        return
    assert encode_span_batch(span_of(batches), terms, first_of_epoch=first_of_epoch) == hex_bytes(case["encoded"])


@unit_cases("op-units/span_to_singular")
def test_span_batch_becomes_the_singular_batches_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    span = decode_batch(hex_bytes(case["encoded"]), _terms(unit_file))
    assert isinstance(span, SpanBatch)
    l1_blocks = [l1_ref(found) for found in case["l1_origins"] or ()]
    batches = singular_batches(span, l1_blocks, l2_ref_from_json(case["l2_safe_head"]))
    if "error" in case:
        assert isinstance(batches, SpanMismatch), case["error"]
    else:
        assert batches == [singular_batch(found) for found in case["expected"] or ()]
