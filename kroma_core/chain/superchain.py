"""The superchain-registry's description of a chain: a TOML file per chain, beside one for the network it belongs to.

Only the OP family has such files. Spec: superchain-registry, docs/hardfork-activation-inheritance.md.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from kroma_core.chain.config import FORK_TABLES, BaseFeeParams, Family, Genesis, RollupConfig, SystemConfig
from kroma_core.chain.config_fields import Fields, Findings
from kroma_core.chain.rollup_json import read_alt_da
from kroma_core.errors import ConfigError
from kroma_core.forks import Fork, Schedule
from kroma_core.types import BlockId, Gas, Seconds, Timestamp

NETWORK_FILE = "superchain.toml"

_CHANNEL_TIMEOUT = 300
"""L1 blocks; the same on every chain of the registry, which has no key for it."""
_DESCRIPTIVE = (
    "public_rpc",
    "sequencer_rpc",
    "explorer",
    "superchain_level",
    "standard_chain_candidate",
    "governed_by_optimism",
    "deployment_tx_hash",
    "gas_paying_token",
    "roles",
    "interop",
    "fault_proofs",
)
"""Keys that say nothing about derivation."""
_FORKS = tuple(fork for fork in FORK_TABLES[Family.OP] if fork not in (Fork.BEDROCK, Fork.REGOLITH))


def load_superchain(path: Path, *, strict: bool = False) -> RollupConfig:
    """The rollup config of a chain's registry file; the network's file is taken from the same folder."""
    return rollup_config_from_superchain(
        read_toml(path),
        read_toml(path.with_name(NETWORK_FILE)),
        source=str(path),
        network_source=str(path.with_name(NETWORK_FILE)),
        strict=strict,
    )


def rollup_config_from_superchain(
    chain: Mapping[str, Any],
    network: Mapping[str, Any],
    *,
    source: str,
    network_source: str = NETWORK_FILE,
    strict: bool = False,
) -> RollupConfig:
    """The rollup config of a registry's chain. Raises `ConfigError` with every problem; the sources name the files."""
    findings = Findings()
    fields = Fields.of(chain, source=source, findings=findings)
    network_fields = Fields.of(network, source=network_source, findings=findings)
    block_time = Seconds(fields.number("block_time", least=1))
    genesis = _read_genesis(fields.under("genesis"))
    hardforks = fields.under("hardforks")
    inherited_from = fields.optional_number("superchain_time")
    times = _read_times(hardforks)
    if inherited_from is not None:
        defaults = _read_times(network_fields.under("hardforks"))
        times = _inherited(defaults, inherited_from, genesis.l2_time) | times
    times[Fork.REGOLITH] = Timestamp(0)
    schedule = Schedule(
        table=FORK_TABLES[Family.OP],
        times={fork: times[fork] for fork in FORK_TABLES[Family.OP] if fork in times},
        block_time=block_time,
    )
    findings.problems.extend(f"{source}: hardforks: {text}" for text in schedule.problems())
    findings.warnings.extend(f"{source}: hardforks: {text}" for text in schedule.warnings())
    addresses = fields.under("addresses")
    config = RollupConfig(
        family=Family.OP,
        name=fields.text("name", required=True),
        genesis=genesis,
        schedule=schedule,
        block_time=block_time,
        max_sequencer_drift=Seconds(fields.number("max_sequencer_drift", least=1)),
        seq_window_size=fields.number("seq_window_size", least=2),
        channel_timeout=_CHANNEL_TIMEOUT,
        l1_chain_id=network_fields.under("l1").number("chain_id", least=1),
        l2_chain_id=fields.number("chain_id", least=1),
        batch_inbox=fields.data("batch_inbox_addr", 20, nonzero=True),
        portal=addresses.data("OptimismPortalProxy", 20, nonzero=True),
        system_config_address=addresses.data("SystemConfigProxy", 20, nonzero=True),
        base_fee_params=_read_base_fee_params(fields.under("optimism")),
        keep_karst_upgrade_gas=hardforks.flag("keep_karst_upgrade_gas"),
    )
    if config.l1_chain_id == config.l2_chain_id:
        fields.problem("chain_id", f"must differ from the L1's, both are {config.l2_chain_id}")
    hardforks.warn_of_unknown("op-node")
    extra = _read_extra(fields, config.base_fee_params)
    return attrs.evolve(config, extra=extra, warnings=findings.settle(strict=strict))


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file. Raises `ConfigError` that names it."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: expected TOML, got something else: {error}") from error


def _read_genesis(fields: Fields) -> Genesis:
    l1, l2, system_config = fields.under("l1"), fields.under("l2"), fields.under("system_config")
    return Genesis(
        l1=BlockId(l1.data("hash", 32, nonzero=True), l1.number("number", usual=True)),
        l2=BlockId(l2.data("hash", 32, nonzero=True), l2.number("number", usual=True)),
        l2_time=Timestamp(fields.number("l2_time", least=1)),
        system_config=SystemConfig(
            batcher=system_config.data("batcherAddress", 20, nonzero=True),
            overhead=system_config.data("overhead", 32),
            scalar=system_config.data("scalar", 32, nonzero=True),
            gas_limit=Gas(system_config.number("gasLimit", least=1)),
        ),
    )


def _read_times(fields: Fields) -> dict[Fork, Timestamp]:
    times = {fork: fields.optional_number(f"{fork}_time") for fork in _FORKS}
    return {fork: Timestamp(time) for fork, time in times.items() if time is not None}


def _inherited(defaults: Mapping[Fork, Timestamp], start: int, genesis_time: Timestamp) -> dict[Fork, Timestamp]:
    """The network's times that a chain takes over which joined it at `start`; 0 for those before its genesis."""
    return {fork: time if time >= genesis_time else Timestamp(0) for fork, time in defaults.items() if time >= start}


def _read_base_fee_params(fields: Fields) -> BaseFeeParams:
    return BaseFeeParams(
        elasticity=fields.number("eip1559_elasticity", least=1),
        denominator=fields.number("eip1559_denominator", least=1),
        denominator_canyon=fields.number("eip1559_denominator_canyon", least=1),
    )


def _read_extra(fields: Fields, constants: BaseFeeParams) -> dict[str, Any]:
    """The keys that a rollup.json would have besides, and what nobody knows."""
    extra: dict[str, Any] = {
        "chain_op_config": {
            "eip1559Elasticity": constants.elasticity,
            "eip1559Denominator": constants.denominator,
            "eip1559DenominatorCanyon": constants.denominator_canyon,
        }
    }
    if (alt_da := fields.optional_under("alt_da")) is not None:
        extra["alt_da"] = read_alt_da(alt_da)
    layer = fields.text("data_availability_type") or "eth-da"
    if layer != "eth-da" and alt_da is None:
        fields.warn("data_availability_type", f"is {layer}, but nothing says where the data is")
    for key in _DESCRIPTIVE:
        fields.value(key)
    for key in fields.unknown():
        fields.warn(key, "is not a key of the registry")
        extra[key] = fields.entries[key]
    return extra
