"""Transactions and calls step by step: `debug_trace*`, with geth's default form and its `callTracer`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
import orjson
import trio

from kroma_core.api import CallFailure, Refused, Trace, TracedCall, TracedStep, TraceRequest
from kroma_core.codec.hexadecimal import shown, to_data, to_quantity
from kroma_core.errors import DecodeError
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.jsonrpc.methods import Handler
from kroma_core.node.eth import arguments
from kroma_core.node.eth.blocks import Blocks, KnownBlock
from kroma_core.node.eth.chain_methods import canonical_checked
from kroma_core.node.eth.failures import failure_text, refusal_error, revert_reason
from kroma_core.node.eth.shapes import JsonObject
from kroma_core.node.eth.state_methods import CALL_GAS, message_of

MOST_STEPS: Final = 200_000
CALL_TRACER: Final = "callTracer"


@attrs.frozen(kw_only=True)
class TraceForm:
    """What a trace is to look like. With `calls` it is a tree of frames, else a list of steps."""

    wanted: TraceRequest
    calls: bool = False
    only_top: bool = False
    with_logs: bool = False


class TraceMethods:
    """Traces of what was executed, and of what would be."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._earliest = blocks.config.genesis.l2.number

    def debug(self) -> Mapping[str, Handler]:
        return {
            "traceTransaction": self.transaction,
            "traceBlockByNumber": self.block,
            "traceBlockByHash": self.block,
            "traceCall": self.call,
        }

    async def transaction(self, transaction_hash: Any, options: Any = None) -> bytes:
        form = _form(options)
        place = await self._blocks.queries.locate(arguments.hash32(transaction_hash, "transaction hash"))
        if place is None:
            raise RpcError(Code.SERVER_ERROR, "transaction not found")
        traces = await self._blocks.queries.trace_transactions(place.block_hash, place.index, 1, form.wanted)
        before = (await self._blocks.receipts(place.block_hash))[: place.index]
        return await _written(lambda: _shown(traces[0], form, sum(len(receipt.logs) for receipt in before)))

    async def block(self, name: Any, options: Any = None) -> bytes:
        form = _form(options)
        block = await self._named(name)
        if block.header.number == self._earliest:
            raise RpcError(Code.SERVER_ERROR, "genesis is not traceable")
        queries = self._blocks.queries
        traces = await queries.trace_transactions(block.hash, 0, len(block.transactions), form.wanted)
        firsts = itertools.accumulate([len(one.logs) for one in await self._blocks.receipts(block.hash)], initial=0)
        whole = zip(block.transactions, traces, firsts, strict=False)
        return await _written(
            lambda: (
                b"[%b]"
                % b",".join(
                    [
                        b'{"txHash":"%b","result":%b}'
                        % (to_data(transaction.hash).encode(), _shown(trace, form, first))
                        for transaction, trace, first in whole
                    ]
                )
            )
        )

    async def call(self, call: Any, block: Any = None, options: Any = None) -> bytes:
        form = _form(options)
        found = {} if options is None else arguments.mapping(options, "options")
        supposed = arguments.supposition(found.get("stateOverrides"), found.get("blockOverrides"))
        asked = arguments.call(call, self._blocks.config.l2_chain_id)
        known = await self._named(block)
        gas = min(CALL_GAS if asked.gas is None else asked.gas, CALL_GAS)
        trace = await self._blocks.queries.trace_call(message_of(asked, gas), known.hash, supposed, form.wanted)
        if isinstance(trace, Refused):
            raise refusal_error(trace, "tracing failed")
        return await _written(lambda: _shown(trace, form, 0))

    async def _named(self, name: Any) -> KnownBlock:
        block = await self._blocks.block(await canonical_checked(self._blocks, arguments.block(name, self._earliest)))
        if block is None:
            raise RpcError(Code.SERVER_ERROR, "block not found")
        return block


async def _written(make: Callable[[], bytes]) -> bytes:
    """An answer as JSON text, made in a thread: it may be long."""
    return await trio.to_thread.run_sync(make)


def _form(options: object) -> TraceForm:
    found = {} if options is None else arguments.mapping(options, "options")
    tracer = found.get("tracer")
    if tracer is None or tracer == "":
        limit = found.get("limit") or 0
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise DecodeError(f"limit: expected a number, got {shown(limit)}")
        wanted = TraceRequest(
            most_steps=MOST_STEPS,
            stack=found.get("disableStack") is not True,
            memory=found.get("enableMemory") is True,
            storage=found.get("disableStorage") is not True,
            return_data=found.get("enableReturnData") is True,
        )
        return TraceForm(wanted=wanted)
    if tracer != CALL_TRACER:
        raise RpcError(Code.SERVER_ERROR, f"tracer {shown(tracer)} is not available: {CALL_TRACER} is, and the default")
    config = found.get("tracerConfig") or {}
    config = arguments.mapping(config, "tracerConfig")
    return TraceForm(
        wanted=TraceRequest(),
        calls=True,
        only_top=config.get("onlyTopCall") is True,
        with_logs=config.get("withLog") is True,
    )


def _shown(trace: Trace, form: TraceForm, first_log: int) -> bytes:
    """A trace as JSON text."""
    if form.calls:
        return _tree(trace.calls[:1] if form.only_top else trace.calls, form, first_log)
    if not trace.complete:
        raise RpcError(Code.LIMIT_EXCEEDED, f"the trace is too long: {len(trace.steps)} steps and more")
    outermost = trace.calls[0]
    told = outermost.failure in (None, CallFailure.REVERTED)
    return orjson.dumps(
        {
            "gas": trace.gas_used,
            "failed": outermost.failure is not None,
            "returnValue": to_data(outermost.output if told else b""),
            "structLogs": [_step_json(step) for step in trace.steps],
        }
    )


def _tree(calls: Sequence[TracedCall], form: TraceForm, first_log: int) -> bytes:
    """Frames inside frames. Written from the last to the first: JSON libraries stop at some hundred levels."""
    waiting: dict[int, list[bytes]] = {}
    for call in reversed(calls):
        text = orjson.dumps(_call_json(call, form, first_log))
        inner = waiting.pop(call.depth + 1, None)
        if inner is not None:
            text = b'%b,"calls":[%b]}' % (text[:-1], b",".join(reversed(inner)))
        waiting.setdefault(call.depth, []).append(text)
    return waiting[0][0]


def _step_json(step: TracedStep) -> JsonObject:
    found: JsonObject = {
        "pc": step.pc,
        "op": step.name,
        "gas": step.gas,
        "gasCost": step.cost,
        "depth": step.depth,
    }
    if step.failure is not None:
        found["error"] = failure_text(step.failure, step.detail)
    if step.stack is not None:
        found["stack"] = [to_quantity(word) for word in step.stack]
    if step.return_data:
        found["returnData"] = to_data(step.return_data)
    if step.memory:
        found["memory"] = [step.memory[start : start + 32].hex() for start in range(0, len(step.memory), 32)]
    if step.storage:
        found["storage"] = {f"{slot:064x}": f"{value:064x}" for slot, value in step.storage}
    if step.refund:
        found["refund"] = step.refund
    return found


def _call_json(call: TracedCall, form: TraceForm, first_log: int) -> JsonObject:
    found: JsonObject = {
        "from": to_data(call.sender),
        "gas": to_quantity(call.gas),
        "gasUsed": to_quantity(call.gas_used),
        "input": to_data(call.input),
        "type": call.kind,
    }
    if call.to is not None:
        found["to"] = to_data(call.to)
    if call.value is not None:
        found["value"] = to_quantity(call.value)
    if call.kind == "STOP":
        found["error"] = "failed deposit transaction"
    elif call.failure is not None:
        found["error"] = failure_text(call.failure, call.detail)
    if call.output and call.failure in (None, CallFailure.REVERTED):
        found["output"] = to_data(call.output)
        reason = None if call.failure is None else revert_reason(call.output)
        if reason is not None:
            found["revertReason"] = reason
    if call.logs and form.with_logs:
        found["logs"] = [
            {
                "address": to_data(one.log.address),
                "topics": [to_data(topic) for topic in one.log.topics],
                "data": to_data(one.log.data),
                "index": to_quantity(first_log + one.index),
                "position": to_quantity(one.position),
            }
            for one in call.logs
        ]
    return found
