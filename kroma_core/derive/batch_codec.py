"""Batches as they stand in a channel: a type byte and the content of that type.

Spec: derivation.md, "Batch Format".
"""

from __future__ import annotations

import enum
from typing import Final

from kroma_core.derive.batches import Batch, SingularBatch
from kroma_core.derive.malformed import Malformed
from kroma_core.derive.singular_batch import decode_singular_content, encode_singular_content
from kroma_core.derive.span_batch import SpanTerms, UnusableBatch, decode_span_content
from kroma_core.errors import DecodeError

SINGULAR: Final = 0
SPAN: Final = 1


class BatchProblem(enum.StrEnum):
    """Why bytes are no batch. Each ends the channel; so does a malformed span batch (`SpanProblem`)."""

    EMPTY = "no type byte"
    UNKNOWN_TYPE = "unknown batch type"
    SINGULAR_CONTENT = "not the content of a singular batch"


def decode_batch(data: bytes, terms: SpanTerms) -> Batch | Malformed | UnusableBatch:
    """The batch that `data` is."""
    if not data:
        return Malformed(BatchProblem.EMPTY)
    if data[0] == SPAN:
        return decode_span_content(data, 1, terms)
    if data[0] != SINGULAR:
        return Malformed(BatchProblem.UNKNOWN_TYPE)
    try:
        return decode_singular_content(data[1:])
    except DecodeError:
        return Malformed(BatchProblem.SINGULAR_CONTENT, 1)


def encode_singular_batch(batch: SingularBatch) -> bytes:
    """A singular batch with its type byte."""
    return bytes((SINGULAR,)) + encode_singular_content(batch)
