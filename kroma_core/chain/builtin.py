"""The chains that are built in: rollup configs as TOML files in `chains/`, with the keys of rollup.json.

Their genesis is not among them: a chain's engine takes it from a file (see `MissingGenesis`).
"""

from __future__ import annotations

import functools
import tomllib
from importlib import resources

from kroma_core.chain.config import ChainConfig, Family, MissingGenesis, RollupConfig
from kroma_core.chain.l1_config import l1_config_for
from kroma_core.chain.rollup_json import rollup_config_from_json
from kroma_core.errors import ConfigError

_FOLDER = "chains"
_SUFFIX = ".toml"


def builtin_names() -> tuple[str, ...]:
    """Names of the built-in chains, sorted."""
    files = resources.files(__package__).joinpath(_FOLDER).iterdir()
    return tuple(sorted(file.name.removesuffix(_SUFFIX) for file in files if file.name.endswith(_SUFFIX)))


@functools.cache
def builtin(name: str) -> ChainConfig:
    """A built-in chain. Raises `ConfigError` for an unknown name."""
    if name not in builtin_names():
        raise ConfigError(f"chain {name!r} is not built in; known are {', '.join(builtin_names())}")
    text = resources.files(__package__).joinpath(_FOLDER, name + _SUFFIX).read_text(encoding="utf-8")
    table = tomllib.loads(text)
    source = f"built-in chain {name}"
    rollup = rollup_config_from_json(
        table["rollup"], source=source, family=Family(table["family"]), name=name, strict=True
    )
    return ChainConfig(rollup=rollup, l1=l1_config_for(rollup.l1_chain_id), missing_genesis=why_no_genesis(rollup))


def builtin_with_id(l2_chain_id: int) -> ChainConfig | None:
    """The built-in chain with this chain id."""
    return next((chain for chain in map(builtin, builtin_names()) if chain.rollup.l2_chain_id == l2_chain_id), None)


def why_no_genesis(rollup: RollupConfig) -> MissingGenesis:
    """Why no genesis comes with a rollup config, where none does."""
    if rollup.genesis.l2.number > 0:
        return MissingGenesis.SNAPSHOT
    return MissingGenesis.NOT_GIVEN
