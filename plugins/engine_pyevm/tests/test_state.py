"""The journalled state: what a revert undoes, and what the end of a transaction removes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from kroma_engine_pyevm.state import WorldState

from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.receipts import Log

from .worlds import CAROL, CONTRACT, Account, state_of

ADDRESSES = (CAROL, CONTRACT, bytes(20))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["balance", "nonce", "code", "storage", "transient", "refund", "warm", "log", "create", "destroy"]
        ),
        st.sampled_from(ADDRESSES),
        st.integers(0, 3),
        st.integers(0, 2),
    ),
    max_size=15,
)


def apply_step(state: WorldState, step: tuple[str, bytes, int, int]) -> None:
    kind, address, slot, value = step
    match kind:
        case "balance":
            state.set_balance(address, value)
        case "nonce":
            state.set_nonce(address, value)
        case "code":
            state.set_code(address, bytes(value))
        case "storage":
            state.set_storage(address, slot, value)
        case "transient":
            state.set_transient_storage(address, slot, value)
        case "refund":
            state.add_refund(value - 1)
        case "warm":
            state.mark_address_warm(address)
            state.mark_storage_warm(address, slot)
        case "log":
            state.add_log(Log(address, (), bytes(value)))
        case "create":
            state.mark_created(address)
        case "destroy":
            state.account(address)
            state.destroy(address)


def view(state: WorldState) -> object:
    """Everything that a transaction can see of the state."""
    return [
        (
            state.account_exists(address),
            state.get_balance(address),
            state.get_nonce(address),
            state.get_code(address),
            [(state.get_storage(address, slot), state.get_transient_storage(address, slot)) for slot in range(4)],
        )
        for address in ADDRESSES
    ] + [set(state.warm_addresses), set(state.warm_slots), state.refund, list(state.logs), set(state.created)]


def world() -> WorldState:
    return state_of({CAROL: Account(balance=1, storage={1: 5}), CONTRACT: Account(nonce=1, code=b"\0", storage={2: 9})})


@given(before=STEPS, undone=STEPS, after=STEPS)
@settings(max_examples=200, deadline=None)
def test_revert_undoes_everything_since_its_snapshot(before: list, undone: list, after: list) -> None:  # type: ignore[type-arg]  # lists of steps
    state, straight = world(), world()
    for step in before:
        apply_step(state, step)
        apply_step(straight, step)
    snapshot = state.snapshot()
    seen = view(state)
    for step in undone:
        apply_step(state, step)
    state.revert(snapshot)
    assert view(state) == seen
    for step in after:
        apply_step(state, step)
        apply_step(straight, step)
    state.end_transaction()
    straight.end_transaction()
    assert state.root_after({}, {}) == straight.root_after({}, {})


def test_original_value_is_that_of_the_transactions_start() -> None:
    state = world()
    state.set_storage(CAROL, 1, 6)
    state.set_storage(CAROL, 1, 7)
    assert state.get_storage(CAROL, 1, from_journal=False) == 5
    state.end_transaction()
    assert state.get_storage(CAROL, 1, from_journal=False) == 7


def test_touched_account_that_is_left_empty_is_deleted() -> None:
    state = state_of({CAROL: Account(), CONTRACT: Account(balance=1)})
    assert state.account_exists(CAROL)
    state.touch_account(CAROL)
    state.end_transaction()
    assert not state.account_exists(CAROL)
    assert state.root_after({}, {}) == state_of({CONTRACT: Account(balance=1)}).root


def test_empty_account_that_only_a_reverted_call_touched_stays() -> None:
    state = state_of({CAROL: Account()})
    snapshot = state.snapshot()
    state.touch_account(CAROL)
    state.revert(snapshot)
    state.end_transaction()
    assert state.account_exists(CAROL)


def test_destroyed_account_loses_its_storage_and_can_be_made_anew() -> None:
    state = world()
    state.destroy(CONTRACT)
    state.set_balance(CONTRACT, 0)
    state.end_transaction()
    assert not state.account_exists(CONTRACT)
    state.set_nonce(CONTRACT, 1)
    assert state.get_storage(CONTRACT, 2) == 0
    state.end_transaction()
    made_anew = state_of({CAROL: Account(balance=1, storage={1: 5}), CONTRACT: Account(nonce=1)})
    assert state.root_after({}, {}) == made_anew.root


def test_state_without_accounts_has_the_empty_root() -> None:
    state = world()
    for address in (CAROL, CONTRACT):
        state.account(address)
        state.destroy(address)
    state.end_transaction()
    assert state.root_after({}, {}) == EMPTY_ROOT
