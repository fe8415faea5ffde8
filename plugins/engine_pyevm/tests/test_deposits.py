"""What becomes of deposits: mint, nonce, gas and receipts, before and after they were counted for real."""

from __future__ import annotations

import pytest
from kroma_engine_pyevm.blocks import apply
from kroma_engine_pyevm.execution import InvalidTransaction

from kroma_core.codec.deposits import DepositTransaction
from kroma_core.forks import Fork
from kroma_core.types import Address

from .worlds import ALICE, CAROL, CONTRACT, ETHER, Account, block_of, rich_alice

REVERTS = bytes.fromhex("60006000fd")
SENDER = ALICE.address


def deposit(
    *,
    to: Address | None = CAROL,
    mint: int = 0,
    value: int = 0,
    gas: int = 100_000,
    is_system: bool = False,
    data: bytes = b"",
) -> bytes:
    return DepositTransaction(
        source_hash=bytes(32), sender=SENDER, to=to, mint=mint, value=value, gas=gas, is_system=is_system, data=data
    ).encode()


def test_mint_is_there_before_the_deposit_spends_it() -> None:
    block = block_of({})
    result = apply(block, deposit(mint=5, value=3))
    assert result.receipt.status == 1
    assert (block.state.get_balance(SENDER), block.state.get_balance(CAROL)) == (2, 3)


def test_mint_stays_and_the_nonce_counts_when_execution_fails() -> None:
    block = block_of({CONTRACT: Account(nonce=1, code=REVERTS)})
    result = apply(block, deposit(to=CONTRACT, mint=5, value=3))
    assert result.receipt.status == 0
    assert (block.state.get_balance(SENDER), block.state.get_nonce(SENDER)) == (5, 1)
    assert block.state.get_balance(CONTRACT) == 0
    assert result.gas_used < 100_000


def test_value_beyond_the_balance_fails_with_all_gas_used() -> None:
    block = block_of({})
    result = apply(block, deposit(mint=5, value=6))
    assert (result.receipt.status, result.gas_used) == (0, 100_000)
    assert (block.state.get_balance(SENDER), block.state.get_nonce(SENDER)) == (5, 1)


def test_gas_below_the_intrinsic_gas_fails_with_all_of_it_used() -> None:
    result = apply(block_of({}), deposit(gas=20_999, mint=5))
    assert (result.receipt.status, result.gas_used) == (0, 20_999)


def test_gas_below_the_floor_for_data_fails_too() -> None:
    result = apply(block_of({}, fork=Fork.ISTHMUS), deposit(gas=24_999, data=b"\1" * 100))
    assert (result.receipt.status, result.gas_used) == (0, 24_999)


def test_deposit_pays_nothing_whatever_the_base_fee() -> None:
    block = block_of({}, base_fee=10**12)
    assert apply(block, deposit()).receipt.status == 1
    assert block.state.get_balance(SENDER) == 0


def test_sender_may_be_a_contract() -> None:
    assert apply(block_of({SENDER: Account(code=REVERTS)}), deposit()).receipt.status == 1


def test_deposit_beyond_the_blocks_gas_makes_the_block_invalid() -> None:
    with pytest.raises(InvalidTransaction, match="left in the block"):
        apply(block_of({}, gas_limit=99_999), deposit())


def test_system_deposit_is_not_counted_before_regolith() -> None:
    block = block_of({}, fork=Fork.BEDROCK, gas_limit=50_000)
    result = apply(block, deposit(gas=150_000_000, is_system=True))
    assert (result.receipt.status, result.gas_used, block.gas_left) == (1, 0, 50_000)


def test_system_deposit_is_invalid_from_regolith_on() -> None:
    with pytest.raises(InvalidTransaction, match="no system deposits"):
        apply(block_of({}, fork=Fork.REGOLITH), deposit(is_system=True))


def test_deposit_uses_all_its_gas_before_regolith() -> None:
    assert apply(block_of({}, fork=Fork.BEDROCK), deposit()).gas_used == 100_000
    assert apply(block_of({}, fork=Fork.REGOLITH), deposit()).gas_used == 21_000


def test_receipt_keeps_the_nonce_from_regolith_and_a_version_from_canyon() -> None:
    receipts = {
        fork: apply(block_of(rich_alice(nonce=7), fork=fork), deposit()).receipt
        for fork in (Fork.BEDROCK, Fork.REGOLITH, Fork.CANYON)
    }
    assert {fork: (one.deposit_nonce, one.deposit_version) for fork, one in receipts.items()} == {
        Fork.BEDROCK: (None, None),
        Fork.REGOLITH: (7, None),
        Fork.CANYON: (7, 1),
    }


def test_created_contract_follows_from_the_nonce_before() -> None:
    block = block_of(rich_alice(nonce=7))
    result = apply(block, deposit(to=None, data=bytes.fromhex("60015f5360015ff3"), gas=100_000, value=ETHER))
    assert result.contract is not None
    assert block.state.get_code(result.contract) == b"\x01"
    assert block.state.get_balance(result.contract) == ETHER
    assert block.state.get_nonce(SENDER) == 8


@pytest.mark.parametrize("raw", [deposit()[:-1], deposit() + b"\0", b"\x7e", b"\x7e\xc0"])
def test_bytes_that_are_no_deposit_make_the_block_invalid(raw: bytes) -> None:
    with pytest.raises(InvalidTransaction):
        apply(block_of({}), raw)


def test_deposit_without_the_system_field_is_of_another_era() -> None:
    legacy = DepositTransaction(source_hash=bytes(32), sender=SENDER, to=CAROL, gas=100_000, data=b"").encode_legacy()
    with pytest.raises(InvalidTransaction, match="8 fields"):
        apply(block_of({}), legacy)
