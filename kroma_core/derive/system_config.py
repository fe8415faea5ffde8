"""The rollup's configuration as the logs of its L1 contract change it.

Each log is applied on its own: a malformed one is skipped and does not stop the others. What a type of update means is
a matter of the chain family.

Spec: system-config.md, "System Config Updates"; holocene/system-config.md, isthmus/system-config.md and
jovian/system-config.md, "`ConfigUpdate`".
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs

from kroma_core.chain.base_fee import decode_eip1559_params
from kroma_core.chain.config import Family, RollupConfig, SystemConfig
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.receipts import Log, Receipt
from kroma_core.errors import DecodeError
from kroma_core.events import Outcome, Subject, Verdict
from kroma_core.forks import Rules
from kroma_core.types import BlockId, Gas, Hash32

CONFIG_UPDATE: Final[Hash32] = keccak256(b"ConfigUpdate(uint256,uint8,bytes)")
"""First topic of the logs that change the configuration."""

RULE: Final = 'system-config.md, "System Config Updates"'

_WORD: Final = 32
_MAX_U32: Final = 2**32 - 1


class ConfigReason(enum.StrEnum):
    """What an update changed, or why it was skipped."""

    BATCHER = "batcher address"
    FEE_SCALARS = "fee scalars"
    GAS_LIMIT = "gas limit"
    UNSAFE_SIGNER = "signer of unsafe blocks: no matter of derivation"
    EIP1559_PARAMS = "EIP-1559 parameters"
    OPERATOR_FEE = "operator fee"
    MIN_BASE_FEE = "minimum base fee"
    DA_FOOTPRINT = "data availability footprint scalar"
    VALIDATOR_REWARD = "validator reward scalar"
    UNUSABLE_SCALAR = "fee scalar of unknown version or with padding: the old one stays"
    MALFORMED = "malformed update"


_Apply = Callable[[SystemConfig, bytes, Rules], SystemConfig | None]
"""Applies the data of an update (what follows offset and length); None where the protocol lets the old value stand.

Raises `DecodeError`.
"""


def _word(data: bytes, bits: int) -> int:
    """The number in a 32-byte word that may use only its low `bits`."""
    number = int.from_bytes(data, "big")
    if number >> bits:
        raise DecodeError(f"expected a number of {bits} bits, got {number.bit_length()}")
    return number


def _batcher(config: SystemConfig, data: bytes, rules: Rules) -> SystemConfig:
    return attrs.evolve(config, batcher=_word(data, 160).to_bytes(20, "big"))


def _fee_scalars(config: SystemConfig, data: bytes, rules: Rules) -> SystemConfig | None:
    overhead, scalar = data[:_WORD], data[_WORD:]
    if not rules.scalar_is_packed:
        return attrs.evolve(config, overhead=overhead, scalar=scalar)
    if scalar_problem(scalar) is not None:
        return None
    return attrs.evolve(config, overhead=bytes(_WORD), scalar=scalar)


def _gas_limit(config: SystemConfig, data: bytes, rules: Rules) -> SystemConfig:
    return attrs.evolve(config, gas_limit=Gas(_word(data, 64)))


def _unsafe_signer(config: SystemConfig, data: bytes, rules: Rules) -> SystemConfig:
    return config


def _eip1559_params(config: SystemConfig, data: bytes, rules: Rules) -> SystemConfig:
    decode_eip1559_params(data[24:])
    return attrs.evolve(config, eip1559_params=data[24:])


def _operator_fee(config: SystemConfig, data: bytes, rules: Rules) -> SystemConfig:
    return attrs.evolve(config, operator_fee_params=data)


def _min_base_fee(config: SystemConfig, data: bytes, rules: Rules) -> SystemConfig:
    return attrs.evolve(config, min_base_fee=_word(data, 64))


def _da_footprint(config: SystemConfig, data: bytes, rules: Rules) -> SystemConfig:
    return attrs.evolve(config, da_footprint_gas_scalar=_word(data, 16))


def _validator_reward(config: SystemConfig, data: bytes, rules: Rules) -> SystemConfig:
    return attrs.evolve(config, validator_reward_scalar=data)


@attrs.frozen
class _Update:
    """One type of update: what it is about, how many words of data it has (None: not looked at), how it applies."""

    reason: ConfigReason
    words: int | None
    apply: _Apply


_SHARED: Final[Mapping[int, _Update]] = {
    0: _Update(ConfigReason.BATCHER, 1, _batcher),
    1: _Update(ConfigReason.FEE_SCALARS, 2, _fee_scalars),
    2: _Update(ConfigReason.GAS_LIMIT, 1, _gas_limit),
    3: _Update(ConfigReason.UNSAFE_SIGNER, None, _unsafe_signer),
}

_UPDATES: Final[Mapping[Family, Mapping[int, _Update]]] = {
    Family.OP: {
        **_SHARED,
        4: _Update(ConfigReason.EIP1559_PARAMS, 1, _eip1559_params),
        5: _Update(ConfigReason.OPERATOR_FEE, 1, _operator_fee),
        6: _Update(ConfigReason.MIN_BASE_FEE, 1, _min_base_fee),
        7: _Update(ConfigReason.DA_FOOTPRINT, 1, _da_footprint),
    },
    Family.KROMA: {
        **_SHARED,
        4: _Update(ConfigReason.VALIDATOR_REWARD, 1, _validator_reward),
    },
}
"""The same number means different things in the two families."""


def apply_config_updates(
    config: SystemConfig, receipts: Iterable[Receipt], rollup: RollupConfig, l1_block: BlockId, l1_time: int
) -> tuple[SystemConfig, tuple[Verdict, ...]]:
    """The configuration after the L1 block at `l1_time`, and a verdict on each of the block's updates."""
    rules = rollup.schedule.at(l1_time)
    verdicts: list[Verdict] = []
    index = -1
    for receipt in receipts:
        for log in receipt.logs:
            index += 1
            if receipt.status != 1 or log.address != rollup.system_config_address:
                continue
            if log.topics[:1] != (CONFIG_UPDATE,):
                continue
            outcome = Outcome.DROPPED
            problem: tuple[tuple[str, str], ...] = ()
            try:
                reason, changed = _applied(config, log, _UPDATES[rollup.family], rules)
            except DecodeError as error:
                reason, changed, problem = ConfigReason.MALFORMED, None, (("problem", str(error)),)
            if changed is not None:
                config, outcome = changed, Outcome.ACCEPTED
            elif not problem:
                reason = ConfigReason.UNUSABLE_SCALAR
            verdicts.append(
                Verdict(
                    subject=Subject.CONFIG_UPDATE,
                    name=f"log {index}",
                    outcome=outcome,
                    reason=reason,
                    rule=RULE,
                    numbers=problem,
                    origin=l1_block,
                )
            )
    return config, tuple(verdicts)


def _applied(
    config: SystemConfig, log: Log, updates: Mapping[int, _Update], rules: Rules
) -> tuple[ConfigReason, SystemConfig | None]:
    """What a ConfigUpdate log is about, and the configuration after it (None: the old one). Raises `DecodeError`."""
    if len(log.topics) != 3:
        raise DecodeError(f"ConfigUpdate: expected 3 topics, got {len(log.topics)}")
    if any(log.topics[1]):
        raise DecodeError(f"ConfigUpdate: unknown version 0x{log.topics[1].hex()}")
    update = updates.get(int.from_bytes(log.topics[2], "big"))
    if update is None:
        raise DecodeError(f"ConfigUpdate: unknown type 0x{log.topics[2].hex()}")
    if update.words is None:
        return update.reason, config
    data = log.data
    size = _WORD * update.words
    if len(data) != 2 * _WORD + size:
        raise DecodeError(f"ConfigUpdate: expected {2 * _WORD + size} bytes of data, got {len(data)}")
    if int.from_bytes(data[:_WORD], "big") != _WORD or int.from_bytes(data[_WORD : 2 * _WORD], "big") != size:
        raise DecodeError(f"ConfigUpdate: expected offset {_WORD} and length {size}, got 0x{data[: 2 * _WORD].hex()}")
    return update.reason, update.apply(config, data[2 * _WORD :], rules)


def scalar_problem(scalar: Hash32) -> str | None:
    """Why a fee scalar cannot be read as a packed one (version, zeros, two u32); None if it can.

    Spec: system-config.md, "Post-Ecotone Scalar Encoding".
    """
    version = scalar[0]
    if version > 1:
        return f"unknown version {version}"
    padding = scalar[1:28] if version == 0 else scalar[1:24]
    return f"padding 0x{padding.hex()}" if any(padding) else None


def fee_scalars(scalar: Hash32) -> tuple[int, int]:
    """Base fee scalar and blob base fee scalar of a packed fee scalar.

    A scalar from before the packed form that is too large for its field counts as the largest. Raises `DecodeError`
    for one that no valid update can have set.
    """
    if scalar_problem(scalar) is None:
        blob_scalar = int.from_bytes(scalar[24:28], "big") if scalar[0] == 1 else 0
        return int.from_bytes(scalar[28:], "big"), blob_scalar
    if scalar[0] == 0:
        return _MAX_U32, 0
    raise DecodeError(f"fee scalar 0x{scalar.hex()}: {scalar_problem(scalar)}")


def packed_scalar(base_scalar: int, blob_scalar: int) -> Hash32:
    """The packed fee scalar (version 1) of two u32."""
    return b"\x01" + bytes(23) + blob_scalar.to_bytes(4, "big") + base_scalar.to_bytes(4, "big")
