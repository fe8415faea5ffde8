"""Chain vectors of the project's copy, cut short or changed, and ways to replay them inside a test."""

from __future__ import annotations

import functools
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trio

from kroma_core.cli.replaying import replay_of
from kroma_core.derive.steps import Derived
from kroma_core.node.assemble import assemble
from kroma_core.node.engine_controller import Confirmed
from kroma_core.node.plan import plan_replay
from kroma_core.node.registry import Registry, discover
from kroma_core.node.replay import ReplayResult
from kroma_core.recording import Expected, open_recording
from tests.vectors.unit_files import OWN_VECTORS

World = dict[str, Any]
Path_ = tuple[str | int, ...]
"""Where a value stands in a JSON object."""


@functools.cache
def _text(name: str) -> bytes:
    return lzma.decompress((OWN_VECTORS / f"{name}.json.xz").read_bytes())


def world(name: str, steps: int | None = None) -> World:
    """The chain vector `folder/name`, free to be changed; with `steps`, only so many of its timeline."""
    found: World = json.loads(_text(name))
    found.pop("l1_contracts", None)
    if steps is None:
        return found
    expected = found["expected"]
    found["timeline"] = found["timeline"][:steps]
    expected["safe_after"] = expected["safe_after"][:steps]
    last = expected["safe_after"][-1]["safe_l2"]["number"]
    expected["blocks"] = expected["blocks"][:last]
    if "outputs" in expected:  # the output of a block may name the next one
        expected["outputs"] = [output for output in expected["outputs"] if output["number"] < last]
    heads = {step["l1_head"] for step in found["timeline"]}
    highest = max(block["number"] for block in found["l1"]["blocks"] if block["hash"] in heads)
    found["l1"]["blocks"] = [block for block in found["l1"]["blocks"] if block["number"] <= highest]
    return found


def written(folder: Path, content: World, name: str = "world.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content))
    return path


@functools.cache
def installed() -> Registry:
    return discover()


def replayed(path: Path, expected: Expected | None) -> tuple[ReplayResult, dict[int, str]]:
    """Replay a recording and compare it with `expected`; also the hash that was computed for each block at last."""
    hashes: dict[int, str] = {}
    profile = path.with_name("in-memory.toml")
    profile.write_text("[engine]\nkind = 'pyevm'\nstore = 'memory'\n")

    def note(derived: Derived, confirmed: Confirmed) -> None:
        hashes[confirmed.ref.number] = "0x" + confirmed.ref.hash.hex()

    async def main() -> ReplayResult:
        plan = plan_replay(path, profile, installed(), {}, path.parent / "data")
        with open_recording(path) as recording:
            async with assemble(plan) as parts:
                return await replay_of(recording, plan, parts, expected=expected, on_derived=note).run()

    return trio.run(main), hashes


def leaves(value: Any, at: Path_ = ()) -> Iterator[Path_]:
    """Where the plain values in a JSON value stand; an empty list is one."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*at, key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from leaves(inner, (*at, index))
    else:
        yield at


def shape(at: Path_) -> Path_:
    """The same place in any block, transaction, or step."""
    return tuple("*" if isinstance(part, int) else part for part in at)


def value_at(value: Any, at: Path_) -> Any:
    for part in at:
        value = value[part]
    return value


def replace(value: Any, at: Path_, new: Any) -> None:
    value_at(value, at[:-1])[at[-1]] = new


def another(value: Any) -> Any:
    """A value of the same kind, as near as can be."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case []:
            return None
        case "0x":
            return "0x01"
        case str() if value.startswith("0x"):
            return value[:-1] + ("1" if value[-1] != "1" else "2")
        case "singular":
            return "span"
        case str():
            return "singular"
    raise AssertionError(f"no other value for {value!r}")
