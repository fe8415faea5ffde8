"""A node profile: the TOML file in which an operator says which chain to follow with which parts.

    [chain]  [l1]  [[blobs]]  [[data]]  [engine]  [[p2p]]  [[proof]]  [[observe]]
    [node]  [shadow]  [explain]  [rpc]  [eth]  [authrpc]  [metrics]

A part's table has `kind`, optionally `needs` (capabilities that its offer must have), and the settings of the offer.
One that stands on another part of its role has that one's table in its own: `[engine.wraps]`. Environment variables
override single settings: `KROMA_ENGINE__STORE`, `KROMA_DATA__0__URL`, `KROMA_ENGINE__WRAPS__STORE`.
"""

from __future__ import annotations

import enum
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from kroma_core.api.roles import Capability, Role
from kroma_core.api.settings import InputFile, Port
from kroma_core.errors import ConfigError
from kroma_core.node.settings import EnvironmentText, SettingsReader, shown, unknown_key
from kroma_core.node.shadow.table import ShadowTable

MANY: frozenset[Role] = frozenset({Role.BLOBS, Role.DATA, Role.P2P, Role.PROOF, Role.OBSERVE})
"""Roles that a profile may fill several times: `[[role]]`. The others are one table: `[role]`."""

VARIABLE_PREFIX = "KROMA_"
DEBUG_VARIABLE = "KROMA_DEBUG"
"""Shows tracebacks; the one variable of the prefix that overrides no setting."""


class LogLevel(enum.StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class SyncMode(enum.StrEnum):
    """How a node that is far behind comes to the tip of the L2 chain."""

    CONSENSUS_LAYER = "consensus-layer"
    """It derives everything from L1."""
    EXECUTION_LAYER = "execution-layer"
    """It shows the engine an unsafe block, and the engine fetches the chain below that by itself."""


class LogFormat(enum.StrEnum):
    TEXT = "text"
    LOGFMT = "logfmt"
    JSON = "json"


class Isolation(enum.StrEnum):
    """Where the work in Python that lasts is done."""

    NONE = "none"
    PROCESS = "process"


@attrs.frozen(kw_only=True)
class RpcTable:
    """`[rpc]`: the node's own RPC (`optimism_`, `kroma_`, `node_`) and its health; served where the table is there."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: Port = Port(9545)
    """HTTP port; also `/healthz`, `/livez` and `/readyz`."""
    hosts: tuple[str, ...] = ("localhost",)
    """Names under which clients may address the port; addresses always may, `*` allows every name."""
    admin: bool = False
    """Serve `admin_` methods, which can stop and mislead the node."""
    max_l1_age: float = 120.0
    """Seconds: with a newest L1 block older than that the node is not ready. Mainnet's ten slots."""
    max_lag: int = 10
    """L1 blocks: further below the L1 head (and `l1_confirmations`) the node is not ready."""


@attrs.frozen(kw_only=True)
class EthTable:
    """`[eth]`: `eth_`, `net_`, `web3_` and `debug_` of an engine that answers state queries."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: Port = Port(8545)
    """HTTP port."""
    ws_port: Port = Port(8546)
    """WebSocket port, for subscriptions."""
    hosts: tuple[str, ...] = ("localhost",)
    """Names under which clients may address the port; addresses always may, `*` allows every name."""
    miner: bool = False
    """Serve `miner_setMaxDASize`, with which op-batcher throttles a sequencer's blocks."""


@attrs.frozen(kw_only=True)
class AuthRpcTable:
    """`[authrpc]`: the Engine API of this node's engine, for another rollup node; served where the table is there."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: Port = Port(8551)
    """HTTP port."""
    hosts: tuple[str, ...] = ("localhost",)
    """Names under which clients may address the port; addresses always may, `*` allows every name."""
    jwt_secret: Path | None = None
    """File with 32 bytes in hex; made, readable by its owner alone, where missing. Default: in the data folder."""


@attrs.frozen(kw_only=True)
class MetricsTable:
    """`[metrics]`: figures for Prometheus at `/metrics`; served where the table is there."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: Port = Port(7300)
    """HTTP port."""


@attrs.frozen(kw_only=True)
class ChainTable:
    """`[chain]`: a built-in chain by name, the files of another one, or a recording that carries its configuration."""

    name: str | None = None
    """A built-in chain."""
    rollup: InputFile | None = None
    """rollup.json of op-node or kroma-node, or a superchain-registry TOML."""
    genesis: InputFile | None = None
    """geth's genesis.json of the L2; engines that execute need it."""
    l1: InputFile | None = None
    """geth's chain config of the L1 (its blob schedule); not needed for mainnet, sepolia, holesky and hoodi."""
    recording: InputFile | None = None
    """A recording that carries its chain's configuration."""


@attrs.frozen(kw_only=True)
class NodeTable:
    """`[node]`: what concerns the node as a whole."""

    derive: bool = True
    """Derive the chain from L1; `false`: open the engine alone and serve it, for another rollup node to drive."""
    data_dir: Path | None = None
    """Where the node and its parts keep what they store; default: `data/<profile's name>` beside the profile."""
    isolation: Isolation = Isolation.NONE
    """`process`: engine and derivation in processes of their own, so that neither delays what the node answers."""
    sync_mode: SyncMode = SyncMode.CONSENSUS_LAYER
    """`consensus-layer`: derive everything from L1; `execution-layer`: let the engine fetch the chain first."""
    checkpoint: bytes | None = attrs.field(default=None)
    """Hash of an L2 block that is trusted: derivation begins above it. The engine has to have it, with its state."""
    l1_confirmations: int = attrs.field(default=0)
    """L1 blocks below the L1 head that derivation leaves alone."""
    log_level: LogLevel = LogLevel.INFO
    """The least important events that are logged."""
    log_format: LogFormat = LogFormat.TEXT
    """Form of a log line."""
    stop_after: int | None = attrs.field(default=None)
    """Stop once the safe head has this L2 number."""

    @stop_after.validator
    @l1_confirmations.validator
    def _not_negative(self, field: attrs.Attribute[int | None], value: int | None) -> None:
        if value is not None and value < 0:
            raise ValueError(f"{field.name}: expected a number of blocks from 0 on, got {value}")

    @checkpoint.validator
    def _hash(self, field: attrs.Attribute[bytes | None], value: bytes | None) -> None:
        if value is not None and len(value) != 32:
            raise ValueError(f"{field.name}: expected the 32 bytes of a block's hash, got {len(value)}")


@attrs.frozen(kw_only=True)
class ExplainTable:
    """`[explain]`: what derivation decided, and why, is kept for `kroma explain`; without the table, with defaults."""

    keep: bool = True
    """Keep it; `false`: nothing is written, and `kroma explain` can tell of recordings only."""
    max_age_days: int = attrs.field(default=30)
    """Days after which what is kept is given up."""
    max_megabytes: int = attrs.field(default=256)
    """Size of what is kept; the oldest is given up first."""

    @max_age_days.validator
    @max_megabytes.validator
    def _positive(self, field: attrs.Attribute[int], value: int) -> None:
        if value < 1:
            raise ValueError(f"{field.name}: expected a number from 1 on, got {value}")


@attrs.frozen(kw_only=True)
class ServerTables:
    """What the node serves; None for what the profile has no table of."""

    rpc: RpcTable | None = None
    eth: EthTable | None = None
    authrpc: AuthRpcTable | None = None
    metrics: MetricsTable | None = None


_SERVERS: dict[str, Any] = {"rpc": RpcTable, "eth": EthTable, "authrpc": AuthRpcTable, "metrics": MetricsTable}
_TABLES = ("chain", *(role.value for role in Role), "node", "shadow", "explain", *_SERVERS)


@attrs.frozen(kw_only=True)
class PartTable:
    """The table of one part. `place` names it in messages: file and table.

    `at` is the way to it in the profile; None for one that the profile does not have.
    """

    role: Role
    place: str
    at: tuple[str | int, ...] | None = None
    kind: str | None = None
    needs: frozenset[Capability] = frozenset()
    settings: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    wraps: PartTable | None = None
    """The part of the same role that this one stands on: the table in this table."""
    shadows: tuple[PartTable, ...] = ()
    """The parts that follow this one: `[[role.shadow]]`."""


@attrs.frozen(kw_only=True)
class Profile:
    """A profile as it was written; whether its parts exist is the plan's to say (`kroma_core.node.plan`).

    A role is absent from `parts` where the profile does not mention it, and empty where it says `role = []`. `tables`
    is all of it as read, with what environment variables say (`EnvironmentText`) in its place.
    """

    name: str
    reader: SettingsReader
    path: Path | None = None
    tables: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    chain: ChainTable | None = None
    node: NodeTable = NodeTable()
    shadow: ShadowTable = attrs.field(factory=ShadowTable)
    explain: ExplainTable = ExplainTable()
    servers: ServerTables = ServerTables()
    parts: Mapping[Role, tuple[PartTable, ...]] = attrs.field(factory=dict)


@attrs.frozen
class _Needs:
    """The keys of a part's table that are core's; `needs` is checked as any setting is."""

    needs: frozenset[Capability] = frozenset()


def empty_profile(environment: Mapping[str, str] = os.environ) -> Profile:
    """The profile that says nothing: every part is what the installation offers."""
    return Profile(name="default", reader=SettingsReader(base=Path.cwd(), environment=environment))


def read_profile(path: Path, environment: Mapping[str, str], problems: list[str]) -> Profile:
    """Read a profile file; what is wrong with it is appended to `problems`.

    Raises `ConfigError` only where nothing more can be said: the file is unreadable or not TOML.
    """
    tables = _load(path)
    _override(tables, environment, problems)
    reader = SettingsReader(base=path.parent, environment=environment)
    for key in sorted(set(tables) - set(_TABLES)):
        problems.append(f"{path}: {unknown_key(key, _TABLES)}")
    chain: ChainTable | None = None
    if "chain" in tables:
        chain = reader.read(tables["chain"], ChainTable, f"{path}: [chain]", problems) or ChainTable()
    node = reader.read(tables.get("node", {}), NodeTable, f"{path}: [node]", problems) or NodeTable()
    shadow = reader.read(tables.get("shadow", {}), ShadowTable, f"{path}: [shadow]", problems) or ShadowTable()
    explain = reader.read(tables.get("explain", {}), ExplainTable, f"{path}: [explain]", problems) or ExplainTable()
    servers = ServerTables(
        **{
            name: reader.read(tables[name], config, f"{path}: [{name}]", problems)
            for name, config in _SERVERS.items()
            if name in tables
        }
    )
    parts = {
        role: _part_tables(path, role, tables[role.value], reader, problems) for role in Role if role.value in tables
    }
    return Profile(
        name=path.stem,
        reader=reader,
        path=path,
        tables=tables,
        chain=chain,
        node=node,
        shadow=shadow,
        explain=explain,
        servers=servers,
        parts=parts,
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the profile: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: the profile is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error


def _part_tables(
    path: Path, role: Role, value: Any, reader: SettingsReader, problems: list[str]
) -> tuple[PartTable, ...]:
    if role not in MANY:
        if not isinstance(value, dict):
            problems.append(f"{path}: {role}: expected one table [{role}], got {shown(value)}")
            return ()
        return (_part_table((role.value,), role, f"{path}: [{role}]", value, reader, problems),)
    if not isinstance(value, list):
        problems.append(f"{path}: {role}: there may be several, so write [[{role}]] for each")
        return ()
    tables = []
    for index, table in enumerate(value, 1):
        place = f"{path}: [[{role}]]" + (f" number {index}" if len(value) > 1 else "")
        if isinstance(table, dict):
            tables.append(_part_table((role.value, index - 1), role, place, table, reader, problems))
        else:
            problems.append(f"{place}: expected a table, got {shown(table)}")
    return tuple(tables)


BESIDE_SETTINGS: Final = ("kind", "needs", "wraps", "shadow")
"""What a part's table may have besides the settings of the part."""


def _part_table(
    at: tuple[str | int, ...],
    role: Role,
    place: str,
    table: Mapping[str, Any],
    reader: SettingsReader,
    problems: list[str],
) -> PartTable:
    settings = dict(table)
    listed = settings.pop("shadow", [])
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        problems.append(f"{place} shadow: there may be several, so write [[{role}.shadow]] for each")
        listed = []
    shadows = tuple(
        _part_table((*at, "shadow", index), role, f"{place} shadow {index + 1}", each, reader, problems)
        for index, each in enumerate(listed)
    )
    kind = settings.pop("kind", None)
    if kind is not None and not isinstance(kind, str):
        problems.append(f"{place} kind: expected text, got {shown(kind)}")
        kind = None
    needs = {"needs": settings.pop("needs")} if "needs" in settings else {}
    core = reader.read(needs, _Needs, place, problems) or _Needs()
    below, wraps = settings.pop("wraps", None), None
    if isinstance(below, Mapping):
        wraps = _part_table((*at, "wraps"), role, f"{place} wraps", below, reader, problems)
    elif below is not None:
        problems.append(f"{place} wraps: expected a table, got {shown(below)}")
    return PartTable(
        role=role,
        place=place,
        at=at,
        kind=str(kind) if kind is not None else None,
        needs=core.needs,
        settings=settings,
        wraps=wraps,
        shadows=shadows,
    )


def _override(tables: dict[str, Any], environment: Mapping[str, str], problems: list[str]) -> None:
    """Put what `KROMA_*` variables say over what the file says."""
    referenced = _secret_variables(tables)
    for variable in sorted(environment):
        if not variable.startswith(VARIABLE_PREFIX) or variable == DEBUG_VARIABLE or variable in referenced:
            continue
        *path, key = variable.removeprefix(VARIABLE_PREFIX).lower().split("__")
        table = _place_for(tables, path)
        if table is None or not key:
            problems.append(
                f"environment variable {variable}: names no setting; expected {VARIABLE_PREFIX}<TABLE>__<KEY>, "
                f"or {VARIABLE_PREFIX}<TABLE>__<NUMBER>__<KEY> for the tables that there are several of"
            )
        else:
            table[key] = EnvironmentText(environment[variable], variable)


def _place_for(tables: dict[str, Any], path: list[str]) -> dict[str, Any] | None:
    """The table that a variable's path leads to; None where the path leads nowhere."""
    match path:
        case [*above, "wraps"]:
            outer = _place_for(tables, above)
            table = outer.setdefault("wraps", {}) if outer is not None else None
            return table if isinstance(table, dict) else None
        case [*above, "shadow", index] if above and index.isdecimal():
            outer = _place_for(tables, above)
            listed = outer.get("shadow") if outer is not None else None
            if not isinstance(listed, list) or int(index) >= len(listed):
                return None
            return listed[int(index)] if isinstance(listed[int(index)], dict) else None
        case [name] if name in _TABLES and name not in MANY:
            table = tables.setdefault(name, {})
            return table if isinstance(table, dict) else None
        case [name, index] if name in MANY and index.isdecimal():
            listed = tables.get(name)
            if not isinstance(listed, list) or int(index) >= len(listed):
                return None
            return listed[int(index)] if isinstance(listed[int(index)], dict) else None
    return None


def _secret_variables(value: Any) -> set[str]:
    """Names of the environment variables that the profile's secrets are in; these may have any name."""
    match value:
        case {"env": str(name), **rest} if not rest:
            return {name}
        case dict():
            return set().union(*(_secret_variables(item) for item in value.values()))
        case list():
            return set().union(*(_secret_variables(item) for item in value))
    return set()
