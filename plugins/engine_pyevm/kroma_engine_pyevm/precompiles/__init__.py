"""The contracts that a node computes itself, by address, for each set of rules.

All of them are written here against native libraries: py-evm's own pairings take seconds each, its modexp gives 0 where
1 is right, and its BLAKE2 runs in Python. L2 rules add caps on input sizes, and P256VERIFY.
Spec: precompiles.md; yellow paper, appendix E; granite, isthmus, jovian and karst exec-engine.md.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from eth.exceptions import VMError

from kroma_core.forks import EvmRules, PrecompileRules
from kroma_core.types import Address, Gas
from kroma_engine_pyevm.frames import Precompile
from kroma_engine_pyevm.precompiles import bls12, bn254, hashes, modexp, p256, point_evaluation, secp256k1


class InputTooLong(VMError):
    """The input exceeds what the L2's rules let this precompile take."""


def precompiles_of(evm: EvmRules, rules: PrecompileRules) -> Mapping[Address, Precompile]:
    """Every precompile that exists under these rules."""
    found = {
        1: Precompile(gas=_flat(3000), run=secp256k1.recover, reads=_first(128)),
        2: Precompile(gas=_per_word(60, 12), run=hashes.sha256),
        3: Precompile(gas=_per_word(600, 120), run=hashes.ripemd160),
        4: Precompile(gas=_per_word(15, 3), run=hashes.identity),
        5: _modexp(rules),
        6: Precompile(gas=_flat(150), run=bn254.add, reads=_first(128)),
        7: Precompile(gas=_flat(6000), run=bn254.multiply, reads=_first(96)),
        8: Precompile(gas=bn254.pairing_gas, run=_capped(bn254.pairing, rules.bn254_pairing_cap)),
        9: Precompile(gas=hashes.blake2f_gas, run=hashes.blake2f, reads=_first(213 + 1)),
    }
    if evm >= EvmRules.CANCUN:
        found[0x0A] = Precompile(gas=_flat(50_000), run=point_evaluation.verify, reads=_first(192 + 1))
    if evm >= EvmRules.PRAGUE:
        found |= {
            0x0B: Precompile(gas=_flat(375), run=bls12.g1_add, reads=_first(256 + 1)),
            0x0C: Precompile(gas=bls12.g1_msm_gas, run=_capped(bls12.g1_msm, rules.bls_g1_msm_cap)),
            0x0D: Precompile(gas=_flat(600), run=bls12.g2_add, reads=_first(512 + 1)),
            0x0E: Precompile(gas=bls12.g2_msm_gas, run=_capped(bls12.g2_msm, rules.bls_g2_msm_cap)),
            0x0F: Precompile(gas=bls12.pairing_gas, run=_capped(bls12.pairing, rules.bls_pairing_cap)),
            0x10: Precompile(gas=_flat(5500), run=bls12.map_to_g1, reads=_first(64 + 1)),
            0x11: Precompile(gas=_flat(23_800), run=bls12.map_to_g2, reads=_first(128 + 1)),
        }
    if rules.p256_verify_gas is not None:
        found[0x100] = Precompile(gas=_flat(rules.p256_verify_gas), run=p256.verify, reads=_first(160 + 1))
    return {index.to_bytes(20, "big"): precompile for index, precompile in found.items()}


def _modexp(rules: PrecompileRules) -> Precompile:
    if rules.modexp_bounded:
        return Precompile(gas=modexp.bounded_gas, run=modexp.bounded_power, reads=modexp.reads)
    return Precompile(gas=modexp.gas, run=modexp.power, reads=modexp.reads)


def _flat(gas: int | Gas) -> Callable[[bytes], int]:
    return lambda data: gas


def _first(size: int) -> Callable[[memoryview], int]:
    """For a flat price: what is longer than an input may be is cut to one byte more, so that it is seen as such."""
    return lambda data: size


def _per_word(base: int, word: int) -> Callable[[bytes], int]:
    return lambda data: base + word * ((len(data) + 31) // 32)


def _capped(run: Callable[[bytes], bytes], cap: int | None) -> Callable[[bytes], bytes]:
    """`run`, failing on more than `cap` bytes. The gas for the whole input is charged before."""
    if cap is None:
        return run

    @functools.wraps(run)
    def within_cap(data: bytes) -> bytes:
        if len(data) > cap:
            raise InputTooLong(f"{len(data)} bytes, at most {cap}")
        return run(data)

    return within_cap
