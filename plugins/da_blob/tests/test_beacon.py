"""A beacon node as blob source, and everything that one can do wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from kroma_da_blob import checking
from kroma_da_blob.offers import BeaconSettings, inspect_beacon, open_beacon

from kroma_core.api import BlobSource, Facts, Missing, PluginContext, Secret
from kroma_core.errors import TemporaryError
from kroma_core.events import Event, RequestAnswered, Retrying
from kroma_core.forks import Fork
from kroma_core.jsonrpc.server import Response
from kroma_core.testing.beacon_node import BeaconNode
from kroma_core.testing.blob_source_faults import hashes_of, sample_blob, sample_l1
from kroma_core.testing.scripted_l1 import GENESIS_TIME
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on


@attrs.define
class World:
    """A beacon node that a source has been opened on, with what was emitted."""

    node: BeaconNode
    source: BlobSource
    events: list[Event]

    @property
    def blob(self) -> bytes:
        return self.node.l1.blob_content(self.hash)

    @property
    def hash(self) -> bytes:
        return hashes_of(self.node.l1)[1]

    async def ask(self, *hashes: bytes) -> tuple[bytes, ...] | Missing:
        return await self.source.blobs(self.node.l1.tip.ref, hashes or (self.hash,))

    async def refused(self, *hashes: bytes) -> str:
        with pytest.raises(TemporaryError) as caught:
            await self.ask(*hashes)
        return str(caught.value)


@asynccontextmanager
async def opened(node: BeaconNode, url: str, seconds: float = 5.0) -> AsyncIterator[World]:
    events: list[Event] = []
    chain = rollup_on(node.l1, forks=all_forks_until(Fork.ECOTONE))
    context = PluginContext(chain=chain, data_dir=Path(), clock=lambda: 0.0, emit=events.append)
    async with open_beacon(BeaconSettings(url=url, timeout=seconds), context) as source:
        yield World(node, source, events)


def with_node(body: Callable[[World], Awaitable[None]], node: BeaconNode | None = None, seconds: float = 5.0) -> None:
    async def main() -> None:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                found = node or BeaconNode(l1=sample_l1())
                url = await nursery.start(found.serve)
                async with opened(found, url, seconds) as world:
                    await body(world)
                nursery.cancel_scope.cancel()

    trio.run(main)


def json_answer(value: object, status: int = 200) -> Callable[[], Response]:
    return lambda: Response.json(value, status=status)


def test_blobs_are_asked_for_by_slot_and_versioned_hash() -> None:
    async def body(world: World) -> None:
        assert await world.ask() == (world.blob,)
        path, query = world.node.requests[-1]
        assert path == "/eth/v1/beacon/blobs/1"
        assert query == {"versioned_hashes": [f"0x{world.hash.hex()}"]}

    with_node(body)


def test_a_node_without_blobs_is_asked_for_sidecars_and_then_for_those_first() -> None:
    async def body(world: World) -> None:
        first, second = hashes_of(world.node.l1)[:2]
        assert await world.ask(first) == (world.node.l1.blob_content(first),)
        assert await world.ask(second) == (world.blob,)
        assert (world.node.asked("blobs"), world.node.asked("blob_sidecars")) == (1, 2)

    with_node(body, BeaconNode(l1=sample_l1(), without={"blobs"}))


def test_a_node_that_does_not_filter_gives_what_was_asked_for() -> None:
    async def body(world: World) -> None:
        assert await world.ask() == (world.blob,)

    with_node(body, BeaconNode(l1=sample_l1(), filters=False))


def test_others_blobs_from_a_node_that_does_not_filter_are_no_mistake_where_it_lacks_one() -> None:
    async def body(world: World) -> None:
        l1 = world.node.l1
        others = [l1.blob_content(one) for one in hashes_of(l1) if one != world.hash]
        world.node.plant["blobs"] = json_answer({"data": [f"0x{one.hex()}" for one in others]})
        assert isinstance(await world.ask(), Missing)

    with_node(body, BeaconNode(l1=sample_l1(), without={"blob_sidecars"}))


def test_only_the_last_good_blobs_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "KEPT", 2)

    async def body(world: World) -> None:
        first, second, third = hashes_of(world.node.l1)[:3]
        for one in (first, second, third):
            await world.ask(one)
        asked = len(world.node.requests)
        await world.ask(second, third)
        assert len(world.node.requests) == asked
        await world.ask(first)
        assert len(world.node.requests) > asked

    with_node(body)


def test_the_order_of_the_answer_does_not_matter() -> None:
    async def body(world: World) -> None:
        hashes = hashes_of(world.node.l1)[:3]
        blobs = [world.node.l1.blob_content(one) for one in hashes]
        world.node.plant["blobs"] = json_answer({"data": [f"0x{one.hex()}" for one in reversed(blobs)]})
        assert await world.ask(*hashes) == tuple(blobs)

    with_node(body)


def test_a_blob_that_was_good_once_is_not_fetched_again() -> None:
    async def body(world: World) -> None:
        await world.ask()
        asked = len(world.node.requests)
        assert await world.ask() == (world.blob,)
        assert len(world.node.requests) == asked

    with_node(body)


@pytest.mark.parametrize(
    "answer",
    [json_answer({"data": []}), json_answer({"message": "pruned"}, 404), json_answer({}, 410)],
    ids=["empty list", "404", "410"],
)
def test_a_blob_that_expired_is_missing_and_never_empty(answer: Callable[[], Response]) -> None:
    async def body(world: World) -> None:
        world.node.plant["blobs"] = world.node.plant["blob_sidecars"] = answer
        found = await world.ask()
        assert found == Missing(versioned_hashes=(world.hash,))
        assert isinstance(found, Missing)
        assert "at slot 1: blobs" in found.source

    with_node(body)


def test_what_a_node_lacks_that_is_behind_it_may_have_soon() -> None:
    async def body(world: World) -> None:
        world.node.plant["blobs"] = world.node.plant["blob_sidecars"] = json_answer({}, 404)
        assert "has got as far as slot 0" in await world.refused()

    with_node(body, BeaconNode(l1=sample_l1(), head_slot=0))


def test_a_node_that_serves_neither_form_has_not_said_that_it_lacks_a_blob() -> None:
    async def body(world: World) -> None:
        world.node.plant["blobs"] = world.node.plant["blob_sidecars"] = json_answer({"message": "what?"}, 405)
        assert "serves none (blobs answers 405" in await world.refused()

    with_node(body)


@pytest.mark.parametrize("endpoint", ["blobs", "blob_sidecars"])
def test_one_form_that_fails_leaves_the_blob_undecided_where_the_other_lacks_it(endpoint: str) -> None:
    async def body(world: World) -> None:
        world.node.plant = {"blobs": json_answer({"data": []}), "blob_sidecars": json_answer({"data": []})}
        world.node.plant[endpoint] = json_answer({"message": "database is locked"}, 500)
        assert "got 500: " in await world.refused()

    with_node(body)


def test_a_wrong_blob_is_refused_by_name() -> None:
    async def body(world: World) -> None:
        world.node.damage[world.hash] = sample_blob(b"wrong")
        world.node.without = {"blob_sidecars"}
        message = await world.refused()
        assert f"expected blob 0x{world.hash.hex()}, got a blob whose commitment hashes to 0x01" in message

    with_node(body)


def test_a_wrong_blob_under_a_right_commitment_is_refused_by_name() -> None:
    async def body(world: World) -> None:
        world.node.damage[world.hash] = sample_blob(b"wrong")
        message = await world.refused()
        assert f"got under the commitment of 0x{world.hash.hex()} a blob whose commitment hashes to" in message

    with_node(body, BeaconNode(l1=sample_l1(), without={"blobs"}))


def test_a_right_blob_with_a_wrong_proof_is_right() -> None:
    async def body(world: World) -> None:
        sidecar = next(world.node._sidecars_of([world.hash]))
        world.node.plant["blob_sidecars"] = json_answer({"data": [sidecar | {"kzg_proof": "0xc0" + "00" * 47}]})
        assert await world.ask() == (world.blob,)

    with_node(body, BeaconNode(l1=sample_l1(), without={"blobs"}))


def test_where_a_proof_holds_no_commitment_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[bytes] = []

    async def body(world: World) -> None:
        sidecar = next(world.node._sidecars_of([world.hash]))
        world.node.plant["blob_sidecars"] = json_answer({"data": [sidecar]})
        monkeypatch.setattr(checking, "commitment_of", computed.append)
        assert await world.ask() == (world.blob,)
        assert not computed

    with_node(body, BeaconNode(l1=sample_l1(), without={"blobs"}))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: Response(body=b'{"data": ["0x00', content_type="application/json"), "expected JSON"),
        (json_answer({"data": ["0x00"]}), "blob: expected 131072 bytes, got 1"),
        (json_answer({"data": [7]}), "expected an object or hexadecimal text"),
        (json_answer({"data": [{"index": "0"}]}), "got an object without"),
        (json_answer(None), "expected an object or hexadecimal text"),
    ],
    ids=["cut off", "short blob", "number", "no blob", "null"],
)
def test_an_answer_that_makes_no_sense_is_no_answer(answer: Callable[[], Response], said: str) -> None:
    async def body(world: World) -> None:
        world.node.plant["blobs"] = world.node.plant["blob_sidecars"] = answer
        assert said in await world.refused()

    with_node(body)


def test_a_slow_node_is_given_up_after_the_time_limit_and_can_be_asked_again() -> None:
    async def hang() -> Response:
        await trio.sleep_forever()
        raise AssertionError

    async def body(world: World) -> None:
        world.node.plant["blobs"] = world.node.plant["blob_sidecars"] = hang
        assert "within 0.3 s, got none" in await world.refused()
        world.node.plant.clear()
        assert await world.ask() == (world.blob,)

    with_node(body, seconds=0.3)


def test_a_connection_that_breaks_off_within_an_answer_is_no_answer() -> None:
    async def broken(stream: trio.SocketStream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"data": {"genesis_time": "1"}}')
        await stream.aclose()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, broken, 0)
            url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            async with opened(BeaconNode(l1=sample_l1()), url) as world:
                assert "genesis of http://127.0.0.1:" in await world.refused()
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_a_node_that_is_down_at_the_start_is_told_and_used_once_it_is_up() -> None:
    async def body(world: World) -> None:
        problem = next(event for event in world.events if isinstance(event, Retrying))
        assert "got 503: starting" in problem.error
        world.node.plant.clear()
        assert await world.ask() == (world.blob,)

    node = BeaconNode(l1=sample_l1())
    node.plant["genesis"] = lambda: Response.text("starting", status=503)
    with_node(body, node)


def test_a_server_that_is_not_there_does_not_keep_a_node_from_starting() -> None:
    async def main() -> None:
        async with opened(BeaconNode(l1=sample_l1()), "http://127.0.0.1:1") as world:
            assert [type(event) for event in world.events] == [RequestAnswered, Retrying]
            assert "genesis of http://127.0.0.1:1" in await world.refused()

    trio.run(main)


def test_an_api_without_a_clock_is_called_what_it_is() -> None:
    async def body(world: World) -> None:
        assert "anvil's beacon API has none" in await world.refused()

    with_node(body, BeaconNode(l1=sample_l1(), without={"spec"}))


def test_a_beacon_node_of_another_l1_is_refused() -> None:
    async def body(world: World) -> None:
        assert "chain id 17; this rollup's L1 has 900" in await world.refused()

    with_node(body, BeaconNode(l1=sample_l1(), spec={"DEPOSIT_CHAIN_ID": "17"}))


def test_the_length_of_a_slot_may_come_in_milliseconds() -> None:
    async def body(world: World) -> None:
        assert await world.ask() == (world.blob,)
        assert world.node.requests[-1][0].endswith("/blobs/2")

    with_node(body, BeaconNode(l1=sample_l1(), slot_seconds=6, spec={"SLOT_DURATION_MS": "6000"}))


def test_a_rate_limit_is_kept() -> None:
    async def body(world: World) -> None:
        world.node.plant["blobs"] = lambda: Response(status=429, headers=(("retry-after", "30"),))
        await world.refused()
        asked = len(world.node.requests)
        assert "asked not to be asked for another" in await world.refused()
        assert len(world.node.requests) == asked

    with_node(body)


def test_a_key_in_the_url_is_sent_and_never_shown() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            node = BeaconNode(l1=sample_l1())
            url = await nursery.start(node.serve)
            chain = rollup_on(node.l1, forks=all_forks_until(Fork.ECOTONE))
            events: list[Event] = []
            context = PluginContext(chain=chain, data_dir=Path(), clock=lambda: 0.0, emit=events.append)
            settings = BeaconSettings(url=Secret(f"{url}/v2/hush-hush-hush"))
            async with open_beacon(settings, context) as source:
                with pytest.raises(TemporaryError) as caught:
                    await source.blobs(node.l1.tip.ref, hashes_of(node.l1)[:1])
            assert "hush" not in str(caught.value)
            assert "hush" not in str(events)
            nursery.cancel_scope.cancel()

    trio.run(main)


# --- what it says of itself before a node starts


def facts_of(node: BeaconNode) -> Facts:
    async def main() -> Facts:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                url = await nursery.start(node.serve)
                chain = rollup_on(node.l1, forks=all_forks_until(Fork.ECOTONE))
                context = PluginContext(chain=chain, data_dir=Path(), clock=lambda: 0.0, emit=lambda event: None)
                (found,) = await inspect_beacon(BeaconSettings(url=url), context)
                nursery.cancel_scope.cancel()
        return found

    return trio.run(main)


def test_its_clock_its_l1_and_how_long_it_keeps_blobs_are_told() -> None:
    spec = {
        "DEPOSIT_CHAIN_ID": "900",
        "SLOTS_PER_EPOCH": "32",
        "MIN_EPOCHS_FOR_BLOB_SIDECARS_REQUESTS": "4096",
    }
    node = BeaconNode(l1=sample_l1(), spec=spec)
    found = facts_of(node)
    assert (found.chain_id, found.slot_zero, found.slot_ms) == (900, node.l1.genesis_time, 12_000)
    assert found.blob_retention == 4096 * 32 * 12
    later = facts_of(BeaconNode(l1=sample_l1(), spec={**spec, "MIN_EPOCHS_FOR_DATA_COLUMN_SIDECARS_REQUESTS": "5000"}))
    assert later.blob_retention == 5000 * 32 * 12


def test_a_node_that_does_not_tell_how_long_it_keeps_blobs_is_not_taken_to_forget_them() -> None:
    found = facts_of(BeaconNode(l1=sample_l1()))
    assert (found.silent, found.chain_id, found.blob_retention) == (None, None, None)


def test_a_node_without_a_clock_is_told_to_be_of_no_use() -> None:
    assert "no slot can be told from a time" in (facts_of(BeaconNode(l1=sample_l1(), without={"spec"})).silent or "")
    broken = BeaconNode(l1=sample_l1(), plant={"genesis": json_answer({"data": {"genesis_time": "soon"}})})
    assert "not an answer of a beacon node: genesis_time" in (facts_of(broken).silent or "")


def test_a_beacon_node_tells_its_clock_its_l1_and_how_long_it_keeps_blobs() -> None:
    facts = inspected(
        BeaconNode(
            l1=sample_l1(),
            spec={"DEPOSIT_CHAIN_ID": "900", "MIN_EPOCHS_FOR_BLOB_SIDECARS_REQUESTS": "4096", "SLOTS_PER_EPOCH": "32"},
        )
    )
    assert (facts.chain_id, facts.slot_zero, facts.slot_ms) == (900, GENESIS_TIME, 12_000)
    assert facts.blob_retention == 18 * 86400 + 17_664


def test_a_beacon_node_that_tells_nonsense_is_silent_with_the_reason() -> None:
    node = BeaconNode(l1=sample_l1())
    node.plant["genesis"] = json_answer({"data": {"genesis_time": -1}})
    assert "genesis_time: expected a decimal number in text" in (inspected(node).silent or "")


def inspected(node: BeaconNode) -> Facts:
    async def main() -> Facts:
        async with trio.open_nursery() as nursery:
            url = await nursery.start(node.serve)
            chain = rollup_on(node.l1, forks=all_forks_until(Fork.ECOTONE))
            context = PluginContext(chain=chain, data_dir=Path(), clock=lambda: 0.0, emit=lambda event: None)
            (facts,) = await inspect_beacon(BeaconSettings(url=url), context)
            nursery.cancel_scope.cancel()
            return facts
        raise AssertionError

    return trio.run(main)
