"""What an engine was asked and what it gave: the steps of an engine's shadow, and answers compared field by field."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import attrs

from kroma_core.chain.base_fee import decode_extra_data
from kroma_core.chain.config import ChainConfig
from kroma_core.codec.hexadecimal import to_data
from kroma_core.codec.payloads import envelope_to_json
from kroma_core.codec.receipts import Receipt
from kroma_core.errors import DecodeError
from kroma_core.forks import StateCommitment
from kroma_core.l2 import ForkchoiceState, Payload, PayloadAttributes
from kroma_core.node.shadow.sequences import list_differences
from kroma_core.output import Output
from kroma_core.recording.compare import Difference, differences
from kroma_core.recording.problems import shown
from kroma_core.types import Hash32


@attrs.frozen(kw_only=True)
class Made:
    """A block, with what its engine tells of it. `receipts` and `passer_root` are None where nobody asked, or can tell.

    `passer_root` is the storage root of the message passer, which the output root is made of.
    """

    payload: Payload
    receipts: tuple[bytes, ...] | None = attrs.field(default=None, repr=False)
    passer_root: Hash32 | None = None


@attrs.frozen
class Refused:
    """No block: the engine found what it was asked for invalid."""

    reason: str


EngineAnswer: TypeAlias = Made | Refused


@attrs.frozen(kw_only=True)
class Question:
    """What an engine is asked: to make a block of `attributes` on `parent`, or else to judge `payload`.

    `heads` are the leading engine's after it. `attributes` may stand beside `payload`: those that the block shows.
    """

    parent: Hash32
    attributes: PayloadAttributes | None
    payload: Payload | None
    heads: ForkchoiceState | None


@attrs.frozen(kw_only=True)
class EngineStep:
    """What the leading engine was asked, and whether it has a block of it: its hash, or the reason why not."""

    question: Question
    made: Payload | None
    refused: str = ""


@attrs.frozen(kw_only=True)
class Expectation:
    """The leading engine's answer, as short as it can be told: enough to see that another one is the same.

    `hash` is None where it refused. The digest of receipts and `passer_root` are None where they are not compared.
    """

    hash: Hash32 | None
    receipts_digest: bytes | None = None
    passer_root: Hash32 | None = None


def digest_of(receipts: Sequence[bytes]) -> bytes:
    """A name for a list of receipts."""
    state = hashlib.sha256()
    for receipt in receipts:
        state.update(len(receipt).to_bytes(4, "big") + receipt)
    return state.digest()


def attributes_of(payload: Payload, config: ChainConfig) -> PayloadAttributes:
    """Attributes that make this block again: what it shows of them, all its transactions forced."""
    rules = config.rollup.schedule.at(payload.timestamp)
    try:
        params = decode_extra_data(payload.extra_data, rules)
    except DecodeError:
        params = None
    return PayloadAttributes(
        timestamp=payload.timestamp,
        prev_randao=payload.prev_randao,
        fee_recipient=payload.fee_recipient,
        gas_limit=payload.gas_limit,
        transactions=payload.transactions,
        no_tx_pool=True,
        withdrawals=payload.withdrawals,
        parent_beacon_root=payload.parent_beacon_root,
        eip1559_params=params.denominator.to_bytes(4, "big") + params.elasticity.to_bytes(4, "big") if params else None,
        min_base_fee=params.min_base_fee if params else None,
    )


def question_of(payload: Payload, config: ChainConfig) -> Question:
    """What to ask of a block that came from elsewhere."""
    attributes = attributes_of(payload, config)
    return Question(parent=payload.parent_hash, attributes=attributes, payload=payload, heads=None)


def answer_differences(leader: EngineAnswer, follower: EngineAnswer, config: ChainConfig) -> Iterator[Difference]:
    """Every field in which two answers differ; of transactions and receipts, the first that do."""
    if isinstance(leader, Refused) or isinstance(follower, Refused):
        if type(leader) is not type(follower):
            yield Difference(field="verdict", expected=_verdict(leader), got=_verdict(follower))
        return
    one, other = leader.payload, follower.payload
    if one != other:
        bare_one, bare_other = attrs.evolve(one, transactions=()), attrs.evolve(other, transactions=())
        yield from differences(bare_one, bare_other)
        yield from list_differences("transactions", one.transactions, other.transactions)
    if leader.receipts is not None and follower.receipts is not None and leader.receipts != follower.receipts:
        yield from list_differences("receipts", _decoded(leader.receipts), _decoded(follower.receipts))
    if leader.passer_root is not None and follower.passer_root is not None:
        if leader.passer_root != follower.passer_root:
            yield Difference(
                field="message passer's storage root",
                expected=shown(leader.passer_root),
                got=shown(follower.passer_root),
            )
        ours, theirs = output_root_of(leader, config), output_root_of(follower, config)
        if ours != theirs:
            yield Difference(field="output root", expected=shown(ours), got=shown(theirs))


def output_root_of(made: Made, config: ChainConfig) -> Hash32 | None:
    """The output root of a block; None where it cannot be told from the block alone, as in Kroma's ZK-trie era."""
    rules = config.rollup.schedule.at(made.payload.timestamp)
    if made.passer_root is None or rules.state is StateCommitment.ZK_TRIE:
        return None
    return Output(
        state_root=made.payload.state_root,
        message_passer_storage_root=made.passer_root,
        block_hash=made.payload.hash,
    ).root


def answer_json(answer: EngineAnswer, config: ChainConfig) -> dict[str, Any]:
    """An answer as a bundle has it."""
    if isinstance(answer, Refused):
        return {"refused": answer.reason}
    found: dict[str, Any] = {"payload": envelope_to_json(answer.payload)}
    if answer.receipts is not None:
        found["receipts"] = [to_data(receipt) for receipt in answer.receipts]
    if answer.passer_root is not None:
        found["message_passer_storage_root"] = to_data(answer.passer_root)
    if (root := output_root_of(answer, config)) is not None:
        found["output_root"] = to_data(root)
    return found


def _verdict(answer: EngineAnswer) -> str:
    if isinstance(answer, Refused):
        return f"invalid: {answer.reason}"
    return f"valid: block 0x{answer.payload.hash.hex()}"


def _decoded(receipts: Sequence[bytes]) -> list[object]:
    """Receipts with names for their fields, as far as they can be read."""
    found: list[object] = []
    for raw in receipts:
        try:
            found.append(Receipt.decode(raw))
        except DecodeError:
            found.append(raw)
    return found
