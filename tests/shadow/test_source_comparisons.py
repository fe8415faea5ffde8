"""What is told of two sources' answers: the place where they part, and the side that the hash contradicts."""

from __future__ import annotations

import attrs
import pytest
import trio

from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.receipts import Log
from kroma_core.l1 import InboxTransaction, L1Block, L1Receipts
from kroma_core.node.shadow.data_comparison import (
    blob_contradictions,
    blob_differences,
    claim_differences,
    input_differences,
)
from kroma_core.node.shadow.l1_comparison import (
    block_contradictions,
    block_differences,
    receipt_contradictions,
    receipt_differences,
)
from kroma_core.node.shadow.sequences import bytes_differences
from kroma_core.testing.blob_source_faults import hashes_of, sample_l1
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import Address, Hash32

BOB: Address = b"\2" * 20


def busy_block() -> tuple[L1Block, L1Receipts]:
    """A block with three transactions, and their receipts."""
    l1 = ScriptedL1()
    logs = [Log(BOB, (b"\7" * 32,), bytes((place,))) for place in range(3)]
    block = l1.mine([l1.contract_tx(log) for log in logs])
    return block, trio.run(l1.receipts, block.hash)


def inbox_transaction(name: bytes) -> InboxTransaction:
    return InboxTransaction(index=0, hash=name * 32, type=2, sender=BOB, data=b"")


def test_equal_answers_do_not_differ() -> None:
    block, receipts = busy_block()
    assert list(block_differences(block, attrs.evolve(block))) == []
    assert list(receipt_differences(receipts, tuple(receipts))) == []


def test_each_header_field_that_differs_is_named() -> None:
    block, _ = busy_block()
    other = attrs.evolve(block, header=attrs.evolve(block.header, gas_used=7, extra_data=b"x"))
    found = {(one.field, one.got) for one in block_differences(block, other)}
    assert found == {("header.gas_used", "7"), ("header.extra_data", "0x78")}


def test_a_transaction_that_is_left_out_is_told_by_root_count_and_first_place() -> None:
    block, _ = busy_block()
    other = attrs.evolve(block, transactions=(block.transactions[0], block.transactions[2]))
    root, count, first, *rest = block_differences(block, other)
    assert (root.field, root.expected) == (
        "root of the transactions",
        "0x" + block.header.transactions_root.hex(),
    )
    assert (count.field, count.expected, count.got) == ("transactions (count)", "3", "2")
    assert first.field.startswith("transactions[1]")
    assert not any(one.field.startswith("transactions[2]") for one in rest)


def test_a_receipt_that_is_left_out_is_told_by_root_and_count() -> None:
    block, receipts = busy_block()
    root, count = receipt_differences(receipts, receipts[:2])
    assert (root.field, root.expected) == ("root of the receipts", "0x" + block.header.receipts_root.hex())
    assert (count.field, count.expected, count.got) == ("receipts (count)", "3", "2")


def test_a_log_that_differs_is_told_by_receipt_log_and_field() -> None:
    _, receipts = busy_block()
    log = attrs.evolve(receipts[1].logs[0], data=b"\x63")
    other = (receipts[0], attrs.evolve(receipts[1], logs=(log,)), receipts[2])
    _, found = receipt_differences(receipts, other)
    assert (found.field, found.expected, found.got) == ("receipts[1].logs[0].data", "0x01", "0x63")


def test_the_block_hash_contradicts_the_side_that_left_something_out() -> None:
    block, receipts = busy_block()
    short = attrs.evolve(block, transactions=block.transactions[:2])
    assert list(block_contradictions(block.hash, block)) == []
    [told] = block_contradictions(block.hash, short)
    assert block.header.transactions_root.hex() in told
    assert list(receipt_contradictions(block.header.receipts_root, receipts)) == []
    [told] = receipt_contradictions(block.header.receipts_root, ())
    assert EMPTY_ROOT.hex() in told


def test_another_header_is_contradicted_by_the_hash_that_was_asked_for() -> None:
    block, _ = busy_block()
    other = attrs.evolve(block, header=attrs.evolve(block.header, gas_used=7))
    assert [told[:20] for told in block_contradictions(block.hash, other)] == ["the header hashes to"]


def test_inputs_are_compared_by_transaction_and_byte() -> None:
    txs = [inbox_transaction(b"\1"), inbox_transaction(b"\2")]
    long = bytes(500)
    leader = [(b"one",), (long, b"two")]
    follower = [(b"one",), (long[:300] + b"\x09" + long[301:], b"two")]
    [found] = input_differences(txs, leader, follower)
    assert found.field == f"transaction 0x{'02' * 32}, input 0, from byte 300 on"
    assert (found.expected, found.got) == ("0x0000000000000000", "0x0900000000000000")


def test_an_input_that_is_left_out_is_told_by_transaction() -> None:
    txs = [inbox_transaction(b"\1"), inbox_transaction(b"\2")]
    [found] = input_differences(txs, [(b"one",), (b"two",)], [(b"one",), ()])
    assert (found.field, found.expected, found.got) == (f"transaction 0x{'02' * 32}, inputs (count)", "1", "0")


def test_a_transaction_that_only_one_side_claims_is_named() -> None:
    txs = [inbox_transaction(b"\1"), inbox_transaction(b"\2")]
    [found] = claim_differences(txs, [True, True], [True, False])
    assert (found.field, found.got) == (f"transaction 0x{'02' * 32}, claimed", "False")


def test_one_flipped_byte_of_a_blob_is_found_and_the_hash_tells_whose_it_is() -> None:
    l1 = sample_l1()
    names = hashes_of(l1)[:2]
    blobs = [l1.blob_content(name) for name in names]
    flipped = [blobs[0], blobs[1][:4242] + bytes((blobs[1][4242] ^ 1,)) + blobs[1][4243:]]
    [found] = blob_differences(names, blobs, flipped)
    assert found.field == f"blob 0x{names[1].hex()}, from byte 4242 on"
    assert list(blob_contradictions(names, blobs)) == []
    [told] = blob_contradictions(names, flipped)
    assert told.startswith(f"blob 0x{names[1].hex()}: ")


@pytest.mark.parametrize("place", [0, 1, 63, 64, 98, 99])
def test_the_first_byte_that_differs_is_found_wherever_it_is(place: int) -> None:
    one = bytes(range(100))
    other = one[:place] + bytes(byte ^ 0xFF for byte in one[place:])
    [found] = bytes_differences("data", one, other)
    assert found.field == f"data, from byte {place} on"


def test_bytes_that_end_early_differ_in_their_size_alone() -> None:
    one: Hash32 = bytes(range(100))
    [found] = bytes_differences("data", one, one[:70])
    assert (found.field, found.expected, found.got) == ("data (bytes)", "100", "70")
