"""The execution side of a recorded L1: the methods with which clients follow a chain.

State is not recorded. What would need it is refused with the reason, but for the words that rollup nodes insist on
reading from the SystemConfig contract when they start.
Spec: execution-apis, "eth"; geth, "debug namespace".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import trio

from kroma_core.chain.config import ChainConfig
from kroma_core.codec.hexadecimal import fixed, quantity, shown, to_data, to_quantity
from kroma_core.codec.keccak import keccak256
from kroma_core.errors import DecodeError, NotFound
from kroma_core.jsonrpc.connection import Connection
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.jsonrpc.methods import Methods
from kroma_core.l1 import L1Label
from kroma_core.l2 import L2Label
from kroma_core.node.eth.logs import MOST_BLOCKS, LogQuery, query_of
from kroma_core.node.l1_server.blocks import RecordedBlocks
from kroma_core.node.l1_server.chain import RecordedChain
from kroma_core.types import Address, Hash32

UNSAFE_SIGNER_SLOT: Final = int.from_bytes(keccak256(b"systemconfig.unsafeblocksigner"), "big")
"""Where SystemConfig keeps the address that signs unsafe blocks. Spec: system-config.md, "unsafeBlockSigner"."""
_LABELS: Mapping[str, L1Label] = {
    "latest": L1Label.UNSAFE,
    "pending": L1Label.UNSAFE,
    "safe": L1Label.SAFE,
    "finalized": L1Label.FINALIZED,
}
_NEED_STATE = (
    "eth_call", "eth_estimateGas", "eth_getBalance", "eth_getCode", "eth_getTransactionCount", "eth_getProof",
    "eth_createAccessList",
)  # fmt: skip


@attrs.define(kw_only=True)
class ExecutionRpc:
    """Answers for a recorded chain. `unsafe_signer` is what the SystemConfig is said to hold: no recording tells."""

    chain: RecordedChain
    blocks: RecordedBlocks
    config: ChainConfig
    version: str
    unsafe_signer: Address = bytes(20)
    _places: dict[Hash32, tuple[tuple[Hash32, int], ...]] | None = None
    """Where transactions stand, once one has been asked for by hash."""
    _next_subscription: int = 1

    def methods(self) -> Methods:
        """All of them."""
        methods = Methods()
        methods.add_namespace(
            "eth",
            {
                "chainId": self.chain_id,
                "blockNumber": self.block_number,
                "syncing": self.syncing,
                "getBlockByNumber": self.block_by_number,
                "getBlockByHash": self.block_by_hash,
                "getHeaderByNumber": self.header_by_number,
                "getHeaderByHash": self.header_by_hash,
                "getBlockTransactionCountByNumber": self.count_by_name,
                "getBlockTransactionCountByHash": self.count_by_name,
                "getBlockReceipts": self.block_receipts,
                "getTransactionByHash": self.transaction,
                "getTransactionByBlockHashAndIndex": self.transaction_in_block,
                "getTransactionByBlockNumberAndIndex": self.transaction_in_block,
                "getTransactionReceipt": self.receipt,
                "getLogs": self.logs,
                "getStorageAt": self.storage,
                "subscribe": self.subscribe,
                "unsubscribe": self.unsubscribe,
            },
        )
        for name in _NEED_STATE:
            methods.add(name, _needs_state(name))
        methods.add_namespace(
            "debug",
            {
                "getRawHeader": self.raw_header,
                "getRawBlock": self.raw_block,
                "getRawReceipts": self.raw_receipts,
                "getRawTransaction": self.raw_transaction,
            },
        )
        methods.add("net_version", self.net_version)
        methods.add("net_listening", self.listening)
        methods.add("web3_clientVersion", self.client_version)
        methods.add("kroma_step", self.step)
        return methods

    # --- the chain

    async def chain_id(self) -> str:
        return to_quantity(self.config.rollup.l1_chain_id)

    async def net_version(self) -> str:
        return str(self.config.rollup.l1_chain_id)

    async def listening(self) -> bool:
        return True

    async def client_version(self) -> str:
        return self.version

    async def syncing(self) -> bool:
        return False

    async def block_number(self) -> str:
        return to_quantity(self.chain.heads.unsafe.number)

    async def step(self, count: Any = 1) -> dict[str, Any]:
        """Show the next `count` steps of the timeline (0: none, only tell); where the walk stands then."""
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise DecodeError(f"count: expected a number of steps, got {shown(count)}")
        for _ in range(count):
            if not self.chain.move():
                break
            await trio.lowlevel.checkpoint()
        head = self.chain.heads.unsafe
        return {
            "step": self.chain.position,
            "steps": self.chain.steps,
            "head": {"number": head.number, "hash": to_data(head.hash)},
        }

    # --- blocks

    async def block_by_number(self, name: Any, full: Any = False) -> dict[str, Any] | None:
        return self._block(self._named(name), full)

    async def block_by_hash(self, block_hash: Any, full: Any = False) -> dict[str, Any] | None:
        return self._block(self._seen(block_hash), full)

    async def header_by_number(self, name: Any) -> dict[str, Any] | None:
        found = self._named(name)
        return None if found is None else self.blocks.header_json(found)

    async def header_by_hash(self, block_hash: Any) -> dict[str, Any] | None:
        found = self._seen(block_hash)
        return None if found is None else self.blocks.header_json(found)

    async def count_by_name(self, name: Any) -> str | None:
        found = self._any(name)
        return None if found is None else to_quantity(len(self.blocks.block(found).transactions))

    async def block_receipts(self, name: Any) -> list[dict[str, Any]] | None:
        found = self._any(name)
        return None if found is None else self.blocks.receipts_json(found)

    # --- transactions

    async def transaction(self, transaction_hash: Any) -> dict[str, Any] | None:
        place = await self._place(transaction_hash)
        return None if place is None else self.blocks.transaction_json(*place)

    async def transaction_in_block(self, name: Any, index: Any) -> dict[str, Any] | None:
        found, place = self._any(name), quantity(index, "index")
        return None if found is None else self.blocks.transaction_json(found, place)

    async def receipt(self, transaction_hash: Any) -> dict[str, Any] | None:
        place = await self._place(transaction_hash)
        return None if place is None else self.blocks.receipts_json(place[0])[place[1]]

    # --- logs

    async def logs(self, wanted: Any) -> list[dict[str, Any]]:
        query = query_of(wanted, self.chain.first)
        found: list[dict[str, Any]] = []
        for block_hash in self._range(query):
            await trio.lowlevel.checkpoint()
            if query.filter.may_be_in(self.chain.reader.header(block_hash).bloom):
                found += [shape for log, shape in self.blocks.logs_json(block_hash) if query.filter.takes(log)]
        return found

    def _range(self, query: LogQuery) -> list[Hash32]:
        if query.block_hash is not None:
            if not self.chain.knows(query.block_hash):
                raise RpcError(Code.SERVER_ERROR, "unknown block")
            return [query.block_hash]
        first, last = (
            self.chain.head(L1Label(one)).number if isinstance(one, L2Label) else int(one)
            for one in (query.first, query.last)
        )
        last = min(last, self.chain.heads.unsafe.number)
        if last - first >= MOST_BLOCKS:
            raise RpcError(Code.LIMIT_EXCEEDED, f"logs of {last - first + 1} blocks: at most {MOST_BLOCKS}")
        hashes = (self.chain.numbered(number) for number in range(max(first, self.chain.first), last + 1))
        return [one for one in hashes if one is not None]

    # --- state, of which there is none

    async def storage(self, address: Any, slot: Any, block: Any = "latest") -> str:
        """The words that op-node and kona read when they start, made up; anything else is refused."""
        contract, place = fixed(address, 20, "address"), int.from_bytes(_word(slot), "big")
        if self._any(block) is None:
            raise RpcError(Code.SERVER_ERROR, "header not found")
        if contract == self.config.rollup.system_config_address and place == UNSAFE_SIGNER_SLOT:
            return to_data(bytes(12) + self.unsafe_signer)
        if contract == _protocol_versions(self.config):
            return to_data(bytes(32))
        raise _no_state("eth_getStorageAt")

    # --- raw

    async def raw_header(self, name: Any) -> str:
        return to_data(self.chain.reader.header(self._expected(name)).encode())

    async def raw_block(self, name: Any) -> str:
        block = self.blocks.block(self._expected(name))
        return to_data(block.encoded)

    async def raw_receipts(self, name: Any) -> list[str]:
        return [to_data(receipt.encode()) for receipt in self.blocks.receipts(self._expected(name))]

    async def raw_transaction(self, transaction_hash: Any) -> str:
        place = await self._place(transaction_hash)
        return "0x" if place is None else to_data(self.blocks.block(place[0]).transactions[place[1]].raw)

    # --- subscriptions

    async def subscribe(self, topic: Any, *, connection: Connection | None) -> str:
        if connection is None:
            raise RpcError(Code.METHOD_NOT_FOUND, "notifications not supported: subscribe over a WebSocket")
        if topic != "newHeads":
            raise RpcError(Code.INVALID_PARAMS, f"no subscription to {shown(topic)}: there is newHeads")
        name, scope = to_quantity(self._next_subscription), trio.CancelScope()
        self._next_subscription += 1
        connection.subscriptions[name] = scope

        async def tell() -> None:
            with scope:
                while True:
                    await self.chain.changed.wait()
                    head = self.blocks.header_json(self.chain.heads.unsafe.hash)
                    connection.notify("eth_subscription", {"subscription": name, "result": head})

        connection.start_soon(tell)
        return name

    async def unsubscribe(self, name: Any, *, connection: Connection | None) -> bool:
        scope = connection.subscriptions.pop(name, None) if connection is not None and isinstance(name, str) else None
        if scope is None:
            raise RpcError(Code.SERVER_ERROR, "subscription not found")
        scope.cancel()
        return True

    # --- names of blocks and transactions

    def _block(self, found: Hash32 | None, full: Any) -> dict[str, Any] | None:
        if not isinstance(full, bool):
            raise DecodeError(f"full: expected true or false, got {shown(full)}")
        return None if found is None else self.blocks.block_json(found, full=full)

    def _seen(self, value: Any) -> Hash32 | None:
        block_hash = fixed(value, 32, "block hash")
        return block_hash if self.chain.knows(block_hash) else None

    def _named(self, value: Any) -> Hash32 | None:
        """A block by number or label. A label that this step has no block for is an error, as with geth."""
        if isinstance(value, str) and value in _LABELS:
            return self.chain.head(_LABELS[value]).hash
        return self.chain.numbered(self._number(value))

    def _number(self, value: Any) -> int:
        if value == "earliest":
            return self.chain.first
        if isinstance(value, str) and value in _LABELS:
            return self.chain.head(_LABELS[value]).number
        return quantity(value, "block number")

    def _any(self, value: Any) -> Hash32 | None:
        if isinstance(value, Mapping):
            value = value.get("blockHash", value.get("blockNumber"))
        return self._seen(value) if isinstance(value, str) and len(value) == 66 else self._named(value)

    def _expected(self, value: Any) -> Hash32:
        found = self._any(value)
        if found is None:
            raise NotFound("block not found")
        return found

    async def _place(self, value: Any) -> tuple[Hash32, int] | None:
        """Where a transaction stands on the current branch."""
        transaction_hash = fixed(value, 32, "transaction hash")
        if self._places is None:
            self._places = await trio.to_thread.run_sync(self._all_places)
        for block_hash, index in self._places.get(transaction_hash, ()):
            if self.chain.knows(block_hash) and self.chain.is_canonical(block_hash):
                return block_hash, index
        return None

    def _all_places(self) -> dict[Hash32, tuple[tuple[Hash32, int], ...]]:
        places: dict[Hash32, tuple[tuple[Hash32, int], ...]] = {}
        for link in self.chain.recording.links():
            for index, raw in enumerate(self.chain.recording.transactions(link.hash) or ()):
                name = keccak256(raw)
                places[name] = (*places.get(name, ()), (link.hash, index))
        return places


def _needs_state(name: str) -> Any:
    async def refuse(*arguments: Any) -> Any:
        raise _no_state(name)

    return refuse


def _no_state(name: str) -> RpcError:
    hint = "; start op-node with --l1.trustrpc" if name == "eth_getProof" else ""
    return RpcError(Code.SERVER_ERROR, f"{name}: a recording has blocks and receipts of its L1, but no state{hint}")


def _protocol_versions(config: ChainConfig) -> Address | None:
    found = config.rollup.extra.get("protocol_versions_address")
    return fixed(found, 20, "protocol_versions_address") if isinstance(found, str) else None


def _word(value: Any) -> bytes:
    """A storage slot, with or without leading zeros."""
    if isinstance(value, str) and value[:2] == "0x" and len(value) <= 66:
        value = "0x" + value[2:].rjust(64, "0")
    return fixed(value, 32, "storage slot")
