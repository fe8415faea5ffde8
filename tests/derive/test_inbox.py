"""Which transactions of an L1 block are the batcher's."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from coincurve import PrivateKey

from kroma_core.codec.deposits import DepositTransaction
from kroma_core.codec.keccak import keccak256
from kroma_core.derive.inbox import InboxProblem, authorised
from kroma_core.events import Verdict
from kroma_core.l1 import InboxTransaction, L1Block
from tests.codec.signing import ALICE, address_of, signed_legacy, signed_typed
from tests.derive.batcher_data import rollup
from tests.fuzz.derive_targets import HEADER

CONFIG = rollup()
INBOX = CONFIG.batch_inbox
CHAIN = CONFIG.l1_chain_id
BATCHER = address_of(ALICE)
MALLORY = PrivateKey(b"\x66" * 32)
BLOB = b"\x01" + b"\x77" * 31


def call(
    kind: int, to: bytes = INBOX, *, chain_id: int = CHAIN, key: PrivateKey = ALICE, data: bytes = b"\0data"
) -> bytes:
    """A transaction with `data`; a blob transaction has one blob, a set-code transaction no authorization."""
    if kind == 0:
        return signed_legacy([1, 10**9, 50_000, to, 0, data], chain_id, key)
    prices = [10**9] if kind == 1 else [1, 10**9]
    fields: list[Any] = [chain_id, 1, *prices, 50_000, to, 0, data, []]
    if kind == 3:
        fields += [10**9, [BLOB]]
    elif kind == 4:
        fields += [[]]
    return signed_typed(kind, fields, key)


def found(*transactions: bytes) -> tuple[tuple[InboxTransaction, ...], list[InboxProblem | Any]]:
    verdicts: list[Verdict] = []
    block = L1Block(hash=bytes(32), header=HEADER, transactions=transactions)
    return authorised(block, CONFIG, BATCHER, verdicts.append), [verdict.reason for verdict in verdicts]


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
def test_a_transaction_of_the_batcher_to_the_inbox_counts(kind: int) -> None:
    raw = call(kind)
    transactions, problems = found(raw)
    assert problems == []
    assert transactions == (
        InboxTransaction(
            index=0,
            hash=keccak256(raw),
            type=kind,
            sender=BATCHER,
            data=b"\0data",
            blob_hashes=(BLOB,) if kind == 3 else (),
        ),
    )


def test_a_legacy_transaction_without_protection_counts() -> None:
    assert len(found(signed_legacy([1, 10**9, 50_000, INBOX, 0, b"\0"], None))[0]) == 1


def test_a_deposit_from_the_batcher_counts() -> None:
    deposit = DepositTransaction(source_hash=bytes(32), sender=BATCHER, to=INBOX, gas=0, data=b"\0")
    assert [transaction.type for transaction in found(deposit.encode())[0]] == [0x7E]
    assert found(attrs.evolve(deposit, sender=bytes(20)).encode())[1] == [InboxProblem.SENDER]


def test_order_and_place_in_the_block_are_kept() -> None:
    transactions, _ = found(call(2), call(2, to=bytes(20)), call(0), b"\x05?", call(3))
    assert [(transaction.index, transaction.type) for transaction in transactions] == [(0, 2), (2, 0), (4, 3)]


def test_a_transaction_of_somebody_else_is_ignored() -> None:
    assert found(call(2, key=MALLORY)) == ((), [InboxProblem.SENDER])


def test_a_set_code_transaction_carries_no_data() -> None:
    assert found(call(4)) == ((), [InboxProblem.TYPE])


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
def test_a_signature_for_another_chain_does_not_count(kind: int) -> None:
    assert found(call(kind, chain_id=CHAIN + 1)) == ((), [InboxProblem.SIGNATURE])


def test_what_only_mentions_the_inbox_is_not_sent_to_it() -> None:
    assert found(call(2, to=bytes(20), data=INBOX), call(2, to=b"", data=INBOX)) == ((), [])


@pytest.mark.parametrize("raw", [b"", INBOX, b"\x02" + INBOX, b"\x02\xd5\x94" + INBOX, b"\x09" + INBOX])
def test_what_is_no_transaction_is_not_the_batchers(raw: bytes) -> None:
    assert found(raw)[0] == ()
