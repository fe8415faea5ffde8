"""Fuzz targets of the readers of recordings: any file gives answers or a `RecordingError`, nothing else.

    python -m tests.recording.fuzz_recordings [--runs 1000000] [--seed 1] [row | vector | database]

`row` mutates packed rows, `vector` the JSON of a small chain vector, `database` the bytes of a small stored recording;
a file costs about a thousand times what a row does, so those two run a thousandth of `--runs`. The default suite runs a
short round (`test_fuzz_recordings.py`).
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kroma_core.errors import NotFound
from kroma_core.recording import RecordingError, VerifiedReader, import_vector, open_recording, verify
from kroma_core.recording.layout import join, pack, split, unpack
from tests.codec.fuzz_decoders import mutated
from tests.recording.samples import KROMA, vector

ODD = (None, True, -1, 0, 2**64, 1.5, "", "0x", "0x0", "0xzz", "0x" + "00" * 32, [], {}, [None], {"hash": 1})


def small_vector() -> dict[str, Any]:
    """A chain vector of a few blocks, so that a run is quick."""
    content = vector(KROMA)
    content["l1"]["blocks"] = content["l1"]["blocks"][:4]
    content["timeline"] = content["timeline"][:3]
    expected = content["expected"]
    expected["blocks"], expected["outputs"] = expected["blocks"][:3], expected["outputs"][:3]
    expected["safe_after"] = expected["safe_after"][:3]
    content["l2_genesis"]["alloc"] = dict(list(content["l2_genesis"]["alloc"].items())[:2])
    content["blobs"] = {}
    return content


def read_everything(path: Path) -> bool:
    """Read a file whole; whether it could be opened."""
    try:
        with open_recording(path) as recording:
            list(verify(recording))
            reader = VerifiedReader(recording)
            for link in recording.links():
                try:
                    reader.canonical(recording.step(recording.step_count - 1).unsafe, link.number)
                except (NotFound, RecordingError, IndexError) as error:
                    if isinstance(error, IndexError) and recording.step_count:
                        raise
    except RecordingError:
        return False
    return True


def row(runs: int, seed: int, folder: Path) -> int:
    chance = random.Random(f"row {seed}")
    samples = [join([b"one", b"two" * 40, b""]), join([bytes(2000)]), join([])]
    packed = [(pack(sample), len(sample)) for sample in samples]
    accepted = 0
    for _ in range(runs):
        data, size = chance.choice(packed)
        data = mutated(data, chance)
        try:
            split(unpack(data, size, file=folder, part="row", field="data"), file=folder, part="row", field="data")
        except RecordingError:
            continue
        accepted += 1
    return accepted


def json_vector(runs: int, seed: int, folder: Path) -> int:
    chance = random.Random(f"vector {seed}")
    text = json.dumps(small_vector())
    path = folder / "vector.json"
    accepted = 0
    for _ in range(max(1, runs // 1000)):
        content = json.loads(text)
        for _ in range(chance.choice((1, 1, 2, 5))):
            mutate_value(content, chance)
        path.write_text(json.dumps(content))
        accepted += read_everything(path)
    return accepted


def mutate_value(value: Any, chance: random.Random) -> None:
    """Change, drop or repeat something somewhere below a JSON value."""
    while True:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        if not keys:
            return
        key = chance.choice(list(keys))
        inner = value[key]
        if isinstance(inner, dict | list) and inner and chance.random() < 0.9:
            value = inner
            continue
        match chance.randrange(3):
            case 0:
                value[key] = chance.choice(ODD)
            case 1:
                del value[key]
            case _ if isinstance(inner, str) and len(inner) > 4:
                at = chance.randrange(2, len(inner))
                value[key] = inner[:at] + chance.choice("0f") + inner[at + chance.randrange(2) :]
            case _ if isinstance(inner, int):
                value[key] = inner + chance.choice((-1, 1, 2**40))
        return


def database(runs: int, seed: int, folder: Path) -> int:
    chance = random.Random(f"database {seed}")
    source = folder / "source.json"
    source.write_text(json.dumps(small_vector()))
    data = import_vector(source, folder / "good.krec").read_bytes()
    path = folder / "bad.krec"
    accepted = 0
    for _ in range(max(1, runs // 1000)):
        changed = bytearray(data)
        for _ in range(chance.choice((1, 1, 3, 20))):
            changed[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(changed if chance.random() < 0.9 else changed[: chance.randrange(len(data))])
        accepted += read_everything(path)
    return accepted


TARGETS: dict[str, Callable[[int, int, Path], int]] = {"row": row, "vector": json_vector, "database": database}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.recording.fuzz_recordings", description="Fuzz the readers.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"default: all of {', '.join(TARGETS)}")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    for name in chosen.targets or TARGETS:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            accepted = TARGETS[name](chosen.runs, chosen.seed, Path(folder))
        print(f"{name}: {accepted} accepted, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
