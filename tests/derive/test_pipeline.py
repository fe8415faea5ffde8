"""The derivation machine as its driver sees it."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.codec.receipts import Log, Receipt, bloom_of
from kroma_core.derive.attributes import has_only_deposits
from kroma_core.derive.deposits import TRANSACTION_DEPOSITED
from kroma_core.derive.pipeline import Derivation, EngineReason
from kroma_core.derive.steps import BatchKind, Derived, MustReset, NeedData, NeedL1, NeedL2Block, Step
from kroma_core.derive.system_config import CONFIG_UPDATE, ConfigReason
from kroma_core.errors import CriticalError
from kroma_core.events import Outcome, Subject, Verdict
from kroma_core.l1 import L1Block
from tests.derive.recorded import world
from tests.derive.worlds import Follower, World, invented_payload, restarted

HONEST = (
    "op-chains/plain-regolith",
    "op-chains/plain-delta",
    "op-chains/plain-jovian",
    "op-chains/blobs-ecotone",
    "op-chains/blobs-holocene",
    "op-chains/expiry-fjord",
    "op-chains/expiry-holocene",
    "op-chains/upgrade-holocene",
    "op-chains/upgrade-karst",
    "op-chains/upgrade-bedrock-to-jovian",
    "kroma-chains/allforks",
    "kroma-chains/mpt-transition",
)


def follower_of(name: str) -> Follower:
    return Follower.from_genesis(world(name))


def next_step(machine: Derivation) -> Step:
    """The next thing that the machine waits at, past what it only reports."""
    while True:
        event = machine.next_event()
        if isinstance(event, NeedL1 | NeedData | NeedL2Block | Derived | MustReset):
            return event


def run_to_attributes(follower: Follower, kind: BatchKind, *, last_of_span: bool = True) -> Derived:
    """Derive, taking every block, until attributes of a kind come (with `last_of_span` False: inside a span)."""
    machine, recorded = follower.machine, follower.world
    while True:
        match next_step(machine):
            case NeedL1(number=number):
                block_hash = recorded.final_chain[number]
                machine.feed_l1(recorded.l1_block(block_hash), recorded.receipts(block_hash))
            case NeedData(transactions=transactions, rules=rules):
                machine.feed_data([recorded.data_of(each, blobs=rules.blobs) for each in transactions])
            case NeedL2Block(number=number):
                machine.feed_l2(recorded.payloads[number])
            case Derived() as derived:
                from_batch = not has_only_deposits(derived.attributes)
                if derived.kind is kind and from_batch and derived.concludes is last_of_span:
                    return derived
                machine.confirm(recorded.by_parent[derived.parent.hash].payload)
            case MustReset(reason=reason):
                raise AssertionError(reason)


def test_the_same_step_is_returned_until_it_is_answered() -> None:
    machine = follower_of("op-chains/plain-delta").machine
    step = machine.next_event()
    assert isinstance(step, NeedL1)
    assert step.number == 0
    assert step.parent is None
    assert machine.next_event() is step
    assert machine.origin is None


def test_an_answer_to_another_question_is_refused() -> None:
    follower = follower_of("op-chains/plain-delta")
    with pytest.raises(ValueError, match="NeedL1"):
        follower.machine.confirm(follower.world.genesis)
    with pytest.raises(ValueError, match="expected L1 block 0"):
        follower.machine.feed_l1(follower.world.l1_block(follower.world.final_chain[1]), ())


def test_a_block_on_another_parent_does_not_confirm() -> None:
    follower = follower_of("op-chains/plain-delta")
    run_to_attributes(follower, BatchKind.SINGULAR)
    with pytest.raises(ValueError, match="expected a block on"):
        follower.machine.confirm(follower.world.blocks[-1].payload)


def test_an_l1_block_that_does_not_link_means_a_reset_for_good() -> None:
    follower = follower_of("op-chains/plain-delta")
    chain = follower.world.final_chain
    assert follower.run(chain[:3]) is None
    block = follower.world.l1_block(chain[3])
    header = attrs.evolve(block.header, parent_hash=bytes(32))
    follower.machine.feed_l1(attrs.evolve(block, header=header, hash=header.hash), follower.world.receipts(chain[3]))
    step = next_step(follower.machine)
    assert isinstance(step, MustReset)
    assert follower.machine.next_event() == step


def test_another_first_l1_block_means_a_reset() -> None:
    follower = follower_of("op-chains/plain-delta")
    block = follower.world.l1_block(follower.world.final_chain[0])
    header = attrs.evolve(block.header, extra_data=b"other")
    follower.machine.feed_l1(attrs.evolve(block, header=header, hash=header.hash), ())
    assert isinstance(next_step(follower.machine), MustReset)


def test_a_safe_head_on_another_l1_chain_means_a_reset() -> None:
    recorded = world("op-chains/plain-jovian")
    machine = restarted(recorded, 60)
    origin = machine.safe.l1_origin.number
    chain = recorded.final_chain
    parent = None
    for number in range(len(chain)):
        step = next_step(machine)
        while isinstance(step, NeedData):
            machine.feed_data([recorded.data_of(each, blobs=step.rules.blobs) for each in step.transactions])
            step = next_step(machine)
        if isinstance(step, MustReset):
            assert number > origin
            return
        assert isinstance(step, NeedL1)
        block = recorded.l1_block(chain[step.number])
        if parent is not None and step.number >= origin:
            header = attrs.evolve(block.header, parent_hash=parent.hash, extra_data=b"branch")
            block = L1Block(hash=header.hash, header=header, transactions=block.transactions)
        parent = block
        machine.feed_l1(block, recorded.receipts(chain[step.number]))
    raise AssertionError("no reset")


def test_receipts_are_demanded_where_the_bloom_filter_has_what_matters() -> None:
    follower = follower_of("op-chains/plain-delta")
    chain = follower.world.final_chain
    assert follower.run(chain[:1]) is None
    block = _with_logs(follower.world.l1_block(chain[1]), (_deposit_log(follower.world, b"\x01"),))
    assert isinstance(next_step(follower.machine), NeedL1)
    with pytest.raises(CriticalError, match="receipts"):
        follower.machine.feed_l1(attrs.evolve(block, transactions=(b"\x02", b"\x02")), ())


def test_a_malformed_deposit_stops_derivation_at_its_epoch() -> None:
    follower = follower_of("op-chains/plain-delta")
    recorded = follower.world
    log = _deposit_log(recorded, b"\x01")
    with pytest.raises(CriticalError, match="TransactionDeposited"):
        _run_with_log_in_block(follower, 4, log)
    assert follower.machine.pending_safe.l1_origin.number == 3
    with pytest.raises(CriticalError):
        follower.machine.next_event()


def test_a_malformed_config_update_is_reported_and_skipped() -> None:
    follower = follower_of("op-chains/plain-delta")
    log = Log(follower.world.config.rollup.system_config_address, (CONFIG_UPDATE, bytes(32)), b"")
    _run_with_log_in_block(follower, 4, log)
    reasons = [verdict.reason for verdict in follower.verdicts if verdict.subject is Subject.CONFIG_UPDATE]
    assert ConfigReason.MALFORMED in reasons


def test_a_refused_block_of_a_span_batch_takes_the_rest_with_it_before_strict_order() -> None:
    follower = follower_of("op-chains/plain-delta")
    machine = follower.machine
    while machine.pending_safe == machine.safe:
        derived = run_to_attributes(follower, BatchKind.SPAN, last_of_span=False)
        if machine.pending_safe == machine.safe:
            machine.confirm(follower.world.by_parent[derived.parent.hash].payload)
            run_to_attributes(follower, BatchKind.SPAN, last_of_span=False)
    assert machine.pending_safe.number > machine.safe.number
    machine.reject("bad")
    assert machine.pending_safe == machine.safe
    event = machine.next_event()
    assert isinstance(event, Verdict)
    assert event.reason is EngineReason.DROPPED
    dropped = machine.next_event()
    assert isinstance(dropped, Verdict)
    assert (dropped.subject, dropped.outcome) == (Subject.SPAN_BATCH, Outcome.DROPPED)
    assert isinstance(next_step(machine), NeedL1)


def test_a_refused_block_is_replaced_by_its_deposits_in_strict_order() -> None:
    follower = follower_of("op-chains/plain-holocene")
    machine = follower.machine
    derived = run_to_attributes(follower, BatchKind.SPAN)
    machine.reject("bad")
    replacement = next_step(machine)
    assert isinstance(replacement, Derived)
    assert replacement.kind is BatchKind.DEPOSITS_ONLY
    assert has_only_deposits(replacement.attributes)
    deposits = len(replacement.attributes.transactions)
    assert replacement.attributes.transactions == derived.attributes.transactions[:deposits]
    assert (replacement.parent, replacement.derived_from) == (derived.parent, derived.derived_from)
    with pytest.raises(CriticalError, match="deposits alone"):
        machine.reject("bad again")


def test_blocks_after_a_replaced_one_are_dropped_with_their_span_batch() -> None:
    follower = follower_of("op-chains/plain-holocene")
    machine = follower.machine
    run_to_attributes(follower, BatchKind.SPAN)
    machine.reject("bad")
    replacement = next_step(machine)
    assert isinstance(replacement, Derived)
    machine.confirm(invented_payload(replacement, follower.world.config))
    assert machine.safe.number == replacement.parent.number + 1
    assert isinstance(next_step(machine), NeedL1)


def test_the_engine_refusing_a_forced_empty_block_is_critical() -> None:
    follower = follower_of("op-chains/expiry-regolith")
    machine, recorded = follower.machine, follower.world
    while True:
        match next_step(machine):
            case NeedL1(number=number):
                block_hash = recorded.final_chain[number]
                machine.feed_l1(recorded.l1_block(block_hash), recorded.receipts(block_hash))
            case NeedData(transactions=transactions):
                machine.feed_data([() for _ in transactions])
            case Derived(kind=kind):
                assert kind is BatchKind.EMPTY
                break
            case step:
                raise AssertionError(step)
    with pytest.raises(CriticalError, match="deposits alone"):
        machine.reject("bad")


@pytest.mark.parametrize("name", HONEST)
def test_receipts_that_are_not_needed_change_nothing(name: str) -> None:
    follower = follower_of(name)
    follower.full_receipts = False
    assert follower.run(follower.world.final_chain) is None
    assert follower.machine.safe.hash == follower.world.blocks[-1].payload.hash
    assert not follower.rejected


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_restart_at_any_block_gives_the_same_chain(data: st.DataObject) -> None:
    recorded = world(data.draw(st.sampled_from(HONEST)))
    number = data.draw(st.integers(1, len(recorded.blocks)))
    follower = Follower(recorded, restarted(recorded, number))
    assert follower.run(recorded.final_chain) is None
    assert not follower.rejected
    assert follower.machine.safe.hash == recorded.blocks[-1].payload.hash
    assert sorted(follower.derived) == list(range(number + 1, len(recorded.blocks) + 1))


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_how_far_l1_is_read_at_a_time_changes_nothing(data: st.DataObject) -> None:
    recorded = world(data.draw(st.sampled_from(HONEST)))
    follower = Follower.from_genesis(recorded)
    end = len(recorded.final_chain)
    for stop in sorted(data.draw(st.sets(st.integers(1, end), max_size=6)) | {end}):
        assert follower.run(recorded.final_chain[:stop]) is None
    assert [follower.derived[block.payload.number].derived_from.number for block in recorded.blocks] == [
        block.derived_from for block in recorded.blocks
    ]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_whatever_the_batcher_writes_is_judged_and_never_raises(data: st.DataObject) -> None:
    recorded = world(data.draw(st.sampled_from(("op-chains/plain-delta", "op-chains/plain-karst"))))
    machine = Derivation(recorded.config, safe=recorded.genesis, base=recorded.genesis)
    payloads = {recorded.genesis.number: recorded.genesis}
    changes = data.draw(st.dictionaries(st.integers(0, 30), st.tuples(st.integers(0, 10**6), st.integers(1, 255))))
    place = 0
    while True:
        match next_step(machine):
            case NeedL1(number=number):
                if number == len(recorded.final_chain):
                    return
                block_hash = recorded.final_chain[number]
                machine.feed_l1(recorded.l1_block(block_hash), recorded.receipts(block_hash))
            case NeedData(transactions=transactions, rules=rules):
                inputs = []
                for transaction in transactions:
                    carried = recorded.data_of(transaction, blobs=rules.blobs)
                    inputs.append(tuple(_changed(each, changes.get(place)) for each in carried))
                    place += 1
                machine.feed_data(inputs)
            case NeedL2Block(number=number):
                machine.feed_l2(payloads[number])
            case Derived() as derived:
                payload = invented_payload(derived, recorded.config)
                payloads[payload.number] = payload
                machine.confirm(payload)
            case MustReset(reason=reason):
                raise AssertionError(reason)


def _changed(data: bytes, change: tuple[int, int] | None) -> bytes:
    if change is None or not data:
        return data
    place = change[0] % len(data)
    return data[:place] + bytes((data[place] ^ change[1],)) + data[place + 1 :]


def _deposit_log(recorded: World, data: bytes) -> Log:
    return Log(recorded.config.rollup.portal, (TRANSACTION_DEPOSITED, bytes(32), bytes(32), bytes(32)), data)


def _with_logs(block: L1Block, logs: tuple[Log, ...]) -> L1Block:
    header = attrs.evolve(block.header, bloom=bloom_of(logs))
    return attrs.evolve(block, header=header)


def _run_with_log_in_block(follower: Follower, number: int, log: Log) -> None:
    """Derive the recorded chain, with one more receipt in one L1 block (whose recorded hash it keeps)."""
    machine, recorded = follower.machine, follower.world
    receipt = Receipt(type=2, status=1, cumulative_gas_used=0, bloom=bloom_of([log]), logs=(log,))
    while True:
        event = machine.next_event()
        match event:
            case Verdict():
                follower.verdicts.append(event)
            case NeedL1(number=asked):
                if asked == len(recorded.final_chain):
                    return
                block_hash = recorded.final_chain[asked]
                block, receipts = recorded.l1_block(block_hash), recorded.receipts(block_hash)
                if asked == number:
                    header = attrs.evolve(block.header, bloom=b"\xff" * 256)
                    block = attrs.evolve(block, header=header, transactions=(*block.transactions, b"\x02"))
                    receipts = (*receipts, receipt)
                machine.feed_l1(block, receipts)
            case NeedData(transactions=transactions, rules=rules):
                machine.feed_data([recorded.data_of(each, blobs=rules.blobs) for each in transactions])
            case NeedL2Block(number=asked):
                machine.feed_l2(recorded.payloads[asked])
            case Derived() as derived:
                machine.confirm(recorded.by_parent[derived.parent.hash].payload)
            case MustReset(reason=reason):
                raise AssertionError(reason)
            case _:
                pass
