"""Blocks full of the most expensive cryptography, executed by the embedded engine; seconds a block.

    python -m bench.engine_precompiles [--gas N] [--json]

One deposit with all of the block's gas calls one precompile in a loop, with the longest input that Jovian's rules
allow: real pairs, and points at infinity, which some libraries are slow on. The figure to look at is that none takes
minutes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from kroma_engine_pyevm.blocks import apply
from kroma_engine_pyevm.environment import BlockEnvironment
from kroma_engine_pyevm.execution import BlockExecution
from kroma_engine_pyevm.state import WorldState
from kroma_engine_pyevm.state_tries import MerklePatriciaState
from kroma_engine_pyevm.store import MemoryStore
from kroma_engine_pyevm.trie import NodeCache
from py_arkworks_bls12381 import G1Point, G2Point

from bench.rows import Row, show
from kroma_core.chain.config import FORK_TABLES, Family
from kroma_core.codec.deposits import DepositTransaction
from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.forks import Fork, Rules, Schedule
from kroma_core.testing.scripted_rollup import all_forks_until
from kroma_core.types import Gas, L2Number, Seconds, Timestamp, Wei

GAS = 60_000_000
LEAST_SECONDS = 10
CALLER = bytes.fromhex("11" * 20)
CONTRACT = bytes.fromhex("22" * 20)
# mem[0..] = call data without its first word; while gas lasts: staticcall(gas, first word, 0, size - 32, 0, 0)
LOOP = bytes.fromhex("6020360360206000375b600060006020360360006000355afa506103e85a1160095700")

_BN_G1 = (1).to_bytes(32, "big") + (2).to_bytes(32, "big")
_BN_G2 = b"".join(
    number.to_bytes(32, "big")
    for number in (
        11559732032986387107991004021392285783925812861821192530917403151452391805634,
        10857046999023057135944570762232829481370756359578518086990519993285655852781,
        4082367875863433681332203403145435568316851327593401208105741076214120093531,
        8495653923123431417604973247489272438418190587263600148770280649306958101930,
    )
)


def _padded(raw: bytes) -> bytes:
    """Field elements of 48 bytes, each in the 64 that precompiles read."""
    return b"".join([bytes(16) + raw[start : start + 48] for start in range(0, len(raw), 48)])


def _modexp(size: int) -> bytes:
    """Base, exponent and (even) modulus of `size` bytes, all bits set but one."""
    ones = b"\xff" * size
    return size.to_bytes(32, "big") * 3 + ones + ones + ones[:-1] + b"\xfe"


def workloads() -> Sequence[tuple[str, int, bytes]]:
    """Name, precompile and longest input of each block."""
    g1, g2 = _padded(G1Point().to_xy_bytes_be()), _padded(G2Point().to_xy_bytes_be())
    scalar = (2**255 - 19).to_bytes(32, "big")
    bn, bls, msm1, msm2 = 81_984, 156_672, 288_960, 278_784
    return (
        ("BN254 pairings, real points", 0x08, (_BN_G1 + _BN_G2) * (bn // 192)),
        ("BN254 pairings, infinity in G1", 0x08, (bytes(64) + _BN_G2) * (bn // 192)),
        ("BN254 pairings, infinity in both", 0x08, bytes(bn)),
        ("BN254 pairings, one pair a call", 0x08, _BN_G1 + _BN_G2),
        ("BN254 additions", 0x06, _BN_G1 * 2),
        ("BN254 multiplications", 0x07, _BN_G1 + scalar),
        ("BLS12-381 pairings, real points", 0x0F, (g1 + g2) * (bls // 384)),
        ("BLS12-381 pairings, infinity", 0x0F, bytes(bls)),
        ("BLS12-381 sums in G1", 0x0C, (g1 + scalar) * (msm1 // 160)),
        ("BLS12-381 sums in G2", 0x0E, (g2 + scalar) * (msm2 // 288)),
        ("BLS12-381 maps to G2", 0x11, _padded((5).to_bytes(48, "big") * 2)),
        ("modular powers of 32 bytes", 0x05, _modexp(32)),
        ("modular powers of 256 bytes", 0x05, _modexp(256)),
        ("modular powers of 1024 bytes", 0x05, _modexp(1024)),
        ("BLAKE2 rounds, a million a call", 0x09, (10**6).to_bytes(4, "big") + bytes(209)),
        ("recovered senders", 0x01, b"\x11" * 32 + (27).to_bytes(32, "big") + b"\x22" * 32 + b"\x33" * 32),
    )


def jovian_rules() -> Rules:
    times = all_forks_until(Fork.JOVIAN)
    return Schedule(table=FORK_TABLES[Family.OP], times=times, block_time=Seconds(2)).at(Timestamp(10**9))


def seconds_of(precompile: int, data: bytes, gas: int) -> tuple[float, int]:
    """Time of a block that does nothing else, and its gas used."""
    state = WorldState(MerklePatriciaState(NodeCache(MemoryStore())), EMPTY_ROOT, lambda code_hash: b"")
    state.load_genesis({CALLER: (0, 10**18, b"", {}), CONTRACT: (1, 0, LOOP, {})})
    environment = BlockEnvironment(
        chain_id=1,
        number=L2Number(1),
        timestamp=Timestamp(10**9),
        coinbase=bytes(20),
        gas_limit=Gas(gas),
        base_fee=Wei(1),
        prev_randao=bytes(32),
        rules=jovian_rules(),
        block_hash=lambda number: bytes(32),
    )
    block = BlockExecution(state, environment)
    call_data = precompile.to_bytes(32, "big") + data
    deposit = DepositTransaction(source_hash=bytes(32), sender=CALLER, to=CONTRACT, gas=gas, data=call_data)
    started = time.perf_counter()
    result = apply(block, deposit.encode())
    return time.perf_counter() - started, result.gas_used


def measure(gas: int) -> list[Row]:
    rows = []
    for name, precompile, data in workloads():
        seconds, used = seconds_of(precompile, data, gas)
        rows.append(
            Row(
                what=f"{used / 1e6:.0f}M gas of {name}",
                ours=f"{seconds:.2f} s",
                met=seconds < LEAST_SECONDS,
            )
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.engine_precompiles", description="The worst blocks.")
    parser.add_argument("--gas", type=int, default=GAS, help="gas of the block")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    show(measure(arguments.gas), as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
