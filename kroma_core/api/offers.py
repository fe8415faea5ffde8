"""What a plugin hands to core: offers, and what core hands back when it opens one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import attrs

from kroma_core.api.inspection import Facts
from kroma_core.api.roles import API_VERSION, Capability, Role
from kroma_core.chain.config import ChainConfig
from kroma_core.events import Event

R = TypeVar("R", covariant=True)


class Clock(Protocol):
    """Wall-clock time in seconds since the Unix epoch; a test gives its own."""

    def __call__(self) -> float: ...


@attrs.frozen(kw_only=True)
class PluginContext:
    """All that core gives to an offer besides its settings and required roles.

    `data_dir` is the offer's alone and exists; `emit` hands an event to the observers and never blocks.
    """

    chain: ChainConfig
    data_dir: Path
    clock: Clock
    emit: Callable[[Event], None]


def no_problems(settings: Any, chain: ChainConfig) -> Sequence[str]:
    """The check of an offer that works with any settings on any chain."""
    return ()


@attrs.frozen(kw_only=True)
class Offer(Generic[R]):
    """One way to fill a role.

    `kind` is what a profile writes. `config` is a frozen attrs class whose fields, types and defaults are the
    documentation of the settings. `open(config, context, **required)` returns an async context manager that yields the
    part; the roles in `requires` are opened first and passed by the role's name (`blobs=` and `data=`: a tuple, in
    profile order; `l1=`, `engine=`: one part). An offer that requires its own role stands on another part of it: the
    profile's table for it has that one's in it (`[engine.wraps]`), and it has the capabilities that both claim.
    `check(config, chain)` tells what is wrong with settings on a chain as far as it shows without opening anything; it
    may read files. `inspect(config, context)` asks the servers that the part would use what they are, one `Facts` each:
    without opening the part, without writing anything, and without raising for a server that is silent. None where
    there is nobody to ask.
    """

    kind: str
    config: type
    open: Callable[..., AbstractAsyncContextManager[R]]
    check: Callable[[Any, ChainConfig], Sequence[str]] = no_problems
    inspect: Callable[[Any, PluginContext], Awaitable[Sequence[Facts]]] | None = None
    summary: str = ""
    requires: tuple[Role, ...] = ()
    capabilities: frozenset[Capability] = frozenset()
    api: int = API_VERSION


AnyOffer = Offer[Any]
