"""The embedded engine answers as op-geth did. Its answers were recorded by `tests/peers/record_eth_answers.py`."""

from __future__ import annotations

import json
import lzma
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from kroma_core.recording import ExpectedBlock
from tests.eth_rpc import questions
from tests.eth_rpc.comparison import alike, difference
from tests.eth_rpc.questions import Question, ask
from tests.eth_rpc.worlds import world_on

ANSWERS = Path(__file__).parent / "data" / "op-geth-answers.json.xz"
NAMES = ("plain-jovian", "plain-regolith", "plain-isthmus")
COUNT = 6


def asked_of(blocks: Sequence[ExpectedBlock]) -> list[Question]:
    """What is asked about the beginning of a chain."""
    return [
        *questions.about_blocks(blocks),
        *questions.about_transactions(blocks),
        *questions.about_state(blocks),
        *questions.about_logs(blocks),
        *questions.about_fees(blocks),
        *questions.about_calls(blocks[:3]),
        *questions.about_suppositions("0x" + "a1" * 20),
        *questions.about_traces(blocks[:4]),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_those_that_op_geth_gave(name: str) -> None:
    with lzma.open(ANSWERS) as file:
        recorded = json.load(file)[name]

    async def main() -> None:
        async with world_on(name, COUNT, call_seconds=60.0) as world:
            asked = asked_of(world.blocks)
            got = await ask(world.url, asked)
            differences = [
                f"{method} {str(params)[:160]} {difference(left, right)}"
                for (method, params), one, other in zip(asked, recorded, got, strict=True)
                if (left := alike(method, one)) != (right := alike(method, other))
            ]
            assert differences == []

    trio.run(main)
