"""An engine in a process of its own, and its stand-in in the node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs

from kroma_core.api import (
    AccountProof,
    Applied,
    BlockTrace,
    BlockTraceRequest,
    Building,
    Gone,
    Inconsistent,
    Invalid,
    NoTrace,
    Sealed,
    Syncing,
    Valid,
)
from kroma_core.api.queries import (
    AccountState,
    CallOutcome,
    MessageCall,
    PoolArrivals,
    PoolContent,
    Pooled,
    Refused,
    Supposition,
    Trace,
    TraceRequest,
    TransactionPlace,
)
from kroma_core.codec.headers import Header
from kroma_core.events import Event
from kroma_core.l2 import ForkchoiceState, L2Label, Payload, PayloadAttributes
from kroma_core.node.isolation.hosts import EngineHost
from kroma_core.node.isolation.kept import KeptProcess
from kroma_core.node.retry import RetryPolicy
from kroma_core.types import Address, Hash32, L2Number


@attrs.frozen
class RemoteEngine:
    """The engine's methods, each run in its process. It has those of all optional protocols; its offer says which."""

    _process: KeptProcess

    async def heads(self) -> ForkchoiceState:
        found: ForkchoiceState = await self._process.call("heads")
        return found

    async def block(self, block: Hash32 | L2Number | L2Label) -> Payload:
        found: Payload = await self._process.call("block", block)
        return found

    async def receipts(self, block_hash: Hash32) -> tuple[bytes, ...]:
        found: tuple[bytes, ...] = await self._process.call("receipts", block_hash)
        return found

    async def build(
        self, parent: Hash32, attributes: PayloadAttributes, heads: ForkchoiceState
    ) -> Building | Invalid | Syncing:
        result: Building | Invalid | Syncing = await self._process.call("build", parent, attributes, heads)
        return result

    async def seal(self, building: Building) -> Sealed | Invalid | Gone:
        result: Sealed | Invalid | Gone = await self._process.call("seal", building)
        return result

    async def cancel(self, building: Building) -> None:
        await self._process.call("cancel", building)

    async def execute(self, payload: Payload) -> Valid | Invalid | Syncing:
        result: Valid | Invalid | Syncing = await self._process.call("execute", payload)
        return result

    async def set_heads(self, heads: ForkchoiceState) -> Applied | Syncing | Inconsistent:
        result: Applied | Syncing | Inconsistent = await self._process.call("set_heads", heads)
        return result

    async def proof(self, address: Address, slots: Sequence[Hash32], block_hash: Hash32) -> AccountProof:
        found: AccountProof = await self._process.call("proof", address, tuple(slots), block_hash)
        return found

    async def storage_root(self, address: Address, block_hash: Hash32) -> Hash32:
        found: Hash32 = await self._process.call("storage_root", address, block_hash)
        return found

    # --- StateQueries

    async def _ask(self, method: str, *arguments: Any) -> Any:
        """A question that changes nothing need not wait for what was cancelled."""
        return await self._process.call(method, *arguments, ordered=False)

    async def header(self, block_hash: Hash32) -> Header:
        found: Header = await self._ask("header", block_hash)
        return found

    async def headers(self, first: L2Number, count: int) -> Sequence[tuple[Hash32, Header]]:
        found: Sequence[tuple[Hash32, Header]] = await self._ask("headers", first, count)
        return found

    async def canonical(self, number: L2Number) -> Hash32 | None:
        found: Hash32 | None = await self._ask("canonical", number)
        return found

    async def locate(self, transaction_hash: Hash32) -> TransactionPlace | None:
        found: TransactionPlace | None = await self._ask("locate", transaction_hash)
        return found

    async def stored_receipts(self, block_hash: Hash32) -> tuple[bytes, ...]:
        found: tuple[bytes, ...] = await self._ask("stored_receipts", block_hash)
        return found

    async def account(self, address: Address, block_hash: Hash32) -> AccountState:
        found: AccountState = await self._ask("account", address, block_hash)
        return found

    async def code(self, address: Address, block_hash: Hash32) -> bytes:
        found: bytes = await self._ask("code", address, block_hash)
        return found

    async def storage(self, address: Address, slot: int, block_hash: Hash32) -> int:
        found: int = await self._ask("storage", address, slot, block_hash)
        return found

    async def call(self, call: MessageCall, block_hash: Hash32, supposition: Supposition) -> CallOutcome:
        outcome: CallOutcome = await self._ask("call", call, block_hash, supposition)
        return outcome

    async def trace_call(
        self, call: MessageCall, block_hash: Hash32, supposition: Supposition, wanted: TraceRequest
    ) -> Trace | Refused:
        found: Trace | Refused = await self._ask("trace_call", call, block_hash, supposition, wanted)
        return found

    async def trace_transactions(
        self, block_hash: Hash32, first: int, count: int, wanted: TraceRequest
    ) -> tuple[Trace, ...]:
        found: tuple[Trace, ...] = await self._ask("trace_transactions", block_hash, first, count, wanted)
        return found

    # --- BlockTraces

    async def trace_block(self, block_hash: Hash32, wanted: BlockTraceRequest) -> BlockTrace | NoTrace:
        found: BlockTrace | NoTrace = await self._ask("trace_block", block_hash, wanted)
        return found

    # --- TxPool

    async def add_transaction(self, raw: bytes) -> Pooled | Refused:
        found: Pooled | Refused = await self._ask("add_transaction", raw)
        return found

    async def pooled_transaction(self, transaction_hash: Hash32) -> bytes | None:
        found: bytes | None = await self._ask("pooled_transaction", transaction_hash)
        return found

    async def pooled_nonce(self, address: Address) -> int:
        found: int = await self._ask("pooled_nonce", address)
        return found

    async def pool_counts(self) -> tuple[int, int]:
        found: tuple[int, int] = await self._ask("pool_counts")
        return found

    async def pool_content(self) -> PoolContent:
        found: PoolContent = await self._ask("pool_content")
        return found

    async def pool_arrivals(self, after: int) -> PoolArrivals:
        found: PoolArrivals = await self._ask("pool_arrivals", after)
        return found

    async def limit_data(self, transaction: int | None, block: int | None) -> None:
        await self._process.call_lasting("limit_data", transaction, block)


@asynccontextmanager
async def isolated_engine(
    host: EngineHost, part: str, emit: Callable[[Event], None], policy: RetryPolicy = RetryPolicy()
) -> AsyncIterator[RemoteEngine]:
    """The engine of an offer, opened in a process of its own."""
    process = KeptProcess(host, part, emit, policy)
    async with process.running():
        yield RemoteEngine(process)
