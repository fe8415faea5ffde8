"""Which transactions of an L1 block are the batcher's.

A transaction counts if it goes to the batch inbox and the batcher of this very L1 block signed it; whether it succeeded
does not matter. What data it carries is a data source's business.
Spec: derivation.md, "L1 Retrieval", "Batcher Transaction Format"; ecotone/derivation.md, "Ecotone: Blob Retrieval".
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final

from kroma_core.chain.config import RollupConfig
from kroma_core.codec.deposits import decode_deposit
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.transactions import BLOB, DEPOSIT, decode_transaction, inbox_fields
from kroma_core.errors import DecodeError
from kroma_core.events import Number, Outcome, Subject, Verdict
from kroma_core.l1 import InboxTransaction, L1Block
from kroma_core.types import Address

INBOX_RULE: Final = 'derivation.md, "Batcher Transaction Format"'


class InboxProblem(enum.StrEnum):
    """Why a transaction to the batch inbox is not the batcher's."""

    TYPE = "a transaction type that carries no batcher data"
    SIGNATURE = "no valid signature for this L1 chain"
    SENDER = "not sent by the batcher"


def authorised(
    block: L1Block, config: RollupConfig, batcher: Address, report: Callable[[Verdict], None] | None = None
) -> tuple[InboxTransaction, ...]:
    """The batcher's transactions of `block`, in their order.

    `batcher` is the address as of `block`, its own config updates included. Senders are recovered only of transactions
    to the inbox. What is undecodable or of an unknown type is not the batcher's. `report` receives a verdict for every
    other transaction to the inbox.
    """
    found: list[InboxTransaction] = []
    for index, raw in enumerate(block.transactions):
        if config.batch_inbox not in raw:  # nearly all, without looking closer
            continue
        try:
            kind, receiver = inbox_fields(raw)
        except DecodeError:
            continue
        if receiver != config.batch_inbox:
            continue
        transaction = _read(raw, kind, index, config.l1_chain_id)
        if isinstance(transaction, InboxTransaction):
            if transaction.sender == batcher:
                found.append(transaction)
                continue
            problem = InboxProblem.SENDER
            numbers: tuple[tuple[str, Number], ...] = (("sender", transaction.sender), ("batcher", batcher))
        else:
            problem, numbers = transaction, (("type", kind),)
        if report is not None:
            report(_verdict(block, raw, problem, numbers))
    return tuple(found)


def _read(raw: bytes, kind: int, index: int, chain_id: int) -> InboxTransaction | InboxProblem:
    """The transaction as a data source sees it, from whoever sent it."""
    if kind > BLOB and kind != DEPOSIT:
        return InboxProblem.TYPE
    try:
        if kind == DEPOSIT:
            deposit = decode_deposit(raw)
            return InboxTransaction(
                index=index, hash=keccak256(raw), type=kind, sender=deposit.sender, data=deposit.data
            )
        signed = decode_transaction(raw)
        if not signed.signed_for(chain_id):
            return InboxProblem.SIGNATURE
        return InboxTransaction(
            index=index,
            hash=signed.hash,
            type=kind,
            sender=signed.sender,
            data=signed.data,
            blob_hashes=signed.blob_hashes,
        )
    except DecodeError:
        return InboxProblem.SIGNATURE


def _verdict(block: L1Block, raw: bytes, problem: InboxProblem, numbers: tuple[tuple[str, Number], ...]) -> Verdict:
    return Verdict(
        subject=Subject.TRANSACTION,
        name=keccak256(raw).hex(),
        outcome=Outcome.DROPPED,
        reason=problem,
        rule=INBOX_RULE,
        numbers=numbers,
        origin=block.id,
    )
