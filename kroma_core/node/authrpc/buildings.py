"""Blocks that are being built for a caller, under op-geth's ids."""

from __future__ import annotations

from typing import Final

import attrs

from kroma_core.api import Building, ExecutionEngine, Sealed

_MOST: Final = 10


@attrs.define
class _Entry:
    building: Building
    sealed: Sealed | None = None


class Buildings:
    """The last few buildings. What was sealed once is answered again as it was."""

    def __init__(self, engine: ExecutionEngine) -> None:
        self._engine = engine
        self._entries: dict[bytes, _Entry] = {}

    def __contains__(self, payload_id: object) -> bool:
        return payload_id in self._entries

    async def add(self, payload_id: bytes, building: Building) -> None:
        """Take a building in; the oldest of too many is cancelled."""
        self._entries[payload_id] = _Entry(building)
        if len(self._entries) > _MOST:
            oldest = self._entries.pop(next(iter(self._entries)))
            if oldest.sealed is None:
                await self._engine.cancel(oldest.building)

    async def seal(self, payload_id: bytes) -> Sealed | None:
        """The finished block; None for an id that is unknown, also to the engine, or whose block became invalid."""
        entry = self._entries.get(payload_id)
        if entry is None:
            return None
        if entry.sealed is None:
            match await self._engine.seal(entry.building):
                case Sealed() as sealed:
                    entry.sealed = sealed
                case _:
                    del self._entries[payload_id]
                    return None
        return entry.sealed
