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
    """Names of what a new plugin of a role is made of; `maker`: methods that the role's suite leaves open."""

    noun: str
    protocols: tuple[type, ...]
    maker: str
    maker_imports: tuple[str, ...]
    capabilities: str = ""


_SCRIPTED = "from kroma_core.testing.scripted_l1 import ScriptedL1"

_L1_MAKER = '''\
    def open_source(
        self, l1: ScriptedL1, folder: Path, damage: Damage | None = None
    ) -> AbstractAsyncContextManager[Any]:
        """Show `l1` (with `damage`: other content for one block) to the source, however it gets its blocks."""
        return opened(installed_offer(KIND, Role.L1), scripted_chain(), folder)
'''
_BLOBS_MAKER = '''\
    def open_source(
        self, l1: ScriptedL1, folder: Path, damage: BlobDamage | None = None
    ) -> AbstractAsyncContextManager[Any]:
        """Let the source have the blobs of `l1` (with `damage`: other bytes for one)."""
        return opened(installed_offer(KIND, Role.BLOBS), scripted_chain(), folder)
'''
_DATA_MAKER = '''\
    @asynccontextmanager
    async def open_source(self, blobs: tuple[BlobSource, ...]) -> AsyncIterator[Any]:
        """The source; say here what it stands on (a server, a folder)."""
        with TemporaryDirectory() as folder:
            async with opened(installed_offer(KIND, Role.DATA), scripted_chain(), Path(folder)) as source:
                yield source

    def carried(self, l1: ScriptedL1, contents: Sequence[bytes]) -> list[ScriptedTransaction]:
        """Transactions of the batcher, one for each content that `encode` made."""
        return [l1.batcher_tx(content) for content in contents]
'''
_ENGINE_MAKER = '''\
    def open_engine(self, chain: ChainConfig, folder: Path) -> AbstractAsyncContextManager[Any]:
        """The engine, at genesis of `chain` where `folder` is empty."""
        return opened(installed_offer(KIND, Role.ENGINE), chain, folder)
'''
_OBSERVER_MAKER = '''\
    def open_observer(self, folder: Path) -> AbstractAsyncContextManager[Any]:
        """The observer; `folder` is its own."""
        return opened(installed_offer(KIND, Role.OBSERVE), scripted_chain(), folder)
'''
_P2P_MAKER = '''\
    def open_peer(self, folder: Path, peers: Sequence[Transport]) -> AbstractAsyncContextManager[Any]:
        """A node that is connected with those `peers`, which this method has made, and with nobody else."""
        return opened(installed_offer(KIND, Role.P2P), scripted_chain(), folder)
'''
_PROOF_MAKER = '''\
    def open_system(self, folder: Path) -> AbstractAsyncContextManager[Any]:
        """The proof system; `folder` is its own, and empty each time."""
        return opened(installed_offer(KIND, Role.PROOF), scripted_chain(), folder)

    def statements(self) -> Sequence[Statement]:
        """Two true things with their witnesses: put here what this system proves."""
        return [Statement(bytes((turn,)) * 32, bytes((turn,)) * 64) for turn in (1, 2)]
'''
_MANAGER = "from contextlib import AbstractAsyncContextManager"
_SEQUENCE = "from collections.abc import Sequence"

ROLES: dict[Role, RoleText] = {
    Role.L1: RoleText(
        noun="L1 source",
        protocols=(L1Source,),
        maker=_L1_MAKER,
        maker_imports=(_MANAGER, _SCRIPTED, "from kroma_core.testing.l1_source import Damage"),
    ),
    Role.BLOBS: RoleText(
        noun="blob source",
        protocols=(BlobSource,),
        maker=_BLOBS_MAKER,
        maker_imports=(_MANAGER, _SCRIPTED, "from kroma_core.testing.blob_source import BlobDamage"),
    ),
    Role.DATA: RoleText(
        noun="data source",
        protocols=(DataSource, DataPublisher),
        capabilities="Capability.PUBLISHES",
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
        maker=_ENGINE_MAKER,
        maker_imports=(_MANAGER, "from kroma_core.chain.config import ChainConfig"),
    ),
    Role.P2P: RoleText(
        noun="transport",
        protocols=(Transport,),
        maker=_P2P_MAKER,
        maker_imports=(_MANAGER, _SEQUENCE, "from kroma_core.api import Transport"),
    ),
    Role.PROOF: RoleText(
        noun="proof system",
        protocols=(ProofSystem,),
        maker=_PROOF_MAKER,
        maker_imports=(_MANAGER, _SEQUENCE, "from kroma_core.testing.proof_statements import Statement"),
    ),
    Role.OBSERVE: RoleText(
        noun="observer",
        protocols=(Observer,),
        maker=_OBSERVER_MAKER,
        maker_imports=(_MANAGER,),
    ),
}
