"""Reading a recording with everything checked against the hash it was asked for by.

A block's header must hash to the block's hash, transactions and receipts to the header's roots, a blob's KZG commitment
to its versioned hash. What does not is a `RecordingError` that names the place.
Spec: yellow paper, section 4.3; EIP-4844, "Helpers".
"""

from __future__ import annotations

from collections import OrderedDict

from kroma_core.codec.headers import Header
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.kzg import check_blob, check_blob_proof
from kroma_core.codec.receipts import Receipt
from kroma_core.codec.trie_root import ordered_root
from kroma_core.errors import DecodeError, NotFound
from kroma_core.l1 import L1Block, L1Heads, L1Receipts
from kroma_core.recording.problems import RecordingError, l1_block_name, refuse
from kroma_core.recording.reader import Recording
from kroma_core.recording.values import StoredBlob, StoredLink
from kroma_core.types import Hash32, L1Number, L1Ref, Timestamp

HEADERS_KEPT = 128


class VerifiedReader:
    """Verified L1 blocks, receipts, blobs and heads of a recording; keeps the last headers decoded."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._headers: OrderedDict[Hash32, Header] = OrderedDict()

    def header(self, block_hash: Hash32) -> Header:
        """The header of a block. Raises `NotFound`."""
        known = self._headers.get(block_hash)
        if known is not None:
            self._headers.move_to_end(block_hash)
            return known
        raw = self.recording.header(block_hash)
        if raw is None:
            raise NotFound(f"{self.recording.path}: no L1 block 0x{block_hash.hex()} in the recording")
        link = self.recording.link(block_hash)
        number = -1 if link is None else link.number
        if (got := keccak256(raw)) != block_hash:
            raise self._refuse(l1_block_name(number, block_hash), "header", expected=block_hash, got=got)
        try:
            header = Header.decode(raw)
        except DecodeError as error:
            part = l1_block_name(number, block_hash)
            raise self._refuse(part, "header", expected="an RLP header", got=error) from error
        if link is not None and link.number != header.number:
            part = l1_block_name(number, block_hash)
            raise self._refuse(part, "number", expected=header.number, got=link.number)
        if link is not None and link.parent_hash != header.parent_hash:
            part = l1_block_name(number, block_hash)
            raise self._refuse(part, "parent hash", expected=header.parent_hash, got=link.parent_hash)
        self._headers[block_hash] = header
        if len(self._headers) > HEADERS_KEPT:
            self._headers.popitem(last=False)
        return header

    def ref(self, block_hash: Hash32) -> L1Ref:
        """A block's reference. Raises `NotFound`."""
        header = self.header(block_hash)
        return L1Ref(
            hash=block_hash,
            number=L1Number(header.number),
            parent_hash=header.parent_hash,
            timestamp=Timestamp(header.timestamp),
        )

    def block(self, block_hash: Hash32) -> L1Block:
        """Header and transactions. Raises `NotFound`."""
        header = self.header(block_hash)
        transactions = self.recording.transactions(block_hash) or ()
        if (root := ordered_root(transactions)) != header.transactions_root:
            part = l1_block_name(header.number, block_hash)
            raise self._refuse(part, "transactions root", expected=header.transactions_root, got=root)
        return L1Block(hash=block_hash, header=header, transactions=transactions)

    def receipts(self, block_hash: Hash32) -> L1Receipts:
        """All receipts of a block. Raises `NotFound`."""
        header = self.header(block_hash)
        stored = self.recording.receipts(block_hash) or ()
        if (root := ordered_root(stored)) != header.receipts_root:
            part = l1_block_name(header.number, block_hash)
            raise self._refuse(part, "receipts root", expected=header.receipts_root, got=root)
        try:
            return tuple([Receipt.decode(raw) for raw in stored])
        except DecodeError as error:
            part = l1_block_name(header.number, block_hash)
            raise self._refuse(part, "receipts", expected="decodable receipts", got=error) from error

    def canonical(self, head: Hash32, number: int) -> L1Ref:
        """The block at `number` on the branch that ends in `head`.

        Raises `NotFound` above the head and below the recording's first block, `RecordingError` for a gap between.
        Follows parents only through the heights at which the recording has several branches.
        """
        recording = self.recording
        tip = self.header(head)
        first = recording.span()[0]
        if number > tip.number or number < first:
            raise NotFound(f"{recording.path}: L1 block {number} is outside of {first} to {tip.number}")
        if number == tip.number:
            return self.ref(head)
        at = number
        branches = recording.at(at)
        while len(branches) > 1 and at < tip.number:
            at += 1
            branches = recording.at(at)
        block_hash = head if at >= tip.number else self._only(branches, at)
        while at > number:
            block_hash = self.header(block_hash).parent_hash
            at -= 1
            if recording.link(block_hash) is None:
                raise self._refuse(l1_block_name(at, block_hash), "block", expected="in the recording", got="missing")
        return self.ref(block_hash)

    def heads(self, step: int) -> L1Heads:
        """The heads of one timeline step."""
        recorded = self.recording.step(step)
        return L1Heads(
            unsafe=self._head(recorded.unsafe, step, "head"),
            safe=None if recorded.safe is None else self._head(recorded.safe, step, "safe head"),
            finalized=None if recorded.finalized is None else self._head(recorded.finalized, step, "finalized head"),
        )

    def blob(self, versioned_hash: Hash32) -> bytes | None:
        """A blob whose commitment is that of the versioned hash; None where the recording lacks it."""
        stored = self.stored_blob(versioned_hash)
        return None if stored is None else stored.data

    def stored_blob(self, versioned_hash: Hash32) -> StoredBlob | None:
        """The same with commitment and proof, which have been checked too, where the recording has both."""
        stored = self.recording.blob(versioned_hash)
        if stored is None:
            return None
        try:
            if stored.commitment is not None and stored.proof is not None:
                check_blob_proof(stored.data, stored.commitment, stored.proof, versioned_hash)
            else:
                check_blob(stored.data, versioned_hash)
        except DecodeError as error:
            part = f"blob 0x{versioned_hash.hex()}"
            raise self._refuse(part, "commitment", expected=versioned_hash, got=error) from error
        return stored

    def _head(self, block_hash: Hash32, step: int, what: str) -> L1Ref:
        try:
            return self.ref(block_hash)
        except NotFound:
            got = f"0x{block_hash.hex()}, which is missing"
            raise self._refuse(f"timeline step {step}", what, expected="a recorded L1 block", got=got) from None

    def _only(self, branches: tuple[StoredLink, ...], number: int) -> Hash32:
        if not branches:
            raise self._refuse(f"L1 block {number}", "block", expected="in the recording", got="missing")
        return branches[0].hash

    def _refuse(self, part: str, field: str, *, expected: object, got: object) -> RecordingError:
        return refuse(self.recording.path, part, field, expected=expected, got=got)
