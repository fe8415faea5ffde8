"""Mutated real data into every decoder: whatever it is, a decoder answers with its typed result.

    python -m tests.fuzz.fuzz_decoders [--target frames] [--runs 1000000] [--seed 1]

Without `--target` all of them run, those of the codecs (`tests.codec.fuzz_decoders`) included. A find is printed with
the input in hex. The default suite runs a short round of each (`test_fuzz_decoders.py`).
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable

from kroma_core.errors import DecodeError
from tests.codec import fuzz_decoders as codecs
from tests.fuzz.derive_targets import Target, targets


def all_targets() -> dict[str, Target]:
    """Targets by name."""
    return targets() | {name: Target(_raising(target), target.samples) for name, target in codecs.TARGETS.items()}


def _raising(target: codecs.Target) -> Callable[[bytes], bool]:
    """A codec's decoder raises `DecodeError`; what it accepts has to come back from its encoder."""

    def run(data: bytes) -> bool:
        try:
            again = target.run(data)
        except DecodeError:
            return False
        assert again is None or again == data
        return True

    return run


def fuzz(name: str, target: Target, runs: int, seed: int) -> int:
    """Run a target `runs` times; how many inputs it accepted. Raises what the target raises, the input in a note."""
    chance = random.Random(f"{name} {seed}")
    accepted = 0
    for _ in range(runs):
        data = codecs.mutated(chance.choice(target.samples), chance)
        try:
            accepted += target.run(data)
        except BaseException as find:
            find.add_note(f"{name}: input 0x{data.hex()}")
            raise
    return accepted


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.fuzz_decoders", description="Fuzz every decoder.")
    parser.add_argument("--target", action="append", metavar="NAME", help="may be given several times")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    known = all_targets()
    unknown = set(chosen.target or ()) - known.keys()
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    for name in chosen.target or known:
        started = time.perf_counter()
        accepted = fuzz(name, known[name], chosen.runs, chosen.seed)
        seconds = time.perf_counter() - started
        print(f"{name}: {chosen.runs} inputs, {accepted} accepted, {seconds:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
