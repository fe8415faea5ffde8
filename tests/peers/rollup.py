"""The rollup of a test: a recorded chain's L2 genesis and rules, moved onto a live L1.

Upgrades keep their distance from the genesis. The hash of the L2 genesis is op-geth's.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from kroma_core.testing.wallet import Wallet
from tests.peers.l1 import BATCHER, ETHER, L1
from tests.peers.programs import ROOT

CHAINS = ROOT / "tests" / "vectors" / "data" / "op-chains"
USER = Wallet.named("user")
"""An account with ether on L2."""

_LATE_ENOUGH = {"seq_window_size": 3600, "channel_timeout": 300, "max_sequencer_drift": 600}
"""As public chains have them: on a fast L1 the recorded worlds' small ones would run out."""


@attrs.frozen(kw_only=True)
class Rollup:
    """A rollup before and after the hash of its L2 genesis is known."""

    config: dict[str, Any]
    genesis: dict[str, Any]
    l1_config: dict[str, Any]

    def with_genesis(self, block_hash: str) -> Rollup:
        """The same rollup, its L2 genesis by hash."""
        genesis = {**self.config["genesis"], "l2": {"hash": block_hash, "number": 0}}
        return attrs.evolve(self, config={**self.config, "genesis": genesis})

    def write(self, folder: Path) -> Path:
        """rollup.json, genesis.json and l1.json in a folder; the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        files = (("rollup", self.config), ("genesis", self.genesis), ("l1", self.l1_config))
        for name, content in files:
            (folder / f"{name}.json").write_text(json.dumps(content, indent=1))
        return folder

    @property
    def chain_id(self) -> int:
        return int(self.config["l2_chain_id"])


def read_vector(path: Path) -> dict[str, Any]:
    """A recorded world (`chain-vector/1`) as JSON."""
    with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as file:
        world: dict[str, Any] = json.load(file)
    return world


def recorded_rollup(world: Mapping[str, Any]) -> Rollup:
    """The rollup of a recorded world, as it is."""
    return Rollup(
        config=world["rollup_config"], genesis=_known(world["l2_genesis"]), l1_config=world["l1_chain_config"]
    )


async def rollup_on(
    l1: L1, like: str = "plain-jovian", *, l2_genesis: int | None = None, overrides: Mapping[str, Any] | None = None
) -> Rollup:
    """The rollup of the recorded world `like` on a live L1, from its first block on, still without L2 genesis hash.

    `l2_genesis`: its time; by default that of the L1's first block. `overrides` go into rollup.json.
    """
    world = read_vector(CHAINS / f"{like}.json.xz")
    first = await l1.rpc.block(0)
    begin = int(first["timestamp"], 16) if l2_genesis is None else l2_genesis
    old: dict[str, Any] = world["rollup_config"]
    shift = begin - int(old["genesis"]["l2_time"])
    config = {name: _moved(name, value, "_time", shift) for name, value in old.items()}
    system = {**old["genesis"]["system_config"], "batcherAddr": "0x" + BATCHER.address.hex()}
    config |= {
        **_LATE_ENOUGH,
        "l1_chain_id": l1.config["chainId"],
        "block_time": old["block_time"],
        **(overrides or {}),
    }
    config["genesis"] = {
        "l1": {"hash": first["hash"], "number": 0},
        "l2": old["genesis"]["l2"],
        "l2_time": begin,
        "system_config": system,
    }
    genesis = _known(world["l2_genesis"])
    genesis["timestamp"] = hex(begin)
    genesis["config"] = {name: _moved(name, value, "Time", shift) for name, value in genesis["config"].items()}
    genesis["alloc"] = {**genesis["alloc"], USER.address.hex(): {"balance": hex(1000 * ETHER)}}
    return Rollup(config=config, genesis=genesis, l1_config=l1.config)


def _moved(name: str, value: Any, suffix: str, shift: int) -> Any:
    """Times of upgrades after the genesis move with it; 0 stays."""
    return value + shift if name.endswith(suffix) and isinstance(value, int) and value else value


def _known(genesis: Mapping[str, Any]) -> dict[str, Any]:
    """Without the fields that op-geth does not take when they are null."""
    return {name: value for name, value in genesis.items() if value is not None}
