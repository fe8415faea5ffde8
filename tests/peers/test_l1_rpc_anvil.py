"""The L1 source `rpc` on real programs: anvil, with reorgs and its odd blob blocks, and op-geth's developer mode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from kroma_l1_rpc.offers import RpcSettings, open_rpc

from kroma_core.api import PluginContext
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.kzg import commitment_of, proof_of, versioned_hash_of
from kroma_core.codec.rlp import encode_bytes, encode_list
from kroma_core.derive.attributes import needs_receipts
from kroma_core.errors import TemporaryError
from kroma_core.events import Event, Warned
from kroma_core.forks import Fork
from kroma_core.testing.l1_logs import deposit_log
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on
from kroma_core.types import L1Number
from tests.peers.l1 import BATCHER, CHAIN_ID, L1, PORTAL, SYSTEM_CONFIG, anvil, geth_dev

QUICK: dict[str, Any] = {"poll_interval": 0.1, "labels_interval": 0.1, "patience": 1.0}
CHAIN = rollup_on(
    ScriptedL1(chain_id=CHAIN_ID, portal=PORTAL, system_config=SYSTEM_CONFIG), forks=all_forks_until(Fork.ECOTONE)
)


@asynccontextmanager
async def following(l1: L1, folder: Path, **settings: Any) -> AsyncIterator[tuple[Any, list[Event]]]:
    events: list[Event] = []
    context = PluginContext(chain=CHAIN, data_dir=folder, clock=lambda: 0.0, emit=events.append)
    async with open_rpc(RpcSettings(urls=(l1.url,), **(QUICK | settings)), context) as source:
        yield source, events


async def read_all(source: Any, l1: L1, first: int, last: int) -> tuple[int, int]:
    """Read blocks in order as derivation does; how many transactions they have, and how many deposits."""
    transactions = deposits = 0
    for number in range(first, last + 1):
        ref = await source.ref(L1Number(number))
        assert "0x" + ref.hash.hex() == (await l1.rpc.block(number))["hash"]
        block = await source.block(ref.hash)
        transactions += len(block.transactions)
        if needs_receipts(block.header, CHAIN):
            receipts = await source.receipts(ref.hash)
            assert len(receipts) == len(block.transactions)
            deposits += sum(log.address == PORTAL for receipt in receipts for log in receipt.logs)
    return transactions, deposits


async def until_head(source: Any, number: int, block_hash: str) -> None:
    async for heads in source.subscribe():
        if heads.unsafe.number == number and "0x" + heads.unsafe.hash.hex() == block_hash:
            return


def run(body: Any) -> None:
    async def main() -> None:
        with trio.fail_after(120):
            await body()

    trio.run(main)


def blob_transaction(nonce: int) -> tuple[bytes, str]:
    """A blob transaction of the batcher in its network form, and its hash."""
    blob = bytes(131_072)
    commitment = commitment_of(blob)
    raw = BATCHER.blob(
        chain_id=CHAIN_ID, nonce=nonce, to=bytes(19) + b"\x77", blob_hashes=[versioned_hash_of(commitment)], data=b""
    )
    lists = [[blob], [commitment], [proof_of(blob, commitment)]]
    sidecar = [encode_list([encode_bytes(item) for item in items]) for items in lists]
    return b"\x03" + encode_list([raw[1:], *sidecar]), "0x" + keccak256(raw).hex()


async def with_blob(l1: L1) -> str:
    nonce = int(await l1.rpc.call("eth_getTransactionCount", "0x" + BATCHER.address.hex(), "latest"), 16)
    raw, name = blob_transaction(nonce)
    assert await l1.rpc.call("eth_sendRawTransaction", "0x" + raw.hex(), seconds=60) == name
    return name


def test_anvils_chain_is_verified_and_its_reorgs_are_followed(tmp_path: Path) -> None:
    async def body() -> None:
        async with anvil(tmp_path / "l1") as l1:
            for amount in range(1, 13):
                await l1.emit(deposit_log(PORTAL, sender=b"\1" * 20, to=b"\2" * 20, mint=amount))
                await l1.send(b"\3" * 20, b"hello", value=amount)
                await l1.mine(15)
            async with following(l1, tmp_path) as (source, _):
                head = await l1.rpc.number()
                assert await read_all(source, l1, 1, head) == (24, 12)
                for depth in (1, 5, 64):
                    await l1.reorg(depth)
                    block = await l1.rpc.block("latest")
                    head = int(block["number"], 16)
                    await until_head(source, head, block["hash"])
                    await read_all(source, l1, head - depth - 3, head)
                ledger = source.ledger()
                assert ledger["eth_getBlockReceipts"].calls < 40
                assert sum(asked.failed for asked in ledger.values()) == 0

    run(body)


def test_anvils_blob_blocks_are_refused_plainly_and_pass_only_where_the_setting_says_so(tmp_path: Path) -> None:
    async def body() -> None:
        async with anvil(tmp_path / "l1") as l1:
            name = await with_blob(l1)
            await l1.mine()
            number = await l1.included(name)
            async with following(l1, tmp_path) as (source, _):
                ref = await source.ref(L1Number(number))
                with pytest.raises(TemporaryError, match="covers blob transactions in their network form"):
                    await source.block(ref.hash)
            async with following(l1, tmp_path, skip_transactions_root=True) as (source, events):
                block = await source.block(ref.hash)
                assert [len(raw) < 1000 for raw in block.transactions] == [True]
                assert "0x" + keccak256(block.transactions[0]).hex() == name
                assert any(isinstance(event, Warned) for event in events)

    run(body)


def test_blob_transactions_of_a_real_client_pass_with_every_root_checked(tmp_path: Path) -> None:
    async def body() -> None:
        async with geth_dev(tmp_path / "l1") as l1:
            name = await with_blob(l1)
            await l1.emit(deposit_log(PORTAL, sender=b"\1" * 20, to=b"\2" * 20, mint=7))
            number = await l1.included(name)
            async with following(l1, tmp_path) as (source, _):
                transactions, _ = await read_all(source, l1, 1, number)
                assert transactions >= 1
                block = await source.block((await source.ref(L1Number(number))).hash)
                assert any(raw[0] == 3 for raw in block.transactions)

    run(body)
