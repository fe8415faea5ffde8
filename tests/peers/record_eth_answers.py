"""Writes what a real op-geth answers to the questions of `tests/eth_rpc`, for the tests that run without one.

python -m tests.peers.record_eth_answers
"""

from __future__ import annotations

import json
import lzma
import tempfile
from pathlib import Path

import trio

from tests.eth_rpc.questions import ask
from tests.eth_rpc.test_answers import ANSWERS, COUNT, NAMES, asked_of
from tests.peers.test_eth_against_op_geth import both


async def main() -> None:
    found = {}
    for name in NAMES:
        async with both(name, Path(tempfile.mkdtemp()), COUNT) as pair:
            found[name] = await ask(pair.op_geth, asked_of(pair.blocks))
    with lzma.open(ANSWERS, "wt", preset=9) as file:
        json.dump(found, file, separators=(",", ":"))


if __name__ == "__main__":
    trio.run(main)
