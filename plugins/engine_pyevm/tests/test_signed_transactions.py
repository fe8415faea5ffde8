"""What makes a signed transaction invalid, one rule a test, and what a valid one pays."""

from __future__ import annotations

import pytest
from kroma_engine_pyevm.blocks import apply
from kroma_engine_pyevm.calls import MAX_NONCE, delegation_to
from kroma_engine_pyevm.execution import BlockExecution, InvalidTransaction

from kroma_core.chain.fees import L1FeeParameters, OperatorFeeParameters, l1_fee, operator_fee
from kroma_core.chain.predeploys import predeploy
from kroma_core.codec.rlp import Encodable, encode
from kroma_core.forks import Fork
from kroma_core.types import Gas

from .worlds import ALICE, BASE_FEE, BOB, CAROL, CHAIN_ID, COINBASE, CONTRACT, ETHER, Account, block_of, rich_alice

L1_BLOCK = predeploy(0x15)
FEES = Account(
    nonce=1,
    storage={1: 7 * 10**9, 3: (1368 << 96) | (810_949 << 64), 7: 3, 8: (5 << 64) | 1000},
)
"""The L1Block contract's slots: base fee, both scalars, blob base fee, operator fee."""


def refuse(block: BlockExecution, raw: bytes, reason: str) -> None:
    """The transaction is invalid for this reason, and leaves no trace."""
    balance = block.state.get_balance(ALICE.address)
    gas = block.gas_left
    with pytest.raises(InvalidTransaction, match=reason):
        apply(block, raw)
    assert block.state.get_balance(ALICE.address) == balance
    assert (block.gas_left, block.gas_used, block.receipts) == (gas, 0, [])


def test_typed_transaction_of_another_chain_is_invalid() -> None:
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID + 1, nonce=0, to=CAROL)
    refuse(block_of(rich_alice()), raw, "signed for chain 902")


def test_legacy_transaction_protected_for_another_chain_is_invalid() -> None:
    refuse(block_of(rich_alice()), ALICE.legacy(chain_id=1, nonce=0, to=CAROL), "signed for chain 1")


def test_legacy_transaction_without_chain_id_is_valid_on_any_chain() -> None:
    assert apply(block_of(rich_alice()), ALICE.legacy(chain_id=None, nonce=0, to=CAROL)).receipt.status == 1


def test_tip_above_the_fee_cap_is_invalid() -> None:
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=CAROL, tip=3 * 10**9, fee_cap=2 * 10**9)
    refuse(block_of(rich_alice()), raw, "tip")


def test_fee_cap_below_the_base_fee_is_invalid() -> None:
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=CAROL, tip=0, fee_cap=BASE_FEE - 1)
    refuse(block_of(rich_alice()), raw, "below the base fee")


def test_fee_cap_equal_to_the_base_fee_is_valid() -> None:
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=CAROL, tip=0, fee_cap=BASE_FEE)
    assert apply(block_of(rich_alice()), raw).receipt.status == 1


def test_fee_cap_beyond_256_bits_is_invalid() -> None:
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=CAROL, fee_cap=2**256)
    refuse(block_of(rich_alice()), raw, "256 bits")


def test_gas_one_below_the_intrinsic_gas_is_invalid() -> None:
    data = b"\0\1"
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=CAROL, data=data, gas=21_000 + 4 + 16 - 1)
    refuse(block_of(rich_alice(), fork=Fork.HOLOCENE), raw, "intrinsic gas of 21020")


def test_access_list_counts_as_intrinsic_gas() -> None:
    listed: list[Encodable] = [[CAROL, [bytes(32), bytes(31) + b"\1"]]]
    raw = ALICE.access_list(chain_id=CHAIN_ID, nonce=0, to=CAROL, gas=21_000 + 2400 + 2 * 1900 - 1, access_list=listed)
    refuse(block_of(rich_alice()), raw, "intrinsic gas of 27200")


def test_creation_code_counts_as_intrinsic_gas_word_by_word() -> None:
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=None, data=bytes(33), gas=53_000 + 33 * 4 + 2 * 2 - 1)
    refuse(block_of(rich_alice(), fork=Fork.CANYON), raw, "intrinsic gas of 53136")
    assert apply(block_of(rich_alice(), fork=Fork.REGOLITH), raw).gas_used == 53_132


def test_gas_one_below_the_floor_for_data_is_invalid() -> None:
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=CAROL, data=b"\1" * 100, gas=21_000 + 100 * 40 - 1)
    refuse(block_of(rich_alice(), fork=Fork.ISTHMUS), raw, "floor of 25000")
    assert apply(block_of(rich_alice(), fork=Fork.HOLOCENE), raw).gas_used == 22_600


def test_transaction_never_uses_less_than_the_floor() -> None:
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=CAROL, data=b"\1" * 100, gas=100_000)
    assert apply(block_of(rich_alice(), fork=Fork.ISTHMUS), raw).gas_used == 25_000


def test_sender_with_code_is_invalid() -> None:
    refuse(
        block_of({ALICE.address: Account(balance=ETHER, code=b"\0")}),
        ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=CAROL),
        "is a contract",
    )


def test_sender_that_delegates_is_valid() -> None:
    account = Account(balance=ETHER, code=delegation_to(CAROL))
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=BOB.address)
    assert apply(block_of({ALICE.address: account}), raw).receipt.status == 1


def test_nonce_above_the_accounts_is_invalid() -> None:
    refuse(block_of(rich_alice(nonce=4)), ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=5, to=CAROL), "nonce 5")


def test_nonce_below_the_accounts_is_invalid() -> None:
    refuse(block_of(rich_alice(nonce=4)), ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=3, to=CAROL), "nonce 3")


def test_nonce_at_its_maximum_is_invalid() -> None:
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=MAX_NONCE, to=CAROL)
    refuse(block_of(rich_alice(nonce=MAX_NONCE)), raw, "maximum")


def _cost(raw: bytes, gas: int, fork: Fork) -> int:
    """L1 fee and operator fee for the whole gas limit."""
    slot = FEES.storage.get
    rules = block_of({}, fork=fork).rules
    fee = l1_fee(raw, L1FeeParameters.from_storage(lambda index: slot(index, 0)), rules.l1_fee).fee
    operator = OperatorFeeParameters.from_storage(lambda index: slot(index, 0))
    return fee + operator_fee(Gas(gas), operator, rules.operator_fee)


@pytest.mark.parametrize("fork", [Fork.ECOTONE, Fork.FJORD, Fork.ISTHMUS, Fork.JOVIAN])
def test_balance_must_cover_value_gas_l1_fee_and_operator_fee(fork: Fork) -> None:
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=CAROL, value=77, gas=30_000, tip=1, fee_cap=2 * 10**9)
    needed = 77 + 30_000 * 2 * 10**9 + _cost(raw, 30_000, fork)
    short = {ALICE.address: Account(balance=needed - 1), L1_BLOCK: FEES}
    refuse(block_of(short, fork=fork), raw, "for value and all fees")
    exact = {ALICE.address: Account(balance=needed), L1_BLOCK: FEES}
    assert apply(block_of(exact, fork=fork), raw).receipt.status == 1


def test_fees_go_to_their_vaults_and_the_rest_back_to_the_sender() -> None:
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=CAROL, value=77, gas=30_000, tip=3, fee_cap=2 * 10**9)
    block = block_of({ALICE.address: Account(balance=ETHER), L1_BLOCK: FEES})
    apply(block, raw)
    state = block.state
    operator = 21_000 * 5 * 100 + 1000
    assert state.get_balance(COINBASE) == 21_000 * 3
    assert state.get_balance(predeploy(0x19)) == 21_000 * BASE_FEE
    assert state.get_balance(predeploy(0x1B)) == operator
    data_fee = state.get_balance(predeploy(0x1A))
    assert data_fee == _cost(raw, 0, Fork.JOVIAN) - 1000
    assert state.get_balance(ALICE.address) == ETHER - 77 - 21_000 * (BASE_FEE + 3) - operator - data_fee


def test_creation_code_above_the_limit_is_invalid() -> None:
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=None, data=bytes(49_153), gas=5_000_000)
    refuse(block_of(rich_alice()), raw, "creation code of 49153 bytes")
    assert apply(block_of(rich_alice(), fork=Fork.REGOLITH), raw).receipt.status == 1


def test_gas_limit_above_what_is_left_in_the_block_is_invalid() -> None:
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=CAROL, gas=50_001)
    refuse(block_of(rich_alice(), gas_limit=50_000), raw, "left in the block")


def test_unused_gas_is_left_for_the_next_transaction() -> None:
    block = block_of(rich_alice(), gas_limit=71_000)
    for nonce in (0, 1):
        assert apply(block, ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=nonce, to=CAROL, gas=50_000)).gas_used == 21_000
    assert block.gas_left == 29_000


def test_gas_above_the_cap_for_one_transaction_is_invalid_once_there_is_one() -> None:
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=CAROL, gas=2**24 + 1)
    refuse(block_of(rich_alice(), fork=Fork.KARST), raw, "cap of 16777216")
    assert apply(block_of(rich_alice(), fork=Fork.JOVIAN), raw).receipt.status == 1


def test_blob_transaction_is_invalid_however_well_it_is_formed() -> None:
    raw = ALICE.blob(chain_id=CHAIN_ID, nonce=0, to=CAROL, blob_hashes=[b"\1" + bytes(31)])
    refuse(block_of(rich_alice()), raw, "type 3")


def test_set_code_transaction_is_invalid_before_its_fork() -> None:
    consent = BOB.authorization(chain_id=CHAIN_ID, address=CAROL, nonce=0)
    raw = ALICE.set_code(chain_id=CHAIN_ID, nonce=0, to=CAROL, authorizations=[consent])
    refuse(block_of(rich_alice(), fork=Fork.HOLOCENE), raw, "type 4")
    assert apply(block_of(rich_alice(), fork=Fork.ISTHMUS), raw).receipt.status == 1


def test_set_code_transaction_without_authorisations_is_invalid() -> None:
    raw = ALICE.set_code(chain_id=CHAIN_ID, nonce=0, to=CAROL, authorizations=[])
    refuse(block_of(rich_alice()), raw, "without authorisations")


@pytest.mark.parametrize("kind", [0x00, 0x05, 0x7D])
def test_unknown_type_is_invalid(kind: int) -> None:
    raw = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=CAROL)
    refuse(block_of(rich_alice()), bytes((kind,)) + raw[1:], "not one of the signed ones")


def test_signature_that_belongs_to_no_key_is_invalid() -> None:
    fields: list[Encodable] = [CHAIN_ID, 0, 1, 10**10, 21_000, CAROL, 0, b"", []]
    refuse(block_of(rich_alice()), b"\x02" + encode([*fields, 0, 0, 1]), "signature")


def test_high_s_is_invalid() -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    fields: list[Encodable] = [CHAIN_ID, 0, 1, 10**10, 21_000, CAROL, 0, b"", []]
    refuse(block_of(rich_alice()), b"\x02" + encode([*fields, 0, 1, order - 1]), "out of range")


GOOD = ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=CAROL)


@pytest.mark.parametrize("raw", [GOOD[:-1], GOOD + b"\0", b"", GOOD[:1]], ids=["short", "long", "empty", "type"])
def test_bytes_that_are_no_transaction_are_invalid(raw: bytes) -> None:
    refuse(block_of(rich_alice()), raw, ".")


def test_invalid_transaction_between_good_ones_leaves_no_trace() -> None:
    first, bad, second = (ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=nonce, to=CAROL, value=1) for nonce in (0, 7, 1))
    block, clean = block_of(rich_alice()), block_of(rich_alice())
    apply(block, first)
    with pytest.raises(InvalidTransaction):
        apply(block, bad)
    apply(block, second)
    apply(clean, first)
    apply(clean, second)
    assert block.receipts == clean.receipts
    assert block.state.root_after({}, {}) == clean.state.root_after({}, {})


# --- authorisations


def _delegating(account: Account | None, chain_id: int = CHAIN_ID, nonce: int = 0) -> BlockExecution:
    """A block after alice's set-code transaction with bob's authorisation to the contract; bob has this account."""
    consent = BOB.authorization(chain_id=chain_id, nonce=nonce, address=CONTRACT)
    accounts = rich_alice() if account is None else {**rich_alice(), BOB.address: account}
    block = block_of(accounts, fork=Fork.ISTHMUS)
    raw = ALICE.set_code(chain_id=CHAIN_ID, nonce=0, to=CAROL, authorizations=[consent])
    assert apply(block, raw).receipt.status == 1
    return block


def test_authorisation_installs_the_delegation_and_raises_the_nonce() -> None:
    state = _delegating(Account(balance=1)).state
    assert state.get_code(BOB.address) == delegation_to(CONTRACT)
    assert state.get_nonce(BOB.address) == 1


def test_authorisation_for_any_chain_holds() -> None:
    assert _delegating(Account(balance=1), chain_id=0).state.get_code(BOB.address)


@pytest.mark.parametrize(
    ("account", "fields"),
    [
        (Account(balance=1), {"chain_id": CHAIN_ID + 1}),
        (Account(balance=1), {"nonce": 1}),
        (Account(balance=1, nonce=MAX_NONCE), {"nonce": MAX_NONCE}),
    ],
    ids=["another chain", "another nonce", "nonce at its maximum"],
)
def test_authorisation_that_does_not_hold_is_passed_over(account: Account, fields: dict[str, int]) -> None:
    state = _delegating(account, **fields).state
    assert state.get_code(BOB.address) == b""
    assert state.get_nonce(BOB.address) == account.nonce


def test_authorisation_of_a_contract_is_passed_over() -> None:
    assert _delegating(Account(nonce=0, code=b"\x01")).state.get_code(BOB.address) == b"\x01"


def test_authorisation_of_an_existing_account_costs_half() -> None:
    existing = _delegating(Account(balance=1)).gas_used
    absent = _delegating(None).gas_used
    assert absent - existing == (21_000 + 25_000) // 5  # refunds are capped at a fifth


def test_delegation_to_the_zero_address_clears_the_code() -> None:
    consent = BOB.authorization(chain_id=CHAIN_ID, address=bytes(20), nonce=0)
    account = Account(balance=1, code=delegation_to(CONTRACT))
    block = block_of({**rich_alice(), BOB.address: account})
    apply(block, ALICE.set_code(chain_id=CHAIN_ID, nonce=0, to=CAROL, authorizations=[consent]))
    assert block.state.get_code(BOB.address) == b""


def test_call_to_a_delegating_account_runs_the_other_code_on_its_own_storage() -> None:
    store_one = bytes.fromhex("6001600055")
    accounts = {
        **rich_alice(),
        BOB.address: Account(balance=1, code=delegation_to(CONTRACT)),
        CONTRACT: Account(nonce=1, code=store_one),
    }
    block = block_of(accounts)
    apply(block, ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=BOB.address))
    assert block.state.get_storage(BOB.address, 0) == 1
    assert block.state.get_storage(CONTRACT, 0) == 0


def test_delegated_sender_that_creates_pays_for_creation_code_once() -> None:
    create_empty = bytes.fromhex("602060006000f0")  # CREATE with 32 zero bytes of code
    accounts = {
        ALICE.address: Account(balance=ETHER, code=delegation_to(CONTRACT)),
        BOB.address: Account(balance=ETHER),
        CONTRACT: Account(nonce=1, code=create_empty),
    }
    by_owner, by_other = block_of(accounts), block_of(accounts)
    own = apply(by_owner, ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=ALICE.address))
    other = apply(by_other, BOB.dynamic_fee(chain_id=CHAIN_ID, nonce=0, to=ALICE.address))
    assert own.gas_used == other.gas_used
