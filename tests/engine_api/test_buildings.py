"""How many blocks a caller may have begun."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import trio

from kroma_core.api import Building, ExecutionEngine, Gone
from kroma_core.node.authrpc.buildings import Buildings


def test_the_oldest_of_more_than_ten_is_cancelled() -> None:
    cancelled: list[Building] = []

    async def cancel(building: Building) -> None:
        cancelled.append(building)

    async def seal(building: Building) -> Gone:
        return Gone()

    begun = [Building(id=bytes((number,)), parent=bytes(32)) for number in range(11)]

    async def main() -> None:
        buildings = Buildings(cast(ExecutionEngine, SimpleNamespace(cancel=cancel, seal=seal)))
        for building in begun:
            await buildings.add(building.id, building)
        assert begun[0].id not in buildings
        assert begun[1].id in buildings

    trio.run(main)
    assert cancelled == begun[:1]
