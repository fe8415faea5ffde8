"""Makes a suite of recordings: two plain JSON files a chain, a manifest, and the text that says how to use them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

from kroma_core.chain.config import RollupConfig
from kroma_core.chain.rollup_json import rollup_config_from_json
from kroma_core.errors import ConfigError
from kroma_core.recording import Expected, ExpectedOutput, Recording, SafeAfter, open_recording
from kroma_core.recording.chain_vector import FORMAT as VECTOR
from kroma_core.recording.chain_vector import read_json
from kroma_core.recording.expected_json import block_object
from kroma_core.suite.chains import EXPECTED_FORMAT, FORMAT, MANIFEST, NAME, ExpectedChain
from kroma_core.types import BlockId, Hash32, L2Ref

_LICENCE = "MIT; the text is in README.md"
_CITE = "Kroma node derivation suite, format derivation-suite/1: chains recorded from the clients that `made_by` names"
_ERRORS = 'README.md, "An error in the suite"'
_MUST = {
    "library": "from `l1.file` and its last timeline head, derive the attributes of `expected.blocks`, in their order",
    "client": "with `l1.file` served as its L1, come to the safe heads of `expected.safe_after`, step by step",
}


def export(files: Sequence[Path], folder: Path, made_by: str) -> Iterator[str]:
    """Write the suite into `folder`, which must be empty or absent; yields the name of each chain that is done.

    Raises `ConfigError` and `RecordingError`.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: exists and is not an empty folder; nothing was written")
    for name in ("l1", "expected"):
        (folder / name).mkdir(parents=True)
    chains: dict[str, dict[str, Any]] = {}
    for path in files:
        with open_recording(path) as recording:
            name = path.name.split(".")[0]
            if not NAME.fullmatch(name):
                raise ConfigError(f"{path}: {name!r} is no name for a chain: expected letters, digits, '-', '_'")
            if name in chains:
                raise ConfigError(f"{path}: another of the recordings is called {name!r} too")
            if recording.expected is None or not recording.step_count:
                raise ConfigError(f"{path}: has no expected chain, so there is nothing that a client could be held to")
            chains[name] = _exported(recording, recording.expected, name, folder)
        yield name
    manifest = {
        "format": FORMAT,
        "made_by": made_by,
        "licence": _LICENCE,
        "cite": _CITE,
        "errors": _ERRORS,
        "a_client_must": _MUST,
        "chains": [chains[name] for name in sorted(chains)],
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    (folder / "README.md").write_text(resources.files(__package__).joinpath("README.md").read_text("utf-8"))


def _exported(recording: Recording, expected: Expected, name: str, folder: Path) -> dict[str, Any]:
    world = read_json(recording.path) if recording.format == VECTOR else _world(recording, expected)
    known = {"format", "name", "summary", "made_by", "rollup_config", "l1_chain_config", "l2_genesis", "l1", "blobs",
             "timeline"}  # fmt: skip
    inputs = {key: value for key, value in world.items() if key in known and value is not None}
    outcome = {"format": EXPECTED_FORMAT, "name": name, **world["expected"]}
    chain = ExpectedChain.of(expected, recording.step_count)
    if not chain.blocks or len(chain.safe_after) != recording.step_count:
        raise ConfigError(f"{recording.path}: the expected chain is empty, or has not one safe head for each step")
    rollup = rollup_config_from_json(recording.rollup_config, source=str(recording.path), strict=False)
    head = recording.step(recording.step_count - 1).unsafe
    return {
        "name": name,
        "summary": recording.about.summary,
        "made_by": recording.about.made_by,
        "family": rollup.family.value,
        "forks": _forks(rollup, chain),
        "exercises": _exercises(recording, rollup, chain),
        "l1": _written(folder, f"l1/{name}.json", inputs),
        "expected": _written(folder, f"expected/{name}.json", outcome),
        "l1_blocks": sum(1 for _ in recording.links()),
        "l2_blocks": len(chain.blocks),
        "steps": recording.step_count,
        "l1_head": _block_id(_linked(recording, head)),
        "safe_head": _block_id(chain.safe_after[-1].safe_l2),
    }


def _written(folder: Path, name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    data = (json.dumps(value, indent=1) + "\n").encode()
    (folder / name).write_bytes(data)
    return {"file": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _forks(rollup: RollupConfig, chain: ExpectedChain) -> list[dict[str, Any]]:
    """What is active at the end of the chain, with its time; times up to the genesis mean from the first block on."""
    last = chain.blocks[-1].payload.timestamp
    schedule = rollup.schedule
    active = [(fork, int(schedule.times.get(fork, 0))) for fork in schedule.table if schedule.active(fork, last)]
    return [{"name": fork.value, "time": time, "from_genesis": time <= rollup.genesis.l2_time} for fork, time in active]


def _exercises(recording: Recording, rollup: RollupConfig, chain: ExpectedChain) -> list[str]:
    kinds = Counter(block.batch for block in chain.blocks)
    found = [f"{kind} batches: {count}" for kind, count in sorted(kinds.items()) if kind in ("singular", "span")]
    if kinds["empty"]:
        found.append(f"blocks forced by the end of the sequencing window: {kinds['empty']}")
    if kinds["deposits-only"]:
        found.append(f"blocks that the engine refused, replaced by their deposits: {kinds['deposits-only']}")
    blobs = sum(1 for _ in recording.blob_hashes())
    if blobs:
        found.append(f"blobs: {blobs}")
    reorgs = _reorgs(recording)
    if reorgs:
        found.append(f"L1 reorgs: {reorgs}")
    crossed = [fork["name"] for fork in _forks(rollup, chain) if not fork["from_genesis"]]
    return [*found, *(f"activation of {name} in mid chain" for name in crossed)]


def _reorgs(recording: Recording) -> int:
    heads = [recording.step(step).unsafe for step in range(recording.step_count)]
    return sum(1 for old, new in pairwise(heads) if not _descends(recording, new, old))


def _descends(recording: Recording, head: Hash32, ancestor: Hash32) -> bool:
    lowest = _linked(recording, ancestor).number
    link = recording.link(head)
    while link is not None and link.hash != ancestor and link.number > lowest:
        link = recording.link(link.parent_hash)
    return link is not None and link.hash == ancestor


def _linked(recording: Recording, block_hash: Hash32) -> BlockId:
    link = recording.link(block_hash)
    if link is None:
        raise ConfigError(f"{recording.path}: the timeline names L1 block 0x{block_hash.hex()}, which is not in it")
    return link.id


def _world(recording: Recording, expected: Expected) -> dict[str, Any]:
    """A recording of the other format as the JSON object of a chain vector."""
    blocks = [_l1_block(recording, link.id) for link in recording.links()]
    timeline = []
    for index in range(recording.step_count):
        step = recording.step(index)
        heads = {"l1_head": step.unsafe, "l1_safe": step.safe, "l1_finalized": step.finalized}
        timeline.append({name: _hex(block) for name, block in heads.items() if block is not None})
    blobs = {_hex(name): _hex(blob.data) for name in recording.blob_hashes() if (blob := recording.blob(name))}
    safe = [found for step in range(recording.step_count) if (found := expected.safe_after(step)) is not None]
    outputs = [one for block in expected.blocks() if (one := expected.output(block.number)) is not None]
    about = recording.about
    return {
        "format": VECTOR,
        "name": about.name,
        "summary": about.summary,
        "made_by": about.made_by,
        "rollup_config": recording.rollup_config,
        "l1_chain_config": recording.l1_chain_config,
        "l2_genesis": recording.l2_genesis,
        "l1": {"blocks": blocks},
        "blobs": blobs,
        "timeline": timeline,
        "expected": {
            "blocks": [block_object(block) for block in expected.blocks()],
            "safe_after": [_safe_after(one) for one in safe],
            **({"outputs": [_output(one) for one in outputs]} if outputs else {}),
        },
    }


def _l1_block(recording: Recording, block: BlockId) -> dict[str, Any]:
    return {
        "number": block.number,
        "hash": _hex(block.hash),
        "header": _hex(recording.header(block.hash) or b""),
        "transactions": [_hex(raw) for raw in recording.transactions(block.hash) or ()],
        "receipts": [_hex(raw) for raw in recording.receipts(block.hash) or ()],
    }


def _safe_after(safe: SafeAfter) -> dict[str, Any]:
    derived = {} if safe.derived_l1 is None else {"derived_l1": _block_id(safe.derived_l1)}
    return {"l1_head": _hex(safe.l1_head), "safe_l2": _block_id(safe.safe_l2), **derived}


def _output(output: ExpectedOutput) -> dict[str, Any]:
    roots = {"version": output.version, "outputRoot": output.output_root, "stateRoot": output.state_root,
             "withdrawalStorageRoot": output.withdrawal_storage_root}  # fmt: skip
    following = {} if output.next_block is None else {"nextBlockRef": _l2_ref(output.next_block)}
    texts = {name: _hex(root) for name, root in roots.items()}
    return {"number": output.number, **texts, "blockRef": _l2_ref(output.block), **following}


def _l2_ref(ref: L2Ref) -> dict[str, Any]:
    return {
        "hash": _hex(ref.hash),
        "number": ref.number,
        "parentHash": _hex(ref.parent_hash),
        "timestamp": ref.timestamp,
        "l1origin": _block_id(ref.l1_origin),
        "sequenceNumber": ref.sequence_number,
    }


def _block_id(block: BlockId) -> dict[str, Any]:
    return {"hash": _hex(block.hash), "number": block.number}


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
