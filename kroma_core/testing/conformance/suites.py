"""Which suites an offer has to pass, and makers for those that need nothing but their settings' defaults.

pytest names this file as the place of the tests that `--kroma-conformance` makes.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import attrs

from kroma_core.api import BlobSource, Capability, PluginContext, Role
from kroma_core.chain.config import ChainConfig
from kroma_core.codec.kzg import BLOB_SIZE
from kroma_core.forks import Fork
from kroma_core.testing.blob_source import BlobSourceSuite
from kroma_core.testing.block_traces import BlockTracesSuite
from kroma_core.testing.data_source import DataSourceSuite
from kroma_core.testing.declared import DeclaredSuite
from kroma_core.testing.engine import EngineSuite
from kroma_core.testing.installed import Installed, installed_offers
from kroma_core.testing.l1_source import L1SourceSuite
from kroma_core.testing.observer import ObserverSuite
from kroma_core.testing.proof import ProofSystemSuite
from kroma_core.testing.queries import StateQueriesSuite, TxPoolSuite
from kroma_core.testing.scripted_blocks import ScriptedTransaction
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on
from kroma_core.testing.transport import TransportSuite

SUITES: dict[Role, type] = {
    Role.L1: L1SourceSuite,
    Role.BLOBS: BlobSourceSuite,
    Role.DATA: DataSourceSuite,
    Role.ENGINE: EngineSuite,
    Role.P2P: TransportSuite,
    Role.PROOF: ProofSystemSuite,
    Role.OBSERVE: ObserverSuite,
}
OPTIONAL: dict[Capability, type] = {
    Capability.STATE_QUERIES: StateQueriesSuite,
    Capability.TX_POOL: TxPoolSuite,
    Capability.BLOCK_TRACES: BlockTracesSuite,
}


def scripted_chain() -> ChainConfig:
    """The rollup on a scripted L1, for parts that only look at its addresses."""
    return rollup_on(ScriptedL1(fork="cancun"), forks=all_forks_until(Fork.ECOTONE))


@asynccontextmanager
async def opened(
    found: Installed, chain: ChainConfig, folder: Path, settings: dict[str, Any] | None = None, **required: Any
) -> AsyncIterator[Any]:
    """The part that an offer makes, with these settings and the defaults of the others.

    An engine that stands on another one, and is given none (`engine=`), gets the one that is installed and executes;
    that keeps its chain in `folder`, too.
    """
    context = PluginContext(chain=chain, data_dir=folder, clock=time.time, emit=lambda event: None)
    async with AsyncExitStack() as stack:
        if Role.ENGINE in found.offer.requires and "engine" not in required and found.role is Role.ENGINE:
            below = _engine_below()
            assert below is not None, "several engines that execute are installed, or none: give one as `engine=`"
            (folder / "below").mkdir(exist_ok=True)
            required["engine"] = await stack.enter_async_context(opened(below, chain, folder / "below"))
        manager = found.offer.open(found.offer.config(**settings or {}), context, **required)
        yield await stack.enter_async_context(manager)


def _engine_below() -> Installed | None:
    """The one installed engine that executes, stands on no other and needs nothing but its settings' defaults."""
    able = [
        one
        for one in installed_offers(role=Role.ENGINE)
        if Capability.EXECUTES in one.offer.capabilities
        and Role.ENGINE not in one.offer.requires
        and all(field.default is not attrs.NOTHING for field in attrs.fields(one.offer.config))
    ]
    return able[0] if len(able) == 1 else None


def default_maker(found: Installed) -> type | None:
    """A maker for a part that needs nothing but its settings' defaults; None for roles that stand on something."""
    if found.role is Role.DATA:
        return _data_maker(found)
    if found.role is Role.ENGINE:
        return _engine_maker(found)
    if found.role is Role.OBSERVE:
        return _observer_maker(found)
    return None


def tests_of(found: Installed, maker: type | None) -> ModuleType:
    """A module with the test classes of an offer."""
    module = ModuleType(__name__, f"Conformance of {found.role} {found.offer.kind}.")
    module.__file__ = __file__
    vars(module).update(suites_of(found, maker))
    return module


def suites_of(found: Installed, maker: type | None) -> dict[str, type]:
    """The classes by name: what it declares, the suite of its role, and one for each optional protocol it claims.

    A module of tests has them with `globals().update(suites_of(installed_offer("my-kind"), Maker))`. Without a maker
    only what is declared can be looked at.
    """
    made = {"TestDeclared": type("TestDeclared", (DeclaredSuite,), {"offer": (found.role, found.offer.kind)})}
    if maker is None:
        return made
    suites = [SUITES[found.role]]
    suites += [suite for capability, suite in OPTIONAL.items() if capability in found.offer.capabilities]
    for suite in suites:
        name = f"Test{suite.__name__.removesuffix('Suite')}"
        made[name] = type(name, (maker, suite), {"__module__": __name__})
    return made


def _data_maker(found: Installed) -> type:
    class DataMaker:
        needs_blobs = Role.BLOBS in found.offer.requires

        @asynccontextmanager
        async def open_source(self, blobs: tuple[BlobSource, ...]) -> AsyncIterator[Any]:
            required: dict[str, Any] = {"blobs": blobs} if self.needs_blobs else {}
            with TemporaryDirectory() as folder:
                async with opened(found, scripted_chain(), Path(folder), **required) as source:
                    yield source

        def carried(self, l1: ScriptedL1, contents: Sequence[bytes]) -> list[ScriptedTransaction]:
            return [
                l1.blob_tx([content]) if len(content) == BLOB_SIZE else l1.batcher_tx(content) for content in contents
            ]

    return DataMaker


def _engine_maker(found: Installed) -> type | None:
    class EngineMaker:
        @asynccontextmanager
        async def open_engine(self, chain: ChainConfig, folder: Path) -> AsyncIterator[Any]:
            async with opened(found, chain, folder) as engine:
                yield engine

    return None if Role.ENGINE in found.offer.requires and _engine_below() is None else EngineMaker


def _observer_maker(found: Installed) -> type:
    class ObserverMaker:
        @asynccontextmanager
        async def open_observer(self, folder: Path) -> AsyncIterator[Any]:
            async with opened(found, scripted_chain(), folder) as observer:
                yield observer

    return ObserverMaker
