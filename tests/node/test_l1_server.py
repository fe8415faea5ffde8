"""A served recording: what a client needs to check everything, and nothing that the timeline has not shown yet."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import trio

from kroma_core.chain.load import chain_from_json
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.kzg import check_blob_proof, versioned_hash_of
from kroma_core.codec.rpc_blocks import header_from_json, receipt_from_json, transactions_from_json
from kroma_core.codec.trie_root import ordered_root
from kroma_core.forks import Fork
from kroma_core.jsonrpc.client import Client, open_client
from kroma_core.jsonrpc.errors import RpcError
from kroma_core.l1 import L1Label
from kroma_core.node.l1_server.chain import RecordedChain
from kroma_core.node.l1_server.serving import RecordedL1Server, ServedL1
from kroma_core.recording import open_recording
from kroma_core.testing.blob_source import hashes_of, sample_l1
from kroma_core.testing.l1_logs import TRANSACTION_DEPOSITED
from kroma_core.testing.scripted_l1 import PORTAL, SYSTEM_CONFIG, ScriptedL1
from kroma_core.testing.scripted_recording import record
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on
from kroma_core.testing.wallet import Wallet

ALICE = Wallet.named("alice").address
VECTORS = Path(__file__).parents[1] / "vectors" / "data"
UNSAFE_SIGNER_SLOT = "0x65a7ed542fb37fe237fdfbdd70b31598523fe5b32879e307bae27a0bd9581c08"


@attrs.frozen(kw_only=True)
class World:
    """A recording, served, with a client of each side."""

    rpc: Client
    beacon: httpx.AsyncClient
    chain: RecordedChain

    async def get(self, path: str) -> Any:
        answer = await self.beacon.get(f"/eth/v1/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def refused(self, path: str) -> tuple[int, str]:
        answer = await self.beacon.get(f"/eth/v1/{path}")
        return answer.status_code, answer.json()["message"]

    async def block(self, name: str) -> Any:
        return await self.rpc.call("eth_getBlockByNumber", name, True)


@asynccontextmanager
async def served(path: Path, first_step: int | None = None) -> AsyncIterator[World]:
    with open_recording(path) as recording:
        config = chain_from_json(
            recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=str(path)
        )
        step = recording.step_count - 1 if first_step is None else first_step
        server = RecordedL1Server(
            recording=recording, config=config, version="test", first_step=step, unsafe_signer=ALICE
        )

        async def serve(*, task_status: trio.TaskStatus[ServedL1]) -> None:
            await server.serve(task_status=task_status)

        async with trio.open_nursery() as nursery:
            at: ServedL1 = await nursery.start(serve)
            beacon = httpx.AsyncClient(base_url=f"http://127.0.0.1:{at.beacon[1]}", trust_env=False, timeout=30)
            async with open_client(f"http://127.0.0.1:{at.rpc[1]}", part="test") as client, beacon:
                yield World(rpc=client, beacon=beacon, chain=at.chain)
            nursery.cancel_scope.cancel()


def with_served(path: Path, body: Callable[[World], Awaitable[None]], first_step: int | None = None) -> None:
    async def main() -> None:
        with trio.fail_after(100):
            async with served(path, first_step) as world:
                await body(world)

    trio.run(main)


def recorded(l1: ScriptedL1, folder: Path) -> Path:
    return record(l1, folder / "l1.krec", rollup_on(l1, forks=all_forks_until(Fork.ECOTONE)).rollup)


@pytest.mark.parametrize("name", ["op-chains/blobs-jovian.json.xz", "op-chains/plain-bedrock.json.xz"])
def test_everything_served_hashes_to_what_the_block_is_asked_for_by(name: str) -> None:
    async def body(world: World) -> None:
        for number in range(world.chain.heads.unsafe.number + 1):
            block = await world.block(hex(number))
            header = header_from_json(block)
            assert f"0x{header.hash.hex()}" == block["hash"] == f"0x{(world.chain.numbered(number) or b'').hex()}"
            transactions = transactions_from_json(block)
            assert ordered_root(transactions) == header.transactions_root
            assert [one["hash"] for one in block["transactions"]] == [
                f"0x{keccak256(raw).hex()}" for raw in transactions
            ]
            receipts = await world.rpc.call("eth_getBlockReceipts", block["hash"])
            assert ordered_root([receipt_from_json(one).encode() for one in receipts]) == header.receipts_root
            assert [one["transactionHash"] for one in receipts] == [one["hash"] for one in block["transactions"]]
            raw = await world.rpc.call("debug_getRawReceipts", block["hash"])
            assert ordered_root([bytes.fromhex(one[2:]) for one in raw]) == header.receipts_root

    with_served(VECTORS / name, body)


def test_a_client_sees_the_heads_of_one_step_and_nothing_later(tmp_path: Path) -> None:
    l1 = ScriptedL1()
    l1.mine()
    l1.mark(L1Label.FINALIZED, l1.tip)
    later = l1.mine()

    async def body(world: World) -> None:
        assert await world.rpc.call("eth_blockNumber") == "0x1"
        with pytest.raises(RpcError, match="finalized block not found"):
            await world.block("finalized")
        assert await world.block("0x2") is None
        assert await world.rpc.call("eth_getBlockByHash", f"0x{later.hash.hex()}", False) is None
        await world.rpc.call("kroma_step")
        assert (await world.block("finalized"))["number"] == "0x1"
        assert await world.rpc.call("eth_blockNumber") == "0x1"
        await world.rpc.call("kroma_step")
        assert (await world.block("latest"))["hash"] == f"0x{later.hash.hex()}"

    with_served(recorded(l1, tmp_path), body, first_step=1)


def test_the_walk_ends_with_the_timeline(tmp_path: Path) -> None:
    l1 = ScriptedL1()
    l1.mine_empty(3)

    async def body(world: World) -> None:
        head = {"number": 3, "hash": f"0x{l1.tip.hash.hex()}"}
        assert await world.rpc.call("kroma_step", 99) == {"step": 3, "steps": 4, "head": head}
        assert await world.rpc.call("kroma_step") == {"step": 3, "steps": 4, "head": head}

    with_served(recorded(l1, tmp_path), body, first_step=0)


def test_after_a_reorg_numbers_are_the_new_branchs_and_the_old_one_is_known_by_hash(tmp_path: Path) -> None:
    l1 = ScriptedL1()
    old = l1.mine([l1.contract_tx()])
    l1.reorg(1)
    new = l1.mine()

    async def body(world: World) -> None:
        assert (await world.block("0x1"))["hash"] == f"0x{old.hash.hex()}"
        transaction = f"0x{keccak256(old.transactions[0]).hex()}"
        assert (await world.rpc.call("eth_getTransactionReceipt", transaction))["blockNumber"] == "0x1"
        await world.rpc.call("kroma_step", 2)
        assert (await world.block("0x1"))["hash"] == f"0x{new.hash.hex()}"
        assert (await world.rpc.call("eth_getBlockByHash", f"0x{old.hash.hex()}", False))["number"] == "0x1"
        assert await world.rpc.call("eth_getTransactionReceipt", transaction) is None

    with_served(recorded(l1, tmp_path), body, first_step=1)


def test_logs_are_found_by_address_topic_and_range(tmp_path: Path) -> None:
    l1 = ScriptedL1()
    l1.mine([l1.deposit(sender=ALICE, to=ALICE), l1.config_update(0, ALICE)])
    l1.mine([l1.deposit(sender=ALICE, to=ALICE)])

    async def body(world: World) -> None:
        async def count(**wanted: Any) -> int:
            return len(await world.rpc.call("eth_getLogs", {"fromBlock": "earliest", **wanted}))

        assert await count() == 3
        assert await count(address=f"0x{PORTAL.hex()}") == 2
        assert await count(topics=[f"0x{TRANSACTION_DEPOSITED.hex()}"], toBlock="0x1") == 1
        assert await count(topics=[None, None, None, None], toBlock="0x1", address=f"0x{SYSTEM_CONFIG.hex()}") == 0
        assert await count(address=[f"0x{SYSTEM_CONFIG.hex()}", f"0x{ALICE.hex()}"]) == 1

    with_served(recorded(l1, tmp_path), body)


def test_what_needs_state_is_refused_with_the_reason(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        for method in ("eth_call", "eth_getBalance", "eth_getProof"):
            with pytest.raises(RpcError, match="has blocks and receipts of its L1, but no state"):
                await world.rpc.call(method, f"0x{ALICE.hex()}", [], "latest")
        with pytest.raises(RpcError, match="no state"):
            await world.rpc.call("eth_getStorageAt", f"0x{SYSTEM_CONFIG.hex()}", "0x0", "latest")

    with_served(recorded(ScriptedL1(), tmp_path), body)


def test_the_signer_of_unsafe_blocks_is_the_one_that_the_server_was_told(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        word = await world.rpc.call("eth_getStorageAt", f"0x{SYSTEM_CONFIG.hex()}", UNSAFE_SIGNER_SLOT, "latest")
        assert word == f"0x{ALICE.hex().rjust(64, '0')}"

    with_served(recorded(ScriptedL1(), tmp_path), body)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_getBlockByNumber", ["soon", False]),
        ("eth_getBlockByNumber", ["0x0", "yes"]),
        ("eth_getBlockByHash", ["0x12", False]),
        ("eth_getLogs", ["all"]),
        ("eth_getLogs", [{"topics": "0x"}]),
        ("kroma_step", [-1]),
    ],
)
def test_arguments_that_make_no_sense_are_refused(method: str, params: list[Any], tmp_path: Path) -> None:
    async def body(world: World) -> None:
        with pytest.raises(RpcError) as caught:
            await world.rpc.call(method, *params)
        assert caught.value.code == -32602

    with_served(recorded(ScriptedL1(), tmp_path), body)


def test_blobs_are_found_in_the_slot_of_their_blocks_time(tmp_path: Path) -> None:
    l1 = sample_l1()
    hashes = hashes_of(l1)

    async def body(world: World) -> None:
        genesis, spec = await world.get("beacon/genesis"), await world.get("config/spec")
        time = l1.tip.header.timestamp - int(genesis["genesis_time"])
        slot = time // int(spec["SECONDS_PER_SLOT"])
        assert await world.get(f"beacon/blobs/{slot}") == [f"0x{l1.blob_content(one).hex()}" for one in hashes]
        named = await world.get(f"beacon/blobs/{slot}?versioned_hashes=0x{hashes[1].hex()}")
        assert named == [f"0x{l1.blob_content(hashes[1]).hex()}"]
        assert await world.get("beacon/blobs/head") == await world.get(f"beacon/blobs/{slot}")
        assert await world.refused(f"beacon/blobs/{slot - 1}") == (404, f"no block in slot {slot - 1}")
        assert await world.get(f"beacon/blobs/{slot}?versioned_hashes=0x{'01' * 32}") == []

    with_served(recorded(l1, tmp_path), body)


def test_a_blob_that_is_twice_in_a_block_comes_as_often_as_it_is_named(tmp_path: Path) -> None:
    l1 = sample_l1()
    name = f"versioned_hashes=0x{hashes_of(l1)[0].hex()}"

    async def body(world: World) -> None:
        assert len(await world.get(f"beacon/blobs/head?{name}")) == 1
        assert len(await world.get(f"beacon/blobs/head?{name}&{name}")) == 2
        assert len(await world.get(f"beacon/blobs/head?{name}&{name}&{name}")) == 2

    with_served(recorded(l1, tmp_path), body)


def test_a_blob_that_was_not_recorded_is_not_found_rather_than_left_out(tmp_path: Path) -> None:
    l1 = sample_l1()
    gone = hashes_of(l1)[1]
    l1.forget_blob(gone)

    async def body(world: World) -> None:
        found = await world.refused(f"beacon/blobs/head?versioned_hashes=0x{gone.hex()}")
        assert found == (404, f"blob 0x{gone.hex()} was not recorded")
        assert (await world.refused("beacon/blob_sidecars/head?indices=1"))[0] == 404
        assert [one["index"] for one in await world.get("beacon/blob_sidecars/head")] == ["0", "2", "3"]

    with_served(recorded(l1, tmp_path), body)


def test_a_sidecar_proves_its_blob_and_its_place_in_the_beacon_block(tmp_path: Path) -> None:
    l1 = sample_l1()

    async def body(world: World) -> None:
        sidecars = await world.get("beacon/blob_sidecars/head")
        assert len(sidecars) == 4
        for index, (name, sidecar) in enumerate(zip(hashes_of(l1), sidecars, strict=True)):
            commitment, proof, blob = (
                bytes.fromhex(sidecar[key][2:]) for key in ("kzg_commitment", "kzg_proof", "blob")
            )
            check_blob_proof(blob, commitment, proof, name)
            assert versioned_hash_of(commitment) == name
            header = sidecar["signed_block_header"]["message"]
            branch = [bytes.fromhex(one[2:]) for one in sidecar["kzg_commitment_inclusion_proof"]]
            assert f"0x{root_of(commitment, branch, index).hex()}" == header["body_root"]
            assert header["parent_root"] == f"0x{(l1.tip.header.parent_beacon_root or b'').hex()}"

    with_served(recorded(l1, tmp_path), body)


def root_of(commitment: bytes, branch: list[bytes], index: int) -> bytes:
    """The body's root that a branch of 17 leads to (consensus-specs, `verify_blob_sidecar_inclusion_proof`)."""
    assert len(branch) == 17
    node = hashlib.sha256(commitment + bytes(16)).digest()
    place = (11 << 13) + index  # field 11 of 16; left of the length; one of 4096
    for beside in branch:
        node = hashlib.sha256(beside + node if place & 1 else node + beside).digest()
        place >>= 1
    return node


def test_new_heads_are_told_over_a_websocket(tmp_path: Path) -> None:
    l1 = ScriptedL1()
    l1.mine_empty(100)

    async def body(world: World) -> None:
        seen: list[Any] = []

        async def watch(client: Client) -> None:
            async for head in client.subscribe("newHeads"):
                seen.append(head)
                return

        url = world.rpc.server.replace("http://", "ws://")
        async with open_client(url, part="test") as client, trio.open_nursery() as nursery:
            nursery.start_soon(watch, client)
            while not seen:  # the first steps may come before the subscription
                await world.rpc.call("kroma_step")
        assert header_from_json(seen[0]).hash == world.chain.numbered(int(seen[0]["number"], 16))

    with_served(recorded(l1, tmp_path), body, first_step=0)
