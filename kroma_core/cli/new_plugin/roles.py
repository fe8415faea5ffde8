"""What differs between plugins by role."""

from __future__ import annotations

import attrs

from kroma_core.api import (
    BlobSource,
    DataPublisher,
    DataSource,
    ExecutionEngine,
    L1Source,
    Observer,
    ProofSystem,
    Role,
    Transport,
)


@attrs.frozen(kw_only=True)
class RoleText:
    """Names of the pieces that a new plugin of a role is made of; `suite` and `maker` where the kit has a suite."""

    noun: str
    protocols: tuple[type, ...]
    capabilities: str = ""
    suite: str = ""
    maker: str = ""
    maker_imports: tuple[str, ...] = ()


_SCRIPTED = "from kroma_core.testing.scripted_l1 import ScriptedL1"

_L1_MAKER = '''\
    def open_source(
        self, l1: ScriptedL1, folder: Path, damage: Damage | None = None
    ) -> AbstractAsyncContextManager[Any]:
        """Show `l1` (with `damage`: other content for one block) to the source, however it gets its blocks."""
        return opened(installed_offers(KIND)[0], scripted_chain(), folder)
'''
_BLOBS_MAKER = '''\
    def open_source(
        self, l1: ScriptedL1, folder: Path, damage: BlobDamage | None = None
    ) -> AbstractAsyncContextManager[Any]:
        """Let the source have the blobs of `l1` (with `damage`: other bytes for one)."""
        return opened(installed_offers(KIND)[0], scripted_chain(), folder)
'''
_DATA_MAKER = '''\
    @asynccontextmanager
    async def open_source(self, blobs: tuple[BlobSource, ...]) -> AsyncIterator[Any]:
        """The source; say here what it stands on (a server, a folder)."""
        with TemporaryDirectory() as folder:
            async with opened(installed_offers(KIND)[0], scripted_chain(), Path(folder)) as source:
                yield source

    def carried(self, l1: ScriptedL1, contents: Sequence[bytes]) -> list[ScriptedTransaction]:
        """Transactions of the batcher, one for each content that `encode` made."""
        return [l1.batcher_tx(content) for content in contents]
'''
_ENGINE_MAKER = '''\
    def open_engine(self, chain: ChainConfig, folder: Path) -> AbstractAsyncContextManager[Any]:
        """The engine, at genesis of `chain` where `folder` is empty."""
        return opened(installed_offers(KIND)[0], chain, folder)
'''
_OBSERVER_MAKER = '''\
    def open_observer(self, folder: Path) -> AbstractAsyncContextManager[Any]:
        """The observer; `folder` is its own."""
        return opened(installed_offers(KIND)[0], scripted_chain(), folder)
'''
_MANAGER = "from contextlib import AbstractAsyncContextManager"

ROLES: dict[Role, RoleText] = {
    Role.L1: RoleText(
        noun="L1 source",
        protocols=(L1Source,),
        suite="l1_source.L1SourceSuite",
        maker=_L1_MAKER,
        maker_imports=(_MANAGER, _SCRIPTED, "from kroma_core.testing.l1_source import Damage"),
    ),
    Role.BLOBS: RoleText(
        noun="blob source",
        protocols=(BlobSource,),
        suite="blob_source.BlobSourceSuite",
        maker=_BLOBS_MAKER,
        maker_imports=(_MANAGER, _SCRIPTED, "from kroma_core.testing.blob_source import BlobDamage"),
    ),
    Role.DATA: RoleText(
        noun="data source",
        protocols=(DataSource, DataPublisher),
        capabilities="Capability.PUBLISHES",
        suite="data_source.DataSourceSuite",
        maker=_DATA_MAKER,
        maker_imports=(
            "from collections.abc import AsyncIterator, Sequence",
            "from contextlib import asynccontextmanager",
            "from tempfile import TemporaryDirectory",
            "from kroma_core.api import BlobSource",
            "from kroma_core.testing.scripted_blocks import ScriptedTransaction",
            _SCRIPTED,
        ),
    ),
    Role.ENGINE: RoleText(
        noun="execution engine",
        protocols=(ExecutionEngine,),
        capabilities="Capability.EXECUTES",
        suite="engine.EngineSuite",
        maker=_ENGINE_MAKER,
        maker_imports=(_MANAGER, "from kroma_core.chain.config import ChainConfig"),
    ),
    Role.P2P: RoleText(noun="transport", protocols=(Transport,)),
    Role.PROOF: RoleText(noun="proof system", protocols=(ProofSystem,)),
    Role.OBSERVE: RoleText(
        noun="observer",
        protocols=(Observer,),
        suite="observer.ObserverSuite",
        maker=_OBSERVER_MAKER,
        maker_imports=(_MANAGER,),
    ),
}
