"""The scripted L1 is as true as it says: signatures, logs, branches, heads."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from kroma_core.codec.headers import Header
from kroma_core.codec.receipts import bloom_contains
from kroma_core.codec.transactions import decode_transaction
from kroma_core.derive.deposits import user_deposits
from kroma_core.errors import TemporaryError
from kroma_core.l1 import L1Heads, L1Label
from kroma_core.testing.l1_logs import TRANSACTION_DEPOSITED
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.wallet import Wallet

ALICE = Wallet.named("alice")


def test_the_same_script_makes_the_same_hashes_and_another_seed_others() -> None:
    def tip(seed: str) -> bytes:
        l1 = ScriptedL1(seed=seed)
        return l1.mine([l1.batcher_tx(b"\0data")]).hash

    assert tip("a") == tip("a") != tip("b")


@pytest.mark.parametrize(("fork", "fields"), [("london", 16), ("shanghai", 17), ("cancun", 20), ("prague", 21)])
def test_headers_have_the_fields_of_the_l1_upgrade(fork: str, fields: int) -> None:
    header = ScriptedL1(fork=fork).mine().header
    assert Header.decode(header.encode()) == header
    present = [header.base_fee, header.withdrawals_root, header.excess_blob_gas, header.requests_hash]
    assert 15 + sum(one is not None for one in present) + 2 * (header.excess_blob_gas is not None) == fields


def test_transactions_are_signed_by_whom_they_say_and_count_their_nonces() -> None:
    l1 = ScriptedL1()
    block = l1.mine([l1.batcher_tx(b"a"), l1.batcher_tx(b"b", kind=0), l1.batcher_tx(b"c", wallet=ALICE)])
    found = [decode_transaction(raw) for raw in block.transactions]
    assert [one.sender for one in found] == [l1.batcher.address, l1.batcher.address, ALICE.address]
    assert [one.nonce for one in found] == [0, 1, 0]
    assert all(one.to == l1.inbox and one.signed_for(l1.chain_id) for one in found)


@pytest.mark.parametrize("kind", ["legacy", "unprotected", "access list", "dynamic fee", "blob", "set code"])
def test_a_wallet_signs_every_type(kind: str) -> None:
    to = bytes(20)
    raw = {
        "legacy": lambda: ALICE.legacy(chain_id=1, nonce=0, to=None),
        "unprotected": lambda: ALICE.legacy(chain_id=None, nonce=0, to=to),
        "access list": lambda: ALICE.access_list(chain_id=1, nonce=0, to=to, access_list=[[to, [bytes(32)]]]),
        "dynamic fee": lambda: ALICE.dynamic_fee(chain_id=1, nonce=0, to=None),
        "blob": lambda: ALICE.blob(chain_id=1, nonce=0, to=to, blob_hashes=[b"\1" * 32]),
        "set code": lambda: ALICE.set_code(
            chain_id=1, nonce=0, to=to, authorizations=[ALICE.authorization(chain_id=1, address=to, nonce=1)]
        ),
    }[kind]()
    found = decode_transaction(raw)
    assert found.sender == ALICE.address
    assert [one.authority for one in found.authorizations] == ([ALICE.address] if kind == "set code" else [])


def test_a_deposit_is_in_receipts_and_bloom() -> None:
    l1 = ScriptedL1()
    block = l1.mine([l1.batcher_tx(b""), l1.deposit(sender=ALICE.address, to=None, mint=5, value=3, data=b"code")])
    assert bloom_contains(block.header.bloom, TRANSACTION_DEPOSITED)
    receipts = trio.run(l1.receipts, block.hash)
    (deposit,) = user_deposits(receipts, l1.portal, block.hash)
    assert (deposit.sender, deposit.to, deposit.mint, deposit.value) == (ALICE.address, None, 5, 3)
    assert deposit.data == b"code"


def test_a_reorg_makes_another_branch_of_the_same_transactions() -> None:
    l1 = ScriptedL1()
    tx = l1.batcher_tx(b"\0")
    first = l1.mine([tx])
    assert l1.reorg(1) == l1.genesis
    second = l1.mine([tx])
    assert first.hash != second.hash
    assert first.transactions == second.transactions
    assert l1.move_to(first.hash) == first
    with pytest.raises(ValueError, match="cannot abandon"):
        l1.reorg(5)


def test_a_waiting_consumer_sees_the_newest_heads_only() -> None:
    async def main() -> None:
        l1 = ScriptedL1()
        seen: list[L1Heads] = []

        async def consume() -> None:
            async for heads in l1.subscribe():
                seen.append(heads)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(consume)
            await trio.testing.wait_all_tasks_blocked()
            l1.mine_empty(3)
            await trio.testing.wait_all_tasks_blocked()
            l1.mark(L1Label.SAFE, l1.genesis)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert [heads.unsafe.number for heads in seen] == [0, 3, 3]
        assert [heads.safe for heads in seen] == [None, None, l1.genesis.ref]

    trio.run(main)


def test_it_fails_as_often_as_it_is_told() -> None:
    async def main() -> None:
        l1 = ScriptedL1()
        l1.fail(TemporaryError("no answer"), times=2)
        for _ in range(2):
            with pytest.raises(TemporaryError):
                await l1.head(L1Label.UNSAFE)
        assert await l1.head(L1Label.UNSAFE) == l1.tip.ref

    trio.run(main)
