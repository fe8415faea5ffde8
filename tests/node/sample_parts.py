"""Small parts of every role, offered as a plugin's would be; they note when they are opened and closed."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

from kroma_core.api import (
    AnyOffer,
    Capability,
    InputFile,
    Offer,
    PluginContext,
    Port,
    RecordingFile,
    Role,
    Secret,
    hookimpl,
)
from kroma_core.api.shape import CLAIMED, PROTOCOLS

Journal = list[str]


class Colour(enum.StrEnum):
    RED = "red"
    GREEN = "green"


@attrs.frozen(kw_only=True)
class NoSettings:
    """Nothing to say."""


@attrs.frozen(kw_only=True)
class ManySettings:
    """One setting of every type that a profile can fill."""

    store: Path
    """Where blocks are kept,
    relative to the profile."""
    count: int = 3
    rate: float = 0.5
    loud: bool = False
    colour: Colour = Colour.RED
    salt: bytes = b"\x01"
    key: Secret | None = None
    words: tuple[str, ...] = ()
    input: InputFile | None = None
    port: Port = Port(0)


@attrs.frozen(kw_only=True)
class RecordingSettings:
    recording: RecordingFile
    """The recording to play."""


@attrs.frozen
class Part(*PROTOCOLS.values(), *CLAIMED.values()):  # type: ignore[misc]  # a part for every role
    """What opening yields: its name, what it was given, and what it was told. It has all methods, and does nothing."""

    name: str
    settings: Any
    context: PluginContext
    required: dict[str, Any]
    events: list[Any] = attrs.field(factory=list)

    def on_event(self, event: Any) -> None:
        self.events.append(event)


def opener(name: str, journal: Journal, fail: Exception | None = None) -> Callable[..., Any]:
    @asynccontextmanager
    async def open_part(settings: Any, context: PluginContext, **required: Any) -> AsyncIterator[Part]:
        journal.append(f"open {name}")
        if fail is not None:
            raise fail
        try:
            yield Part(name, settings, context, required)
        finally:
            journal.append(f"close {name}")

    return open_part


def offer(
    kind: str,
    journal: Journal | None = None,
    *,
    config: type = NoSettings,
    requires: tuple[Role, ...] = (),
    capabilities: frozenset[Capability] = frozenset(),
    fail: Exception | None = None,
    api: int | None = None,
    check: Callable[[Any, Any], Sequence[str]] | None = None,
) -> AnyOffer:
    made: AnyOffer = Offer(
        kind=kind,
        config=config,
        open=opener(kind, journal if journal is not None else [], fail),
        requires=requires,
        capabilities=capabilities,
    )
    if api is not None:
        made = attrs.evolve(made, api=api)
    return attrs.evolve(made, check=check) if check is not None else made


class SamplePlugin:
    """A plugin module with offers by role."""

    def __init__(self, **offers: Sequence[Any]) -> None:
        self.offers = offers

    @hookimpl
    def provide_l1_sources(self) -> Sequence[AnyOffer]:
        return self.offers.get("l1", ())

    @hookimpl
    def provide_blob_sources(self) -> Sequence[AnyOffer]:
        return self.offers.get("blobs", ())

    @hookimpl
    def provide_data_sources(self) -> Sequence[AnyOffer]:
        return self.offers.get("data", ())

    @hookimpl
    def provide_engines(self) -> Sequence[AnyOffer]:
        return self.offers.get("engine", ())

    @hookimpl
    def provide_observers(self) -> Sequence[AnyOffer]:
        return self.offers.get("observe", ())
