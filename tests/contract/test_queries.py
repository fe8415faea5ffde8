"""Engines that answer state queries and have a pool keep the contracts of those protocols."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kroma_core.api import Role
from kroma_core.chain.config import ChainConfig
from kroma_core.node.registry import discover
from kroma_core.testing.block_traces import BlockTracesSuite
from kroma_core.testing.conformance.suites import OPTIONAL
from kroma_core.testing.queries import StateQueriesSuite, TxPoolSuite
from tests.contract.offers import opened
from tests.vectors.unit_files import OWN_VECTORS

RECORDING = OWN_VECTORS / "op-chains" / "plain-jovian.json.xz"
EARLY = OWN_VECTORS / "op-chains" / "plain-regolith.json.xz"


class _PyEvm:
    offer = (Role.ENGINE, "pyevm")
    recording_path = RECORDING

    @asynccontextmanager
    async def open_engine(self, chain: ChainConfig, folder: Path) -> AsyncIterator[Any]:
        async with opened(*self.offer, chain, folder, {}) as engine:
            yield engine


class TestPyEvmQueries(_PyEvm, StateQueriesSuite):
    pass


class TestPyEvmQueriesOfAnEarlyChain(TestPyEvmQueries):
    recording_path = EARLY


class TestPyEvmPool(_PyEvm, TxPoolSuite):
    pass


class TestPyEvmBlockTraces(_PyEvm, BlockTracesSuite):
    recording_path = BlockTracesSuite.recording_path


def test_every_offer_that_claims_a_protocol_has_its_suite() -> None:
    for capability, suite in OPTIONAL.items():
        tested = {
            found.offer
            for found in globals().values()
            if isinstance(found, type) and issubclass(found, suite) and hasattr(found, "offer")
        }
        claiming = {
            (found.role, found.offer.kind)
            for found in discover().of_role(Role.ENGINE)
            if capability in found.offer.capabilities
        }
        assert claiming <= tested
