"""A real op-geth behind `engine_rpc` keeps the contract of an engine, and comes to the recorded blocks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kroma_core.api import Role
from kroma_core.chain.config import ChainConfig
from kroma_core.testing.engine import EngineSuite
from tests.contract.offers import opened
from tests.peers.l2 import EngineAt, op_geth
from tests.peers.rollup import read_vector, recorded_rollup
from tests.vectors.unit_files import OWN_VECTORS

CHAINS = OWN_VECTORS / "op-chains"


def settings(geth: EngineAt) -> dict[str, Any]:
    return {"url": geth.engine_url, "jwt_secret": geth.jwt}


class TestOpGeth(EngineSuite):
    offer = (Role.ENGINE, "rpc")
    recording_path = CHAINS / "plain-jovian.json.xz"
    keeps_safe_head = False

    @asynccontextmanager
    async def open_engine(self, chain: ChainConfig, folder: Path) -> AsyncIterator[Any]:
        rollup = recorded_rollup(read_vector(self.recording_path))
        async with (
            op_geth(folder, rollup) as geth,
            opened(*self.offer, chain, folder, settings(geth), clock=time.time) as engine,
        ):
            yield engine


class TestOpGethBeforeTheFirstFork(TestOpGeth):
    recording_path = CHAINS / "plain-bedrock.json.xz"
