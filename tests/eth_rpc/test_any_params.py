"""Whatever a client gives as parameters, no method of `[eth]` fails in a way that it does not know."""

from __future__ import annotations

import random
from typing import Any

from kroma_core.jsonrpc.client import Client
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.jsonrpc.methods import Methods
from kroma_core.node.eth.serve import EthMethods, EthView
from tests.eth_rpc.worlds import World, on_world

FOR_EACH_METHOD = 12
NAMES = (
    "from", "to", "gas", "value", "nonce", "data", "input", "accessList", "authorizationList", "chainId", "type",
    "address", "topics", "fromBlock", "toBlock", "blockHash", "blockNumber", "tracer", "tracerConfig", "limit",
    "stateOverrides", "blockOverrides", "balance", "code", "state", "stateDiff", "number", "time", "storageKeys",
)  # fmt: skip


class Gibberish:
    """JSON values of every form; most of the texts are such as some method takes."""

    def __init__(self, seed: int, hashes: list[str]) -> None:
        self._random = random.Random(seed)
        self._plain: list[Any] = [
            None, True, False, 0, 1, -1, 1.5, 2**63, "", "0x", "0x0", "0x1", "0x00", "0x5", "0xg", "-0x1", "é", "\0",
            "0x" + "f" * 16, "0x" + "f" * 64, "0x" + "f" * 65, "0x" + "00" * 20, "0x" + "00" * 19 + "01",
            "0x4200000000000000000000000000000000000015", "latest", "pending", "earliest", "finalized", "callTracer",
            "newHeads", *hashes,
        ]  # fmt: skip

    def value(self, depth: int = 0) -> Any:
        form = self._random.random()
        if depth > 3 or form < 0.6:
            return self._random.choice(self._plain)
        count = self._random.randrange(4)
        if form < 0.75:
            return [self.value(depth + 1) for _ in range(count)]
        return {self._random.choice(NAMES): self.value(depth + 1) for _ in range(count)}

    def params(self) -> list[Any]:
        return [self.value() for _ in range(self._random.randrange(5))]


def every_method(world: World) -> list[str]:
    methods = Methods()
    view = EthView(
        engine=world.engine,
        queries=world.engine,
        pool=world.engine,
        traces=world.engine,
        chain=world.chain,
        emit=lambda _: None,
        miner=True,
    )
    EthMethods(view).add_to(methods)
    return sorted(methods.names())


async def code_of(client: Client, method: str, params: list[Any]) -> int | None:
    try:
        await client.call(method, *params)
    except RpcError as error:
        return error.code
    return None


def test_no_parameters_make_a_method_fail_inside() -> None:
    async def body(world: World) -> None:
        gibberish = Gibberish(7, ["0x" + block.hash.hex() for block in world.blocks])
        for method in every_method(world):
            for _ in range(FOR_EACH_METHOD):
                params = gibberish.params()
                assert await code_of(world.client, method, params) != Code.INTERNAL_ERROR, (method, params)
        assert await world.client.call("eth_blockNumber") == hex(len(world.blocks))

    on_world(body, call_seconds=0.5)
