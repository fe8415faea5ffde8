"""Sending transactions, and blocks that are filled with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
import trio

from kroma_core.codec.deposits import DepositTransaction
from kroma_core.codec.hexadecimal import to_data
from kroma_core.codec.keccak import keccak256
from kroma_core.jsonrpc.errors import RpcError
from kroma_core.l2 import Payload, PayloadAttributes
from kroma_core.testing.wallet import Wallet
from kroma_core.types import Gas
from tests.eth_rpc.worlds import World, recorded, world_on

NAME, COUNT = "plain-jovian", 4
ALICE, BOB, POOR = Wallet.named("alice"), Wallet.named("bob"), Wallet.named("poor")
ETHER, GWEI = 10**18, 10**9
CHAIN_ID = recorded(NAME)[0].rollup.l2_chain_id
CAROL = bytes.fromhex("ca" * 20)


def attributes_of(number: int, *deposits: bytes, **changes: Any) -> PayloadAttributes:
    """What a rollup node asks for at a block number: the recorded L1 attributes, deposits, and room for the pool."""
    found = recorded(NAME)[1][number - 1].attributes
    return attrs.evolve(found, transactions=(found.transactions[0], *deposits), no_tx_pool=False, **changes)


def mint(wallet: Wallet) -> bytes:
    return DepositTransaction(
        source_hash=keccak256(wallet.address),
        sender=wallet.address,
        to=wallet.address,
        mint=100 * ETHER,
        gas=Gas(100_000),
        data=b"",
    ).encode()


async def funded(world: World) -> Payload:
    """The block in which Alice and Bob get their money."""
    parent = world.blocks[-1].hash
    payload = await world.build(parent, attributes_of(COUNT + 1, mint(ALICE), mint(BOB)))
    await world.adopt(payload)
    return payload


def transfer(
    wallet: Wallet, nonce: int, *, tip: int = GWEI, fee_cap: int = 100 * GWEI, gas: int = 21_000, value: int = 1
) -> bytes:
    return wallet.dynamic_fee(chain_id=CHAIN_ID, nonce=nonce, to=CAROL, value=value, gas=gas, tip=tip, fee_cap=fee_cap)


async def send(world: World, raw: bytes) -> str:
    sent: str = await world.client.call("eth_sendRawTransaction", to_data(raw))
    return sent


async def refused(world: World, raw: bytes) -> str:
    with pytest.raises(RpcError) as raised:
        await send(world, raw)
    return raised.value.message


def on_funded_world(body: Any, **settings: Any) -> None:
    async def main() -> None:
        with trio.fail_after(60):
            async with world_on(NAME, COUNT, **settings) as world:
                await body(world, await funded(world))

    trio.run(main)


async def status(world: World) -> tuple[int, int]:
    found = await world.client.call("txpool_status")
    return int(found["pending"], 16), int(found["queued"], 16)


def signed(payload: Payload) -> Sequence[bytes]:
    return payload.transactions[1:]


def test_transaction_that_was_sent_is_pending_until_a_block_has_it() -> None:
    async def body(world: World, head: Payload) -> None:
        name = await world.client.call("eth_newPendingTransactionFilter")
        raw = transfer(ALICE, 1)
        sent = await send(world, raw)
        assert sent == to_data(keccak256(raw))
        assert await world.client.call("eth_getFilterChanges", name) == [sent]
        shown = await world.client.call("eth_getTransactionByHash", sent)
        assert (shown["blockHash"], shown["from"]) == (None, to_data(ALICE.address))
        assert await world.client.call("eth_getTransactionReceipt", sent) is None
        assert await world.client.call("eth_getTransactionCount", to_data(ALICE.address), "pending") == "0x2"
        assert list((await world.client.call("txpool_content"))["pending"]) != []
        block = await world.build(head.hash, attributes_of(COUNT + 2))
        assert signed(block) == (raw,)
        await world.adopt(block)
        assert await status(world) == (0, 0)
        assert (await world.client.call("eth_getTransactionReceipt", sent))["status"] == "0x1"

    on_funded_world(body)


def test_block_takes_the_best_tips_first_and_equal_ones_as_they_came() -> None:
    async def body(world: World, head: Payload) -> None:
        cheap, second = transfer(ALICE, 1, tip=GWEI), transfer(ALICE, 2, tip=5 * GWEI)
        best, equal = transfer(BOB, 1, tip=3 * GWEI), transfer(BOB, 2, tip=GWEI)
        for raw in (cheap, second, best, equal):
            await send(world, raw)
        block = await world.build(head.hash, attributes_of(COUNT + 2))
        assert signed(block) == (best, cheap, second, equal)
        assert await world.build(head.hash, attributes_of(COUNT + 2)) == block

    on_funded_world(body)


def test_block_without_pool_takes_nothing() -> None:
    async def body(world: World, head: Payload) -> None:
        await send(world, transfer(ALICE, 1))
        attributes = attrs.evolve(attributes_of(COUNT + 2), no_tx_pool=True)
        assert signed(await world.build(head.hash, attributes)) == ()

    on_funded_world(body)


def test_block_is_filled_no_further_than_its_footprint_allows() -> None:
    async def body(world: World, head: Payload) -> None:
        for nonce in range(1, 31):
            await send(world, transfer(ALICE, nonce))
        block = await world.build(head.hash, attributes_of(COUNT + 2, gas_limit=Gas(1_060_000)))
        used, count = block.blob_gas_used, len(signed(block))
        assert used is not None
        assert count < 30
        assert used <= block.gas_limit < used + used // count

    on_funded_world(body)


def test_data_of_a_block_stays_within_what_the_batcher_asked_for() -> None:
    """Each of these transfers is estimated at 100 bytes, the least there is."""

    async def body(world: World, head: Payload) -> None:
        for nonce in range(1, 9):
            await send(world, transfer(ALICE, nonce))
        for most, count in (("0x12b", 2), ("0x12c", 3), ("0x63", 0), ("0x0", 8)):
            assert await world.client.call("miner_setMaxDASize", "0x0", most) is True
            assert len(signed(await world.build(head.hash, attributes_of(COUNT + 2)))) == count

    on_funded_world(body)


def test_transaction_with_more_data_than_the_batcher_wants_waits_and_with_it_what_follows() -> None:
    async def body(world: World, head: Payload) -> None:
        noise = b"".join(keccak256(bytes([number])) for number in range(32))
        large = ALICE.dynamic_fee(
            chain_id=CHAIN_ID, nonce=2, to=CAROL, value=0, gas=100_000, tip=GWEI, fee_cap=100 * GWEI, data=noise
        )
        first, behind, other = transfer(ALICE, 1), transfer(ALICE, 3), transfer(BOB, 1, tip=1)
        for raw in (first, large, behind, other):
            await send(world, raw)
        await world.client.call("miner_setMaxDASize", "0x1f4", "0x0")
        assert signed(await world.build(head.hash, attributes_of(COUNT + 2))) == (first, other)
        await world.client.call("miner_setMaxDASize", "0x0", "0x0")
        assert signed(await world.build(head.hash, attributes_of(COUNT + 2))) == (first, large, behind, other)

    on_funded_world(body)


def test_transactions_of_a_block_that_was_left_come_back() -> None:
    async def body(world: World, head: Payload) -> None:
        raw = transfer(ALICE, 1)
        await send(world, raw)
        await world.adopt(await world.build(head.hash, attributes_of(COUNT + 2)))
        assert await status(world) == (0, 0)
        empty = attrs.evolve(attributes_of(COUNT + 2), no_tx_pool=True)
        await world.adopt(await world.build(head.hash, empty))
        assert await status(world) == (1, 0)

    on_funded_world(body)


def test_replacement_has_to_pay_a_tenth_more_in_both_fees() -> None:
    async def body(world: World, head: Payload) -> None:
        await send(world, transfer(ALICE, 1, tip=10 * GWEI, fee_cap=100 * GWEI))
        for tip, fee_cap in ((11 * GWEI, 109 * GWEI), (10 * GWEI, 110 * GWEI)):
            assert "replacement" in await refused(world, transfer(ALICE, 1, tip=tip, fee_cap=fee_cap))
        better = transfer(ALICE, 1, tip=11 * GWEI, fee_cap=110 * GWEI)
        await send(world, better)
        assert await status(world) == (1, 0)
        assert signed(await world.build(head.hash, attributes_of(COUNT + 2))) == (better,)

    on_funded_world(body)


def test_transaction_waits_until_the_gap_before_it_is_filled() -> None:
    async def body(world: World, head: Payload) -> None:
        await send(world, transfer(ALICE, 2))
        assert await status(world) == (0, 1)
        await send(world, transfer(ALICE, 1))
        assert await status(world) == (2, 0)

    on_funded_world(body)


def test_pool_has_limits() -> None:
    async def body(world: World, head: Payload) -> None:
        await send(world, transfer(ALICE, 1))
        await send(world, transfer(ALICE, 2))
        assert "account limit" in await refused(world, transfer(ALICE, 3))
        await send(world, transfer(BOB, 1))
        assert "full" in await refused(world, transfer(BOB, 2))

    on_funded_world(body, pool_for_sender=2, pool_transactions=3)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "transaction: empty"),
        (b"\xc0", "legacy transaction"),
        (mint(ALICE), "type not supported"),
        (
            ALICE.blob(chain_id=CHAIN_ID, nonce=1, to=CAROL, blob_hashes=[b"\1" + bytes(31)]),
            "type not supported",
        ),
        (ALICE.dynamic_fee(chain_id=CHAIN_ID + 1, nonce=1, to=CAROL), "invalid chain id"),
        (ALICE.legacy(chain_id=None, nonce=1, to=CAROL), "invalid chain id"),
        (transfer(ALICE, 0), "nonce too low"),
        (transfer(ALICE, 2**64 - 1), "nonce has max value"),
        (transfer(POOR, 0), "insufficient funds"),
        (transfer(ALICE, 1, value=100 * ETHER), "insufficient funds"),
        (transfer(ALICE, 1, tip=0), "below minimum"),
        (transfer(ALICE, 1, tip=2 * GWEI, fee_cap=GWEI), "higher than max fee"),
        (transfer(ALICE, 1, gas=20_999), "intrinsic gas too low"),
        (transfer(ALICE, 1, gas=30_000_000), "exceeds block gas limit"),
        (
            ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=1, to=CAROL, data=b"\1" * 1000, gas=40_000),
            "floor data gas",
        ),
        (
            ALICE.dynamic_fee(chain_id=CHAIN_ID, nonce=1, to=CAROL, data=bytes(200_000), gas=5_000_000),
            "oversized",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_transaction_that_no_block_would_take_is_refused(raw: bytes, reason: str) -> None:
    async def body(world: World, head: Payload) -> None:
        assert reason in await refused(world, raw)
        assert await status(world) == (0, 0)

    on_funded_world(body)


def test_transaction_is_taken_once() -> None:
    async def body(world: World, head: Payload) -> None:
        await send(world, transfer(ALICE, 1))
        assert await refused(world, transfer(ALICE, 1)) == "already known"

    on_funded_world(body)


def test_money_for_all_of_a_senders_transactions_has_to_be_there() -> None:
    async def body(world: World, head: Payload) -> None:
        await send(world, transfer(ALICE, 1, value=60 * ETHER))
        assert "insufficient funds" in await refused(world, transfer(ALICE, 2, value=60 * ETHER))

    on_funded_world(body)
