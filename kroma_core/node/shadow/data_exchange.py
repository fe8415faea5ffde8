"""What leading data and blob sources were asked and answered: a follower is asked the same, and bytes are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs

from kroma_core.api import BlobSource, DataSource, Missing
from kroma_core.codec.hexadecimal import fixed, to_data
from kroma_core.errors import NotFound
from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.node.shadow.data_comparison import (
    blob_contradictions,
    blob_differences,
    claim_differences,
    input_differences,
)
from kroma_core.node.shadow.divergence import Cursor, Place
from kroma_core.recording.compare import Difference
from kroma_core.recording.json_fields import Fields
from kroma_core.types import Hash32, L1Number, L1Ref, Timestamp

JsonObject: TypeAlias = dict[str, Any]


@attrs.frozen(kw_only=True)
class Reading:
    """What a data source makes of one transaction: whether it is its own to read, and the inputs in it."""

    claims: bool
    inputs: tuple[bytes, ...] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class ReadExchange:
    """The batcher data in one transaction of an L1 block. `blobs` are those that the leader got for it."""

    block: L1Ref
    rules: Rules = attrs.field(repr=False)
    transaction: InboxTransaction
    blobs: Mapping[Hash32, bytes] = attrs.field(factory=dict, repr=False)
    answer: Reading

    @property
    def cursor(self) -> Cursor:
        return Cursor(place=Place.L1_TRANSACTION, number=self.block.number, hash=self.transaction.hash)

    async def asked_of(self, follower: DataSource) -> Reading:
        if not follower.claims(self.transaction, self.rules):
            return Reading(claims=False, inputs=())
        answers = await follower.read(self.block, [self.transaction])
        if len(answers) != 1:
            raise NotFound(f"read {self.cursor}: expected the data of one transaction, got that of {len(answers)}")
        return Reading(claims=True, inputs=tuple(answers[0]))

    def differences(self, answer: Reading) -> Iterator[Difference]:
        ours, theirs = self.answer, answer
        yield from claim_differences([self.transaction], [ours.claims], [theirs.claims])
        yield from input_differences([self.transaction], [ours.inputs], [theirs.inputs])

    def inputs(self) -> JsonObject:
        tx = self.transaction
        return {
            "block": _l1_ref_json(self.block),
            "transaction": {
                "index": tx.index,
                "hash": to_data(tx.hash),
                "type": tx.type,
                "sender": to_data(tx.sender),
                "data": to_data(tx.data),
                "blob_hashes": [to_data(one) for one in tx.blob_hashes],
            },
            "blobs": {to_data(name): to_data(blob) for name, blob in self.blobs.items()},
        }

    def told(self, answer: Reading) -> JsonObject:
        return {"claims": answer.claims, "inputs": [to_data(one) for one in answer.inputs]}

    @staticmethod
    def read(told: Fields) -> Reading:
        """An answer from a bundle. Raises `RecordingError`."""
        return Reading(claims=told.value("claims") is True, inputs=told.data_list("inputs"))


@attrs.frozen(kw_only=True)
class BlobsExchange:
    """Blobs of an L1 block by versioned hash."""

    block: L1Ref
    versioned_hashes: tuple[Hash32, ...]
    answer: tuple[bytes, ...] = attrs.field(repr=False)

    @property
    def cursor(self) -> Cursor:
        return Cursor(place=Place.L1_BLOCK, number=self.block.number, hash=self.block.hash)

    async def asked_of(self, follower: BlobSource) -> tuple[bytes, ...]:
        found = await follower.blobs(self.block, self.versioned_hashes)
        if isinstance(found, Missing):
            names = ", ".join(f"0x{one.hex()}" for one in found.versioned_hashes)
            raise NotFound(f"{found.source or 'it'} has no blob {names} of L1 block {self.block.id}")
        return tuple(found)

    def differences(self, answer: tuple[bytes, ...]) -> Iterator[Difference]:
        return blob_differences(self.versioned_hashes, self.answer, answer)

    def inputs(self) -> JsonObject:
        return {
            "block": _l1_ref_json(self.block),
            "versioned_hashes": [to_data(one) for one in self.versioned_hashes],
        }

    def told(self, answer: tuple[bytes, ...]) -> JsonObject:
        return {"blobs": [to_data(one) for one in answer]}

    @staticmethod
    def read(told: Fields) -> tuple[bytes, ...]:
        """An answer from a bundle. Raises `RecordingError`."""
        return told.data_list("blobs")

    def contradictions(self, answer: tuple[bytes, ...]) -> Iterator[str]:
        """Which blobs of an answer are not those that were asked for."""
        return blob_contradictions(self.versioned_hashes, answer)


def read_data_exchange(rules_at: Callable[[Timestamp], Rules], inputs: Fields, told: Fields) -> ReadExchange:
    """What a leading data source was asked, and what it `told`, from a bundle. Raises `RecordingError`."""
    block = _l1_ref(inputs.under("block"))
    tx, blobs = inputs.under("transaction"), inputs.under("blobs")
    return ReadExchange(
        block=block,
        rules=rules_at(block.timestamp),
        transaction=InboxTransaction(
            index=tx.number("index"),
            hash=tx.data("hash", 32),
            type=tx.number("type"),
            sender=tx.data("sender", 20),
            data=tx.data("data"),
            blob_hashes=tx.data_list("blob_hashes"),
        ),
        blobs={fixed(name, 32, "inputs.blobs"): blobs.data(name) for name in blobs.object},
        answer=ReadExchange.read(told),
    )


def read_blobs_exchange(inputs: Fields, told: Fields) -> BlobsExchange:
    """The same of a leading blob source."""
    return BlobsExchange(
        block=_l1_ref(inputs.under("block")),
        versioned_hashes=inputs.data_list("versioned_hashes"),
        answer=BlobsExchange.read(told),
    )


def _l1_ref(fields: Fields) -> L1Ref:
    return L1Ref(
        hash=fields.data("hash", 32),
        number=L1Number(fields.number("number")),
        parent_hash=fields.data("parent_hash", 32),
        timestamp=Timestamp(fields.number("timestamp")),
    )


def _l1_ref_json(block: L1Ref) -> JsonObject:
    return {
        "hash": to_data(block.hash),
        "number": block.number,
        "parent_hash": to_data(block.parent_hash),
        "timestamp": block.timestamp,
    }
