"""Logs and call data of any content: read, or refused by the one error that the reader announces."""

from __future__ import annotations

import contextlib

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kroma_core.codec.deposits import decode_deposit
from kroma_core.codec.receipts import Log, Receipt
from kroma_core.derive.deposits import TRANSACTION_DEPOSITED, decode_deposit_log, user_deposits
from kroma_core.derive.l1_info import L1Info, parse_l1_info
from kroma_core.derive.l2_blocks import read_l2_block
from kroma_core.derive.system_config import (
    CONFIG_UPDATE,
    apply_config_updates,
    fee_scalars,
    packed_scalar,
    scalar_problem,
)
from kroma_core.errors import CriticalError, DecodeError
from kroma_core.events import Outcome
from kroma_core.forks import Fork, Schedule
from kroma_core.l2 import Payload
from kroma_core.types import BlockId, Timestamp
from tests.derive.recorded import world

words = st.binary(min_size=32, max_size=32)
U32 = st.integers(0, 2**32 - 1)
L1_BLOCK = BlockId(bytes(32), 1)


def receipt_of(*logs: Log, status: int = 1) -> Receipt:
    return Receipt(type=2, status=status, cumulative_gas_used=0, bloom=bytes(256), logs=logs)


@given(st.lists(words, max_size=4), st.binary(max_size=400))
def test_any_log_is_a_deposit_or_a_decode_error(topics: list[bytes], data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decode_deposit_log(Log(bytes(20), (TRANSACTION_DEPOSITED, *topics), data), bytes(32), 0)


@given(words, words, words, st.binary(max_size=300), st.integers(0, 2**64 - 1))
def test_a_deposit_keeps_what_its_log_says(sender: bytes, to: bytes, value: bytes, data: bytes, gas: int) -> None:
    packed = bytes(32) + value + gas.to_bytes(8, "big") + b"\0" + data
    content = packed.ljust(-(-len(packed) // 32) * 32, b"\0")
    log_data = (32).to_bytes(32, "big") + len(packed).to_bytes(32, "big") + content
    log = Log(bytes(20), (TRANSACTION_DEPOSITED, sender, to, bytes(32)), log_data)
    deposit = decode_deposit_log(log, bytes(32), 0)
    assert (deposit.sender, deposit.to, deposit.data) == (sender[12:], to[12:], data)
    assert (deposit.mint, deposit.value, deposit.gas) == (0, int.from_bytes(value, "big"), gas)


def test_logs_of_failed_transactions_are_counted_but_make_no_deposit() -> None:
    portal = b"\x0b" * 20
    packed = bytes(64) + bytes(8) + b"\0"
    data = (32).to_bytes(32, "big") + len(packed).to_bytes(32, "big") + packed.ljust(96, b"\0")
    good = Log(portal, (TRANSACTION_DEPOSITED, bytes(32), bytes(32), bytes(32)), data)
    malformed = Log(portal, (TRANSACTION_DEPOSITED,), b"")
    (deposit,) = user_deposits([receipt_of(malformed, status=0), receipt_of(good)], portal, bytes(32))
    assert deposit == decode_deposit_log(good, bytes(32), 1)
    with pytest.raises(CriticalError, match="log 1"):
        user_deposits([receipt_of(good), receipt_of(malformed)], portal, bytes(32))


@pytest.mark.parametrize("name", ["op-chains/plain-bedrock", "op-chains/plain-jovian", "kroma-chains/allforks"])
@given(st.integers(0, 8), st.lists(words, max_size=3), st.binary(max_size=200))
def test_any_config_update_is_applied_or_skipped(name: str, kind: int, topics: list[bytes], data: bytes) -> None:
    rollup = world(name).config.rollup
    before = rollup.genesis.system_config
    topics = [bytes(32), kind.to_bytes(32, "big"), *topics][: len(topics)]
    log = Log(rollup.system_config_address, (CONFIG_UPDATE, *topics), data)
    after, (verdict,) = apply_config_updates(before, [receipt_of(log)], rollup, L1_BLOCK, 2**40)
    assert after == before or verdict.outcome is Outcome.ACCEPTED


@given(U32, U32)
def test_packed_scalars_read_as_they_were_written(base: int, blob: int) -> None:
    assert fee_scalars(packed_scalar(base, blob)) == (base, blob)


@given(words)
def test_a_scalar_without_a_problem_can_be_read(scalar: bytes) -> None:
    if scalar_problem(scalar) is None:
        fee_scalars(scalar)
    elif scalar[0] != 0:
        with pytest.raises(DecodeError):
            fee_scalars(scalar)


@pytest.mark.parametrize("name", ["op-chains/plain-bedrock", "op-chains/plain-karst", "kroma-chains/ecotone-zk"])
@given(st.data())
def test_any_call_data_are_l1_attributes_or_a_decode_error(name: str, data: st.DataObject) -> None:
    recorded = world(name)
    block = recorded.blocks[5].payload
    good = decode_deposit(block.transactions[0], legacy=name.startswith("kroma")).data
    place, bit = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(0, 7))
    changed = good[:place] + bytes((good[place] ^ 1 << bit,)) + good[place + 1 :]
    for candidate in (good, changed, good[1:], data.draw(st.binary(max_size=300))):
        with contextlib.suppress(DecodeError):
            assert isinstance(parse_l1_info(candidate, recorded.config, block.timestamp), L1Info)


@pytest.mark.parametrize("name", ["op-chains/plain-bedrock", "op-chains/plain-karst", "kroma-chains/ecotone-zk"])
@given(st.data())
def test_any_first_transaction_reads_or_is_a_decode_error(name: str, data: st.DataObject) -> None:
    recorded = world(name)
    block = recorded.blocks[5].payload
    raw = block.transactions[0]
    place, bit = data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(0, 7))
    changed = raw[:place] + bytes((raw[place] ^ 1 << bit,)) + raw[place + 1 :]
    with contextlib.suppress(DecodeError):
        read_l2_block(_with_first(block, changed), recorded.config)
    with contextlib.suppress(DecodeError):
        read_l2_block(_with_first(block, raw[: data.draw(st.integers(0, len(raw)))]), recorded.config)


def test_order_becomes_strict_only_where_no_earlier_upgrade_comes_with_it() -> None:
    schedule = world("op-chains/plain-regolith").config.rollup.schedule
    alone = _with_times(schedule, {Fork.GRANITE: 80, Fork.HOLOCENE: 100, Fork.ISTHMUS: 100})
    assert alone.reorders(Timestamp(99), Timestamp(100))
    assert not alone.reorders(Timestamp(88), Timestamp(99))
    assert not alone.reorders(Timestamp(100), Timestamp(112))
    together = _with_times(schedule, {Fork.GRANITE: 95, Fork.HOLOCENE: 100})
    assert not together.reorders(Timestamp(90), Timestamp(102))
    assert together.reorders(Timestamp(96), Timestamp(102))


def _with_times(schedule: Schedule, times: dict[Fork, int]) -> Schedule:
    return Schedule(
        table=schedule.table,
        times={fork: Timestamp(time) for fork, time in times.items()},
        block_time=schedule.block_time,
    )


def _with_first(block: Payload, first: bytes) -> Payload:
    return attrs.evolve(block, transactions=(first, *block.transactions[1:]))
