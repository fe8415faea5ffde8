"""What the engine does beyond the conformance suite of its role."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from kroma_engine_pyevm.engine import PyEvmEngine
from kroma_engine_pyevm.offers import EngineSettings, StoreKind, check, provide_engines
from kroma_engine_pyevm.store import MemoryStore

from kroma_core.api import Building, Inconsistent, Invalid, Sealed, Valid
from kroma_core.chain.builtin import builtin
from kroma_core.chain.config import ChainConfig
from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.keccak import EMPTY_HASH, keccak256
from kroma_core.codec.payloads import block_hash_of
from kroma_core.errors import NotFound
from kroma_core.l2 import ForkchoiceState, PayloadAttributes
from kroma_core.recording import ExpectedBlock
from kroma_core.types import Gas, L2Number

from .chains import DATA, advance, chain_and_blocks

JOVIAN = DATA / "op-chains" / "plain-jovian.json.xz"
ISTHMUS_TO_JOVIAN = DATA / "op-chains" / "upgrade-jovian.json.xz"
L1_BLOCK = bytes.fromhex("4200000000000000000000000000000000000015")

Body = Callable[[PyEvmEngine, ChainConfig, tuple[ExpectedBlock, ...]], Awaitable[None]]


def on_chain(body: Body, path: Path = JOVIAN) -> None:
    chain, blocks = chain_and_blocks(path)

    async def main() -> None:
        await body(PyEvmEngine(chain, MemoryStore()), chain, blocks)

    trio.run(main)


async def outcome(engine: PyEvmEngine, parent: bytes, attributes: PayloadAttributes) -> str:
    """Why the attributes are invalid."""
    result = await engine.build(parent, attributes, await engine.heads())
    assert isinstance(result, Invalid), result
    assert result.latest_valid == parent
    return result.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"withdrawals": False}, "withdrawals"),
        ({"parent_beacon_root": None}, "parent beacon block root: missing"),
        ({"eip1559_params": None}, "eip1559Params: missing"),
        ({"eip1559_params": b"\0\0\0\1\0\0\0\0"}, "both zero or neither"),
        ({"eip1559_params": bytes(7)}, "8 bytes"),
        ({"min_base_fee": None}, "minBaseFee: missing"),
        ({"gas_limit": Gas(2**63)}, "gas limit"),
        ({"gas_limit": Gas(100_000)}, "left in the block"),
        ({"transactions": ()}, "L1 attributes deposit"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_attributes_that_no_block_can_have_are_invalid(changes: dict[str, Any], reason: str) -> None:
    async def body(engine: PyEvmEngine, chain: ChainConfig, blocks: tuple[ExpectedBlock, ...]) -> None:
        attributes = attrs.evolve(blocks[0].attributes, **changes)
        assert reason in await outcome(engine, chain.rollup.genesis.l2.hash, attributes)
        await advance(engine, blocks[0])

    on_chain(body)


def test_footprint_above_the_gas_limit_is_invalid() -> None:
    async def body(engine: PyEvmEngine, chain: ChainConfig, blocks: tuple[ExpectedBlock, ...]) -> None:
        for block in blocks:
            if block.payload.blob_gas_used:
                limit = Gas(block.payload.blob_gas_used - 1)
                attributes = attrs.evolve(block.attributes, gas_limit=limit)
                assert "DA footprint" in await outcome(engine, block.payload.parent_hash, attributes)
                return
            await advance(engine, block)
        pytest.fail("no block with a footprint")

    on_chain(body)


def test_block_that_brings_the_footprint_may_hold_deposits_only() -> None:
    async def body(engine: PyEvmEngine, chain: ChainConfig, blocks: tuple[ExpectedBlock, ...]) -> None:
        signed = next(raw for block in blocks for raw in block.attributes.transactions if raw[0] != 0x7E)
        for block, after in itertools.pairwise(blocks):
            await advance(engine, block)
            if len(after.payload.extra_data) > len(block.payload.extra_data):
                attributes = attrs.evolve(after.attributes, transactions=(*after.attributes.transactions, signed))
                assert "deposits only" in await outcome(engine, after.payload.parent_hash, attributes)
                return
        pytest.fail("no change of rules")

    on_chain(body, ISTHMUS_TO_JOVIAN)


def test_built_block_is_not_executed_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(engine: PyEvmEngine, chain: ChainConfig, blocks: tuple[ExpectedBlock, ...]) -> None:
        building = await engine.build(chain.rollup.genesis.l2.hash, blocks[0].attributes, await engine.heads())
        assert isinstance(building, Building)
        sealed = await engine.seal(building)
        assert isinstance(sealed, Sealed)
        monkeypatch.setattr("kroma_engine_pyevm.engine.execute_block", None)
        assert await engine.execute(sealed.payload) == Valid()

    on_chain(body)


def test_building_is_named_as_op_geth_names_it() -> None:
    async def body(engine: PyEvmEngine, chain: ChainConfig, blocks: tuple[ExpectedBlock, ...]) -> None:
        building = await engine.build(chain.rollup.genesis.l2.hash, blocks[0].attributes, await engine.heads())
        assert isinstance(building, Building)
        assert (len(building.id), building.id[0]) == (8, 3)

    on_chain(body)


def test_cancelled_build_harms_nothing() -> None:
    async def body(engine: PyEvmEngine, chain: ChainConfig, blocks: tuple[ExpectedBlock, ...]) -> None:
        for block in blocks[:3]:
            with trio.CancelScope() as scope:
                scope.cancel()
                await engine.build(block.payload.parent_hash, block.attributes, await engine.heads())
            assert scope.cancelled_caught
            await advance(engine, block)
            assert (await engine.block(block.hash)) == block.payload

    on_chain(body)


def test_first_difference_of_a_wrong_block_is_named() -> None:
    async def body(engine: PyEvmEngine, chain: ChainConfig, blocks: tuple[ExpectedBlock, ...]) -> None:
        wrong = attrs.evolve(blocks[0].payload, gas_used=Gas(1))
        wrong = attrs.evolve(wrong, hash=block_hash_of(wrong))
        result = await engine.execute(wrong)
        assert isinstance(result, Invalid)
        assert "gas_used is 1, execution gives" in result.reason

    on_chain(body)


def test_branch_beside_the_canonical_one_can_be_executed_and_adopted() -> None:
    async def body(engine: PyEvmEngine, chain: ChainConfig, blocks: tuple[ExpectedBlock, ...]) -> None:
        genesis = chain.rollup.genesis.l2.hash
        for block in blocks[:3]:
            await advance(engine, block)
        attributes = attrs.evolve(blocks[1].attributes, prev_randao=b"\x07" * 32)
        building = await engine.build(blocks[0].hash, attributes, await engine.heads())
        assert isinstance(building, Building)
        sealed = await engine.seal(building)
        assert isinstance(sealed, Sealed)
        await engine.execute(sealed.payload)
        other = ForkchoiceState(unsafe=sealed.payload.hash, safe=blocks[0].hash, finalized=genesis)
        await engine.set_heads(other)
        assert await engine.block(blocks[1].payload.number) == sealed.payload
        assert (await engine.block(blocks[0].payload.number)).hash == blocks[0].hash
        with pytest.raises(NotFound):
            await engine.block(L2Number(3))
        await engine.set_heads(ForkchoiceState(unsafe=blocks[2].hash, safe=blocks[0].hash, finalized=genesis))
        for block in blocks[:3]:
            assert await engine.block(block.payload.number) == block.payload

    on_chain(body)


def test_block_not_after_its_parent_is_invalid() -> None:
    async def body(engine: PyEvmEngine, chain: ChainConfig, blocks: tuple[ExpectedBlock, ...]) -> None:
        await advance(engine, blocks[0])
        attributes = attrs.evolve(blocks[1].attributes, timestamp=blocks[0].payload.timestamp)
        assert "not after the parent's" in await outcome(engine, blocks[0].hash, attributes)

    on_chain(body)


def test_finalized_block_stays_in_the_chain() -> None:
    async def body(engine: PyEvmEngine, chain: ChainConfig, blocks: tuple[ExpectedBlock, ...]) -> None:
        genesis = chain.rollup.genesis.l2.hash
        for block in blocks[:3]:
            await advance(engine, block)
        final = ForkchoiceState(unsafe=blocks[2].hash, safe=blocks[2].hash, finalized=blocks[1].hash)
        await engine.set_heads(final)
        back = ForkchoiceState(unsafe=blocks[0].hash, safe=blocks[0].hash, finalized=genesis)
        assert isinstance(await engine.set_heads(back), Inconsistent)
        assert await engine.heads() == final

    on_chain(body)


def test_proof_of_an_account_leads_to_the_state_root() -> None:
    async def body(engine: PyEvmEngine, chain: ChainConfig, blocks: tuple[ExpectedBlock, ...]) -> None:
        for block in blocks[:2]:
            await advance(engine, block)
        slot = (1).to_bytes(32, "big")
        proof = await engine.proof(L1_BLOCK, [slot], blocks[1].hash)
        assert keccak256(proof.account_proof[0]) == blocks[1].payload.state_root
        ((name, value, nodes),) = proof.storage
        assert (name, keccak256(nodes[0])) == (slot, proof.storage_root)
        assert value > 0
        assert await engine.storage_root(L1_BLOCK, blocks[1].hash) == proof.storage_root
        before = await engine.proof(L1_BLOCK, [slot], blocks[0].hash)
        assert keccak256(before.account_proof[0]) == blocks[0].payload.state_root

    on_chain(body)


def test_absent_account_has_a_proof_of_absence() -> None:
    async def body(engine: PyEvmEngine, chain: ChainConfig, blocks: tuple[ExpectedBlock, ...]) -> None:
        genesis = chain.rollup.genesis.l2.hash
        proof = await engine.proof(b"\x99" * 20, [bytes(32)], genesis)
        assert (proof.nonce, proof.balance, proof.code_hash, proof.storage_root) == (0, 0, EMPTY_HASH, EMPTY_ROOT)
        assert proof.storage == ((bytes(32), 0, ()),)
        assert keccak256(proof.account_proof[0]) == (await engine.block(genesis)).state_root

    on_chain(body)


# --- chains that it cannot execute


@pytest.mark.parametrize(
    ("name", "reason"),
    [("kroma-mainnet", "begins at the chain's genesis.json"), ("op-mainnet", "snapshot of an older one")],
)
def test_built_in_chain_that_it_cannot_execute_is_refused_with_the_reason(name: str, reason: str) -> None:
    (problem,) = check(EngineSettings(), builtin(name))
    assert reason in problem


def test_missing_genesis_is_a_problem_of_the_profile() -> None:
    chain, _ = chain_and_blocks()
    assert check(EngineSettings(), chain) == []
    (problem,) = check(EngineSettings(), attrs.evolve(chain, genesis=None))
    assert "genesis.json" in problem


def test_genesis_without_accounts_is_a_problem_of_the_profile() -> None:
    chain, _ = chain_and_blocks()
    assert chain.genesis is not None
    bare = attrs.evolve(chain.genesis, alloc={}, state_root=bytes(32))
    (problem,) = check(EngineSettings(), attrs.evolve(chain, genesis=bare))
    assert "accounts" in problem


def test_offer_is_on_disk_unless_told_otherwise() -> None:
    (offer,) = provide_engines()
    assert offer.kind == "pyevm"
    assert offer.config().store is StoreKind.ROCKSDB


def test_a_transaction_that_makes_the_interpreter_stumble_makes_the_block_invalid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stumble(block: object, raw: bytes) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr("kroma_engine_pyevm.blocks.apply", stumble)

    async def body(engine: PyEvmEngine, chain: ChainConfig, blocks: tuple[ExpectedBlock, ...]) -> None:
        reason = await outcome(engine, chain.rollup.genesis.l2.hash, blocks[0].attributes)
        assert "transaction 0 of block 1: it cannot be executed: RecursionError: too deep" in reason

    on_chain(body)
