"""rollup.json of op-node and kroma-node: reading it with all its problems at once, and writing it as the client does.

Both nodes have the same file, with their own forks and a few keys of their own; which one a file belongs to shows in
it. The keys are those of the clients' `rollup.Config`, their meaning is in derivation.md, "Constants", and
superchain-configuration.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from kroma_core.chain.config import FORK_TABLES, BaseFeeParams, Family, Genesis, RollupConfig, SystemConfig
from kroma_core.chain.config_fields import U256, Fields, Findings
from kroma_core.codec.json_text import expect_shallow
from kroma_core.errors import ConfigError
from kroma_core.forks import Fork, Schedule
from kroma_core.types import BlockId, Gas, Seconds, Timestamp

USUAL_BASE_FEE = BaseFeeParams(elasticity=6, denominator=50, denominator_canyon=250)
"""EIP-1559 constants of a chain whose files name none."""

_KECCAK_COMMITMENTS = "KeccakCommitment"
_GENERIC_COMMITMENTS = "GenericCommitment"


@attrs.frozen(kw_only=True)
class _Dialect:
    """In what a family's rollup.json differs, forks apart."""

    node: str
    """The program whose file it is."""
    read_system_config: Callable[[Fields], dict[str, Any]]
    """Fields of the system config that only this family has."""
    write_system_config: Callable[[SystemConfig], dict[str, Any]]
    read_extra: Callable[[Fields], dict[str, Any]]
    """Keys without a field in `RollupConfig`, in the form in which the program writes them back."""
    former_keys: frozenset[str]
    """Keys of older versions, which nobody reads any more."""
    least_drift: int
    overhead_required: bool


def rollup_config_from_text(
    text: str | bytes, *, source: str, strict: bool = False, family: Family | None = None, name: str | None = None
) -> RollupConfig:
    """A rollup config from the text of a rollup.json; see `rollup_config_from_json`."""
    findings = Findings()
    value = json_value(text, source=source, findings=findings)
    return _read(Fields.of(value, source=source, findings=findings), strict, family, name)


def rollup_config_from_json(
    obj: object, *, source: str, strict: bool = False, family: Family | None = None, name: str | None = None
) -> RollupConfig:
    """A rollup config from a decoded rollup.json; `source` names it in messages.

    The family is taken from the file's keys unless it is given. Raises `ConfigError` with every problem. What the
    client accepts although it is odd (an unknown key, a late fork out of order) is a warning, or with `strict` a
    problem.
    """
    return _read(Fields.of(obj, source=source), strict, family, name)


def json_value(text: str | bytes, *, source: str, findings: Findings) -> Any:
    """The first JSON value in a text. What follows it is ignored by the clients; here it gives a warning."""
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        expect_shallow(decoded)
        start = len(decoded) - len(decoded.lstrip(" \t\r\n"))
        value, end = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode(decoded, start)
    except ValueError as error:
        raise ConfigError(f"{source}: expected JSON, got something else: {error}") from error
    rest = decoded[end:].strip()
    if rest:
        findings.warnings.append(f"{source}: {len(rest)} characters after the end of the JSON value")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def rollup_config_to_json(config: RollupConfig) -> dict[str, Any]:
    """The config as its client writes it: the same keys and forms. Keys that the client does not know are left out."""
    times = {f"{fork}_time": time for fork, time in config.schedule.times.items()}
    written = {
        "genesis": {
            "l1": _block_id_to_json(config.genesis.l1),
            "l2": _block_id_to_json(config.genesis.l2),
            "l2_time": config.genesis.l2_time,
            "system_config": _system_config_to_json(config.genesis.system_config, _DIALECTS[config.family]),
        },
        "block_time": config.block_time,
        "max_sequencer_drift": config.max_sequencer_drift,
        "seq_window_size": config.seq_window_size,
        "channel_timeout": config.channel_timeout,
        "l1_chain_id": config.l1_chain_id,
        "l2_chain_id": config.l2_chain_id,
        **{key: times[key] for key in (f"{fork}_time" for fork in config.schedule.table) if key in times},
        "batch_inbox_address": _hex(config.batch_inbox),
        "deposit_contract_address": _hex(config.portal),
        "l1_system_config_address": _hex(config.system_config_address),
    }
    if config.keep_karst_upgrade_gas:
        written["keep_karst_upgrade_gas"] = True
    # The dialect picks the keys it knows from the extra ones, and completes them as the client would.
    kept = Fields.of(config.extra, source=config.name)
    return written | _DIALECTS[config.family].read_extra(kept)


def family_of(rollup: Mapping[str, Any]) -> Family:
    """Which node a rollup.json belongs to.

    kroma-node always writes the validator reward scalar into the system config. A file without it is Kroma's if it has
    the KromaMPT time and nothing that only op-node knows.
    """
    genesis = rollup.get("genesis")
    system_config = genesis.get("system_config") if isinstance(genesis, Mapping) else None
    if isinstance(system_config, Mapping) and system_config.get("validatorRewardScalar") is not None:
        return Family.KROMA
    has_kroma_fork = any(rollup.get(key) is not None for key in _fork_keys(Family.KROMA) - _fork_keys(Family.OP))
    op_only = (_fork_keys(Family.OP) - _fork_keys(Family.KROMA)) | {"alt_da", "chain_op_config"}
    return Family.KROMA if has_kroma_fork and not any(key in rollup for key in op_only) else Family.OP


def _fork_keys(family: Family) -> frozenset[str]:
    return frozenset(f"{fork}_time" for fork in FORK_TABLES[family] if fork is not Fork.BEDROCK)


def _read(fields: Fields, strict: bool, given: Family | None, name: str | None) -> RollupConfig:
    family = given or family_of(fields.entries)
    dialect = _DIALECTS[family]
    block_time = fields.number("block_time", least=1)
    genesis = _read_genesis(fields.under("genesis"), dialect)
    l1_chain_id, l2_chain_id = (fields.number(key, least=1, bits=U256) for key in ("l1_chain_id", "l2_chain_id"))
    if l1_chain_id == l2_chain_id and fields.value("l2_chain_id") is not None:
        fields.problem("l2_chain_id", f"must differ from l1_chain_id, both are {l1_chain_id}")
    schedule = Schedule(table=FORK_TABLES[family], times=_read_times(fields, family), block_time=Seconds(block_time))
    fields.findings.problems.extend(f"{fields.source}: {text}" for text in schedule.problems())
    fields.findings.warnings.extend(f"{fields.source}: {text}" for text in schedule.warnings())
    extra = dialect.read_extra(fields)
    config = RollupConfig(
        family=family,
        name=name or f"chain {l2_chain_id}",
        genesis=genesis,
        schedule=schedule,
        block_time=Seconds(block_time),
        max_sequencer_drift=Seconds(fields.number("max_sequencer_drift", least=dialect.least_drift)),
        seq_window_size=fields.number("seq_window_size", least=2),
        channel_timeout=fields.number("channel_timeout", least=1),
        l1_chain_id=l1_chain_id,
        l2_chain_id=l2_chain_id,
        batch_inbox=fields.data("batch_inbox_address", 20, nonzero=True),
        portal=fields.data("deposit_contract_address", 20, nonzero=True),
        system_config_address=fields.data("l1_system_config_address", 20),
        base_fee_params=_read_base_fee_params(fields.optional_under("chain_op_config")) or USUAL_BASE_FEE,
        keep_karst_upgrade_gas=fields.flag("keep_karst_upgrade_gas"),
    )
    if not any(config.system_config_address):
        fields.warn("l1_system_config_address", "missing or zero: changes of the system config will not be seen")
    if (constants := fields.value("chain_op_config")) is not None:
        extra["chain_op_config"] = constants
    for key in fields.unknown():
        reason = "is no longer read by" if key in dialect.former_keys else "is not a key of"
        fields.warn(key, f"{reason} {dialect.node}")
        extra[key] = fields.entries[key]
    return attrs.evolve(config, extra=extra, warnings=fields.findings.settle(strict=strict))


def _read_times(fields: Fields, family: Family) -> dict[Fork, Timestamp]:
    times: dict[Fork, Timestamp] = {}
    for fork in FORK_TABLES[family]:
        if fork is not Fork.BEDROCK and (time := fields.optional_number(f"{fork}_time")) is not None:
            times[fork] = Timestamp(time)
    return times


def _read_genesis(fields: Fields, dialect: _Dialect) -> Genesis:
    l1, l2 = _read_block_id(fields.under("l1")), _read_block_id(fields.under("l2"))
    if l1.hash == l2.hash and any(l1.hash):
        fields.problem("l2.hash", "must differ from the hash of genesis.l1")
    genesis = Genesis(
        l1=l1,
        l2=l2,
        l2_time=Timestamp(fields.number("l2_time", least=1)),
        system_config=_read_system_config(fields.under("system_config"), dialect),
    )
    fields.warn_of_unknown(dialect.node)
    return genesis


def _read_block_id(fields: Fields) -> BlockId:
    block = BlockId(fields.data("hash", 32, nonzero=True), fields.number("number", usual=True))
    fields.warn_of_unknown("a block reference")
    return block


def _read_system_config(fields: Fields, dialect: _Dialect) -> SystemConfig:
    config = SystemConfig(
        batcher=fields.data("batcherAddr", 20, nonzero=True),
        overhead=fields.data("overhead", 32, nonzero=dialect.overhead_required),
        scalar=fields.data("scalar", 32, nonzero=True),
        gas_limit=Gas(fields.number("gasLimit", least=1)),
        **dialect.read_system_config(fields),
    )
    fields.warn_of_unknown(dialect.node)
    return config


def _read_base_fee_params(fields: Fields | None) -> BaseFeeParams | None:
    if fields is None:
        return None
    canyon = fields.optional_number("eip1559DenominatorCanyon")
    if not canyon:
        canyon = USUAL_BASE_FEE.denominator_canyon
        fields.warn("eip1559DenominatorCanyon", f"missing or zero, taken as {canyon}")
    params = BaseFeeParams(
        elasticity=fields.number("eip1559Elasticity", least=1),
        denominator=fields.number("eip1559Denominator", least=1),
        denominator_canyon=canyon,
    )
    fields.warn_of_unknown("the EIP-1559 configuration")
    return params


def _read_op_system_config(fields: Fields) -> dict[str, Any]:
    return {
        "eip1559_params": fields.data("eip1559Params", 8),
        "operator_fee_params": fields.data("operatorFeeParams", 32),
        "min_base_fee": fields.number("minBaseFee"),
        "da_footprint_gas_scalar": fields.number("daFootprintGasScalar", bits=16),
    }


def _write_op_system_config(config: SystemConfig) -> dict[str, Any]:
    return {
        "eip1559Params": _hex(config.eip1559_params),
        "operatorFeeParams": _hex(config.operator_fee_params),
        "minBaseFee": config.min_base_fee,
        "daFootprintGasScalar": config.da_footprint_gas_scalar,
    }


def _read_kroma_system_config(fields: Fields) -> dict[str, Any]:
    return {"validator_reward_scalar": fields.data("validatorRewardScalar", 32)}


def _write_kroma_system_config(config: SystemConfig) -> dict[str, Any]:
    return {"validatorRewardScalar": _hex(config.validator_reward_scalar)}


def _read_op_extra(fields: Fields) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if (constants := fields.value("chain_op_config")) is not None:
        extra["chain_op_config"] = constants
    if (alt_da := fields.optional_under("alt_da")) is not None:
        extra["alt_da"] = read_alt_da(alt_da)
    return extra


def read_alt_da(fields: Fields) -> dict[str, Any]:
    """The alternative data-availability layer of a chain. Spec: experimental/alt-da.md."""
    challenge_contract = fields.data("da_challenge_contract_address", 20)
    commitments = fields.text("da_commitment_type")
    max_input_size = fields.optional_number("da_max_input_size")
    if commitments not in (_KECCAK_COMMITMENTS, _GENERIC_COMMITMENTS):
        fields.problem(
            "da_commitment_type", f"expected {_KECCAK_COMMITMENTS} or {_GENERIC_COMMITMENTS}, got {commitments!r}"
        )
    if max_input_size == 0:
        fields.problem("da_max_input_size", "must not be zero")
    if commitments == _GENERIC_COMMITMENTS and max_input_size is not None:
        fields.problem("da_max_input_size", f"has no meaning with {_GENERIC_COMMITMENTS}")
    if commitments == _GENERIC_COMMITMENTS and any(challenge_contract):
        fields.problem("da_challenge_contract_address", f"has no meaning with {_GENERIC_COMMITMENTS}")
    if commitments == _KECCAK_COMMITMENTS and not any(challenge_contract):
        fields.problem("da_challenge_contract_address", f"is needed with {_KECCAK_COMMITMENTS}")
    found: dict[str, Any] = {
        "da_challenge_contract_address": _hex(challenge_contract),
        "da_commitment_type": commitments,
        "da_challenge_window": fields.number("da_challenge_window"),
        "da_resolve_window": fields.number("da_resolve_window"),
    }
    if max_input_size is not None:
        found["da_max_input_size"] = max_input_size
    fields.warn_of_unknown("the alt-DA configuration")
    return found


def _read_kroma_extra(fields: Fields) -> dict[str, Any]:
    extra: dict[str, Any] = {
        "da_challenge_address": _hex(fields.data("da_challenge_address", 20)),
        "da_challenge_window": fields.number("da_challenge_window"),
        "da_resolve_window": fields.number("da_resolve_window"),
        "use_plasma": fields.flag("use_plasma"),
    }
    if (interop := fields.optional_number("interop_time")) is not None:
        extra["interop_time"] = interop
    return extra


_DIALECTS: Mapping[Family, _Dialect] = {
    Family.OP: _Dialect(
        node="op-node",
        read_system_config=_read_op_system_config,
        write_system_config=_write_op_system_config,
        read_extra=_read_op_extra,
        former_keys=frozenset(
            {
                "interop_time",
                "protocol_versions_address",
                "da_challenge_address",
                "da_challenge_contract_address",
                "da_challenge_window",
                "da_resolve_window",
                "use_plasma",
            }
        ),
        least_drift=1,
        overhead_required=False,
    ),
    Family.KROMA: _Dialect(
        node="kroma-node",
        read_system_config=_read_kroma_system_config,
        write_system_config=_write_kroma_system_config,
        read_extra=_read_kroma_extra,
        former_keys=frozenset({"protocol_versions_address"}),
        least_drift=0,
        overhead_required=True,
    ),
}


def _system_config_to_json(config: SystemConfig, dialect: _Dialect) -> dict[str, Any]:
    return {
        "batcherAddr": _hex(config.batcher),
        "overhead": _hex(config.overhead),
        "scalar": _hex(config.scalar),
        "gasLimit": config.gas_limit,
        **dialect.write_system_config(config),
    }


def _block_id_to_json(block: BlockId) -> dict[str, Any]:
    return {"hash": _hex(block.hash), "number": block.number}


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
