from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kroma_core.chain.base_fee import (
    FeeParams,
    attribute_params_match,
    decode_extra_data,
    encode_extra_data,
    extra_data_of,
)
from kroma_core.chain.builtin import builtin
from kroma_core.errors import DecodeError
from kroma_core.forks import ExtraDataFormat, Rules
from kroma_core.l2 import PayloadAttributes
from kroma_core.types import ZERO_HASH, Gas, Timestamp

CONFIG = builtin("op-mainnet").rollup


def attributes(params: bytes | None, min_base_fee: int | None = None, time: int = 1_800_000_000) -> PayloadAttributes:
    return PayloadAttributes(
        timestamp=Timestamp(time),
        prev_randao=ZERO_HASH,
        fee_recipient=bytes(20),
        gas_limit=Gas(30_000_000),
        transactions=(),
        eip1559_params=params,
        min_base_fee=min_base_fee,
    )


u32 = st.integers(1, 2**32 - 1)


@given(u32, u32, st.none() | st.integers(0, 2**64 - 1))
def test_extra_data_is_decoded_as_it_was_encoded(denominator: int, elasticity: int, minimum: int | None) -> None:
    params = FeeParams(denominator=denominator, elasticity=elasticity, min_base_fee=minimum)
    form = ExtraDataFormat.EIP1559 if minimum is None else ExtraDataFormat.MIN_BASE_FEE
    assert decode_extra_data(encode_extra_data(params), Rules(extra_data=form)) == params


@given(st.binary(max_size=40), st.sampled_from(ExtraDataFormat))
def test_any_extra_data_is_decoded_or_refused(data: bytes, form: ExtraDataFormat) -> None:
    try:
        found = decode_extra_data(data, Rules(extra_data=form))
    except DecodeError:
        return
    assert (encode_extra_data(found) if found else b"") == data


@pytest.mark.parametrize(
    "params",
    [
        FeeParams(denominator=2**32, elasticity=6),
        FeeParams(denominator=250, elasticity=-1),
        FeeParams(denominator=250, elasticity=6, min_base_fee=2**64),
    ],
)
def test_values_that_do_not_fit_are_refused(params: FeeParams) -> None:
    with pytest.raises(DecodeError):
        encode_extra_data(params)


def test_zero_parameters_stand_for_the_chains_constants() -> None:
    assert extra_data_of(attributes(bytes(8)), CONFIG).hex() == "00000000fa00000006"


def test_chosen_parameters_and_the_minimum_enter_the_header() -> None:
    chosen = attributes(bytes.fromhex("0000000800000002"), 7)
    assert extra_data_of(chosen, CONFIG).hex() == "010000000800000002" + "0000000000000007"


def test_attributes_without_parameters_make_a_header_without_extra_data() -> None:
    assert extra_data_of(attributes(None), CONFIG) == b""


def test_kromas_first_block_on_its_new_trie_is_marked() -> None:
    kroma = builtin("kroma-mainnet").rollup
    start = 1_739_250_001
    marks = [extra_data_of(attributes(None, time=time), kroma) for time in (start - 2, start, start + 2)]
    assert marks == [b"", bytes.fromhex("424544524f434b"), b""]


def test_a_block_matches_its_attributes_by_its_parameters() -> None:
    wanted = attributes(bytes(8), 7)
    extra = bytes.fromhex("01000000fa000000060000000000000007")
    assert attribute_params_match(wanted, extra, CONFIG)
    assert not attribute_params_match(attrs.evolve(wanted, min_base_fee=8), extra, CONFIG)
    assert not attribute_params_match(attributes(bytes(8)), extra, CONFIG)
    assert not attribute_params_match(attributes(None), extra, CONFIG)
