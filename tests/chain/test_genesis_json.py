from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.chain.builtin import builtin
from kroma_core.chain.config import GenesisAccount
from kroma_core.chain.genesis_json import (
    genesis_from_json,
    genesis_from_text,
    genesis_header,
    genesis_state,
    state_root,
    storage_root,
)
from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.errors import ConfigError
from kroma_core.forks import Rules
from tests.chain.sample_files import GENESIS, ROLLUP, genesis

ADDRESS = "42" * 20


def problems(found: object) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        genesis_from_json(found, source="g.json")
    return caught.value.problems


@pytest.mark.parametrize("form", [1_700_000_000, "1700000000", "0x6553f100", "0X6553F100"])
def test_numbers_may_be_integers_decimal_or_hexadecimal_text(form: object) -> None:
    assert genesis_from_json(genesis(timestamp=form), source="g.json").timestamp == 1_700_000_000


@pytest.mark.parametrize("form", ["", None])
def test_an_empty_or_absent_number_is_zero(form: object) -> None:
    assert genesis_from_json(genesis(nonce=form), source="g.json").nonce == 0


@pytest.mark.parametrize("form", ["0x", "12a", "-1", -1, 1.5, True, "0x" + "1" * 17, "1_0", "٣", [], "0x 1"])
def test_what_is_no_number_is_refused(form: object) -> None:
    (problem,) = problems(genesis(timestamp=form))
    assert problem.startswith("g.json: timestamp: expected a number below 2^64, decimal or 0x-prefixed, got ")


def test_balances_may_use_all_256_bits_and_no_more() -> None:
    alloc = {ADDRESS: {"balance": "0x" + "f" * 64}}
    found = genesis_from_json(genesis(alloc=alloc), source="g.json")
    assert found.alloc[bytes.fromhex(ADDRESS)].balance == 2**256 - 1
    assert "alloc.4242" in problems(genesis(alloc={ADDRESS: {"balance": "0x1" + "0" * 64}}))[0]


@pytest.mark.parametrize("prefix", ["", "0x", "0X"])
def test_addresses_may_lack_their_prefix(prefix: str) -> None:
    found = genesis_from_json(genesis(alloc={prefix + ADDRESS: {"balance": "5"}}), source="g.json")
    assert found.alloc[bytes.fromhex(ADDRESS)].balance == 5


def test_an_address_that_comes_twice_is_refused() -> None:
    alloc = {ADDRESS: {"balance": "5"}, "0x" + ADDRESS: {"balance": "6"}}
    assert problems(genesis(alloc=alloc)) == (f"g.json: alloc.0x{ADDRESS}: the same address comes twice",)


def test_a_wrong_address_is_refused() -> None:
    assert problems(genesis(alloc={"0x42": {"balance": "5"}})) == (
        "g.json: alloc.0x42: expected an address of 40 hex digits",
    )


def test_an_account_needs_a_balance() -> None:
    assert problems(genesis(alloc={ADDRESS: {}})) == (f"g.json: alloc.{ADDRESS}.balance: missing",)


def test_short_storage_words_are_padded_and_zero_words_left_out() -> None:
    storage = {"0x01": "0x0203", "0x" + "00" * 31 + "02": "0x" + "00" * 32}
    found = genesis_from_json(genesis(alloc={ADDRESS: {"balance": "0", "storage": storage}}), source="g.json")
    assert found.alloc[bytes.fromhex(ADDRESS)].storage == {bytes(31) + b"\x01": bytes(30) + b"\x02\x03"}


@pytest.mark.parametrize("word", ["0x" + "11" * 33, "0x1", "zz", 5, None])
def test_a_wrong_storage_word_is_refused(word: object) -> None:
    (problem,) = problems(genesis(alloc={ADDRESS: {"balance": "0", "storage": {"0x01": word}}}))
    assert problem.startswith(f"g.json: alloc.{ADDRESS}.storage.0x01: expected words of at most 64 hex digits")


def test_keys_are_read_in_any_case() -> None:
    found = genesis()
    found["mixhash"] = "0x" + "77" * 32
    del found["mixHash"]
    assert genesis_from_json(found, source="g.json").mix_hash == b"\x77" * 32


def test_required_fields_are_all_named() -> None:
    assert problems({}) == (
        "g.json: alloc: missing",
        "g.json: gasLimit: missing",
        "g.json: difficulty: missing",
    )


def test_a_state_root_may_stand_for_the_accounts() -> None:
    found = genesis_from_json(genesis(stateHash="0x" + "88" * 32), source="g.json")
    assert genesis_state(found, Rules()) == b"\x88" * 32


def test_a_state_root_beside_accounts_is_refused() -> None:
    found = genesis(stateHash="0x" + "88" * 32, alloc={ADDRESS: {"balance": "1"}})
    assert problems(found)[0].startswith("g.json: stateHash: stands beside accounts")


def test_a_base_fee_that_is_not_given_is_a_gwei() -> None:
    assert genesis_from_json(genesis(baseFeePerGas=None), source="g.json").base_fee == 1_000_000_000


def test_the_state_of_no_accounts_is_the_empty_trie() -> None:
    assert state_root({}) == EMPTY_ROOT
    assert storage_root({bytes(32): bytes(32)}) == EMPTY_ROOT


def test_the_hash_of_a_genesis_is_that_of_its_header() -> None:
    found = genesis_from_json(GENESIS, source="g.json")
    rules = Rules(withdrawals=True)
    header = genesis_header(found, EMPTY_ROOT, rules)
    assert "0x" + header.hash.hex() == ROLLUP["genesis"]["l2"]["hash"]


def test_the_state_of_a_chain_of_the_zk_era_is_a_zk_trie() -> None:
    rules = builtin("kroma-mainnet").rollup.schedule.at(0)
    address = bytes.fromhex("11f47702a63156ffc9381cbc57f34b39c2f7aafe")
    account = GenesisAccount(nonce=655, balance=0x18C331EAE6D22E777BEB16C27AD487BB)
    found = attrs.evolve(genesis_from_json(genesis(), source="g.json"), alloc={address: account})
    # The first account of kroma-units/zktrie_accounts.
    assert genesis_state(found, rules).hex() == "25b385cf2d5fed8e893bb46e64382567cff25d42d7a743fa4dd9d75e8e4f918e"
    assert genesis_state(attrs.evolve(found, alloc={}), rules) == bytes(32)


def test_numbers_beyond_64_bits_in_the_chain_config_survive() -> None:
    text = (
        '{"config": {"terminalTotalDifficulty": 58750000000000000000000}, "alloc": {}, "gasLimit": 1, "difficulty": 0}'
    )
    found = genesis_from_text(text, source="g.json")
    assert found.chain_config["terminalTotalDifficulty"] == 58_750_000_000_000_000_000_000


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(GENESIS)), _values, max_size=3),
    st.dictionaries(st.sampled_from(["balance", "nonce", "code", "storage", "x"]), _values, max_size=3),
)
def test_any_values_give_a_genesis_or_a_config_error(changes: dict[str, Any], account: dict[str, Any]) -> None:
    found = genesis(alloc={ADDRESS: account}) | changes
    try:
        read = genesis_from_json(found, source="g.json")
    except ConfigError:
        return
    assert len(genesis_header(read, state_root(read.alloc), Rules()).hash) == 32
