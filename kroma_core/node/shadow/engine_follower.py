"""The engine that follows, beside its engine: it is asked what the leading one was, and tells what is not the same.

It runs where its engine does, in a process of its own (`EngineFollowerHost`), so that one short question and one short
answer a block cross, and nothing of its work delays the node.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
import trio

from kroma_core.api import (
    Building,
    ExecutionEngine,
    Gone,
    Inconsistent,
    Invalid,
    PluginContext,
    Role,
    Syncing,
)
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.predeploys import MESSAGE_PASSER
from kroma_core.errors import ConfigError, CriticalError, NotFound, TemporaryError
from kroma_core.events import Event
from kroma_core.l2 import ForkchoiceState, L2Label, Payload, PayloadAttributes
from kroma_core.node.isolation.hosts import Part
from kroma_core.node.registry import discover
from kroma_core.node.shadow.engine_answer import EngineAnswer, Expectation, Made, Question, Refused, digest_of
from kroma_core.types import BlockId, Hash32

AT_ONCE: Final = 1.0
"""Seconds of work after which several questions are answered as far as they are."""
NICENESS: Final = 10
"""How far a follower's process stands back where the processor is short: the leading engine goes first."""


@attrs.frozen
class Same:
    """The engine gave what was expected."""


@attrs.frozen
class Lacks:
    """The engine does not have the block that it was to build on."""


@attrs.frozen
class Other:
    """The engine gave something else."""

    answer: EngineAnswer


Followed: TypeAlias = Same | Lacks | Other


@attrs.define
class EngineFollower:
    """Asks one engine, and keeps its heads where the leading engine has its own."""

    engine: ExecutionEngine
    config: ChainConfig

    async def head(self) -> BlockId:
        """The newest block that the engine has."""
        return (await self.engine.block(L2Label.UNSAFE)).id

    async def has(self, block_hash: Hash32) -> bool:
        """Whether the engine has a block."""
        return await self._known(block_hash) is not None

    async def follow(self, question: Question, expected: Expectation) -> Followed:
        """Ask the engine, and compare. Raises what the engine raises."""
        found: Payload | Refused | None = None
        if expected.hash is not None:
            found = await self._known(expected.hash)
        if found is None:
            found = await self._given(question)
        if found is None:
            return Lacks()
        if isinstance(found, Refused):
            return Same() if expected.hash is None else Other(await self._in_fields(question, found))
        if found.hash == expected.hash:
            await self._set_heads(question.heads, found)
        answer = await self._told(found)
        return Same() if _is_expected(answer, expected) else Other(answer)

    async def follow_all(self, asked: Sequence[tuple[Question, Expectation]]) -> Sequence[Followed]:
        """As many of them as fit into a second; no further than the first that is not as expected."""
        found: list[Followed] = []
        end = trio.current_time() + AT_ONCE
        for question, expected in asked:
            found.append(await self.follow(question, expected))
            if not isinstance(found[-1], Same) or trio.current_time() >= end:
                break
        return found

    async def ask(self, question: Question) -> EngineAnswer | None:
        """What the engine gives; None where it lacks the parent. Its heads stay where they are."""
        found = await self._given(question)
        if isinstance(found, Refused):
            return await self._in_fields(question, found)
        return None if found is None else await self._told(found)

    async def _given(self, question: Question) -> Payload | Refused | None:
        if question.payload is not None:
            return await self._judge(question.payload)
        if question.attributes is not None:
            return await self._make(question.parent, question.attributes, question.heads)
        return None

    async def _make(
        self, parent: Hash32, attributes: PayloadAttributes, heads: ForkchoiceState | None
    ) -> Payload | Refused | None:
        if not await self.has(parent):
            return None
        match await self.engine.build(parent, attributes, await self._heads_on(parent, heads)):
            case Invalid(reason=reason):
                return Refused(reason)
            case Syncing():
                return None
            case Building() as building:
                sealed = await self.engine.seal(building)
        if isinstance(sealed, Invalid):
            return Refused(sealed.reason)
        if isinstance(sealed, Gone):
            raise TemporaryError(f"seal a block on 0x{parent.hex()}: the engine has forgotten it")
        return await self._judge(sealed.payload)

    async def _judge(self, payload: Payload) -> Payload | Refused | None:
        result = await self.engine.execute(payload)
        if isinstance(result, Invalid):
            return Refused(result.reason)
        return None if isinstance(result, Syncing) else payload

    async def _in_fields(self, question: Question, refused: Refused) -> EngineAnswer:
        """Instead of a block that it refuses: the one that it makes itself of what that one shows, if it makes any."""
        if question.payload is None or question.attributes is None:
            return refused
        made = await self._make(question.parent, question.attributes, question.heads)
        if made is None or isinstance(made, Refused) or made.hash == question.payload.hash:
            return refused
        return await self._told(made)

    async def _told(self, payload: Payload) -> Made:
        return Made(
            payload=payload,
            receipts=await self.engine.receipts(payload.hash),
            passer_root=await passer_root(self.engine, payload, self.config),
        )

    async def _is_below_head(self, payload: Payload) -> bool:
        if (await self.head()).number <= payload.number:
            return False
        return (await self.engine.block(payload.number)).hash == payload.hash

    async def _known(self, block_hash: Hash32) -> Payload | None:
        try:
            return await self.engine.block(block_hash)
        except NotFound:
            return None

    async def _heads_on(self, parent: Hash32, heads: ForkchoiceState | None) -> ForkchoiceState:
        """Heads for a block on `parent`: the leading engine's, as far as this one has their blocks."""
        own = await self.engine.heads()
        if heads is None:
            return attrs.evolve(own, unsafe=parent)
        safe = heads.safe if await self.has(heads.safe) else own.safe
        finalized = heads.finalized if await self.has(heads.finalized) else own.finalized
        return ForkchoiceState(unsafe=parent, safe=safe, finalized=finalized)

    async def _set_heads(self, heads: ForkchoiceState | None, payload: Payload) -> None:
        if await self._is_below_head(payload):
            return  # it has come further before, and has only to be compared
        wanted = await self._heads_on(payload.hash, heads)
        result = await self.engine.set_heads(wanted)
        if isinstance(result, Inconsistent):
            raise CriticalError(
                f"set the head to L2 block {payload.id}, where the leading engine has it: {result.reason}"
            )
        if isinstance(result, Syncing):
            raise TemporaryError(f"set the head to L2 block {payload.id}: the engine is still syncing")


async def passer_root(engine: ExecutionEngine, payload: Payload, config: ChainConfig) -> Hash32 | None:
    """The storage root of the message passer after a block; None from an engine that has no state."""
    rules = config.rollup.schedule.at(payload.timestamp)
    if rules.withdrawals_root_is_storage_root and payload.withdrawals_root is not None:
        return payload.withdrawals_root
    try:
        return await engine.storage_root(MESSAGE_PASSER[config.rollup.family], payload.hash)
    except NotFound:
        return None


def _is_expected(made: Made, expected: Expectation) -> bool:
    if made.payload.hash != expected.hash:
        return False
    if (
        None not in (expected.receipts_digest, made.receipts)
        and digest_of(made.receipts or ()) != expected.receipts_digest
    ):
        return False
    return None in (expected.passer_root, made.passer_root) or made.passer_root == expected.passer_root


@attrs.frozen(kw_only=True)
class Layer:
    """One layer of an engine: a part, or what it stands on."""

    kind: str
    settings: Any
    data_dir: Path


@attrs.frozen(kw_only=True)
class EngineFollowerHost:
    """The engine of installed offers, the one in front first, in a process that stands back."""

    layers: tuple[Layer, ...]
    chain: ChainConfig

    @asynccontextmanager
    async def opened(self, emit: Callable[[Event], None]) -> AsyncIterator[Part]:
        os.nice(NICENESS)
        async with opened_layers(self.layers, self.chain, emit) as engine:
            yield Part(EngineFollower(engine, self.chain))


@asynccontextmanager
async def opened_layers(
    layers: tuple[Layer, ...], chain: ChainConfig, emit: Callable[[Event], None]
) -> AsyncIterator[ExecutionEngine]:
    """An engine, with what it stands on. Raises `ConfigError` where a plugin is not installed here."""
    registry = discover()
    async with AsyncExitStack() as stack:
        below: dict[str, Any] = {}
        for layer in reversed(layers):
            found = registry.find(Role.ENGINE, layer.kind)
            if found is None:
                raise ConfigError(f"engine {layer.kind!r}: no installed plugin offers it here")
            layer.data_dir.mkdir(parents=True, exist_ok=True)
            context = PluginContext(chain=chain, data_dir=layer.data_dir, clock=time.time, emit=emit)
            part: ExecutionEngine = await stack.enter_async_context(found.offer.open(layer.settings, context, **below))
            below = {Role.ENGINE.value: part}
        yield below[Role.ENGINE.value]
