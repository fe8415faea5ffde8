"""A server that fails, lies or lags changes nothing but who is asked next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest

from kroma_core.codec.receipts import Receipt
from kroma_core.errors import ConfigError, NotFound, TemporaryError
from kroma_core.l1 import L1Label
from kroma_core.testing.rpc_node import Body, Cut, Error, Fault, Hang, RpcNode, Status
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import L1Number

NOBODY = "http://127.0.0.1:1"
ALICE, BOB = b"\xaa" * 20, b"\xbb" * 20

FAULTS = {
    "429": Status(429, headers={"retry-after": "1"}),
    "500": Status(500),
    "503 with a page": Status(503, body="<html>" + "busy " * 500),
    "hang": Hang(),
    "truncated JSON": Cut(),
    "broken connection": Cut(connection=True),
    "not JSON": Body(b"hello"),
    "empty": Body(b""),
    "another shape": Body(b'{"jsonrpc":"2.0","id":null}'),
    "deep nesting": Body(b"[" * 100_000),
    "error object": Error(-32000, "header not found"),
    "limit": Error(-32005, "too many requests"),
}


def busy_l1() -> ScriptedL1:
    """Deposits and batches in some blocks, and a tip above them."""
    l1 = ScriptedL1()
    for number in range(1, 9):
        l1.mine([l1.deposit(sender=ALICE, to=BOB, mint=number), l1.batcher_tx(b"\0" + bytes((number,)) * 50)])
    l1.mine()
    return l1


def on_blocks(fault: Fault) -> Any:
    """The fault whenever a block or receipts are asked for in full; heads are answered."""

    def plant(method: str, params: Sequence[Any]) -> Fault | None:
        return fault if method == "eth_getBlockReceipts" or (len(params) == 2 and params[1] is True) else None

    return plant


async def expect_truth(source: Any, l1: ScriptedL1) -> None:
    """Every canonical block and its receipts, as the L1 has them."""
    for number in range(l1.genesis.header.number, l1.tip.header.number + 1):
        ref = await source.ref(L1Number(number))
        assert ref.hash == l1.canonical_hash(number)
        block, receipts = await source.block(ref.hash), await source.receipts(ref.hash)
        truth = l1.content(ref.hash)
        assert block.transactions == truth.transactions
        assert tuple(receipt.encode() for receipt in receipts) == truth.receipts


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_a_temporary_error_and_another_server_is_asked(fault: Fault, follow: Any, run: Any) -> None:
    l1 = busy_l1()
    bad, good = RpcNode(l1=l1, plant=on_blocks(fault)), RpcNode(l1=l1)

    async def body() -> None:
        async with follow(bad, good) as followed:
            await expect_truth(followed.source, l1)
            assert followed.distrusted()
        async with follow(bad) as alone:
            with pytest.raises(TemporaryError, match=r"127[.]0[.]0[.]1"):
                await alone.source.block(l1.tip.hash)
            bad.plant = lambda method, params: None
            held = 1.0 if fault == FAULTS["429"] else 0.0
            if not held:
                assert (await alone.source.block(l1.tip.hash)).hash == l1.tip.hash

    run(body)


def test_a_refused_connection_is_asked_again_later_and_another_server_now(follow: Any, run: Any) -> None:
    l1 = busy_l1()

    async def body() -> None:
        async with follow(NOBODY, RpcNode(l1=l1)) as followed:
            await expect_truth(followed.source, l1)
            assert any("connect" in reason for reason in followed.distrusted())

    run(body)


def test_without_any_server_every_question_is_a_temporary_error(follow: Any, run: Any) -> None:
    l1 = busy_l1()
    node = RpcNode(l1=l1, plant=lambda method, params: Status(500))

    async def body() -> None:
        async with follow(node, NOBODY) as followed:
            for ask in (followed.source.ref(L1Number(1)), followed.source.head(L1Label.UNSAFE)):
                with pytest.raises(TemporaryError):
                    await ask
            node.plant = lambda method, params: None
            heads = await followed.until(lambda heads: True)
            assert heads.unsafe == l1.tip.ref

    run(body)


def test_a_server_of_another_chain_is_named_when_it_opens(follow: Any, run: Any) -> None:
    l1 = busy_l1()

    async def body() -> None:
        with pytest.raises(ConfigError, match=r"is a server of chain 5; the rollup's L1 is chain 900"):
            async with follow(RpcNode(l1=l1), RpcNode(l1=l1, chain_id=5)):
                pass

    run(body)


def test_a_server_of_another_chain_that_answers_later_is_never_believed(follow: Any, run: Any) -> None:
    l1, other = busy_l1(), ScriptedL1(seed="other")
    other.mine_empty(30)
    liar = RpcNode(l1=other, chain_id=5, plant=lambda method, params: Status(500))

    async def body() -> None:
        async with follow(liar, RpcNode(l1=l1)) as followed:
            liar.plant = lambda method, params: None
            await expect_truth(followed.source, l1)
            assert await followed.source.head(L1Label.UNSAFE) == l1.tip.ref

    run(body)


def lost_receipts(found: Any) -> Any:
    return []


def altered_receipts(found: Any) -> Any:
    for receipt in found or ():
        for log in receipt["logs"]:
            log["data"] = "0x" + "00" * 32
    return found


def altered_transaction(found: Any) -> Any:
    if found is not None and found["transactions"] and isinstance(found["transactions"][0], dict):
        found["transactions"][0]["input"] = "0x00ff"
    return found


def altered_header(found: Any) -> Any:
    return found if found is None else found | {"timestamp": hex(int(found["timestamp"], 16) + 1)}


LIES = {
    "empty receipts": ("eth_getBlockReceipts", lost_receipts, "receipts of L1 block"),
    "wrong receipts": ("eth_getBlockReceipts", altered_receipts, "receipts of L1 block"),
    "no receipts": ("eth_getBlockReceipts", lambda found: None, "does not have it"),
    "receipts of another shape": ("eth_getBlockReceipts", lambda found: {"a": 1}, "expected a list"),
    "wrong transaction": ("eth_getBlockByHash", altered_transaction, "transactions hash to"),
    "wrong header": ("eth_getBlockByHash", altered_header, "the header that was sent hashes to"),
    "a text for a block": ("eth_getBlockByHash", lambda found: "0x1", "expected an object"),
}


@pytest.mark.parametrize(("method", "lie", "text"), LIES.values(), ids=LIES.keys())
def test_a_lie_is_seen_and_another_server_is_asked(method: str, lie: Any, text: str, follow: Any, run: Any) -> None:
    l1 = busy_l1()
    liar, good = RpcNode(l1=l1, change={method: lie}), RpcNode(l1=l1)
    block_hash = l1.canonical_hash(3)

    async def ask(source: Any) -> None:
        await source.block(block_hash)
        await source.receipts(block_hash)

    async def body() -> None:
        async with follow(liar, good) as followed:
            await expect_truth(followed.source, l1)
            assert followed.distrusted()
        async with follow(liar) as alone:
            await alone.source.ref(L1Number(3))
            with pytest.raises(TemporaryError, match=text):
                await ask(alone.source)

    run(body)


def test_a_server_without_block_receipts_is_asked_for_each_receipt(follow: Any, run: Any) -> None:
    l1 = busy_l1()
    node = RpcNode(l1=l1, without={"eth_getBlockReceipts"})

    async def body() -> None:
        async with follow(node) as followed:
            await expect_truth(followed.source, l1)
            assert node.calls["eth_getBlockReceipts"] == 1
            assert node.calls["eth_getTransactionReceipt"] == 16

    run(body)


def test_a_missing_parent_is_an_error_of_the_server_and_not_of_the_chain(follow: Any, run: Any) -> None:
    l1 = busy_l1()
    gap = l1.canonical_hash(4)
    node = RpcNode(l1=l1, hidden={gap})

    async def body() -> None:
        async with follow(node) as followed:
            with pytest.raises(TemporaryError, match="L1 block"):
                await followed.source.ref(L1Number(3))
            node.hidden.clear()
            assert (await followed.source.ref(L1Number(3))).hash == l1.canonical_hash(3)
        async with follow(RpcNode(l1=l1, hidden={gap}), RpcNode(l1=l1)) as followed:
            await expect_truth(followed.source, l1)

    run(body)


def test_a_canonical_block_that_the_server_lacks_is_not_reported_as_gone(follow: Any, run: Any) -> None:
    l1 = busy_l1()
    node = RpcNode(l1=l1)

    async def body() -> None:
        async with follow(node) as followed:
            ref = await followed.source.ref(L1Number(5))
            node.hidden.add(ref.hash)
            with pytest.raises(TemporaryError, match="does not have it"):
                await followed.source.block(ref.hash)

    run(body)


def test_a_batch_that_is_too_large_is_halved(follow: Any, run: Any) -> None:
    l1 = busy_l1()
    l1.mine_empty(60)
    node = RpcNode(l1=l1, most_calls=3)

    async def body() -> None:
        async with follow(node, max_batch=16) as followed:
            await expect_truth(followed.source, l1)
            assert max(node.requests) == 16
            assert set(node.requests[-10:]) <= {1, 2, 3}

    run(body)


def test_a_transaction_of_a_later_type_is_taken_in_its_raw_form(follow: Any, run: Any) -> None:
    l1 = ScriptedL1()
    later = l1.mine([l1.batcher_tx(b"\0x"), b"\x06" + b"\xc3\x01\x02\x03"])
    l1.mine()

    async def body() -> None:
        node = RpcNode(l1=l1)
        async with follow(node) as followed:
            assert (await followed.source.block(later.hash)).transactions == later.transactions
            receipts = await followed.source.receipts(later.hash)
            assert tuple(receipt.encode() for receipt in receipts) == l1.content(later.hash).receipts
        node.without.add("eth_getRawTransactionByBlockHashAndIndex")
        async with follow(node) as followed:
            with pytest.raises(TemporaryError, match=r"transaction 1 has type 0x6.*is needed"):
                await followed.source.block(later.hash)

    run(body)


def test_a_header_with_fields_that_are_not_known_is_refused_by_their_names(follow: Any, run: Any) -> None:
    l1 = busy_l1()
    extra = {"slotNumber": "0x7", "timestamp": "0x1"}
    node = RpcNode(l1=l1, change={"eth_getBlockByHash": lambda found: found | extra})

    async def body() -> None:
        async with follow(node) as followed:
            with pytest.raises(TemporaryError, match="fields that are not known here: slotNumber"):
                await followed.source.block(l1.tip.hash)

    run(body)


def test_nothing_of_a_url_but_its_server_is_told(follow: Any, run: Any) -> None:
    l1 = busy_l1()
    node = RpcNode(l1=l1, plant=lambda method, params: Status(500, body="no key swordfish-swordfish here"))

    async def body() -> None:
        async with follow(
            node, "http://user:hunter2-hunter2@127.0.0.1:1/v3/swordfish-swordfish?key=topsecret-1"
        ) as one:
            with pytest.raises(TemporaryError) as caught:
                await one.source.head(L1Label.UNSAFE)
            told = str(caught.value) + repr(one.events)
            for secret in ("hunter2", "topsecret", "v3/swordfish"):
                assert secret not in told

    run(body)


def test_the_receipts_root_is_compared_with_what_the_header_says(follow: Any, run: Any) -> None:
    l1 = busy_l1()
    block_hash = l1.canonical_hash(2)
    content = l1.content(block_hash)
    wrong = attrs.evolve(Receipt.decode(content.receipts[0]), status=0)
    damage = {block_hash: attrs.evolve(content, receipts=(wrong.encode(), *content.receipts[1:]))}

    async def body() -> None:
        async with follow(RpcNode(l1=l1, damage=damage)) as followed:
            with pytest.raises(TemporaryError, match=f"receipts of L1 block 2 .*{block_hash.hex()}"):
                await followed.source.receipts(block_hash)

    run(body)


def test_a_block_that_nobody_has_is_not_found(follow: Any, run: Any) -> None:
    l1 = busy_l1()

    async def body() -> None:
        async with follow(RpcNode(l1=l1), NOBODY) as followed:
            with pytest.raises(NotFound):
                await followed.source.block(b"\x77" * 32)

    run(body)
