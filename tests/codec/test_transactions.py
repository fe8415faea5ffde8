"""Signed transactions of every type: fields, hashes, senders, and what is refused."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from coincurve import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.codec import rlp as our_rlp
from kroma_core.codec.transactions import (
    ACCESS_LIST,
    BLOB,
    DYNAMIC_FEE,
    LEGACY,
    SET_CODE,
    addressed_to,
    decode_transaction,
    inbox_fields,
)
from kroma_core.errors import DecodeError
from tests.codec.signing import ALICE, ORDER, address_of, rlp, signed_authorization, signed_legacy, signed_typed
from tests.vectors.unit_files import OWN_VECTORS, hex_bytes, load

TO = b"\x35" * 20
BOB = PrivateKey(b"\x07" * 32)
ACCESS = [[b"\x11" * 20, [b"\x22" * 32, b"\x33" * 32]], [b"\x44" * 20, []]]
CALL: list[Any] = [21000, TO, 10**18, b"payload"]
LEGACY_FIELDS: list[Any] = [9, 20 * 10**9, *CALL]
FIELDS: dict[int, list[Any]] = {
    ACCESS_LIST: [901, 9, 20 * 10**9, *CALL, ACCESS],
    DYNAMIC_FEE: [901, 9, 10**9, 2 * 10**9, *CALL, ACCESS],
    BLOB: [901, 9, 10**9, 2 * 10**9, *CALL, ACCESS, 7, [b"\x01" + b"\x55" * 31]],
    SET_CODE: [901, 9, 10**9, 2 * 10**9, *CALL, ACCESS, [signed_authorization(0, b"\x66" * 20, 3, BOB)]],
}
ALL = [
    signed_legacy(LEGACY_FIELDS, None),
    signed_legacy(LEGACY_FIELDS, 901),
    *(signed_typed(kind, fields) for kind, fields in FIELDS.items()),
]
NAMES = ["legacy", "protected", "access-list", "dynamic-fee", "blob", "set-code"]

# EIP-155's example.
EIP155 = bytes.fromhex(
    "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe53"
    "7567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
)


def test_the_example_of_eip_155_has_its_signing_hash_and_sender() -> None:
    transaction = decode_transaction(EIP155)
    assert transaction.chain_id == 1
    assert transaction.signing_hash.hex() == "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53"
    assert transaction.sender.hex() == "9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"
    assert transaction.signed_for(1)
    assert not transaction.signed_for(901)


@pytest.mark.parametrize("raw", ALL, ids=NAMES)
def test_fields_common_to_all_types_are_read(raw: bytes) -> None:
    transaction = decode_transaction(raw)
    assert (transaction.nonce, transaction.gas, transaction.to) == (9, 21000, TO)
    assert (transaction.value, transaction.data) == (10**18, b"payload")
    assert transaction.raw == raw
    assert transaction.sender == address_of(ALICE)
    assert inbox_fields(raw) == (transaction.type, TO)
    assert addressed_to(raw, TO)
    assert not addressed_to(raw, b"\x11" * 20)
    assert pickle.loads(pickle.dumps(transaction)) == transaction


def test_legacy_without_protection_counts_on_every_chain() -> None:
    transaction = decode_transaction(ALL[0])
    assert transaction.chain_id is None
    assert transaction.signed_for(1)
    assert transaction.signed_for(901)
    assert transaction.gas_price == transaction.max_fee == transaction.max_priority_fee == 20 * 10**9


@pytest.mark.parametrize("kind", [DYNAMIC_FEE, BLOB, SET_CODE])
def test_fees_and_access_list_of_later_types_are_read(kind: int) -> None:
    transaction = decode_transaction(signed_typed(kind, FIELDS[kind]))
    assert transaction.type == kind
    assert transaction.chain_id == 901
    assert (transaction.max_priority_fee, transaction.max_fee, transaction.gas_price) == (10**9, 2 * 10**9, None)
    assert transaction.access_list == ((b"\x11" * 20, (b"\x22" * 32, b"\x33" * 32)), (b"\x44" * 20, ()))


def test_blob_fields_are_read() -> None:
    transaction = decode_transaction(signed_typed(BLOB, FIELDS[BLOB]))
    assert transaction.max_fee_per_blob_gas == 7
    assert transaction.blob_hashes == (b"\x01" + b"\x55" * 31,)


def test_an_authorization_names_who_gave_it() -> None:
    (authorization,) = decode_transaction(signed_typed(SET_CODE, FIELDS[SET_CODE])).authorizations
    assert (authorization.chain_id, authorization.address, authorization.nonce) == (0, b"\x66" * 20, 3)
    assert authorization.authority == address_of(BOB)


def test_an_authorization_with_a_bad_signature_decodes_and_names_nobody() -> None:
    bad = [0, b"\x66" * 20, 3, 255, 1, ORDER]
    fields = [*FIELDS[SET_CODE][:-1], [bad]]
    (authorization,) = decode_transaction(signed_typed(SET_CODE, fields)).authorizations
    with pytest.raises(DecodeError):
        _ = authorization.authority


@pytest.mark.parametrize("kind", [LEGACY, ACCESS_LIST, DYNAMIC_FEE])
def test_creations_have_no_receiver(kind: int) -> None:
    fields = [b"" if field == TO else field for field in (FIELDS[kind] if kind else LEGACY_FIELDS)]
    raw = signed_typed(kind, fields) if kind else signed_legacy(fields, 901)
    assert decode_transaction(raw).to is None
    assert decode_transaction(raw).sender == address_of(ALICE)
    assert inbox_fields(raw) == (kind, None)


@pytest.mark.parametrize("kind", [BLOB, SET_CODE])
def test_types_that_cannot_create_need_a_receiver(kind: int) -> None:
    with pytest.raises(DecodeError, match="transaction to"):
        decode_transaction(signed_typed(kind, [b"" if field == TO else field for field in FIELDS[kind]]))


@pytest.mark.parametrize("kind", list(FIELDS))
def test_every_field_is_checked_for_kind_and_count(kind: int) -> None:
    raw = signed_typed(kind, FIELDS[kind])
    items = our_rlp.split_list(raw[1:])
    for index in range(len(items)):
        wrong = our_rlp.EMPTY_STRING if items[index][0] >= 0xC0 else our_rlp.EMPTY_LIST
        with pytest.raises(DecodeError):
            decode_transaction(raw[:1] + our_rlp.encode_list([*items[:index], wrong, *items[index + 1 :]]))
        with pytest.raises(DecodeError):
            decode_transaction(raw[:1] + our_rlp.encode_list([*items[:index], *items[index + 1 :]]))
    with pytest.raises(DecodeError):
        decode_transaction(raw[:1] + our_rlp.encode_list([*items, b"\x80"]))


@pytest.mark.parametrize("raw", ALL, ids=NAMES)
@pytest.mark.parametrize("wrong", [b"\x82\x00\x01", b"\x00"], ids=["leading zero", "zero byte"])
def test_integers_with_leading_zeros_are_refused(raw: bytes, wrong: bytes) -> None:
    prefix = b"" if raw[0] >= 0xC0 else raw[:1]
    items = our_rlp.split_list(raw[len(prefix) :])
    for index in (0, len(items) - 3, len(items) - 1):
        with pytest.raises(DecodeError, match="leading zeros"):
            decode_transaction(prefix + our_rlp.encode_list([*items[:index], wrong, *items[index + 1 :]]))


@pytest.mark.parametrize(("index", "name"), [(0, "nonce"), (2, "gas")])
def test_nonce_and_gas_have_64_bits(index: int, name: str) -> None:
    fields = [*LEGACY_FIELDS]
    fields[index] = 2**64
    with pytest.raises(DecodeError, match=name):
        decode_transaction(signed_legacy(fields, 1))


def test_amounts_of_early_types_may_exceed_256_bits() -> None:
    fields = [*LEGACY_FIELDS]
    fields[1] = fields[4] = 2**256
    transaction = decode_transaction(signed_legacy(fields, 1))
    assert (transaction.max_fee, transaction.value) == (2**256, 2**256)
    assert transaction.sender == address_of(ALICE)


@pytest.mark.parametrize("kind", [BLOB, SET_CODE])
@pytest.mark.parametrize("index", [0, 2, 3, 6])
def test_amounts_of_late_types_have_256_bits(kind: int, index: int) -> None:
    fields = [*FIELDS[kind]]
    fields[index] = 2**256
    with pytest.raises(DecodeError, match="32 bytes"):
        decode_transaction(signed_typed(kind, fields))


@pytest.mark.parametrize(
    "access",
    [[[b"\x11" * 19, []]], [[b"\x11" * 20, [b"\x22" * 31]]], [[b"\x11" * 20]], [[b"\x11" * 20, [], b""]], [b""]],
)
def test_an_access_list_of_another_shape_is_refused(access: Any) -> None:
    fields = [*FIELDS[DYNAMIC_FEE][:-1], access]
    with pytest.raises(DecodeError):
        decode_transaction(signed_typed(DYNAMIC_FEE, fields))


def test_a_blob_transaction_with_its_sidecar_is_refused() -> None:
    inner = rlp.decode(signed_typed(BLOB, FIELDS[BLOB])[1:])
    with pytest.raises(DecodeError, match="sidecar"):
        decode_transaction(b"\x03" + rlp.encode([inner, [], [], []]))


@pytest.mark.parametrize("raw", ["", "00", "01", "02c0", "05c0", "7ec0", "7dc0", "80", "c0", "ff", "7f"])
def test_what_is_no_signed_transaction_is_refused(raw: str) -> None:
    with pytest.raises(DecodeError):
        decode_transaction(bytes.fromhex(raw))


@pytest.mark.parametrize("raw", ALL, ids=NAMES)
def test_trailing_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_transaction(raw + b"\x00")


def with_signature(raw: bytes, v: int, r: int, s: int) -> bytes:
    prefix = b"" if raw[0] >= 0xC0 else raw[:1]
    items = our_rlp.split_list(raw[len(prefix) :])
    signature = [our_rlp.encode_int(number) for number in (v, r, s)]
    return prefix + our_rlp.encode_list([*items[:-3], *signature])


@pytest.mark.parametrize("raw", ALL, ids=NAMES)
def test_a_signature_with_a_high_s_decodes_and_has_no_sender(raw: bytes) -> None:
    given = decode_transaction(raw)
    mirrored = with_signature(raw, given.v + (1 if given.y_parity == 0 else -1), given.r, ORDER - given.s)
    with pytest.raises(DecodeError, match="out of range"):
        _ = decode_transaction(mirrored).sender


@pytest.mark.parametrize("raw", ALL, ids=NAMES)
@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (ORDER, 1), (2**256 - 1, 1)])
def test_signature_values_out_of_range_decode_and_have_no_sender(raw: bytes, r: int, s: int) -> None:
    transaction = decode_transaction(with_signature(raw, decode_transaction(raw).v, r, s))
    with pytest.raises(DecodeError):
        _ = transaction.sender


def test_an_r_that_is_no_point_has_no_sender() -> None:
    transaction = decode_transaction(with_signature(EIP155, 37, 5, 1))  # x = 5 is not on the curve
    with pytest.raises(DecodeError, match="no public key"):
        _ = transaction.sender


@pytest.mark.parametrize("v", [0, 1])
def test_an_unprotected_legacy_v_without_27_has_no_sender(v: int) -> None:
    given = decode_transaction(EIP155)
    transaction = decode_transaction(with_signature(EIP155, v, given.r, given.s))
    assert transaction.signed_for(1)
    with pytest.raises(DecodeError, match="parity"):
        _ = transaction.sender


@pytest.mark.parametrize("v", [2, 26, 29, 34, 35, 39, 2**64, 2**256])
def test_a_legacy_v_of_another_chain_is_not_signed_for_this_one(v: int) -> None:
    given = decode_transaction(EIP155)
    assert not decode_transaction(with_signature(EIP155, v, given.r, given.s)).signed_for(1)


@pytest.mark.parametrize("kind", list(FIELDS))
@pytest.mark.parametrize("v", [2, 27, 28, 255, 256])
def test_a_parity_other_than_0_and_1_decodes_and_has_no_sender(kind: int, v: int) -> None:
    raw = signed_typed(kind, FIELDS[kind])
    given = decode_transaction(raw)
    with pytest.raises(DecodeError, match="parity"):
        _ = decode_transaction(with_signature(raw, v, given.r, given.s)).sender


def test_recorded_batcher_transactions_are_the_batcher_s() -> None:
    chain = load(OWN_VECTORS / "op-chains" / "blobs-jovian.json.xz")
    config = chain["rollup_config"]
    inbox = hex_bytes(config["batch_inbox_address"])
    batcher = hex_bytes(config["genesis"]["system_config"]["batcherAddr"])
    raws = [hex_bytes(raw) for block in chain["l1"]["blocks"] for raw in block["transactions"]]
    sent = [decode_transaction(raw) for raw in raws if addressed_to(raw, inbox)]
    own = [transaction for transaction in sent if transaction.sender == batcher]
    assert {transaction.type for transaction in own} >= {BLOB}
    assert all(transaction.signed_for(config["l1_chain_id"]) for transaction in own)


@pytest.mark.parametrize("raw", ["", "02", "02c0", "c0", "c3018080", "7ec0"])
def test_a_cut_transaction_has_no_inbox_fields(raw: str) -> None:
    with pytest.raises(DecodeError):
        inbox_fields(bytes.fromhex(raw))


@given(st.sampled_from(ALL), st.data())
@settings(max_examples=300)
def test_flipped_transactions_are_refused_or_are_still_whole(raw: bytes, data: st.DataObject) -> None:
    flipped = bytearray(raw)
    flipped[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        transaction = decode_transaction(bytes(flipped))
    except DecodeError:
        return
    assert inbox_fields(transaction.raw) == (transaction.type, transaction.to)
    try:
        assert len(transaction.sender) == 20
    except DecodeError:
        return


@given(st.binary(max_size=120))
@settings(max_examples=300)
def test_arbitrary_bytes_never_raise_anything_else(data: bytes) -> None:
    for function in (decode_transaction, inbox_fields):
        try:
            function(data)
        except DecodeError:
            continue
