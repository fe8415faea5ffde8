"""Blocks of the ZK-trie era that are filled from the pool keep within what Kroma's prover takes."""

from __future__ import annotations

import attrs
import trio
from kroma_engine_pyevm.engine import PyEvmEngine
from kroma_engine_pyevm.store import MemoryStore

from kroma_core.api import Building, Pooled, Sealed
from kroma_core.chain.config import BlockLimits, ChainConfig
from kroma_core.codec.deposits import DepositTransaction, decode_deposit
from kroma_core.forks import Fork
from kroma_core.l2 import Payload, PayloadAttributes
from kroma_core.testing.wallet import Wallet
from kroma_core.types import Gas, Wei

from .chains import DATA, chain_and_blocks

CANYON = DATA / "kroma-chains" / "canyon-zk.json.xz"
ALICE, BOB = Wallet.named("alice"), Wallet.named("bob")
POOL = 64
"""Transactions of each of the two senders, within what the pool keeps of one."""


async def filled(chain: ChainConfig, data: bytes = b"", count: int = POOL) -> Payload:
    """Block 1 with money for Alice and Bob, their transactions in the pool, and then a block that is filled."""
    _, blocks = chain_and_blocks(CANYON)
    first, second = blocks[0], blocks[1]
    assert first.attributes is not None
    assert second.attributes is not None
    engine = PyEvmEngine(chain, MemoryStore(), fill_seconds=60.0)
    info = decode_deposit(first.attributes.transactions[0], legacy=True)

    def mint(wallet: Wallet) -> bytes:
        deposit: DepositTransaction = attrs.evolve(
            info, source_hash=wallet.address.ljust(32, b"\1"), sender=wallet.address, to=wallet.address,
            mint=Wei(10**20), gas=Gas(100_000), data=b"",
        )  # fmt: skip
        return deposit.encode_legacy()

    async def built(parent: bytes, attributes: PayloadAttributes) -> Payload:
        heads = await engine.heads()
        building = await engine.build(parent, attributes, heads)
        assert isinstance(building, Building), building
        sealed = await engine.seal(building)
        assert isinstance(sealed, Sealed), sealed
        await engine.execute(sealed.payload)
        await engine.set_heads(attrs.evolve(heads, unsafe=sealed.payload.hash))
        return sealed.payload

    forced = (first.attributes.transactions[0], mint(ALICE), mint(BOB))
    one = await built(first.payload.parent_hash, attrs.evolve(first.attributes, transactions=forced))
    for wallet in (ALICE, BOB):
        for nonce in range(1, count + 1):
            raw = wallet.dynamic_fee(
                chain_id=chain.rollup.l2_chain_id, nonce=nonce, to=bytes(20), value=0, gas=21_000 + 16 * len(data),
                tip=10**9, fee_cap=10**11, data=data,
            )  # fmt: skip
            assert isinstance(await engine.add_transaction(raw), Pooled)
    attributes = attrs.evolve(second.attributes, transactions=second.attributes.transactions[:1], no_tx_pool=False)
    return await built(one.hash, attributes)


def test_a_filled_block_has_at_most_a_hundred_transactions_with_the_deposits() -> None:
    chain, _ = chain_and_blocks(CANYON)
    assert len(trio.run(filled, chain).transactions) == 100


def test_a_block_is_filled_up_to_the_chain_s_own_limits() -> None:
    chain, _ = chain_and_blocks(CANYON)
    for limits in (BlockLimits(transactions=5), BlockLimits(transactions=120)):
        own = attrs.evolve(chain, rollup=attrs.evolve(chain.rollup, block_limits=limits))
        assert len(trio.run(filled, own).transactions) == limits.transactions


def test_a_filled_block_has_at_most_the_provers_bytes() -> None:
    chain, _ = chain_and_blocks(CANYON)
    schedule = chain.rollup.schedule

    canyon = schedule.table[Fork.CANYON]
    smaller = attrs.evolve(canyon, rules={**canyon.rules, "filled_bytes": 12_000})
    table = {**schedule.table, Fork.CANYON: smaller}
    changed = attrs.evolve(chain, rollup=attrs.evolve(chain.rollup, schedule=attrs.evolve(schedule, table=table)))
    block = trio.run(filled, changed, b"\1" * 1000, 8)
    size = sum(map(len, block.transactions))
    assert 12_000 - 1_200 < size <= 12_000
