"""`eth_`, `debug_` and the like of the embedded engine and of a real op-geth, on the same chain: the same answers.

What is different on purpose is taken out by `alike`, with the reason.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from kroma_core.api import Applied, Port, Role, Valid
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.load import chain_from_json
from kroma_core.codec.hexadecimal import to_data
from kroma_core.codec.payloads import payload_to_json
from kroma_core.l2 import ForkchoiceState
from kroma_core.node.eth.serve import EthView, serve_eth
from kroma_core.node.profile import EthTable
from kroma_core.recording import ExpectedBlock, open_recording
from tests.contract.offers import opened
from tests.eth_rpc import questions
from tests.eth_rpc.comparison import alike, difference
from tests.eth_rpc.questions import Question, ask
from tests.peers.l2 import OpGeth, op_geth
from tests.peers.rollup import CHAINS, read_vector, recorded_rollup

RICH = "0x" + "a1" * 20
BLOCKS = 24


@attrs.frozen
class Pair:
    """Both servers, on the same blocks."""

    op_geth: str
    kroma: str
    blocks: tuple[ExpectedBlock, ...]


@asynccontextmanager
async def both(name: str, folder: Path, count: int) -> AsyncIterator[Pair]:
    path = CHAINS / f"{name}.json.xz"
    with open_recording(path) as recording:
        assert recording.expected is not None
        blocks = tuple(block for block, _ in zip(recording.expected.blocks(), range(count), strict=False))
        chain = chain_from_json(recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=name)
    heads = ForkchoiceState(
        unsafe=blocks[-1].hash, safe=blocks[len(blocks) // 2].hash, finalized=blocks[len(blocks) // 4].hash
    )
    settings = {"call_seconds": 60.0}
    async with (
        op_geth(folder / "geth", recorded_rollup(read_vector(path))) as geth,
        opened(Role.ENGINE, "pyevm", chain, folder / "kroma", settings) as engine,
        trio.open_nursery() as nursery,
    ):
        await _tell_op_geth(geth, chain, blocks, heads)
        for block in blocks:
            assert await engine.execute(block.payload) == Valid()
        assert await engine.set_heads(heads) == Applied()
        view = EthView(engine=engine, queries=engine, pool=engine, chain=chain, emit=lambda event: None)
        (host, port), _ = await nursery.start(_serve, view)
        yield Pair(geth.rpc.url, f"http://{host}:{port}", blocks)
        nursery.cancel_scope.cancel()


async def _serve(view: EthView, *, task_status: Any) -> None:
    await serve_eth(EthTable(port=Port(0), ws_port=Port(0)), view, task_status=task_status)


async def _tell_op_geth(
    geth: OpGeth, chain: ChainConfig, blocks: Sequence[ExpectedBlock], heads: ForkchoiceState
) -> None:
    for block in blocks:
        version = chain.rollup.schedule.at(block.payload.timestamp).payload_version
        arguments: list[Any] = [payload_to_json(block.payload)]
        if block.payload.parent_beacon_root is not None:
            arguments += [[], to_data(block.payload.parent_beacon_root)]
        if version >= 4:
            arguments.append([])
        answer = await geth.engine.call(f"engine_newPayloadV{version}", *arguments)
        assert answer["status"] == "VALID", answer
    state = {
        "headBlockHash": to_data(heads.unsafe),
        "safeBlockHash": to_data(heads.safe),
        "finalizedBlockHash": to_data(heads.finalized),
    }
    answer = await geth.engine.call("engine_forkchoiceUpdatedV3", state, None)
    assert answer["payloadStatus"]["status"] == "VALID", answer


async def compared(pair: Pair, wanted: Iterable[Question]) -> list[str]:
    """The differences between the answers."""
    asked = list(wanted)
    assert asked
    expected, got = await ask(pair.op_geth, asked), await ask(pair.kroma, asked)
    return [
        f"{method} {str(params)[:160]} {difference(left, right)}"
        for (method, params), one, other in zip(asked, expected, got, strict=True)
        if (left := alike(method, one)) != (right := alike(method, other))
    ]


GROUPS: Mapping[str, Callable[[Pair], Iterable[Question]]] = {
    "blocks": lambda pair: questions.about_blocks(pair.blocks),
    "transactions": lambda pair: questions.about_transactions(pair.blocks),
    "state": lambda pair: questions.about_state(pair.blocks),
    "logs": lambda pair: questions.about_logs(pair.blocks),
    "fees": lambda pair: questions.about_fees(pair.blocks),
    "calls": lambda pair: questions.about_calls(pair.blocks),
    "suppositions": lambda pair: questions.about_suppositions(RICH),
    "traces": lambda pair: questions.about_traces(pair.blocks),
}
CHEAP = ("blocks", "transactions", "state", "logs", "fees")


@pytest.mark.parametrize(
    ("name", "count", "groups"),
    [
        ("plain-jovian", BLOCKS, tuple(GROUPS)),
        ("upgrade-bedrock-to-jovian", 200, CHEAP),
        ("plain-bedrock", BLOCKS, ("blocks", "transactions", "calls", "traces")),
        ("plain-regolith", BLOCKS, ("blocks", "transactions", "calls", "traces")),
        ("plain-canyon", 100, CHEAP),
        ("plain-ecotone", 100, CHEAP),
        ("plain-isthmus", 100, CHEAP),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_answers_are_those_of_op_geth(name: str, count: int, groups: Sequence[str], tmp_path: Path) -> None:
    async def main() -> None:
        with trio.fail_after(600):
            async with both(name, tmp_path, count) as pair:
                for group in groups:
                    found = await compared(pair, GROUPS[group](pair))
                    assert found == [], f"{group}: {len(found)} differences, the first:\n" + "\n".join(found[:5])

    trio.run(main)
