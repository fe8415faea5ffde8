"""`kroma_getBlockTraceByNumberOrHash`: which block is meant, what is refused, and what the answer may leave out.

What a trace holds is compared with kroma-geth's in tests/vectors/test_block_traces.py.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.jsonrpc.methods import Methods
from kroma_core.node.eth import block_trace_methods
from kroma_core.node.eth.serve import EthMethods, EthView
from tests.eth_rpc.worlds import World, on_world

TRACE = "kroma_getBlockTraceByNumberOrHash"
ZK_CHAIN = "../kroma-chains/ecotone-zk"


async def refusal(world: World, *params: Any) -> RpcError:
    with pytest.raises(RpcError) as caught:
        await world.client.call(TRACE, *params)
    return caught.value


def test_a_block_is_named_as_in_every_other_method() -> None:
    async def body(world: World) -> None:
        second, last = world.blocks[1].hash, world.blocks[-1].hash
        for name, expected in (
            ("0x2", second),
            ("0x" + second.hex(), second),
            ({"blockHash": "0x" + second.hex()}, second),
            ({"blockNumber": "0x2"}, second),
            ("latest", last),
        ):
            found = await world.client.call(TRACE, name)
            assert found["header"]["hash"] == "0x" + expected.hex()
        assert found["header"]["number"] == hex(len(world.blocks))
        assert found["storageTrace"]["rootAfter"] == "0x" + world.blocks[-1].payload.state_root.hex()
        assert (
            len(found["executionResults"]) == len(found["transactions"]) == len(world.blocks[-1].payload.transactions)
        )
        assert "kroma" in await world.client.call("rpc_modules")

    on_world(body, ZK_CHAIN, 3)


def test_options_leave_out_and_add_what_geth_s_options_do() -> None:
    async def body(world: World) -> None:
        plain = await world.client.call(TRACE, "0x1", {"tracer": "callTracer"})
        assert plain == await world.client.call(TRACE, "0x1", None)
        steps = [step for result in plain["executionResults"] for step in result["structLogs"]]
        assert any("storage" in step for step in steps)
        assert not any("memory" in step for step in steps)
        options = {"disableStack": True, "disableStorage": True, "enableMemory": True}
        other = await world.client.call(TRACE, "0x1", options)
        changed = [step for result in other["executionResults"] for step in result["structLogs"]]
        assert not any("stack" in step or "storage" in step for step in changed)
        assert any("memory" in step for step in changed)
        assert "storageProofs" not in other["storageTrace"]
        error = await refusal(world, "0x1", {"limit": 5})
        assert (error.code, "a prover needs the whole trace" in str(error)) == (Code.INVALID_PARAMS, True)

    on_world(body, ZK_CHAIN, 1)


def test_genesis_and_unknown_blocks_are_refused() -> None:
    async def body(world: World) -> None:
        for name in ("0x0", "earliest"):
            assert "genesis is not traceable" in str(await refusal(world, name))
        for name in ("0x63", "0x" + "5a" * 32):
            assert "not found" in str(await refusal(world, name))
        assert (await refusal(world, "0xzz")).code == Code.INVALID_PARAMS

    on_world(body, ZK_CHAIN, 1)


def test_a_block_after_the_change_of_state_is_refused_by_its_number() -> None:
    async def body(world: World) -> None:
        assert "block 1 is not of the ZK era" in str(await refusal(world, "0x1"))

    on_world(body, "../kroma-chains/mpt-genesis", 1)


def test_a_trace_that_would_be_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_trace_methods, "MOST_STEPS", 50)

    async def body(world: World) -> None:
        error = await refusal(world, "0x1")
        assert (error.code, error.message) == (
            Code.LIMIT_EXCEEDED,
            "block 1: the trace is too long: more than 50 steps",
        )

    on_world(body, ZK_CHAIN, 1)


def test_a_trace_that_takes_too_long_is_stopped() -> None:
    async def body(world: World) -> None:
        assert "timeout" in str(await refusal(world, "0x1"))
        assert await world.client.call("eth_blockNumber") == "0x1"

    on_world(body, ZK_CHAIN, 1, trace_seconds=0.0)


def test_provers_are_served_where_the_engine_can() -> None:
    async def body(world: World) -> None:
        view = EthView(engine=world.engine, queries=world.engine, pool=None, chain=world.chain, emit=lambda _: None)
        for traces, served in ((None, False), (world.engine, True)):
            methods = Methods()
            EthMethods(attrs.evolve(view, traces=traces)).add_to(methods)
            assert (methods.find(TRACE) is not None) == served

    on_world(body, count=1)
