"""Where a computed chain is not the one that was recorded: block by block, step by step, and the record with itself.

What no part computes (an output without a state, gas by transaction) has at least to agree with what is computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import attrs

from kroma_core.api import ExecutionEngine, L1Source
from kroma_core.chain.config import ChainConfig
from kroma_core.codec.deposits import decode_deposit, is_deposit
from kroma_core.codec.receipts import Receipt
from kroma_core.codec.transactions import decode_transaction
from kroma_core.derive.steps import Derived
from kroma_core.errors import NotFound
from kroma_core.l1 import L1Heads
from kroma_core.l2 import Payload
from kroma_core.node.engine_controller import Confirmed
from kroma_core.recording.compare import differences
from kroma_core.recording.problems import shown
from kroma_core.recording.values import ExpectedBlock, ExpectedOutput, SafeAfter
from kroma_core.recording.verification import block_contradictions, output_contradictions
from kroma_core.types import Address, BlockId, L1Number, L1Ref


@attrs.frozen(kw_only=True)
class Difference:
    """A place where the computed chain is not the expected one. `where` is a block or a timeline step."""

    where: str
    field: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.where}: {self.field}: expected {self.expected}, got {self.got}"


def block_differences(
    expected: ExpectedBlock, derived: Derived, confirmed: Confirmed, *, history: bool = True
) -> Iterator[Difference]:
    """Every field in which a derived and executed block differs from the expected one, attributes first.

    `history`: also whether a singular or a span batch gave it. A chain can hold the same block in both, and which one
    counts in the end depends on the resets on the way; without the abandoned branches there are none.
    """
    batch = derived.kind.value
    if not history and {batch, expected.batch} == {"singular", "span"}:
        batch = expected.batch
    pairs: tuple[tuple[str, object, object], ...] = (
        ("attributes", expected.attributes, derived.attributes),
        ("batch", expected.batch, batch),
        ("derived_from", expected.derived_from, derived.derived_from.id),
        ("l1_origin", expected.l1_origin, confirmed.ref.l1_origin),
        ("sequence_number", expected.sequence_number, confirmed.ref.sequence_number),
        ("payload", _without_hash(expected.payload), _without_hash(confirmed.payload)),
        ("payload.hash", expected.payload.hash, confirmed.payload.hash),
        ("number", expected.number, confirmed.payload.number),
        ("hash", expected.hash, confirmed.payload.hash),
    )
    for field, one, other in pairs:
        yield from differ(f"block {expected.number}", field, one, other)


def record_differences(
    expected: ExpectedBlock, output: ExpectedOutput | None, following: ExpectedBlock | None, *, executed: bool
) -> Iterator[Difference]:
    """Where the record of a block contradicts itself: what hashes and roots say against the fields that they cover.

    `executed`: what goes into header and receipts has been compared with what was computed; only what comes besides is
    looked at.
    """
    besides = (expected.header, expected.gas_used, expected.network_receipts)
    if not executed or any(each is not None for each in besides):
        for field, one, other in block_contradictions(expected):
            yield _difference(f"block {expected.number}", f"recorded {field}", one, other)
    if output is not None:
        for field, one, other in output_contradictions(output, expected, following):
            yield _difference(f"block {expected.number}", f"recorded output, {field}", one, other)


async def step_difference(
    index: int, wanted: SafeAfter, heads: L1Heads, *, safe: BlockId, derived: L1Ref | None, l1: L1Source
) -> Difference | None:
    """How the safe head after a timeline step differs from the recorded one.

    The reference may still have stood on an abandoned branch, and a node that reacts sooner than it is not wrong: then
    its safe head is not compared.
    """
    where = f"timeline step {index} (L1 head {heads.unsafe.id})"
    if heads.unsafe.hash != wanted.l1_head:
        return _difference(where, "l1_head", wanted.l1_head, heads.unsafe.hash)
    reached = None if derived is None else derived.id
    if wanted.behind and wanted.derived_l1 is not None and reached == heads.unsafe.id:
        if await _is_abandoned(wanted.derived_l1, l1):
            return None
        return _difference(where, "derived_l1", wanted.derived_l1, reached)
    if safe != wanted.safe_l2:
        return _difference(where, "safe_l2", wanted.safe_l2, safe)
    if wanted.derived_l1 is not None and reached != wanted.derived_l1:
        return _difference(where, "derived_l1", wanted.derived_l1, reached)
    return None


async def deposit_nonce_difference(
    expected: ExpectedBlock, config: ChainConfig, engine: ExecutionEngine
) -> Difference | None:
    """Where a recorded receipt names another nonce of a deposit than the sender had.

    Only for receipts whose form in the receipts root lacks the nonce; elsewhere the root covers it.
    """
    if expected.network_receipts is None:
        return None
    legacy = config.rollup.schedule.at(expected.payload.timestamp).legacy_deposits
    sent: Counter[Address] = Counter()
    for place, (raw, receipt) in enumerate(zip(expected.payload.transactions, expected.network_receipts, strict=True)):
        if not is_deposit(raw):
            sent[decode_transaction(raw).sender] += 1
            continue
        sender = decode_deposit(raw, legacy=legacy).sender
        recorded = Receipt.decode(receipt).deposit_nonce
        nonce = (await engine.proof(sender, (), expected.payload.parent_hash)).nonce + sent[sender]
        sent[sender] += 1
        if recorded is not None and recorded != nonce:
            return _difference(f"block {expected.number}", f"receipts[{place}].depositNonce", recorded, nonce)
    return None


async def skipped_step_difference(index: int, wanted: SafeAfter, head: BlockId, l1: L1Source) -> Difference | None:
    """The same of a step whose branch is left out: only what it says of L1."""
    where = f"timeline step {index} (L1 head {head})"
    if wanted.l1_head != head.hash:
        return _difference(where, "l1_head", wanted.l1_head, head.hash)
    if wanted.derived_l1 is not None and await _number_of(wanted.derived_l1, l1) != wanted.derived_l1.number:
        return _difference(where, "derived_l1", "a recorded L1 block", wanted.derived_l1)
    return None


def differ(where: str, field: str, expected: object, got: object) -> Iterator[Difference]:
    """Every difference between two values, field by field."""
    if expected != got:
        for found in differences(expected, got, field):
            yield Difference(where=where, field=found.field, expected=found.expected, got=found.got)


async def _is_abandoned(block: BlockId, l1: L1Source) -> bool:
    """Whether a known L1 block is not on the current chain."""
    if await _number_of(block, l1) != block.number:
        return False
    try:
        return (await l1.ref(L1Number(block.number))).hash != block.hash
    except NotFound:
        return True


async def _number_of(block: BlockId, l1: L1Source) -> int | None:
    try:
        return (await l1.ref(block.hash)).number
    except NotFound:
        return None


def _without_hash(payload: Payload) -> Payload:
    """The payload with its hash blanked: a field that differs is named before the hash that follows from it."""
    return attrs.evolve(payload, hash=b"")


def _difference(where: str, field: str, expected: object, got: object) -> Difference:
    return Difference(where=where, field=field, expected=shown(expected), got=shown(got))
