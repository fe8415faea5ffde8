"""What an engine's answers mean for the node: values, severities, and who is to blame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from kroma_engine_rpc.engine import RpcEngine

from kroma_core.api import Applied, Building, Gone, Inconsistent, Invalid, Sealed, Syncing, Valid
from kroma_core.chain.config import ChainConfig
from kroma_core.codec.rlp import encode
from kroma_core.errors import CriticalError, ResetError, TemporaryError
from kroma_core.forks import Fork
from kroma_core.jsonrpc.errors import RpcError
from kroma_core.l2 import Withdrawal
from kroma_core.types import Timestamp

from .engine_side import PAYLOAD_ID, VALID, EngineSide, envelope, recorded, run

BLOB_TRANSACTION = b"\x03" + encode([900, 0, 1, 1, 21000, bytes(20), 0, b"", [], 1, [b"\x01" + bytes(31)], 0, 1, 1])


def status(name: str, error: str | None = None) -> dict[str, Any]:
    return {"status": name, "latestValidHash": None, "validationError": error}


def forkchoice(name: str, payload_id: str | None = None) -> dict[str, Any]:
    return {"payloadStatus": status(name), "payloadId": payload_id}


async def building(side: EngineSide, engine: RpcEngine) -> Building:
    found = await engine.build(side.genesis, side.attributes(), side.at_genesis())
    assert isinstance(found, Building), found
    return found


# --- the form of calls


@pytest.mark.parametrize(
    ("chain", "number", "begin", "seal", "execute"),
    [
        ("plain-bedrock", 1, "engine_forkchoiceUpdatedV1", "engine_getPayloadV2", "engine_newPayloadV2"),
        ("plain-isthmus", 1, "engine_forkchoiceUpdatedV3", "engine_getPayloadV4", "engine_newPayloadV4"),
    ],
)
def test_calls_have_the_versions_of_the_blocks_rules(
    chain: str, number: int, begin: str, seal: str, execute: str, tmp_path: Path
) -> None:
    side = EngineSide("plain-isthmus")
    side.chain, side.recorded = recorded(chain)
    side.blocks = [{**side.blocks[0], **_genesis_of(side.chain)}]
    side.answers["eth_chainId"] = hex(side.chain.rollup.l2_chain_id)
    side.answers[seal] = envelope(side.payload(number))
    side.answers["eth_getBlockByHash"] = None

    async def body(engine: RpcEngine) -> None:
        found = await building(side, engine)
        assert await engine.seal(found) == Sealed(payload=side.payload(number))
        assert await engine.execute(side.payload(number)) == Valid()
        assert await engine.set_heads(attrs.evolve(side.at_genesis(), unsafe=side.payload(number).hash)) == Applied()

    run(side, body, tmp_path)
    methods = [method for method, _ in side.asked("engine_") if method != "engine_exchangeCapabilities"]
    assert methods == [begin, seal, execute, "engine_forkchoiceUpdatedV3"]
    params = dict(side.asked("engine_newPayload"))[execute]
    root = side.payload(number).parent_beacon_root
    assert params[1:] == ([] if root is None else [[], "0x" + root.hex(), []])
    assert side.asked("engine_forkchoiceUpdatedV3")[-1][1][1] is None


def _genesis_of(chain: ChainConfig) -> dict[str, Any]:
    return {"hash": "0x" + chain.rollup.genesis.l2.hash.hex()}


def test_a_payload_without_the_fields_of_its_time_is_invalid_unasked(tmp_path: Path) -> None:
    side = EngineSide()

    async def body(engine: RpcEngine) -> None:
        for change in (
            {"withdrawals": False},
            {"parent_beacon_root": None},
            {"withdrawals_root": None},
            {"blob_gas_used": None},
        ):
            result = await engine.execute(attrs.evolve(side.payload(), **change))
            assert isinstance(result, Invalid)
            assert "is missing" in result.reason

    run(side, body, tmp_path)
    assert side.asked("engine_newPayload") == []


def test_a_payload_with_withdrawals_is_refused_before_the_engine_hears_of_it(tmp_path: Path) -> None:
    side = EngineSide()
    withdrawal = Withdrawal(index=0, validator_index=1, address=bytes(20), amount=1)

    async def body(engine: RpcEngine) -> None:
        result = await engine.execute(attrs.evolve(side.payload(), withdrawal_list=(withdrawal,)))
        assert isinstance(result, Invalid)
        assert "expected no withdrawals, got 1" in result.reason

    run(side, body, tmp_path)
    assert side.asked("engine_newPayload") == []


# --- executing


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (VALID, Valid()),
        (status("INVALID", "invalid gas used"), Invalid(reason="invalid gas used")),
        (status("INVALID"), Invalid(reason="the engine says INVALID")),
        (status("INVALID_BLOCK_HASH"), Invalid(reason="the engine says INVALID_BLOCK_HASH")),
        (status("SYNCING"), Syncing()),
        (status("ACCEPTED"), Syncing()),
        (
            {"status": "INVALID", "latestValidHash": "0x" + "11" * 32, "validationError": "no"},
            Invalid(reason="no", latest_valid=b"\x11" * 32),
        ),
    ],
)
def test_the_status_of_a_payload_is_a_verdict(answer: Any, expected: Any, tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["engine_newPayloadV4"] = answer

    async def body(engine: RpcEngine) -> None:
        assert await engine.execute(side.payload()) == expected

    run(side, body, tmp_path)


@pytest.mark.parametrize("answer", [None, {}, [], "VALID", {"status": "FINE"}, {"status": None}, {"status": ["VALID"]}])
def test_a_status_that_is_none_is_no_answer(answer: Any, tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["engine_newPayloadV4"] = answer

    async def body(engine: RpcEngine) -> None:
        with pytest.raises(TemporaryError, match="payload status: expected"):
            await engine.execute(side.payload())

    run(side, body, tmp_path)


@pytest.mark.parametrize(
    ("code", "error", "hint"),
    [
        (-32000, TemporaryError, "execute L2 block 1 "),
        (-32603, TemporaryError, "execute L2 block 1 "),
        (-32005, TemporaryError, "execute L2 block 1 "),
        (-38004, TemporaryError, "execute L2 block 1 "),
        (-38005, CriticalError, "kroma check --live"),
        (-32602, CriticalError, "kroma check --live"),
        (-32601, CriticalError, "not its engine port"),
    ],
)
def test_an_error_object_has_the_severity_of_its_code(
    code: int, error: type[Exception], hint: str, tmp_path: Path
) -> None:
    side = EngineSide()
    side.answers["engine_newPayloadV4"] = RpcError(code, "the engine's words", {"err": "and more of them"})

    async def body(engine: RpcEngine) -> None:
        with pytest.raises(error) as found:
            await engine.execute(side.payload())
        assert hint in str(found.value)
        assert "the engine's words" in str(found.value)
        assert "and more of them" in str(found.value)

    run(side, body, tmp_path)


# --- building


def test_attributes_that_the_engine_refuses_are_invalid_for_its_reason(tmp_path: Path) -> None:
    side = EngineSide()
    refusal = RpcError(-38003, "Invalid payload attributes", {"err": "transaction 3 is not valid"})
    side.answers["engine_forkchoiceUpdatedV3"] = refusal

    async def body(engine: RpcEngine) -> None:
        result = await engine.build(side.genesis, side.attributes(), side.at_genesis())
        assert isinstance(result, Invalid)
        assert "transaction 3 is not valid" in result.reason

    run(side, body, tmp_path)


def test_heads_that_the_engine_calls_inconsistent_while_building_begin_derivation_anew(tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["engine_forkchoiceUpdatedV3"] = RpcError(
        -38002, "Invalid forkchoice state", {"err": "safe block gone"}
    )

    async def body(engine: RpcEngine) -> None:
        with pytest.raises(ResetError, match="safe block gone"):
            await engine.build(side.genesis, side.attributes(), side.at_genesis())

    run(side, body, tmp_path)


def test_a_parent_that_the_engine_holds_for_invalid_begins_derivation_anew_and_drops_no_batch(tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["engine_forkchoiceUpdatedV3"] = forkchoice("INVALID")

    async def body(engine: RpcEngine) -> None:
        with pytest.raises(ResetError, match="the engine holds the parent for invalid"):
            await engine.build(side.genesis, side.attributes(), side.at_genesis())

    run(side, body, tmp_path)


def test_an_engine_that_is_syncing_says_so_for_as_long_as_it_does(tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["engine_forkchoiceUpdatedV3"] = forkchoice("SYNCING")
    ahead = attrs.evolve(side.at_genesis(), unsafe=b"\x77" * 32)

    async def body(engine: RpcEngine) -> None:
        for _ in range(60):
            assert await engine.build(side.genesis, side.attributes(), side.at_genesis()) == Syncing()
            assert await engine.set_heads(ahead) == Syncing()
        side.answers["engine_forkchoiceUpdatedV3"] = forkchoice("VALID", PAYLOAD_ID)
        assert isinstance(await engine.build(side.genesis, side.attributes(), side.at_genesis()), Building)
        assert await engine.set_heads(ahead) == Applied()

    run(side, body, tmp_path)


def test_an_engine_that_begins_no_block_is_asked_again(tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["engine_forkchoiceUpdatedV3"] = forkchoice("VALID")

    async def body(engine: RpcEngine) -> None:
        with pytest.raises(TemporaryError, match="has begun none"):
            await engine.build(side.genesis, side.attributes(), side.at_genesis())

    run(side, body, tmp_path)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "empty input"),
        (b"\x02\xc0", "cannot be read"),
        (b"\x05\xc0", "type 0x05"),
        (b"\x7e\xc0", "cannot be read"),
        (BLOB_TRANSACTION, "is a blob transaction"),
    ],
)
def test_attributes_with_an_unreadable_transaction_are_invalid_whatever_error_the_engine_gives(
    raw: bytes, why: str, tmp_path: Path
) -> None:
    side = EngineSide()
    side.answers["engine_forkchoiceUpdatedV3"] = RpcError(-32000, "method handler crashed")
    good = side.attributes()
    bad = attrs.evolve(good, transactions=(*good.transactions, raw))

    async def body(engine: RpcEngine) -> None:
        result = await engine.build(side.genesis, bad, side.at_genesis())
        assert isinstance(result, Invalid)
        assert f"transaction {len(good.transactions)}" in result.reason
        assert why in result.reason
        with pytest.raises(TemporaryError, match="method handler crashed"):
            await engine.build(side.genesis, good, side.at_genesis())

    run(side, body, tmp_path)


# --- sealing


def sealed_as(payload: Any, folder: Path) -> Any:
    """What comes of sealing when the engine answers with `payload`."""
    side = EngineSide()
    side.answers["engine_getPayloadV4"] = envelope(payload)
    found: list[Any] = []

    async def body(engine: RpcEngine) -> None:
        found.append(await engine.seal(await building(side, engine)))

    run(side, body, folder)
    return found[0]


def test_a_block_that_the_engine_has_let_lapse_is_not_asked_for_again(tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["engine_getPayloadV4"] = RpcError(-38001, "Unknown payload")

    async def body(engine: RpcEngine) -> None:
        begun = await building(side, engine)
        assert await engine.seal(begun) == await engine.seal(begun) == Gone()

    run(side, body, tmp_path)
    assert len(side.asked("engine_getPayload")) == 1


def test_of_many_blocks_that_are_begun_the_first_ones_are_forgotten(tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["engine_getPayloadV4"] = envelope(side.payload())
    names = iter(range(1, 100))

    async def begin(heads: Any, attributes: Any) -> Any:
        return {"payloadStatus": VALID, "payloadId": f"0x{next(names):016x}"}

    side.answers["engine_forkchoiceUpdatedV3"] = begin

    async def body(engine: RpcEngine) -> None:
        first, second, *_ = [await building(side, engine) for _ in range(17)]
        assert await engine.seal(first) == Gone()
        assert isinstance(await engine.seal(second), Sealed)

    run(side, body, tmp_path)
    assert len(side.asked("engine_getPayload")) == 1


def test_a_forced_transaction_that_the_engine_leaves_out_makes_the_attributes_invalid(tmp_path: Path) -> None:
    good = EngineSide().payload()
    for index in range(len(good.transactions)):
        fewer = good.transactions[:index] + good.transactions[index + 1 :]
        result = sealed_as(attrs.evolve(good, transactions=fewer), tmp_path)
        assert isinstance(result, Invalid)
        assert f"left out transaction {index}," in result.reason


def test_a_block_with_other_transactions_is_handed_on_for_the_node_to_judge(tmp_path: Path) -> None:
    good = EngineSide().payload()
    other = attrs.evolve(good, transactions=(*good.transactions[:-1], b"\x02\xc0"))
    assert sealed_as(other, tmp_path) == Sealed(payload=other)


def test_a_building_that_the_engine_does_not_know_any_more_is_gone(tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["engine_getPayloadV4"] = RpcError(-38001, "Unknown payload")

    async def body(engine: RpcEngine) -> None:
        assert await engine.seal(await building(side, engine)) == Gone()

    run(side, body, tmp_path)


def test_a_building_that_could_not_be_fetched_can_be_fetched_later(tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["engine_getPayloadV4"] = RpcError(-32000, "busy")

    async def body(engine: RpcEngine) -> None:
        found = await building(side, engine)
        with pytest.raises(TemporaryError, match="busy"):
            await engine.seal(found)
        side.answers["engine_getPayloadV4"] = envelope(side.payload())
        assert await engine.seal(found) == Sealed(payload=side.payload())
        assert await engine.seal(found) == Gone()

    run(side, body, tmp_path)


# --- heads


def test_heads_that_the_engine_refuses_are_inconsistent(tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["engine_forkchoiceUpdatedV3"] = RpcError(
        -38002, "Invalid forkchoice state", {"err": "safe block gone"}
    )

    async def body(engine: RpcEngine) -> None:
        result = await engine.set_heads(side.at_genesis())
        assert isinstance(result, Inconsistent)
        assert "safe block gone" in result.reason
        side.answers["engine_forkchoiceUpdatedV3"] = forkchoice("INVALID")
        assert isinstance(await engine.set_heads(side.at_genesis()), Inconsistent)

    run(side, body, tmp_path)


def test_heads_out_of_order_are_inconsistent_unasked(tmp_path: Path) -> None:
    side = EngineSide()
    one, two = side.payload(1).hash, side.payload(2).hash

    async def body(engine: RpcEngine) -> None:
        for heads in (
            attrs.evolve(side.at_genesis(), unsafe=one, safe=two),
            attrs.evolve(side.at_genesis(), unsafe=two, safe=one, finalized=two),
        ):
            assert isinstance(await engine.set_heads(heads), Inconsistent)

    run(side, body, tmp_path)
    assert side.asked("engine_forkchoice") == []


# --- methods


def test_methods_that_a_later_fork_takes_are_not_missed_yet(tmp_path: Path) -> None:
    side = EngineSide()
    rollup = side.chain.rollup
    times = {**rollup.schedule.times, Fork.JOVIAN: Timestamp(2**40), Fork.KARST: Timestamp(2**41)}
    schedule = attrs.evolve(rollup.schedule, times=times)
    side.chain = attrs.evolve(side.chain, rollup=attrs.evolve(rollup, schedule=schedule))
    known = ["engine_forkchoiceUpdatedV3", "engine_newPayloadV4", "engine_getPayloadV4"]
    side.answers["engine_exchangeCapabilities"] = known

    async def body(engine: RpcEngine) -> None:
        await trio.lowlevel.checkpoint()

    run(side, body, tmp_path)
    assert side.asked("engine_exchangeCapabilities")[0][1] == [sorted(known)]
