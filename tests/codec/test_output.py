"""Output roots and super roots."""

from __future__ import annotations

import pytest

from kroma_core.errors import DecodeError
from kroma_core.output import ChainOutput, KromaOutput, Output, SuperOutput, decode_output, decode_super_output
from kroma_core.types import Timestamp


def test_the_output_of_zeros_is_the_hash_of_128_zero_bytes() -> None:
    output = Output(state_root=bytes(32), message_passer_storage_root=bytes(32), block_hash=bytes(32))
    # The hash of 128 zero bytes, known from the zero hashes of Merkle trees.
    assert output.root.hex() == "012893657d8eb2efad4de0a91bcd0e39ad9837745dec3ea923737ea803fc8e3d"


def test_kroma_s_output_ends_with_the_next_block() -> None:
    output = KromaOutput(
        state_root=b"\x01" * 32,
        message_passer_storage_root=b"\x02" * 32,
        block_hash=b"\x03" * 32,
        next_block_hash=b"\x04" * 32,
    )
    assert output.encode() == bytes(32) + b"".join(bytes((n,)) * 32 for n in (1, 2, 3, 4))


@pytest.mark.parametrize("data", [b"", bytes(127), bytes(129), b"\x01" + bytes(127), bytes(31) + b"\x01" + bytes(96)])
def test_what_is_no_output_of_version_0_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_output(data)


def test_a_super_output_lists_chains_by_id() -> None:
    chains = [ChainOutput(10, b"\x0a" * 32), ChainOutput(2, b"\x02" * 32)]
    together = SuperOutput.of(Timestamp(5), chains)
    assert [chain.chain_id for chain in together.chains] == [2, 10]
    assert decode_super_output(together.encode()) == together


@pytest.mark.parametrize(
    "data", [b"", b"\x01" + bytes(8), b"\x00" + bytes(72), b"\x01" + bytes(71), b"\x01" + bytes(73)]
)
def test_what_is_no_super_output_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_super_output(data)
