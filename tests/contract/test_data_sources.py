"""Every data source keeps the contract of its role, and together they leave no transaction of the batcher unread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from kroma_core.api import BlobSource, Role
from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.node.registry import discover
from kroma_core.testing.data_source import DataSourceSuite
from kroma_core.testing.scripted_blocks import ScriptedTransaction
from kroma_core.testing.scripted_l1 import ScriptedL1
from tests.contract.offers import opened, scripted_chain

CHAIN = scripted_chain(ScriptedL1())
TYPES = (0, 1, 2, 3, 0x7E)


class TestCallData(DataSourceSuite):
    offer = (Role.DATA, "calldata")
    rules = Rules(blobs=True)

    @asynccontextmanager
    async def open_source(self, blobs: tuple[BlobSource, ...]) -> AsyncIterator[Any]:
        async with opened(*self.offer, CHAIN, Path(), {}) as source:
            yield source

    def carried(self, l1: ScriptedL1, contents: Sequence[bytes]) -> list[ScriptedTransaction]:
        return [l1.batcher_tx(content) for content in contents]


class TestBlobs(DataSourceSuite):
    offer = (Role.DATA, "blob")
    rules = Rules(blobs=True)
    needs_blobs = True

    @asynccontextmanager
    async def open_source(self, blobs: tuple[BlobSource, ...]) -> AsyncIterator[Any]:
        async with opened(*self.offer, CHAIN, Path(), {}, blobs=blobs) as source:
            yield source

    def carried(self, l1: ScriptedL1, contents: Sequence[bytes]) -> list[ScriptedTransaction]:
        return [l1.blob_tx([content]) for content in contents]


@pytest.mark.parametrize("rules", [Rules(blobs=False), Rules(blobs=True)], ids=["before blobs", "with blobs"])
@pytest.mark.parametrize("kind", TYPES)
def test_every_transaction_of_the_batcher_has_one_reader(kind: int, rules: Rules) -> None:
    tx = InboxTransaction(index=0, hash=bytes(32), type=kind, sender=bytes(20), data=b"")
    assert len(trio.run(_claimants, tx, rules)) == 1


async def _claimants(tx: InboxTransaction, rules: Rules) -> list[str]:
    found = []
    for installed in discover().of_role(Role.DATA):
        required = {role.value: () for role in installed.offer.requires}
        async with opened(Role.DATA, installed.offer.kind, CHAIN, Path(), {}, **required) as source:
            if source.claims(tx, rules):
                found.append(installed.offer.kind)
    return found
