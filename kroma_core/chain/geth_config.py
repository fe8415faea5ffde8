"""geth's chain config of an L2: which of its keys say the same as rollup.json, and where the two differ.

Each upgrade has a key of its own there, and the L1 upgrade that it brings to the L2 (Shanghai, Cancun, ...) another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kroma_core.chain.config import FORK_TABLES, BaseFeeParams, BlockLimits, Family, RollupConfig
from kroma_core.chain.config_fields import Fields
from kroma_core.forks import ROLLUP_NODE_ONLY, Change, Fork, Schedule
from kroma_core.types import Seconds, Timestamp

_BASE_FEE_KEYS: Mapping[Family, tuple[str, ...]] = {Family.OP: ("optimism",), Family.KROMA: ("kroma", "optimism")}


def fork_keys(fork: Fork, change: Change) -> tuple[str, ...]:
    """Keys of geth's chain config that hold the time of `fork`: its own, and that of the L1 rules it brings."""
    first, *rest = fork.split("_")
    own = first + "".join(word.capitalize() for word in rest) + "Time"
    evm = change.rules.get("evm")
    return (own,) if evm is None else (own, f"{evm.name.lower()}Time")


def schedule_of_geth_config(config: Mapping[str, Any], family: Family, block_time: Seconds) -> Schedule:
    """The schedule that an engine with this chain config follows. Upgrades of the rollup node alone are not in it."""
    times: dict[Fork, Timestamp] = {}
    for fork, change in _engine_forks(family):
        own, *_ = fork_keys(fork, change)
        if (time := config.get(own)) is not None:
            times[fork] = Timestamp(time)
    return Schedule(table=FORK_TABLES[family], times=times, block_time=block_time)


def base_fee_params_of_geth_config(fields: Fields, family: Family) -> BaseFeeParams | None:
    """EIP-1559 constants of an L2's chain config; None where it has none."""
    for key in _BASE_FEE_KEYS[family]:
        if (inner := fields.optional_under(key)) is not None:
            denominator = inner.number("eip1559Denominator", least=1)
            return BaseFeeParams(
                elasticity=inner.number("eip1559Elasticity", least=1),
                denominator=denominator,
                denominator_canyon=inner.optional_number("eip1559DenominatorCanyon") or denominator,
            )
    return None


def block_limits_of_geth_config(fields: Fields, family: Family) -> BlockLimits:
    """The limits of blocks in an L2's chain config; 0 there stands for none."""
    if family is not Family.KROMA:
        return BlockLimits()
    return BlockLimits(
        transactions=fields.optional_number("maxTxPerBlock") or None,
        size=fields.optional_number("maxTxPayloadBytesPerBlock") or None,
    )


def compare_with_rollup(fields: Fields, rollup: RollupConfig, rollup_source: str, *, in_registry: bool = False) -> None:
    """Report where an L2's chain config (`fields`) does not say the same as rollup.json.

    A time before or at the genesis is as good as any other such time. Engines take the times of a chain that is in
    their own registry from there: for such a chain, times that its old genesis file lacks are only worth a warning.
    """
    chain_id = fields.optional_number("chainId", bits=256)
    if chain_id != rollup.l2_chain_id:
        fields.problem(
            "chainId", f"is {_or_missing(chain_id)}, but l2_chain_id of {rollup_source} is {rollup.l2_chain_id}"
        )
    genesis_time = rollup.genesis.l2_time
    for fork, change in _engine_forks(rollup.family):
        expected = rollup.schedule.times.get(fork)
        for key in fork_keys(fork, change):
            time = fields.optional_number(key)
            if time == expected or (time is not None and expected is not None and max(time, expected) <= genesis_time):
                continue
            report = fields.warn if in_registry and time is None else fields.problem
            report(key, f"is {_or_missing(time)}, but {fork}_time of {rollup_source} is {_or_missing(expected)}")


def _engine_forks(family: Family) -> list[tuple[Fork, Change]]:
    return [
        (fork, change)
        for fork, change in FORK_TABLES[family].items()
        if fork is not Fork.BEDROCK and fork not in ROLLUP_NODE_ONLY
    ]


def _or_missing(value: int | None) -> str:
    return "missing" if value is None else str(value)
