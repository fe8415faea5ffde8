"""Calls, creations and self-destruction, where py-evm or a first version goes wrong."""

from __future__ import annotations

import pytest
from kroma_engine_pyevm.blocks import apply
from kroma_engine_pyevm.calls import created_address, delegation_to
from kroma_engine_pyevm.execution import TransactionResult
from kroma_engine_pyevm.frames import jump_destinations
from kroma_engine_pyevm.state import WorldState

from kroma_core.codec.deposits import DepositTransaction
from kroma_core.forks import Fork

from .worlds import ALICE, CAROL, CONTRACT, Account, block_of

OTHER = bytes.fromhex("dd" * 20)


def run(
    code: str,
    *,
    others: dict[bytes, Account] | None = None,
    fork: Fork = Fork.JOVIAN,
    gas: int = 10_000_000,
    balance: int = 0,
) -> tuple[WorldState, TransactionResult]:
    """Call a contract with this code, as a deposit that costs nothing."""
    accounts = {CONTRACT: Account(nonce=1, code=bytes.fromhex(code), balance=balance), **(others or {})}
    block = block_of(accounts, fork=fork)
    deposit = DepositTransaction(source_hash=bytes(32), sender=ALICE.address, to=CONTRACT, gas=gas, data=b"")
    return block.state, apply(block, deposit.encode())


def call_other(value: int = 0) -> str:
    """Call the other account and keep success in slot 0, the size of what it returned in slot 1."""
    return f"6000600060006000{value:#04x}73{OTHER.hex()}5af1".replace("0x", "60") + "6000553d600155"


def test_endless_recursion_ends_without_harm() -> None:
    calls_itself = "60006000600060006000305af1600055"
    state, result = run(calls_itself, gas=29_000_000)
    assert result.receipt.status == 1
    assert state.get_storage(CONTRACT, 0) == 1


def test_1024_calls_may_be_open_inside_the_first() -> None:
    """Each level stores and returns one more than the level that it called."""
    counts = "60206000600060006000305af1506000516001018060005260005560206000f3"
    block = block_of({CONTRACT: Account(nonce=1, code=bytes.fromhex(counts))}, gas_limit=10**15)
    deposit = DepositTransaction(source_hash=bytes(32), sender=ALICE.address, to=CONTRACT, gas=10**15, data=b"")
    assert apply(block, deposit.encode()).receipt.status == 1
    assert block.state.get_storage(CONTRACT, 0) == 1025


def test_memory_grows_after_a_call_whose_precompile_failed() -> None:
    """The call's input is the caller's memory itself, and is let go of."""
    call_pairing = "600060006001600060085afa600055"
    state, result = run(call_pairing + "600161100052" + "6001600155", gas=9_000_000)
    assert (result.receipt.status, state.get_storage(CONTRACT, 0), state.get_storage(CONTRACT, 1)) == (1, 0, 1)


def test_call_data_of_a_contract_is_its_callers_memory() -> None:
    """The callee stores its input's size, a word of it, and a copy of a stretch that reaches beyond its end."""
    stores_input = "36600055" + "600135600155" + "602060016000376000516002553d"
    caller = f"7f{'ab' * 32}600052" + f"6000600060206000600073{OTHER.hex()}5af1600055"
    state, _ = run(caller, others={OTHER: Account(nonce=1, code=bytes.fromhex(stores_input))})
    shifted = int("ab" * 31 + "00", 16)
    assert state.get_storage(CONTRACT, 0) == 1
    assert [state.get_storage(OTHER, slot) for slot in range(3)] == [32, shifted, shifted]


def test_jump_destinations_of_the_longest_code_take_no_more_than_the_code() -> None:
    code = b"\x5b" * 49_152
    assert len(jump_destinations(code)) == len(code)
    assert jump_destinations(bytes.fromhex("605b5b615b005b")) == bytes([0, 0, 1, 0, 0, 0, 1])


def test_value_that_is_not_there_fails_the_call_and_gives_the_gas_back() -> None:
    state, result = run(call_other(value=5))
    assert (result.receipt.status, state.get_storage(CONTRACT, 0)) == (1, 0)
    assert result.gas_used < 100_000


def test_value_moves_with_the_call() -> None:
    state, _ = run(call_other(value=5), balance=7)
    assert (state.get_balance(OTHER), state.get_balance(CONTRACT)) == (5, 2)


def test_reverted_call_undoes_its_value_and_keeps_its_output() -> None:
    state, _ = run(call_other(value=5), balance=7, others={OTHER: Account(nonce=1, code=bytes.fromhex("60206000fd"))})
    assert (state.get_balance(OTHER), state.get_balance(CONTRACT)) == (0, 7)
    assert (state.get_storage(CONTRACT, 0), state.get_storage(CONTRACT, 1)) == (0, 32)


def test_delegation_to_a_precompile_runs_no_code() -> None:
    identity = (4).to_bytes(20, "big")
    state, _ = run(call_other(), others={OTHER: Account(nonce=1, code=delegation_to(identity))})
    assert (state.get_storage(CONTRACT, 0), state.get_storage(CONTRACT, 1)) == (1, 0)


def test_delegation_is_followed_once_only() -> None:
    others = {
        OTHER: Account(nonce=1, code=delegation_to(CAROL)),
        CAROL: Account(nonce=1, code=delegation_to(CONTRACT)),
    }
    state, _ = run(call_other(), others=others)
    assert state.get_storage(CONTRACT, 0) == 0, "0xef is no instruction"


def test_delegations_mean_nothing_before_their_fork() -> None:
    others = {OTHER: Account(nonce=1, code=delegation_to(CAROL)), CAROL: Account(nonce=1, code=b"\0")}
    state, _ = run(call_other(), others=others, fork=Fork.HOLOCENE)
    assert state.get_storage(CONTRACT, 0) == 0


# --- creations

CREATE_EMPTY = "600060006000f0600055"
CREATED = created_address(CONTRACT, 1)


@pytest.mark.parametrize(
    ("there", "collides"),
    [
        (Account(balance=9), False),
        (Account(nonce=1), True),
        (Account(code=b"\0"), True),
        (Account(storage={1: 1}), True),
    ],
    ids=["balance", "nonce", "code", "storage"],
)
def test_creation_where_something_is_collides(there: Account, collides: bool) -> None:
    state, result = run(CREATE_EMPTY, others={CREATED: there}, gas=1_000_000)
    assert (state.get_storage(CONTRACT, 0) == 0) is collides
    assert (result.gas_used > 900_000) is collides, "a collision burns what the creation was given"
    assert state.get_nonce(CONTRACT) == 2


@pytest.mark.parametrize(
    ("returned", "stored"),
    [("60016000f3", True), ("60ef60005360016000f3", False), ("6160016000f3", False), ("6160006000f3", True)],
    ids=["one byte", "0xef", "24577 bytes", "24576 bytes"],
)
def test_code_that_a_creation_may_return(returned: str, stored: bool) -> None:
    size = len(returned) // 2
    push, start = 0x5F + size, 32 - size
    state, result = run(f"{push:02x}{returned}60005260{size:02x}60{start:02x}6000f0600055")
    assert result.receipt.status == 1
    assert (state.get_storage(CONTRACT, 0) != 0) is stored
    assert bool(state.get_code(CREATED)) is stored


def test_creation_code_beyond_the_limit_fails_the_frame_before_the_balance_is_looked_at() -> None:
    too_long = "61c001600060fff0600055"
    _, limited = run(too_long, fork=Fork.CANYON)
    assert limited.receipt.status == 0
    state, unlimited = run(too_long, fork=Fork.REGOLITH)
    assert (unlimited.receipt.status, state.get_storage(CONTRACT, 0)) == (1, 0)


# --- self-destruction

DESTROY_TO_CAROL = f"73{CAROL.hex()}ff"


def test_selfdestruct_deletes_before_cancun_and_only_pays_after() -> None:
    state, _ = run(DESTROY_TO_CAROL, balance=7, fork=Fork.CANYON)
    assert (state.account_exists(CONTRACT), state.get_balance(CAROL)) == (False, 7)
    state, _ = run(DESTROY_TO_CAROL, balance=7, fork=Fork.ECOTONE)
    assert (state.account_exists(CONTRACT), state.get_balance(CAROL)) == (True, 7)
    assert state.get_balance(CONTRACT) == 0


def test_selfdestruct_to_itself_burns_only_where_it_deletes() -> None:
    state, _ = run("30ff", balance=7, fork=Fork.CANYON)
    assert not state.account_exists(CONTRACT)
    state, _ = run("30ff", balance=7, fork=Fork.ECOTONE)
    assert state.get_balance(CONTRACT) == 7


# --- code


def test_jump_into_the_operand_of_a_push_fails() -> None:
    _, result = run("6003565b00")
    assert result.receipt.status == 1
    _, result = run("600456605b00")
    assert result.receipt.status == 0


def test_long_runs_of_push_do_not_exhaust_the_stack_of_python() -> None:
    """Whether the last byte is a destination depends on every PUSH before it."""
    code = "6160015600" + "60" * 24_570 + "5b"
    _, result = run(code)
    assert result.receipt.status == 0


def test_code_without_stop_ends_at_its_end() -> None:
    assert run("6001")[1].receipt.status == 1
    assert run("7f01")[1].receipt.status == 1
