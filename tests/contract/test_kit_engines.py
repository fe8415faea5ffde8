"""The kit finds what it is there to find: each planted fault of an engine turns its test red, and no other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from kroma_core.api import Building, Invalid, Role, Sealed, Valid
from kroma_core.chain.config import ChainConfig
from kroma_core.errors import NotFound
from kroma_core.l2 import ForkchoiceState, Payload
from kroma_core.testing.engine import EngineSuite
from tests.contract.offers import opened
from tests.contract.planted import red_tests


class Right:
    """An engine that passes on to another one."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Accepting(Right):
    """Takes a block under a wrong hash, or with wrong roots, for a good one."""

    async def execute(self, payload: Payload) -> Any:
        found = await self.inner.execute(payload)
        return Valid() if isinstance(found, Invalid) else found


class OnceOnly(Right):
    """Refuses heads that are set already, of blocks that it has built."""

    has_built = False

    async def build(self, *arguments: Any) -> Any:
        self.has_built = True
        return await self.inner.build(*arguments)

    async def set_heads(self, heads: ForkchoiceState) -> Any:
        if self.has_built and await self.inner.heads() == heads and heads.safe != heads.finalized:
            raise NotFound("nothing to set")
        return await self.inner.set_heads(heads)


class Restless(Right):
    """Makes another block of the same attributes the second time."""

    built = 0

    async def seal(self, building: Building) -> Any:
        found = await self.inner.seal(building)
        self.built += 1
        if self.built == 2 and isinstance(found, Sealed) and found.payload.number == 1:
            return attrs.evolve(found, payload=attrs.evolve(found.payload, extra_data=b"again"))
        return found


class Reviving(Right):
    """Seals what was cancelled."""

    async def cancel(self, building: Building) -> None:
        return None


class Vague(Right):
    """Answers with its newest block for one that it does not have."""

    async def block(self, block: Any) -> Payload:
        try:
            return await self.inner.block(block)
        except NotFound:
            return await self.inner.block((await self.inner.heads()).unsafe)


class Contradicting(Right):
    """Takes heads that contradict each other."""

    async def set_heads(self, heads: ForkchoiceState) -> Any:
        found = await self.inner.set_heads(heads)
        return type(await self.inner.set_heads(await self.inner.heads()))() if hasattr(found, "reason") else found


def suite_of(wrapped: Callable[[Any], Any]) -> type:
    class Suite(EngineSuite):
        persistent = False

        @asynccontextmanager
        async def open_engine(self, chain: ChainConfig, folder: Path) -> AsyncIterator[Any]:
            async with opened(Role.ENGINE, "recorded", chain, folder, {"path": self.recording_path}) as inner:
                yield wrapped(inner)

    return Suite


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrapped", "red"),
    [
        (Right, set()),
        (Accepting, {"test_a_changed_field_of_a_payload_is_refused"}),
        (OnceOnly, {"test_heads_that_are_set_again_are_applied_again"}),
        (Restless, {"test_the_same_attributes_make_the_same_block_each_time"}),
        (Reviving, {"test_a_building_is_sealed_once_and_not_after_it_was_cancelled"}),
        (Vague, {"test_blocks_that_are_not_there_are_not_found"}),
        (Contradicting, {"test_heads_that_contradict_each_other_are_refused"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_planted_faults_of_engines_are_named(wrapped: Any, red: set[str], tmp_path: Path) -> None:
    assert red_tests(suite_of(wrapped), tmp_path) == red
