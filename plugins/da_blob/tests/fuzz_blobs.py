"""Fuzz target of the blob codec: mutated blobs decode or are refused, and what decodes is what its encoding gives.

    python plugins/da_blob/tests/fuzz_blobs.py [--runs 1000000] [--seed 1]

The default suite's short rounds are the property tests in `test_codec.py`.
"""

from __future__ import annotations

import argparse
import random
import time

from kroma_da_blob.codec import BLOB_SIZE, decode, encode

from kroma_core.errors import DecodeError


def fuzz(runs: int, seed: int) -> int:
    """How many of `runs` blobs decoded. Raises what the decoder should not have raised."""
    chance = random.Random(f"blob {seed}")
    samples = [encode(chance.randbytes(size)) for size in (0, 1, 27, 123, 124, 500, 4000)]
    accepted = 0
    for _ in range(runs):
        blob = bytearray(chance.choice(samples))
        for _ in range(chance.choice((1, 1, 2, 5))):
            blob[chance.randrange(chance.choice((6, 160, 5000, BLOB_SIZE)))] = chance.randrange(256)
        try:
            data = decode(bytes(blob))
        except DecodeError:
            continue
        blob[0] &= 0x3F  # the bits of the first byte that a decoder does not look at
        if encode(data) != blob:
            raise AssertionError(f"{blob.rstrip(bytes(1)).hex()} decoded to {data.hex()}")
        accepted += 1
    return accepted


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fuzz the blob codec.")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    started = time.perf_counter()
    found = fuzz(chosen.runs, chosen.seed)
    print(f"blob: {chosen.runs} inputs, {found} accepted, {time.perf_counter() - started:.0f} s")
