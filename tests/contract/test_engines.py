"""Every engine keeps the contract of its role."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kroma_core.api import Role
from kroma_core.chain.config import ChainConfig
from kroma_core.testing.engine import EngineSuite
from kroma_core.testing.faults import Plant, fault_front
from tests.contract.engine_server import served, written_secret
from tests.contract.offers import opened
from tests.vectors.unit_files import OWN_VECTORS

RECORDING = OWN_VECTORS / "op-chains" / "plain-jovian.json.xz"
EARLY = OWN_VECTORS / "op-chains" / "plain-bedrock.json.xz"
KROMA_ZK = OWN_VECTORS / "kroma-chains" / "regolith-zk.json.xz"


class TestRecorded(EngineSuite):
    offer = (Role.ENGINE, "recorded")
    recording_path = RECORDING
    persistent = False

    @asynccontextmanager
    async def open_engine(self, chain: ChainConfig, folder: Path) -> AsyncIterator[Any]:
        async with opened(*self.offer, chain, folder, {"path": self.recording_path}) as engine:
            yield engine


class TestRecordedBeforeTheFirstFork(TestRecorded):
    recording_path = EARLY


class TestRecordedZkTrieEra(TestRecorded):
    recording_path = KROMA_ZK


class TestPyEvm(EngineSuite):
    offer = (Role.ENGINE, "pyevm")
    recording_path = RECORDING

    @asynccontextmanager
    async def open_engine(self, chain: ChainConfig, folder: Path) -> AsyncIterator[Any]:
        async with opened(*self.offer, chain, folder, {}) as engine:
            yield engine


class TestPyEvmBeforeTheFirstFork(TestPyEvm):
    recording_path = EARLY


class TestRpc(EngineSuite):
    """An external engine, played by the embedded one behind this project's Engine API."""

    offer = (Role.ENGINE, "rpc")
    recording_path = RECORDING

    @asynccontextmanager
    async def open_engine(self, chain: ChainConfig, folder: Path) -> AsyncIterator[Any]:
        async with opened(Role.ENGINE, "pyevm", chain, folder, {}) as behind, served(behind, chain) as url:
            settings = {"url": url, "jwt_secret": written_secret(folder)}
            async with opened(*self.offer, chain, folder, settings, clock=time.time) as engine:
                yield engine

    @asynccontextmanager
    async def open_at_fault(self, chain: ChainConfig, folder: Path, plant: Plant) -> AsyncIterator[Any]:
        async with (
            opened(Role.ENGINE, "pyevm", chain, folder, {}) as behind,
            served(behind, chain) as url,
            fault_front(url, plant) as front,
        ):
            settings = {"url": front, "jwt_secret": written_secret(folder)}
            async with opened(*self.offer, chain, folder, settings, clock=time.time) as engine:
                yield engine


class TestRpcBeforeTheFirstFork(TestRpc):
    recording_path = EARLY
