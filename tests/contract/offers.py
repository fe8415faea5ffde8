"""Opening installed offers for the conformance suites, the way a node does: by kind, with settings and a context."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kroma_core.api import Clock, PluginContext, Role
from kroma_core.chain.config import ChainConfig
from kroma_core.forks import Fork
from kroma_core.node.registry import discover
from kroma_core.recording.layout import join, pack
from kroma_core.testing.blob_source import BlobDamage
from kroma_core.testing.l1_source import Damage
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_recording import record
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on


@asynccontextmanager
async def opened(
    role: Role,
    kind: str,
    chain: ChainConfig,
    folder: Path,
    settings: dict[str, Any],
    *,
    clock: Clock = lambda: 0.0,
    **required: Any,
) -> AsyncIterator[Any]:
    """The part that an installed offer makes."""
    found = discover().find(role, kind)
    assert found is not None, f"{role} {kind!r} is not installed"
    context = PluginContext(chain=chain, data_dir=folder, clock=clock, emit=lambda event: None)
    async with found.offer.open(found.offer.config(**settings), context, **required) as part:
        yield part


def scripted_chain(l1: ScriptedL1) -> ChainConfig:
    return rollup_on(l1, forks=all_forks_until(Fork.ECOTONE))


def recorded(l1: ScriptedL1, folder: Path, *, last_head_only: bool = False) -> Path:
    """The L1 as a recording of the project's own format."""
    return record(l1, folder / "l1.krec", scripted_chain(l1).rollup, last_head_only=last_head_only)


def damage_block(path: Path, damage: Damage) -> None:
    """Write other content for a block into a recording."""
    content = damage.content
    transactions, receipts = join(content.transactions), join(content.receipts)
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE l1_block SET header = ?, transactions_size = ?, transactions = ?, receipts_size = ?, receipts = ?"
            " WHERE hash = ?",
            (
                content.header,
                len(transactions),
                pack(transactions),
                len(receipts),
                pack(receipts),
                damage.block_hash,
            ),
        )
    connection.close()


def damage_blob(path: Path, damage: BlobDamage) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE blob SET data = ? WHERE versioned_hash = ?", (pack(damage.data), damage.versioned_hash)
        )
    connection.close()
