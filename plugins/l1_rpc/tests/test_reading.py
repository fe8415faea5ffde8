"""Reading block after block: what is fetched ahead, how often servers are asked, and what may be asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
import trio.testing
from kroma_l1_rpc.budget import Budget
from kroma_l1_rpc.cache import ByteBoundedCache
from kroma_l1_rpc.ledger import Asked, Ledger
from kroma_l1_rpc.trust import AFTER_LAG, AFTER_LIE, AFTER_SILENCE, LONGEST, Trust
from kroma_l1_rpc.verification import Contradiction

from kroma_core.events import Event, RequestAnswered, SourceDistrusted
from kroma_core.jsonrpc.errors import Failure, NoAnswer
from kroma_core.testing.rpc_node import RpcNode
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import Hash32, L1Number


def deposits_l1(count: int) -> ScriptedL1:
    """Every third block has a deposit, the others a batcher transaction."""
    l1 = ScriptedL1()
    for number in range(1, count + 1):
        deposit = number % 3 == 0
        l1.mine([l1.deposit(sender=b"\1" * 20, to=b"\2" * 20) if deposit else l1.batcher_tx(b"\0" * 9)])
    return l1


async def read(source: Any, l1: ScriptedL1, numbers: range) -> None:
    """Read blocks one by one as derivation does."""
    for number in numbers:
        ref = await source.ref(L1Number(number))
        block = await source.block(ref.hash)
        assert block.hash == l1.canonical_hash(number)
        if number % 3 == 0:
            assert len(await source.receipts(ref.hash)) == 1


@pytest.mark.parametrize("prefetch", [0, 5, 32])
def test_what_is_read_does_not_depend_on_what_is_fetched_ahead(prefetch: int, follow: Any, run: Any) -> None:
    l1 = deposits_l1(230)
    node = RpcNode(l1=l1)

    async def body() -> None:
        async with follow(node, prefetch=prefetch, poll_interval=60.0) as followed:
            await read(followed.source, l1, range(1, 231))

    run(body)
    if prefetch == 32:
        assert len(node.requests) < 160


def test_receipts_are_asked_for_only_where_the_bloom_may_hold_what_counts(follow: Any, run: Any) -> None:
    l1 = deposits_l1(200)
    node = RpcNode(l1=l1)

    async def body() -> None:
        async with follow(node, prefetch=32, poll_interval=60.0) as followed:
            await read(followed.source, l1, range(1, 201))  # to the head: nothing is under way after that
            ledger = followed.source.ledger()
            assert ledger["eth_getBlockReceipts"].calls == node.calls["eth_getBlockReceipts"]
            assert node.calls["eth_getBlockReceipts"] <= 200 // 3 + 1

    run(body)


def test_each_block_is_fetched_once_while_it_is_kept(follow: Any, run: Any) -> None:
    l1 = deposits_l1(60)
    node = RpcNode(l1=l1)

    async def body() -> None:
        async with follow(node, prefetch=8, poll_interval=60.0) as followed:
            await read(followed.source, l1, range(1, 61))
            asked = dict(node.calls)
            await read(followed.source, l1, range(1, 61))
            assert node.calls == asked

    run(body)


def test_what_is_fetched_ahead_never_drives_itself_out_of_a_small_cache(follow: Any, run: Any) -> None:
    l1 = ScriptedL1()
    for _ in range(40):
        l1.mine([l1.batcher_tx(bytes(60_000))])
    node = RpcNode(l1=l1)

    async def body() -> None:
        async with follow(node, prefetch=32, poll_interval=60.0, cache_mb=1) as followed:
            for number in range(1, 41):
                ref = await followed.source.ref(L1Number(number))
                assert (await followed.source.block(ref.hash)).transactions == l1.content(ref.hash).transactions
            assert node.calls["eth_getBlockByHash"] == 40

    run(body)


def test_near_the_head_nothing_is_fetched_ahead_by_number(follow: Any, run: Any) -> None:
    """A server on another branch would have its say there."""
    l1 = deposits_l1(40)
    by_number: list[Any] = []

    def note(method: str, params: Sequence[Any]) -> None:
        if method == "eth_getBlockByNumber" and params[1] is True:
            by_number.append(params[0])

    async def body() -> None:
        async with follow(RpcNode(l1=l1, plant=note), prefetch=8, poll_interval=60.0) as followed:
            ref = await followed.source.ref(l1.canonical_hash(5))
            assert (await followed.source.block(ref.hash)).header.number == 5
            await trio.testing.wait_all_tasks_blocked(0.05)

    run(body)
    assert by_number == []


def test_a_chain_is_walked_back_in_few_requests(follow: Any, run: Any) -> None:
    l1 = deposits_l1(400)
    node = RpcNode(l1=l1)

    async def body() -> None:
        async with follow(node, poll_interval=60.0) as followed:
            ref = await followed.source.ref(L1Number(200))
            before = len(node.requests)
            for number in range(199, 100, -1):
                ref = await followed.source.ref(ref.parent_hash)
                assert ref.hash == l1.canonical_hash(number)
            assert len(node.requests) - before < 12

    run(body)


def test_blocks_read_before_and_after_a_reorg_are_each_of_their_branch(follow: Any, run: Any) -> None:
    l1 = deposits_l1(90)

    async def body() -> None:
        async with follow(RpcNode(l1=l1), prefetch=32) as followed:
            await read(followed.source, l1, range(1, 60))
            l1.reorg(45)
            for _ in range(45):
                l1.mine([l1.batcher_tx(b"\0other")])
            l1.mine()
            await followed.until(lambda heads: heads.unsafe == l1.tip.ref)
            for number in range(40, 92):
                ref = await followed.source.ref(L1Number(number))
                assert (await followed.source.block(ref.hash)).hash == l1.canonical_hash(number)

    run(body)


def test_a_budget_lets_a_seconds_worth_through_and_then_waits() -> None:
    async def main() -> None:
        budget = Budget(per_second=10, at_once=4)
        began = trio.current_time()
        for calls, at in ((10, 0.0), (5, 0.5), (20, 2.5), (1, 2.6)):
            async with budget.spend(calls):
                assert trio.current_time() - began == pytest.approx(at)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_budget_holds_back_more_requests_than_may_be_under_way() -> None:
    async def main() -> None:
        budget = Budget(per_second=0, at_once=2)
        under_way = most = 0

        async def one() -> None:
            nonlocal under_way, most
            async with budget.spend(1):
                under_way += 1
                most = max(most, under_way)
                await trio.sleep(1)
                under_way -= 1

        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(one)
        assert most == 2
        assert trio.current_time() == pytest.approx(began + 3)

    began = 0.0

    async def timed() -> None:
        nonlocal began
        began = trio.current_time()
        await main()

    trio.run(timed, clock=trio.testing.MockClock(autojump_threshold=0))


class Seconds:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def trust_in(names: list[str]) -> tuple[Trust, Seconds, list[Event]]:
    clock, events = Seconds(), list[Event]()
    return Trust(part="l1", names=names, now=clock, emit=events.append), clock, events


def silence(retry_after: float | None = None) -> NoAnswer:
    return NoAnswer(server="a", method="m", failure=Failure.TIMEOUT, reason="silent", retry_after=retry_after)


def test_a_server_that_fails_is_asked_last_for_a_while_and_longer_each_time() -> None:
    trust, clock, events = trust_in(["a", "b"])
    for seconds in (AFTER_SILENCE, 2 * AFTER_SILENCE, 4 * AFTER_SILENCE):
        assert trust.order() == [0, 1]
        trust.failed(0, silence())
        assert trust.order() == [1, 0]
        assert isinstance(events[-1], SourceDistrusted)
        assert (events[-1].server, events[-1].seconds, events[-1].reason) == ("a", seconds, "silent")
        clock.now += seconds
    trust.kept_up(0)
    trust.failed(0, silence())
    assert isinstance(events[-1], SourceDistrusted)
    assert events[-1].seconds == AFTER_SILENCE


def test_lies_weigh_more_than_lag_and_lag_more_than_silence() -> None:
    trust, _, _ = trust_in(["lies", "lags", "silent", "good"])
    trust.failed(0, Contradiction("wrong root"))
    trust.lagged(1, "behind")
    trust.failed(2, silence())
    assert trust.order() == [3, 2, 1, 0]
    assert AFTER_SILENCE < AFTER_LAG < AFTER_LIE


def test_a_rate_limit_lasts_as_long_as_the_server_says() -> None:
    trust, clock, events = trust_in(["a"])
    trust.failed(0, silence(retry_after=200.0))
    assert isinstance(events[-1], SourceDistrusted)
    assert events[-1].seconds == 200.0
    clock.now = 199.0
    assert not trust.trusts(0)
    clock.now = 200.0
    assert trust.trusts(0)


def test_distrust_has_a_bound_and_a_server_that_fails_again_meanwhile_is_told_once() -> None:
    trust, clock, events = trust_in(["a"])
    for _ in range(40):
        trust.failed(0, Contradiction("wrong root"))
        trust.failed(0, silence())
        clock.now += LONGEST
    assert len(events) == 40
    assert max(event.seconds for event in events if isinstance(event, SourceDistrusted)) == LONGEST


def test_a_cache_forgets_what_was_not_asked_for_longest_and_keeps_its_bound() -> None:
    def key(number: int) -> Hash32:
        return bytes((number,)) * 32

    cache = ByteBoundedCache[bytes](100, len)
    for number in range(4):
        cache.put(key(number), bytes(30))
        cache.get(key(0))
    assert [number for number in range(4) if key(number) in cache] == [0, 2, 3]
    cache.put(key(9), bytes(101))
    assert key(9) not in cache
    assert cache.bytes == 0
    cache.put(key(1), bytes(50))
    cache.put(key(1), bytes(20))
    assert (cache.bytes, cache.size(key(1))) == (20, 20)


def test_the_ledger_counts_calls_by_method() -> None:
    ledger = Ledger()
    for outcome, count in (("ok", 20), ("timeout", 3), ("ok", 1)):
        ledger.note(RequestAnswered(part="l1", server="s", method="m", seconds=0.5, outcome=outcome, count=count))
    ledger.note(SourceDistrusted(part="l1", server="s", reason="r", seconds=1.0))
    assert ledger.methods == {"m": Asked(calls=24, failed=3, seconds=1.5)}
    assert ledger.calls == 24
