"""What an engine says of itself before a node starts: nothing is opened, nothing written."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import attrs
import trio
from kroma_engine_rpc.offers import EngineSettings, inspect

from kroma_core.api import Facts, PluginContext
from kroma_core.forks import Fork
from kroma_core.jsonrpc.errors import RpcError
from kroma_core.types import Timestamp

from .engine_side import SECRET, EngineSide

CONFIG = {"chainId": 42106, "isthmusTime": 0}


def inspected(side: EngineSide, folder: Path, *, public: EngineSide | None = None, **settings: Any) -> list[Facts]:
    secret = folder / "jwt.txt"
    if "jwt_secret" not in settings:
        secret.write_text(SECRET)
    context = PluginContext(chain=side.chain, data_dir=folder, clock=time.time, emit=lambda event: None)

    async def main() -> list[Facts]:
        with trio.fail_after(30):
            async with side.serving() as port, (public or EngineSide()).serving() as other:
                chosen: dict[str, Any] = {"url": f"http://127.0.0.1:{port}", "jwt_secret": secret, **settings}
                if public is not None:
                    chosen["eth_url"] = f"http://127.0.0.1:{other}"
                return list(await inspect(EngineSettings(**chosen), context))

    return trio.run(main)


def test_chain_genesis_heads_and_fork_times_are_told(tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["debug_chainConfig"] = CONFIG
    (found,) = inspected(side, tmp_path)
    rollup = side.chain.rollup
    assert (found.silent, found.problems) == (None, ())
    assert (found.chain_id, found.genesis) == (rollup.l2_chain_id, rollup.genesis.l2.hash)
    assert (found.head_time, found.safe_time) == (side.payload(34).timestamp, rollup.genesis.l2_time)
    assert found.chain_config == CONFIG
    assert not [method for method, _ in side.calls if method.startswith(("engine_forkchoice", "engine_new"))]


def test_the_fork_times_of_reth_stand_in_its_node_info(tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["admin_nodeInfo"] = {"protocols": {"eth": {"config": CONFIG}}}
    assert inspected(side, tmp_path)[0].chain_config == CONFIG


def test_an_engine_that_tells_no_fork_times_is_taken_without(tmp_path: Path) -> None:
    assert inspected(EngineSide(), tmp_path)[0].chain_config is None


def test_the_public_port_is_asked_as_well(tmp_path: Path) -> None:
    side, public = EngineSide(), EngineSide()
    public.answers["eth_chainId"] = "0x9"
    public._authorise = lambda headers: None  # type: ignore[method-assign]  # a public port asks for no token
    assert [facts.chain_id for facts in inspected(side, tmp_path, public=public)] == [side.chain.rollup.l2_chain_id, 9]


def test_methods_that_are_missing_now_and_later_are_told(tmp_path: Path) -> None:
    side = EngineSide()
    rollup = side.chain.rollup
    times = {**rollup.schedule.times, Fork.JOVIAN: Timestamp(2**40), Fork.KARST: Timestamp(2**41)}
    schedule = attrs.evolve(rollup.schedule, times=times)
    side.chain = attrs.evolve(side.chain, rollup=attrs.evolve(rollup, schedule=schedule))
    side.answers["engine_exchangeCapabilities"] = ["engine_forkchoiceUpdatedV3", "engine_newPayloadV4"]
    now, later = inspected(side, tmp_path)[0].problems
    assert now.startswith("it lacks engine_getPayloadV4, which this chain needs from time ")
    assert later == f"it lacks engine_getPayloadV5, which this chain needs from time {2**41} on (not yet)"


def test_another_secret_is_a_problem_that_names_the_file(tmp_path: Path) -> None:
    side = EngineSide()
    side.secret = "11" * 32
    (said,) = inspected(side, tmp_path)[0].problems
    assert str(tmp_path / "jwt.txt") in said
    assert "--authrpc.jwtsecret" in said


def test_a_missing_secret_is_told_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "none.txt"
    (said,) = inspected(EngineSide(), tmp_path, jwt_secret=path)[0].problems
    assert f"{path} (jwt_secret) is missing" in said
    assert not path.exists()


def test_a_silent_engine_is_named_with_the_reason(tmp_path: Path) -> None:
    (found,) = inspected(EngineSide(), tmp_path, url="http://127.0.0.1:1")
    assert found.server == "http://127.0.0.1:1"
    assert "eth_chainId" in (found.silent or "")


def test_a_server_that_is_no_engine_is_told(tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["eth_chainId"] = RpcError(-32601, "the method eth_chainId does not exist")
    assert "eth_chainId" in inspected(side, tmp_path)[0].problems[0]
    side.answers["eth_chainId"] = ["0x1"]
    assert "not an answer of an engine: eth_chainId" in (inspected(side, tmp_path)[0].silent or "")


def test_an_engine_without_the_first_block_is_told(tmp_path: Path) -> None:
    side = EngineSide()
    side.blocks = side.blocks[1:]
    found = inspected(side, tmp_path)[0]
    assert found.problems == ("it has no block 0",)
    assert found.genesis is None
