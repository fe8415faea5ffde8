"""The heads: they follow the L1 through reorgs, and no server that lags makes them go back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio

from kroma_core.errors import NotFound, TemporaryError
from kroma_core.events import RequestAnswered, Retrying, SourceDistrusted
from kroma_core.jsonrpc.background import BackgroundTasks
from kroma_core.l1 import L1Label
from kroma_core.testing.rpc_node import Fault, RpcNode, Status
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import L1Number


def long_l1(count: int = 80) -> ScriptedL1:
    l1 = ScriptedL1()
    l1.mine_empty(count)
    return l1


def down(method: str, params: Sequence[Any]) -> Fault | None:
    return Status(503)


async def expect_canonical(source: Any, l1: ScriptedL1, numbers: Sequence[int]) -> None:
    for number in numbers:
        assert (await source.ref(L1Number(number))).hash == l1.canonical_hash(number)


def test_a_higher_head_is_shown_and_a_change_of_labels(follow: Any, run: Any) -> None:
    l1 = long_l1(5)

    async def body() -> None:
        async with follow(RpcNode(l1=l1)) as followed:
            assert (await followed.until(lambda heads: True)).unsafe == l1.tip.ref
            with pytest.raises(NotFound, match="does not exist yet"):
                await followed.source.ref(L1Number(6))
            with pytest.raises(NotFound, match="no finalized block yet"):
                await followed.source.head(L1Label.FINALIZED)
            final, safe = l1.genesis, l1.tip
            l1.mine()
            l1.mark(L1Label.SAFE, safe)
            l1.mark(L1Label.FINALIZED, final)
            heads = await followed.until(lambda heads: heads.finalized is not None)
            assert (heads.unsafe, heads.safe, heads.finalized) == (l1.tip.ref, safe.ref, final.ref)
            assert (await followed.source.ref(L1Number(6))).hash == l1.tip.hash

    run(body)


@pytest.mark.parametrize("depth", [1, 5, 64])
def test_a_reorg_is_followed_whole(depth: int, follow: Any, run: Any) -> None:
    l1 = long_l1()

    async def body() -> None:
        async with follow(RpcNode(l1=l1)) as followed:
            await expect_canonical(followed.source, l1, range(1, 81))
            abandoned = l1.tip
            l1.reorg(depth)
            l1.mine_empty(depth + 1)
            await followed.until(lambda heads: heads.unsafe == l1.tip.ref)
            await expect_canonical(followed.source, l1, range(1, 82))
            assert (await followed.source.block(abandoned.hash)).hash == abandoned.hash

    run(body)


def test_a_reorg_to_a_branch_of_the_same_height_is_followed(follow: Any, run: Any) -> None:
    l1 = long_l1()

    async def body() -> None:
        async with follow(RpcNode(l1=l1)) as followed:
            await expect_canonical(followed.source, l1, range(70, 81))
            l1.reorg(3)
            l1.mine_empty(3)
            await followed.until(lambda heads: heads.unsafe == l1.tip.ref)
            await expect_canonical(followed.source, l1, range(70, 81))

    run(body)


def test_a_reorg_below_everything_that_was_read_is_followed(follow: Any, run: Any) -> None:
    l1 = long_l1(10)

    async def body() -> None:
        async with follow(RpcNode(l1=l1)) as followed:
            await followed.until(lambda heads: True)
            l1.reorg(9)
            l1.mine_empty(300)
            await followed.until(lambda heads: heads.unsafe == l1.tip.ref)
            await expect_canonical(followed.source, l1, range(0, 302, 7))

    run(body)


def test_a_head_that_goes_back_counts_after_a_while(follow: Any, run: Any) -> None:
    l1 = long_l1()
    old = l1.tip

    async def body() -> None:
        async with follow(RpcNode(l1=l1)) as followed:
            await followed.until(lambda heads: True)
            began = trio.current_time()
            l1.reorg(2)
            heads = await followed.until(lambda heads: heads.unsafe != old.ref)
            assert heads.unsafe == l1.tip.ref
            assert trio.current_time() - began >= 0.1
            with pytest.raises(NotFound):
                await followed.source.ref(L1Number(80))

    run(body)


def test_a_lagging_server_does_not_take_the_head_back(follow: Any, run: Any) -> None:
    l1 = long_l1()
    first, lagging = RpcNode(l1=l1), RpcNode(l1=l1, behind=5)
    seen: list[int] = []

    async def body() -> None:
        async with follow(first, lagging, patience=20.0) as followed:
            await followed.until(lambda heads: True)
            first.plant = down
            await followed.told(lambda event: isinstance(event, SourceDistrusted))

            async def watch() -> None:
                async for heads in followed.source.subscribe():
                    seen.append(heads.unsafe.number)

            async with BackgroundTasks() as nursery:
                nursery.start_soon(watch)
                await followed.told(
                    lambda event: isinstance(event, SourceDistrusted) and "shows" in event.reason, ever=True
                )
                l1.mine_empty(6)  # now the lagging one is further than anybody was
                await followed.until(lambda heads: heads.unsafe.number == 81)
            assert seen == sorted(seen)
            assert "it shows L1 block 75 as the head, 80 is known" in followed.distrusted(1)

    run(body)


def test_a_preferred_server_that_stands_still_is_left_for_one_that_moves(follow: Any, run: Any) -> None:
    l1 = long_l1()
    frozen = RpcNode(l1=l1, behind=40)

    async def body() -> None:
        async with follow(frozen, RpcNode(l1=l1)) as followed:
            await followed.until(lambda heads: heads.unsafe == l1.tip.ref)
            assert followed.distrusted(0)
            await expect_canonical(followed.source, l1, range(60, 81))

    run(body)


def test_a_lagging_server_is_an_error_where_a_block_below_the_head_is_asked_for(follow: Any, run: Any) -> None:
    l1 = long_l1()
    node = RpcNode(l1=l1)

    async def body() -> None:
        async with follow(node, poll_interval=20.0) as followed:
            await followed.until(lambda heads: True)
            node.behind = 30
            with pytest.raises(TemporaryError, match="L1 block"):
                await followed.source.ref(L1Number(55))
            node.behind = 0
            await expect_canonical(followed.source, l1, range(40, 81))

    run(body)


def test_another_branch_of_another_server_counts_only_when_it_is_higher(follow: Any, run: Any) -> None:
    l1 = long_l1(40)
    fork = long_l1(40)
    fork.reorg(3)
    fork.mine_empty(3)  # as high, but another branch
    first, second = RpcNode(l1=l1), RpcNode(l1=fork)

    async def body() -> None:
        async with follow(first, second, patience=20.0) as followed:
            await followed.until(lambda heads: True)
            first.plant = down
            for _ in range(5):
                await followed.told(
                    lambda event: isinstance(event, RequestAnswered) and event.server == followed.urls[1]
                )
            assert await followed.source.head(L1Label.UNSAFE) == l1.tip.ref
            fork.mine()
            await followed.until(lambda heads: heads.unsafe == fork.tip.ref)
            await expect_canonical(followed.source, fork, range(30, 42))

    run(body)


def test_what_was_final_does_not_go_back(follow: Any, run: Any) -> None:
    l1 = long_l1(30)
    low, high = l1.genesis, l1.tip
    l1.mine_empty(3)
    l1.mark(L1Label.FINALIZED, high)

    async def body() -> None:
        async with follow(RpcNode(l1=l1)) as followed:
            await followed.until(lambda heads: heads.finalized == high.ref)
            l1.mark(L1Label.FINALIZED, low)
            l1.mine()
            heads = await followed.until(lambda heads: heads.unsafe == l1.tip.ref)
            assert heads.finalized == high.ref

    run(body)


def test_a_safe_head_below_the_final_one_is_the_final_one(follow: Any, run: Any) -> None:
    l1 = long_l1(30)
    low, high = l1.genesis, l1.tip
    l1.mine_empty(3)
    l1.mark(L1Label.SAFE, low)
    l1.mark(L1Label.FINALIZED, high)

    async def body() -> None:
        async with follow(RpcNode(l1=l1)) as followed:
            heads = await followed.until(lambda heads: heads.finalized == high.ref)
            assert heads.safe == high.ref

    run(body)


def test_a_websocket_tells_of_a_head_before_the_next_look(run: Any, follow: Any) -> None:
    l1 = long_l1(5)
    node = RpcNode(l1=l1)

    async def body() -> None:
        async with BackgroundTasks() as nursery:
            url = await nursery.start(node.serve_websocket)
            async with follow(url, RpcNode(l1=l1), poll_interval=1000.0) as followed:
                await followed.until(lambda heads: True)
                await followed.told(
                    lambda event: isinstance(event, RequestAnswered) and event.method == "eth_subscribe", ever=True
                )
                for _ in range(3):
                    l1.mine()
                    await followed.until(lambda heads: heads.unsafe == l1.tip.ref)
                await expect_canonical(followed.source, l1, range(9))

    run(body)


def test_silence_is_told_without_saying_twice_what_was_tried(follow: Any, run: Any) -> None:
    node = RpcNode(l1=long_l1(5))

    async def body() -> None:
        async with follow(node) as followed:
            await followed.until(lambda heads: True)
            node.plant = down
            await followed.told(lambda event: isinstance(event, Retrying))
            told = next(event for event in followed.events if isinstance(event, Retrying))
            assert told.what == "find the L1 heads"
            assert "find the L1 heads" not in told.error
            assert "503" in told.error

    run(body)


def test_silence_of_all_servers_is_told_and_ends(follow: Any, run: Any) -> None:
    l1 = long_l1(5)
    node = RpcNode(l1=l1)

    async def body() -> None:
        async with follow(node) as followed:
            await followed.until(lambda heads: True)
            node.plant = down
            await followed.told(lambda event: isinstance(event, Retrying))
            node.plant = lambda method, params: None
            l1.mine()
            await followed.until(lambda heads: heads.unsafe == l1.tip.ref)

    run(body)
