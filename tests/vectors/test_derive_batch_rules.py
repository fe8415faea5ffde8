"""op-units/batch_verdict_*: the verdicts that op-node reaches on single batches."""

from __future__ import annotations

from typing import Any

import attrs

from kroma_core.chain.config import ChainConfig
from kroma_core.codec.deposits import DepositTransaction
from kroma_core.codec.headers import Header
from kroma_core.codec.payloads import payload_from_json
from kroma_core.derive.batch_rules import (
    SpanCheck,
    check_singular,
    check_span,
    check_span_in_strict_order,
    check_span_prefix,
)
from kroma_core.derive.l1_info import l1_info_deposit
from kroma_core.events import Outcome
from kroma_core.l2 import Payload
from kroma_core.types import Gas, L2Number, L2Ref, Wei
from tests.vectors.client_json import chain_config, l1_ref, l2_ref_from_json, singular_batch, span_batch
from tests.vectors.unit_files import unit_cases

WORDS = {
    "accept": Outcome.ACCEPTED,
    "drop": Outcome.DROPPED,
    "undecided": Outcome.UNDECIDED,
    "future": Outcome.FUTURE,
    "past": Outcome.PAST,
}


@unit_cases("op-units/batch_verdict_singular")
def test_singular_batch_gets_the_verdict_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    config = chain_config(case["rollup_config"])
    verdict = check_singular(
        config,
        [l1_ref(block) for block in case["l1_blocks"]],
        l2_ref_from_json(case["l2_safe_head"]),
        singular_batch(case["batch"]),
        l1_ref(case["l1_inclusion_block"]),
    )
    assert verdict.outcome is WORDS[case["expected"]], verdict


@unit_cases("op-units/batch_verdict_span")
def test_span_batch_gets_the_verdict_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    config = _with_genesis_of(case)
    l1_blocks = [l1_ref(block) for block in case["l1_blocks"]]
    safe = l2_ref_from_json(case["l2_safe_head"])
    batch = span_batch(case["batch"])
    inclusion = l1_ref(case["l1_inclusion_block"])
    for rules, key in (
        (check_span, "expected"),
        (check_span_prefix, "prefix_verdict"),
        (check_span_in_strict_order, "holocene_verdict"),
    ):
        outcome = _run(rules(config, l1_blocks, safe, batch, inclusion), case, config)
        assert outcome is WORDS[case[key]], key


def _with_genesis_of(case: dict[str, Any]) -> ChainConfig:
    """The case's config; its genesis is the block at that number, where the case has one of its own."""
    config = chain_config(case["rollup_config"])
    genesis = config.rollup.genesis
    for found in case["l2_blocks"]["refs"]:
        if found["number"] == genesis.l2.number:
            ref = l2_ref_from_json(found)
            genesis = attrs.evolve(genesis, l2=ref.id, l1=ref.l1_origin)
    return attrs.evolve(config, rollup=attrs.evolve(config.rollup, genesis=genesis))


def _run(check: SpanCheck, case: dict[str, Any], config: ChainConfig) -> Outcome:
    """Answers a check out of the case's L2 blocks. The client asks for its first one, the parent, by reference."""
    refs = {ref["number"]: l2_ref_from_json(ref) for ref in case["l2_blocks"]["refs"]}
    payloads = {entry["number"]: payload_from_json(entry["payload"]) for entry in case["l2_blocks"]["payloads"]}
    try:
        number = next(check)
        starts_before_next = case["batch"]["blocks"][0]["timestamp"] <= case["l2_safe_head"]["timestamp"]
        answer = block_with(refs[number], config) if starts_before_next and number in refs else None
        while True:
            number = check.send(answer)
            answer = payloads.get(number)
    except StopIteration as done:
        outcome: Outcome = done.value.outcome
        return outcome


def block_with(ref: L2Ref, config: ChainConfig) -> Payload:
    """A block that reads as `ref`: L1 attributes that name its origin, everything else empty."""
    transactions: tuple[bytes, ...] = ()
    if ref.number != config.rollup.genesis.l2.number:
        header = Header(
            parent_hash=bytes(32),
            coinbase=bytes(20),
            state_root=bytes(32),
            transactions_root=bytes(32),
            receipts_root=bytes(32),
            bloom=bytes(256),
            number=ref.l1_origin.number,
            gas_limit=0,
            gas_used=0,
            timestamp=0,
            extra_data=b"",
            mix_hash=bytes(32),
        )
        deposit: DepositTransaction = l1_info_deposit(
            config,
            attrs.evolve(config.rollup.genesis.system_config, scalar=bytes(32)),
            sequence_number=ref.sequence_number,
            header=header,
            l1_hash=ref.l1_origin.hash,
            l2_time=ref.timestamp,
        )
        transactions = (deposit.encode(),)
    return Payload(
        hash=ref.hash,
        parent_hash=ref.parent_hash,
        number=L2Number(ref.number),
        timestamp=ref.timestamp,
        fee_recipient=bytes(20),
        state_root=bytes(32),
        receipts_root=bytes(32),
        logs_bloom=bytes(256),
        prev_randao=bytes(32),
        gas_limit=Gas(0),
        gas_used=Gas(0),
        extra_data=b"",
        base_fee=Wei(0),
        transactions=transactions,
    )
