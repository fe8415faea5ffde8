"""What kroma-prover asks for: `kroma_getBlockTraceByNumberOrHash`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
import trio

from kroma_core.api import BlockTraceRequest, BlockTraces, NoTrace
from kroma_core.codec.hexadecimal import shown
from kroma_core.errors import DecodeError, NotFound
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.jsonrpc.methods import Handler
from kroma_core.node.eth import arguments
from kroma_core.node.eth.block_trace_shapes import block_trace_json, written_steps
from kroma_core.node.eth.blocks import Blocks
from kroma_core.node.eth.chain_methods import canonical_checked

MOST_STEPS: Final = 1_000_000
MOST_BYTES: Final = 256 << 20
"""Of JSON text, roughly."""


class BlockTraceMethods:
    """Traces of blocks of Kroma's ZK era."""

    def __init__(self, blocks: Blocks, traces: BlockTraces) -> None:
        self._blocks = blocks
        self._traces = traces
        self._earliest = blocks.config.genesis.l2.number

    def kroma(self) -> Mapping[str, Handler]:
        return {"getBlockTraceByNumberOrHash": self.block_trace}

    async def block_trace(self, block: Any, options: Any = None) -> bytes:
        wanted = _wanted({} if options is None else arguments.mapping(options, "options"))
        known = await self._blocks.block(await canonical_checked(self._blocks, arguments.block(block, self._earliest)))
        if known is None:
            raise NotFound("block not found")
        trace = await self._traces.trace_block(known.hash, wanted)
        if isinstance(trace, NoTrace):
            raise RpcError(Code.LIMIT_EXCEEDED if trace.too_long else Code.SERVER_ERROR, trace.reason)
        await self._blocks.with_senders(known)
        chain_id = self._blocks.config.l2_chain_id
        return await trio.to_thread.run_sync(
            lambda: orjson.dumps(block_trace_json(trace, known, chain_id, written_steps))
        )


def _wanted(found: Mapping[str, Any]) -> BlockTraceRequest:
    """What geth's options for traces ask for. A tracer is passed over, as kroma-geth does: there is only this one."""
    if found.get("limit"):
        raise DecodeError(f"limit: a prover needs the whole trace, got a limit of {shown(found['limit'])} steps")
    return BlockTraceRequest(
        most_steps=MOST_STEPS,
        most_bytes=MOST_BYTES,
        stack=found.get("disableStack") is not True,
        memory=found.get("enableMemory") is True,
        storage=found.get("disableStorage") is not True,
    )
