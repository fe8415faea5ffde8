"""Opens the parts of a plan in the order of their requirements, and closes them in reverse."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any

import attrs

from kroma_core.api import (
    BlobSource,
    Clock,
    DataSource,
    ExecutionEngine,
    L1Source,
    Observer,
    PluginContext,
    ProofSystem,
    Role,
    Transport,
)
from kroma_core.errors import KromaError
from kroma_core.events import Event
from kroma_core.node.compose import Broadcast
from kroma_core.node.data_directory import claimed
from kroma_core.node.isolation.derivation import Derivations, InThisProcess, isolated_derivation
from kroma_core.node.isolation.engine import isolated_engine
from kroma_core.node.isolation.hosts import EngineHost
from kroma_core.node.opened import well_formed
from kroma_core.node.plan import Plan, PlannedPart
from kroma_core.node.profile import MANY, Isolation
from kroma_core.node.shadow.follower import Follower
from kroma_core.node.shadow.leading import following, leading_of
from kroma_core.node.shadow.recent_blobs import BlobsAgain, NotedBlobs, RecentBlobs
from kroma_core.node.shadow.roles import SHADOWED


@attrs.frozen(kw_only=True)
class Parts:
    """The opened parts of a node. `emit` tells all observers."""

    l1: L1Source
    blobs: tuple[BlobSource, ...]
    data: tuple[DataSource, ...]
    engine: ExecutionEngine
    transports: tuple[Transport, ...]
    proofs: tuple[ProofSystem, ...]
    derivations: Derivations
    emit: Callable[[Event], None]


@attrs.frozen(kw_only=True)
class EngineAlone:
    """What is open in a node that does not derive."""

    engine: ExecutionEngine
    emit: Callable[[Event], None]


Wrap = Callable[[Role, Any], Any]
"""What takes a part's place: given each as it opens, before other parts get it."""


def as_it_is(role: Role, part: Any) -> Any:
    """Every part in its own place."""
    return part


@asynccontextmanager
async def assemble(
    plan: Plan,
    *,
    observers: Mapping[str, Observer] | None = None,
    clock: Clock = time.time,
    wrap: Wrap = as_it_is,
    shadows: bool = False,
) -> AsyncIterator[Parts]:
    """Open every part of `plan`; `observers` are core's own, told of events besides those of the profile.

    With `shadows`, the parts in the shadow of others follow these beside the block; where it ends by itself, they
    finish first what they have to compare. Raises `DivergenceHalt` where a divergence ends the node.

    What a part raises while it opens or closes carries a note that names the part. Cancellation at any time closes what
    has been opened.
    """
    async with (
        _opened(plan, observers or {}, clock, wrap, shadows=shadows) as (opened, broadcast),
        _derivations(plan, broadcast) as derivations,
    ):
        yield Parts(
            l1=opened[Role.L1][0],
            blobs=tuple(opened[Role.BLOBS]),
            data=tuple(opened[Role.DATA]),
            engine=opened[Role.ENGINE][0],
            transports=tuple(opened[Role.P2P]),
            proofs=tuple(opened[Role.PROOF]),
            derivations=derivations,
            emit=broadcast,
        )


@asynccontextmanager
async def assemble_engine(
    plan: Plan, *, observers: Mapping[str, Observer] | None = None, clock: Clock = time.time
) -> AsyncIterator[EngineAlone]:
    """Open the parts of a plan that does not derive, with its shadows, as `assemble` does those of one that does."""
    async with _opened(plan, observers or {}, clock, shadows=True) as (opened, broadcast):
        yield EngineAlone(engine=opened[Role.ENGINE][0], emit=broadcast)


@asynccontextmanager
async def _opened(
    plan: Plan, observers: Mapping[str, Observer], clock: Clock, wrap: Wrap = as_it_is, *, shadows: bool = False
) -> AsyncIterator[tuple[Mapping[Role, Sequence[Any]], Broadcast]]:
    """The parts of a plan by role, and what tells all observers."""
    broadcast = Broadcast(dict(observers))
    opened: dict[Role, list[Any]] = {role: [] for role in Role}

    @asynccontextmanager
    async def opened_here(part: PlannedPart) -> AsyncIterator[Any]:
        async with AsyncExitStack() as own:
            yield await _open(part, plan, led, broadcast, clock, own)

    led: dict[Role, list[Any]] = {role: [] for role in Role}
    """The leading parts themselves, which followers are given where they require them."""
    followers: list[Follower[Any]] = []
    recent = RecentBlobs()
    data_followed = shadows and any(part.shadows for part in plan.of_role(Role.DATA))
    async with AsyncExitStack() as stack:
        stack.enter_context(claimed(plan.data_dir, plan.chain))
        for part in plan.parts:
            value = await _open(part, plan, opened, broadcast, clock, stack)
            keep = part.role is Role.BLOBS and data_followed
            led[part.role].append(BlobsAgain(value, recent) if keep else value)
            if shadows and part.shadows:
                leading = leading_of(plan, part, value, opened_here, clock, broadcast, followers, recent)
                value = SHADOWED[part.role](leading)
            if keep:
                value = NotedBlobs(value, recent)
            opened[part.role].append(wrap(part.role, value))
            if part.role is Role.OBSERVE:
                broadcast.attach(part.name, opened[part.role][-1])
                stack.callback(broadcast.detach, part.name)
        await stack.enter_async_context(following(followers))
        yield opened, broadcast


@asynccontextmanager
async def _derivations(plan: Plan, emit: Callable[[Event], None]) -> AsyncIterator[Derivations]:
    if plan.node.isolation is Isolation.PROCESS:
        async with isolated_derivation(emit) as derivations:
            yield derivations
    else:
        yield InThisProcess()


async def _open(
    part: PlannedPart,
    plan: Plan,
    opened: Mapping[Role, list[Any]],
    broadcast: Broadcast,
    clock: Clock,
    stack: AsyncExitStack,
) -> Any:
    """The part, opened; it is closed with `stack`."""
    offer = part.installed.offer
    required = {
        role.value: tuple(opened[role]) if role in MANY else opened[role][0]
        for role in offer.requires
        if role is not part.role
    }
    if part.wraps is not None:
        below = await _open(part.wraps, plan, opened, broadcast, clock, stack)
        required[part.role.value] = (below,) if part.role in MANY else below
    with _Noted(f"while opening {part}"):
        part.data_dir.mkdir(parents=True, exist_ok=True)
        context = PluginContext(chain=plan.chain, data_dir=part.data_dir, clock=clock, emit=broadcast)
        if part.role is Role.ENGINE and plan.node.isolation is Isolation.PROCESS:
            host = EngineHost(kind=offer.kind, settings=part.settings, chain=plan.chain, data_dir=part.data_dir)
            manager: AbstractAsyncContextManager[Any] = isolated_engine(host, part.name, broadcast)
        else:
            manager = offer.open(part.settings, context, **required)
        value = await manager.__aenter__()

    async def close(
        kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        with _Noted(f"while closing {part}", unless=error):
            try:
                return await manager.__aexit__(kind, error, trace)
            except KromaError as failure:
                if failure is error or not isinstance(error, KromaError):
                    raise
                error.add_note(f"and closing {part} failed: {failure}")
                return False

    stack.push_async_exit(close)
    if plan.node.isolation is not Isolation.PROCESS or part.role is not Role.ENGINE:  # whose process looks at it
        with _Noted(f"while opening {part}"):
            well_formed(value, part.installed)
    return value


@attrs.frozen
class _Noted:
    """Adds a note to what is raised inside, so that a message can say which part it was."""

    note: str
    unless: BaseException | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and error is not self.unless:
            error.add_note(self.note)
