"""Precompiles: which exist, what they refuse, and numbers from the specifications."""

from __future__ import annotations

import hashlib

import pytest
from eth.exceptions import VMError
from kroma_engine_pyevm.precompiles import precompiles_of
from py_ecc.optimized_bn128 import optimized_curve as reference

from kroma_core.forks import Fork

from .worlds import rules_of

FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583
G1 = (1).to_bytes(32, "big") + (2).to_bytes(32, "big")
NEGATIVE_G1 = (1).to_bytes(32, "big") + (FIELD - 2).to_bytes(32, "big")
G2 = b"".join(
    number.to_bytes(32, "big")
    for number in (
        11559732032986387107991004021392285783925812861821192530917403151452391805634,
        10857046999023057135944570762232829481370756359578518086990519993285655852781,
        4082367875863433681332203403145435568316851327593401208105741076214120093531,
        8495653923123431417604973247489272438418190587263600148770280649306958101930,
    )
)
OUTSIDE_THE_SUBGROUP = b"".join(
    number.to_bytes(32, "big")
    for number in (
        0,
        1,
        5912654199736721486680175016176231956195085055698687135131307249486702594212,
        18278151005453108793778860132295291098363647455926340152056652516292830556603,
    )
)
"""On the twist, with x = 1."""
ONE, ZERO = (1).to_bytes(32, "big"), bytes(32)


def run(index: int, data: bytes, fork: Fork = Fork.JOVIAN) -> bytes:
    rules = rules_of(fork)
    return precompiles_of(rules.evm, rules.precompiles)[index.to_bytes(20, "big")].run(data)


def gas(index: int, data: bytes, fork: Fork = Fork.JOVIAN) -> int:
    rules = rules_of(fork)
    return precompiles_of(rules.evm, rules.precompiles)[index.to_bytes(20, "big")].gas(data)


@pytest.mark.parametrize(
    ("fork", "expected"),
    [
        (Fork.BEDROCK, {*range(1, 10)}),
        (Fork.CANYON, {*range(1, 10)}),
        (Fork.ECOTONE, {*range(1, 11)}),
        (Fork.FJORD, {*range(1, 11), 0x100}),
        (Fork.HOLOCENE, {*range(1, 11), 0x100}),
        (Fork.ISTHMUS, {*range(1, 18), 0x100}),
        (Fork.KARST, {*range(1, 18), 0x100}),
    ],
)
def test_precompiles_of_each_fork(fork: Fork, expected: set[int]) -> None:
    rules = rules_of(fork)
    found = {int.from_bytes(address, "big") for address in precompiles_of(rules.evm, rules.precompiles)}
    assert found == expected


@pytest.mark.parametrize(
    ("index", "unit", "fork", "cap"),
    [
        (0x08, 192, Fork.GRANITE, 112_687),
        (0x08, 192, Fork.JOVIAN, 81_984),
        (0x08, 192, Fork.KARST, 57_600),
        (0x0C, 160, Fork.ISTHMUS, 513_760),
        (0x0C, 160, Fork.JOVIAN, 288_960),
        (0x0E, 288, Fork.ISTHMUS, 488_448),
        (0x0E, 288, Fork.JOVIAN, 278_784),
        (0x0F, 384, Fork.ISTHMUS, 235_008),
        (0x0F, 384, Fork.JOVIAN, 156_672),
    ],
)
def test_input_cap_is_inclusive(index: int, unit: int, fork: Fork, cap: int) -> None:
    longest = cap // unit * unit
    assert run(index, bytes(longest), fork)
    with pytest.raises(VMError, match="at most"):
        run(index, bytes(longest + unit), fork)


def test_pairing_has_no_cap_before_granite() -> None:
    assert run(0x08, bytes(192 * 600), Fork.FJORD) == ONE


# --- BN254


def test_pairing_of_nothing_is_one() -> None:
    assert run(0x08, b"") == ONE


def test_pairing_and_its_inverse_cancel() -> None:
    assert run(0x08, G1 + G2 + NEGATIVE_G1 + G2) == ONE
    assert run(0x08, G1 + G2 + G1 + G2) == ZERO


def test_pairs_with_infinity_contribute_nothing() -> None:
    infinite = bytes(64) + G2 + G1 + bytes(128)
    assert run(0x08, infinite) == ONE
    assert run(0x08, infinite + G1 + G2) == ZERO


@pytest.mark.parametrize(
    "pair",
    [
        G1 + OUTSIDE_THE_SUBGROUP,
        bytes(64) + OUTSIDE_THE_SUBGROUP,
        G1 + G2[:-1] + b"\0",
        (1).to_bytes(32, "big") * 2 + bytes(128),
        (1 + FIELD).to_bytes(32, "big") + (2).to_bytes(32, "big") + G2,
        G1 + FIELD.to_bytes(32, "big") + bytes(96),
        (G1 + G2)[:-1],
    ],
    ids=[
        "outside the subgroup",
        "outside the subgroup, beside infinity",
        "off the twist",
        "off the curve, beside infinity",
        "G1 beyond the field",
        "G2 beyond the field",
        "short",
    ],
)
def test_malformed_pairs_are_refused_in_any_company(pair: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(VMError):
        run(0x08, pair)
    with pytest.raises(VMError):
        run(0x08, G1 + G2 + pair)
    assert capfd.readouterr().err == "", "the native library did not panic"


@pytest.mark.parametrize("scalar", [0, 1, 2, reference.curve_order - 1, reference.curve_order, 2**256 - 1])
def test_multiplication_agrees_with_another_library(scalar: int) -> None:
    point = reference.normalize(reference.multiply(reference.G1, scalar % reference.curve_order))
    expected = b"".join(int(coordinate).to_bytes(32, "big") for coordinate in point)
    if scalar % reference.curve_order == 0:
        expected = bytes(64)
    assert run(0x07, G1 + scalar.to_bytes(32, "big")) == expected


@pytest.mark.parametrize(("left", "right"), [(5, 7), (5, 5), (5, -5), (0, 5), (5, 0), (0, 0)])
def test_addition_agrees_with_another_library(left: int, right: int) -> None:
    def encoded(scalar: int) -> bytes:
        if not scalar:
            return bytes(64)
        point = reference.normalize(reference.multiply(reference.G1, scalar % reference.curve_order))
        return b"".join(int(coordinate).to_bytes(32, "big") for coordinate in point)

    assert run(0x06, encoded(left) + encoded(right)) == encoded(left + right)


@pytest.mark.parametrize("point", [(1).to_bytes(32, "big") * 2, (1 + FIELD).to_bytes(32, "big") + G1[32:]])
def test_addition_refuses_what_is_no_point(point: bytes) -> None:
    for data in (point + G1, G1 + point, point + bytes(64)):
        with pytest.raises(VMError):
            run(0x06, data)


def test_addition_pads_and_ignores_what_is_too_long() -> None:
    assert run(0x06, G1) == G1
    assert run(0x06, G1 + NEGATIVE_G1 + b"\xff") == bytes(64)


# --- modular powers


def power(base: bytes, exponent: bytes, modulus: bytes) -> bytes:
    return b"".join(len(part).to_bytes(32, "big") for part in (base, exponent, modulus)) + base + exponent + modulus


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (power(b"\x03", b"\x02", b"\x05"), b"\x04"),
        (power(b"", b"", b"\x05"), b"\x01"),
        (power(b"\0", b"\0", b"\x05"), b"\x01"),
        (power(b"", b"\x01", b"\x05"), b"\x00"),
        (power(b"\x03", b"\x02", b"\x00\x00"), b"\x00\x00"),
        (power(b"\x03", b"\x00", b"\x01"), b"\x00"),
        (power(b"", b"\x01", b""), b""),
        (b"", b""),
    ],
    ids=["plain", "no base, no exponent", "0 to the 0", "no base", "modulus 0", "modulus 1", "no modulus", "nothing"],
)
def test_modular_power(data: bytes, expected: bytes) -> None:
    assert run(0x05, data) == expected


def test_price_of_modular_powers() -> None:
    """Spec: EIP-2565 and EIP-7883, their first test cases."""
    data = power(b"\x03", (2**256 - 2**32 - 978).to_bytes(32, "big"), (2**256 - 2**32 - 977).to_bytes(32, "big"))
    assert gas(0x05, data, Fork.JOVIAN) == 1360
    assert gas(0x05, data, Fork.KARST) == 4080


def test_huge_lengths_are_priced_without_reading_so_much() -> None:
    header = (2**64 - 1).to_bytes(32, "big") * 3
    assert gas(0x05, header) > 2**64
    assert run(0x05, (0).to_bytes(32, "big") + (2**255).to_bytes(32, "big") + (0).to_bytes(32, "big")) == b""


def test_operands_beyond_1024_bytes_are_refused_from_karst() -> None:
    longest, longer = power(b"\x01" * 1024, b"\x01", b"\x07"), power(b"\x01" * 1025, b"\x01", b"\x07")
    assert len(run(0x05, longest, Fork.KARST)) == 1
    assert len(run(0x05, longer, Fork.JOVIAN)) == 1
    with pytest.raises(VMError, match="1025 bytes"):
        run(0x05, longer, Fork.KARST)


# --- hashes and signatures


def test_one_compression_of_blake2_is_the_hash_of_a_short_text() -> None:
    h = bytes.fromhex(
        "48c9bdf267e6096a3ba7ca8485ae67bb2bf894fe72f36e3cf1361d5f3af54fa5"
        "d182e6ad7f520e511f6c3e2b8c68059b6bbd41fbabd9831f79217e1319cde05b"
    )
    data = (12).to_bytes(4, "big") + h + b"abc".ljust(128, b"\0") + b"\x03" + bytes(15) + b"\x01"
    assert gas(0x09, data) == 12
    assert run(0x09, data) == hashlib.blake2b(b"abc").digest()


@pytest.mark.parametrize("data", [b"", bytes(212), bytes(214), bytes(212) + b"\x02"])
def test_malformed_blake2_input_costs_nothing_and_fails(data: bytes) -> None:
    assert gas(0x09, data) == 0
    with pytest.raises(VMError):
        run(0x09, data)


def test_p256_price_rises_with_karst() -> None:
    assert (gas(0x100, b"", Fork.FJORD), gas(0x100, b"", Fork.KARST)) == (3450, 6900)


def test_bad_signatures_give_nothing_and_do_not_fail() -> None:
    assert run(0x100, bytes(160)) == b""
    assert run(0x100, bytes(159)) == b""
    assert run(0x01, bytes(128)) == b""
