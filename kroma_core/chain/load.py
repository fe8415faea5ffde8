"""A chain's configuration from its files, compared with one another: what each says of the others has to be true.

The classic mistakes are caught here and nowhere else: a fork time that stands in one file only, a genesis of another
chain, an L1 config of another network. Each message names both files and both values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs

from kroma_core.chain.builtin import builtin, builtin_names, builtin_with_id, why_no_genesis
from kroma_core.chain.config import (
    BaseFeeParams,
    BlockLimits,
    ChainConfig,
    Family,
    GenesisBlock,
    L1ChainConfig,
    RollupConfig,
)
from kroma_core.chain.config_fields import Fields, Findings
from kroma_core.chain.genesis_json import (
    genesis_from_json,
    genesis_from_text,
    genesis_header,
    genesis_state,
)
from kroma_core.chain.geth_config import (
    base_fee_params_of_geth_config,
    block_limits_of_geth_config,
    compare_with_rollup,
)
from kroma_core.chain.l1_config import (
    l1_config_for,
    l1_config_from_json,
    l1_config_from_text,
    l1_config_named,
    l1_config_of_cancun,
    l1_names,
)
from kroma_core.chain.rollup_json import rollup_config_from_json, rollup_config_from_text
from kroma_core.chain.superchain import load_superchain
from kroma_core.errors import ConfigError

_T = TypeVar("_T")

_L1_RULES_UNUSED = frozenset({Family.KROMA})
"""Families whose nodes do not look at the L1's blob schedule, so that any L1 will do."""


def load_chain(
    rollup: Path | str, genesis: Path | None = None, l1: Path | str | None = None, *, strict: bool = False
) -> ChainConfig:
    """The chain of these files.

    `rollup` is a built-in chain's name, a rollup.json, or a registry file (TOML, with superchain.toml beside it);
    `genesis` a genesis.json of the L2, which executing engines need; `l1` a built-in L1 network's name or geth's chain
    config of the L1, by default the built-in one with the right chain id. Raises `ConfigError` with every problem of
    every file; with `strict`, warnings are problems too.
    """
    problems: list[str] = []
    config = _attempt(problems, lambda: _load_rollup(rollup, strict))
    block = _attempt(problems, lambda: genesis_from_text(_text(genesis), source=str(genesis))) if genesis else None
    network = _attempt(problems, lambda: _load_l1(l1)) if l1 else None
    if problems or config is None:
        raise ConfigError(*problems)
    return assemble_chain(
        config,
        genesis=block,
        l1=network,
        rollup_source=str(rollup),
        genesis_source=str(genesis),
        l1_source=str(l1),
        in_registry=_is_builtin(rollup) or _is_registry_file(rollup),
        strict=strict,
    )


def chain_from_json(
    rollup: Mapping[str, Any],
    genesis: Mapping[str, Any] | None = None,
    l1: Mapping[str, Any] | None = None,
    *,
    source: str,
    strict: bool = False,
) -> ChainConfig:
    """The chain of these decoded files, which all come out of `source` (a recording); see `load_chain`."""
    rollup_source, genesis_source, l1_source = (
        f"{source}: {part}" for part in ("rollup_config", "l2_genesis", "l1_chain_config")
    )
    problems: list[str] = []
    config = _attempt(problems, lambda: rollup_config_from_json(rollup, source=rollup_source, strict=strict))
    block = None if genesis is None else _attempt(problems, lambda: genesis_from_json(genesis, source=genesis_source))
    network = None if l1 is None else _attempt(problems, lambda: l1_config_from_json(l1, source=l1_source))
    if problems or config is None:
        raise ConfigError(*problems)
    return assemble_chain(
        config,
        genesis=block,
        l1=network,
        rollup_source=rollup_source,
        genesis_source=genesis_source,
        l1_source=l1_source,
        strict=strict,
    )


def assemble_chain(
    rollup: RollupConfig,
    *,
    genesis: GenesisBlock | None = None,
    l1: L1ChainConfig | None = None,
    rollup_source: str = "rollup.json",
    genesis_source: str = "genesis.json",
    l1_source: str = "L1 chain config",
    in_registry: bool = False,
    strict: bool = False,
) -> ChainConfig:
    """A chain of configs that are already read, once they agree. Raises `ConfigError` with every contradiction.

    `in_registry` says that engines know the chain's fork times by themselves, so that a genesis may lack some.
    EIP-1559 constants that rollup.json does not have come from the genesis, or from the built-in chain of the same id.
    """
    findings = Findings(warnings=list(rollup.warnings))
    network = l1 or _default_l1(rollup, rollup_source, findings)
    if network.chain_id != rollup.l1_chain_id:
        findings.problems.append(
            f"{l1_source}: chainId is {network.chain_id}, but l1_chain_id of {rollup_source} is {rollup.l1_chain_id}"
        )
    if genesis is not None:
        known = builtin_with_id(rollup.l2_chain_id)
        in_registry = in_registry or (known is not None and known.rollup.schedule == rollup.schedule)
        check = _GenesisCheck(
            genesis=genesis,
            source=genesis_source,
            rollup_source=rollup_source,
            in_registry=in_registry,
            findings=findings,
        )
        rollup = check.run(rollup)
    elif "chain_op_config" not in rollup.extra and (known := builtin_with_id(rollup.l2_chain_id)) is not None:
        rollup = attrs.evolve(rollup, base_fee_params=known.rollup.base_fee_params)
    warnings = findings.settle(strict=strict)
    return ChainConfig(
        rollup=rollup,
        l1=network,
        genesis=genesis,
        missing_genesis=why_no_genesis(rollup) if genesis is None else None,
        warnings=warnings,
    )


@attrs.frozen(kw_only=True)
class _GenesisCheck:
    """A genesis against the rollup config; contradictions go into the findings."""

    genesis: GenesisBlock
    source: str
    rollup_source: str
    in_registry: bool
    findings: Findings

    def run(self, rollup: RollupConfig) -> RollupConfig:
        """The rollup config with the genesis's EIP-1559 constants."""
        before = len(self.findings.problems)
        if self.genesis.chain_config:
            rollup = self._chain_config(rollup)
        else:
            self.findings.warnings.append(f"{self.source}: config: missing, so its fork times cannot be compared")
        expected = rollup.genesis
        if self.genesis.number != expected.l2.number:
            why = " (what lies before it is a database snapshot, no genesis file)" if expected.l2.number else ""
            self._differs("number", self.genesis.number, "genesis.l2.number", f"{expected.l2.number}{why}")
        if self.genesis.timestamp != expected.l2_time:
            self._differs("timestamp", self.genesis.timestamp, "genesis.l2_time", expected.l2_time)
        if len(self.findings.problems) == before:
            self._hash(rollup)
        return rollup

    def _chain_config(self, rollup: RollupConfig) -> RollupConfig:
        fields = Fields.of(self.genesis.chain_config, source=self.source, findings=self.findings)
        fields = attrs.evolve(fields, path="config.")
        compare_with_rollup(fields, rollup, self.rollup_source, in_registry=self.in_registry)
        params = base_fee_params_of_geth_config(fields, rollup.family)
        if params is None:
            self.findings.problems.append(f"{self.source}: config: expected EIP-1559 constants of an L2, got none")
            return rollup
        if "chain_op_config" in rollup.extra and params != rollup.base_fee_params:
            self._differs("config: EIP-1559", _constants(params), "chain_op_config", _constants(rollup.base_fee_params))
        limits = block_limits_of_geth_config(fields, rollup.family)
        if self.in_registry and limits != BlockLimits():
            # kroma-geth puts its own chain config in the place of a known chain's: limits are not in it.
            self.findings.warnings.append(f"{self.source}: config: limits of blocks have no effect on a known chain")
            limits = BlockLimits()
        return attrs.evolve(rollup, base_fee_params=params, block_limits=limits)

    def _hash(self, rollup: RollupConfig) -> None:
        rules = rollup.schedule.at(self.genesis.timestamp)
        state = genesis_state(self.genesis, rules)
        found = genesis_header(self.genesis, state, rules).hash
        if found != rollup.genesis.l2.hash:
            got = f"0x{found.hex()} (state root 0x{state.hex()})"
            self._differs("the block's hash", got, "genesis.l2.hash", f"0x{rollup.genesis.l2.hash.hex()}")

    def _differs(self, what: str, got: object, key: str, expected: object) -> None:
        self.findings.problems.append(
            f"{self.source}: {what} is {got}, but {key} of {self.rollup_source} is {expected}"
        )


def _constants(params: BaseFeeParams) -> str:
    return (
        f"elasticity {params.elasticity}, denominator {params.denominator}, "
        f"Canyon's denominator {params.denominator_canyon}"
    )


def _load_rollup(rollup: Path | str, strict: bool) -> RollupConfig:
    if _is_builtin(rollup):
        return builtin(str(rollup)).rollup
    path = Path(rollup)
    if _is_registry_file(rollup):
        return load_superchain(path, strict=strict)
    if isinstance(rollup, str) and not path.exists():
        raise ConfigError(f"{rollup}: neither a file nor a built-in chain; known are {', '.join(builtin_names())}")
    return rollup_config_from_text(_text(path), source=str(rollup), strict=strict)


def _is_builtin(rollup: Path | str) -> bool:
    return isinstance(rollup, str) and rollup in builtin_names()


def _is_registry_file(rollup: Path | str) -> bool:
    return Path(rollup).suffix == ".toml"


def _load_l1(l1: Path | str) -> L1ChainConfig:
    if isinstance(l1, str) and l1 in l1_names():
        return l1_config_named(l1)
    path = Path(l1)
    if isinstance(l1, str) and not path.exists():
        raise ConfigError(f"{l1}: neither a file nor a built-in L1 network; known are {', '.join(l1_names())}")
    return l1_config_from_text(_text(path), source=str(l1))


def _default_l1(rollup: RollupConfig, rollup_source: str, findings: Findings) -> L1ChainConfig:
    if rollup.family not in _L1_RULES_UNUSED:
        try:
            return l1_config_for(rollup.l1_chain_id)
        except ConfigError as error:
            findings.problems.append(f"{rollup_source}: l1_chain_id: {error}")
    return l1_config_of_cancun(rollup.l1_chain_id)


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error


def _attempt(problems: list[str], read: Callable[[], _T]) -> _T | None:
    """What `read` gives; nothing, and its problems, where it raises."""
    try:
        return read()
    except ConfigError as error:
        problems.extend(error.problems)
        return None
