"""What the leading L1 source was asked and answered: a follower is asked the same, and the answers are compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import attrs

from kroma_core.api import L1Source
from kroma_core.codec.headers import Header
from kroma_core.codec.hexadecimal import to_data
from kroma_core.codec.receipts import Receipt
from kroma_core.l1 import L1Block, L1Receipts
from kroma_core.node.shadow.divergence import Cursor, Place
from kroma_core.node.shadow.l1_comparison import (
    block_contradictions,
    block_differences,
    receipt_contradictions,
    receipt_differences,
)
from kroma_core.node.shadow.sequences import bytes_differences
from kroma_core.recording.compare import Difference
from kroma_core.recording.json_fields import Fields
from kroma_core.types import BlockId, Hash32, L1Number

JsonObject: TypeAlias = dict[str, Any]


@attrs.frozen
class BlockExchange:
    """Header and transactions of the block with a hash."""

    hash: Hash32
    answer: L1Block

    @property
    def cursor(self) -> Cursor:
        return Cursor(place=Place.L1_BLOCK, number=self.answer.header.number, hash=self.hash)

    async def asked_of(self, follower: L1Source) -> L1Block:
        return await follower.block(self.hash)

    def differences(self, answer: L1Block) -> Iterator[Difference]:
        return block_differences(self.answer, answer)

    def inputs(self) -> JsonObject:
        return {"asked": "block", "hash": to_data(self.hash)}

    def told(self, answer: L1Block) -> JsonObject:
        """An answer as a bundle holds it."""
        return {
            "hash": to_data(answer.hash),
            "header": to_data(answer.header.encode()),
            "transactions": [to_data(raw) for raw in answer.transactions],
        }

    @staticmethod
    def read(told: Fields) -> L1Block:
        """An answer from a bundle. Raises `DecodeError` or `RecordingError`."""
        return L1Block(
            hash=told.data("hash", 32),
            header=Header.decode(told.data("header")),
            transactions=told.data_list("transactions"),
        )

    def contradictions(self, answer: L1Block) -> Iterator[str]:
        """What in an answer is not what the hash covers."""
        return block_contradictions(self.hash, answer)


@attrs.frozen(kw_only=True)
class ReceiptsExchange:
    """All receipts of the block with a hash. `root` is that of the header that the leader gave."""

    block: BlockId
    root: Hash32
    answer: L1Receipts = attrs.field(repr=False)

    @property
    def cursor(self) -> Cursor:
        return Cursor(place=Place.L1_RECEIPTS, number=self.block.number, hash=self.block.hash)

    async def asked_of(self, follower: L1Source) -> L1Receipts:
        return await follower.receipts(self.block.hash)

    def differences(self, answer: L1Receipts) -> Iterator[Difference]:
        return receipt_differences(self.answer, answer)

    def inputs(self) -> JsonObject:
        return {"asked": "receipts", "hash": to_data(self.block.hash), "receipts_root": to_data(self.root)}

    def told(self, answer: L1Receipts) -> JsonObject:
        return {"receipts": [to_data(receipt.encode()) for receipt in answer]}

    @staticmethod
    def read(told: Fields) -> L1Receipts:
        """An answer from a bundle. Raises `DecodeError` or `RecordingError`."""
        return tuple(Receipt.decode(raw) for raw in told.data_list("receipts"))

    def contradictions(self, answer: L1Receipts) -> Iterator[str]:
        """What in an answer is not what the root covers."""
        return receipt_contradictions(self.root, answer)


@attrs.frozen
class CanonicalExchange:
    """Which block is the canonical one at a number. Two right sources may say different things for a while."""

    answer: BlockId

    @property
    def cursor(self) -> Cursor:
        return Cursor(place=Place.L1_CANONICAL, number=self.answer.number, hash=self.answer.hash)

    async def asked_of(self, follower: L1Source) -> BlockId:
        return (await follower.ref(L1Number(self.answer.number))).id

    def differences(self, answer: BlockId) -> Iterator[Difference]:
        return bytes_differences("hash", self.answer.hash, answer.hash)

    def inputs(self) -> JsonObject:
        return {"asked": "canonical", "number": self.answer.number}

    def told(self, answer: BlockId) -> JsonObject:
        return {"hash": to_data(answer.hash)}


L1Exchange: TypeAlias = BlockExchange | ReceiptsExchange | CanonicalExchange


def read_l1_exchange(number: int, inputs: Fields, told: Fields) -> BlockExchange | ReceiptsExchange:
    """What the leader was asked, and what it `told`, from a bundle. Raises `DecodeError` or `RecordingError`."""
    block_hash = inputs.data("hash", 32)
    if inputs.text("asked") == "receipts":
        root = inputs.data("receipts_root", 32)
        return ReceiptsExchange(block=BlockId(block_hash, number), root=root, answer=ReceiptsExchange.read(told))
    return BlockExchange(block_hash, BlockExchange.read(told))
