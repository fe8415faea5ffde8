"""Chain files: their rollup config, genesis and L1 config load, agree, and give the genesis hash that is named."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from kroma_core.chain.genesis_json import genesis_header, genesis_state
from kroma_core.chain.load import chain_from_json
from kroma_core.chain.rollup_json import rollup_config_to_json
from tests.vectors.unit_files import load, vectors_root

FOLDERS = ("op-chains", "kroma-chains")
QUICK = ("timeouts-regolith", "upgrade-ecotone", "plain-karst", "plain-bedrock", "mpt-genesis", "canyon-zk")
"""One file of each kind of genesis; the others run with `--all`."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "chain_file" not in metafunc.fixturenames:
        return
    root = vectors_root(metafunc.config)
    paths = sorted(path for folder in FOLDERS for path in (root / folder).glob("*.json*"))
    quick = [path for path in paths if path.name.split(".")[0] in QUICK] or paths[:3]
    metafunc.parametrize(
        "chain_file",
        [
            pytest.param(path, id=path.name.split(".")[0], marks=() if path in quick else pytest.mark.slow)
            for path in paths
        ],
    )


def test_configuration_of_a_chain_file_loads_and_agrees(chain_file: Path) -> None:
    vector = load(chain_file)
    chain = chain_from_json(
        vector["rollup_config"],
        vector["l2_genesis"],
        vector.get("l1_chain_config"),
        source=chain_file.name,
        strict=True,
    )
    assert rollup_config_to_json(chain.rollup) == vector["rollup_config"]
    genesis = chain.genesis
    assert genesis is not None
    rules = chain.rollup.schedule.at(genesis.timestamp)
    state = genesis_state(genesis, rules)
    assert genesis_header(genesis, state, rules).hash.hex() == vector["rollup_config"]["genesis"]["l2"]["hash"][2:]
    changed = attrs.evolve(genesis, alloc=dict(list(genesis.alloc.items())[1:]))
    assert genesis_state(changed, rules) != state
