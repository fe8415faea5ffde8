"""Whole recorded chains, derived from L1 alone: op-chains and kroma-chains.

The recorded blocks stand in for an engine, so this judges derivation: every attribute of every block, where it came
from, and the safe head after each step of the timeline.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from tests.derive.worlds import Follower, World
from tests.vectors.unit_files import vectors_root

FOLDERS = ("op-chains", "kroma-chains")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    root = vectors_root(metafunc.config)
    paths = [path for folder in FOLDERS for path in sorted((root / folder).glob("*.json*"))]
    metafunc.parametrize("path", paths, ids=lambda path: path.name.split(".")[0])


@functools.lru_cache(maxsize=2)
def world_at(path: Path) -> World:
    return World(path)


def test_chain_is_derived_block_for_block(path: Path) -> None:
    world = world_at(path)
    follower = Follower.from_genesis(world)
    assert follower.run(world.final_chain) is None
    assert follower.machine.safe.hash == world.blocks[-1].payload.hash
    assert [_origin_of(follower, block.payload.number) for block in world.blocks] == [
        (block.derived_from, block.l1_origin, block.sequence_number) for block in world.blocks
    ]
    if not world.has_reorgs:  # after a reorg the client's log, the labels' source, speaks of another branch
        kinds = {number: str(derived.kind) for number, derived in follower.derived.items()}
        assert kinds == {block.payload.number: block.batch for block in world.blocks}
    assert all(verdict.rule and verdict.reason for verdict in follower.verdicts)


def test_safe_head_after_each_step_is_that_of_the_client(path: Path) -> None:
    """Of the steps whose head is on the final L1 chain; where the client had not noticed a reorg, it is no measure."""
    world = world_at(path)
    follower = Follower.from_genesis(world)
    chain = world.final_chain
    reached = -1
    for stop in world.stops:
        place = chain.index(stop.l1_head) if stop.l1_head in chain else -1
        if place <= reached:
            continue
        reached = place
        assert follower.run(chain[: place + 1]) is None
        assert follower.machine.origin is not None
        assert follower.machine.origin.hash == stop.l1_head
        if stop.derived_l1 in (None, stop.l1_head):
            assert follower.machine.safe.hash == stop.safe, world.header(stop.l1_head).number


def _origin_of(follower: Follower, number: int) -> tuple[Any, ...]:
    derived = follower.derived[number]
    ref = follower.refs[number]
    return derived.derived_from.number, ref.l1_origin.number, ref.sequence_number
