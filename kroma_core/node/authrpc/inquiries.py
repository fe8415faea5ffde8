"""The rest of the `engine_` namespace: what asks, and changes nothing.

Spec: execution-apis, engine/common.md, engine/identification.md, engine/shanghai.md; exec-engine.md,
"engine_signalSuperchainV1".
"""

from __future__ import annotations

from importlib import metadata
from typing import Any, Final

from kroma_core.api import ExecutionEngine
from kroma_core.codec.hexadecimal import fixed, quantity, shown, to_data
from kroma_core.codec.withdrawals import withdrawals_to_json
from kroma_core.errors import DecodeError, NotFound
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.jsonrpc.methods import Methods
from kroma_core.l2 import L2Label, Payload
from kroma_core.node.authrpc import arguments
from kroma_core.node.authrpc.versions import refusal
from kroma_core.types import L2Number

PROTOCOL_VERSION: Final = bytes(16) + (9).to_bytes(4, "big") + bytes(12)
"""The version of the OP Stack's protocol that is supported, 9.0.0. Spec: superchain-upgrades.md, "Version Encoding"."""

DISTRIBUTION: Final = "kroma-core"
CLIENT_CODE: Final = "KR"
MOST_BODIES: Final = 1024
_UNKNOWN_COMMIT: Final = "0x00000000"


class Inquiries:
    """The reading half of the Engine API."""

    def __init__(self, engine: ExecutionEngine, methods: Methods) -> None:
        self._engine = engine
        self._methods = methods

    def add_to(self, methods: Methods) -> None:
        methods.add_namespace(
            "engine",
            {
                "exchangeCapabilities": self._capabilities,
                "exchangeTransitionConfigurationV1": self._transition,
                "signalSuperchainV1": self._signal,
                "getClientVersionV1": self._client_version,
                "getPayloadBodiesByHashV1": self._bodies_by_hash,
                "getPayloadBodiesByRangeV1": self._bodies_by_range,
            },
        )

    async def _capabilities(self, theirs: Any) -> list[str]:
        if not isinstance(theirs, list) or not all(isinstance(name, str) for name in theirs):
            raise DecodeError(f"capabilities: expected a list of method names, got {shown(theirs)}")
        own = "engine_exchangeCapabilities"
        return sorted(name for name in self._methods.names() if name.startswith("engine_") and name != own)

    async def _transition(self, theirs: Any) -> dict[str, str]:
        """The merge lies before the first block of every rollup: total difficulty 0, no terminal block."""
        found = arguments.json_object(theirs)
        difficulty = quantity(found.get("terminalTotalDifficulty"), "terminalTotalDifficulty", 256)
        block = fixed(found.get("terminalBlockHash"), 32, "terminalBlockHash")
        if difficulty != 0 or any(block):
            raise RpcError(Code.SERVER_ERROR, f"terminal total difficulty: expected 0 and no block, got {difficulty}")
        return {
            "terminalTotalDifficulty": "0x0",
            "terminalBlockHash": to_data(bytes(32)),
            "terminalBlockNumber": "0x0",
        }

    async def _signal(self, versions: Any = None) -> str:
        """What the rollup's operators recommend and require; the answer is what this node supports."""
        if versions is not None:
            found = arguments.json_object(versions)
            for name in ("recommended", "required"):
                fixed(found.get(name), 32, name)
        return to_data(PROTOCOL_VERSION)

    async def _client_version(self, theirs: Any) -> list[dict[str, str]]:
        arguments.json_object(theirs)
        return [
            {"code": CLIENT_CODE, "name": "kroma", "version": metadata.version(DISTRIBUTION), "commit": _UNKNOWN_COMMIT}
        ]

    async def _bodies_by_hash(self, hashes: Any) -> list[dict[str, Any] | None]:
        wanted = arguments.block_hashes(hashes)
        if len(wanted) > MOST_BODIES:
            raise refusal(Code.TOO_LARGE_REQUEST, f"expected at most {MOST_BODIES} hashes, got {len(wanted)}")
        return [await self._body(block) for block in wanted]

    async def _bodies_by_range(self, start: Any, count: Any) -> list[dict[str, Any] | None]:
        first, wanted = arguments.number(start), arguments.number(count)
        if first == 0 or wanted == 0:
            raise refusal(Code.INVALID_PARAMS, f"expected start and count from 1 on, got {first} and {wanted}")
        if wanted > MOST_BODIES:
            raise refusal(Code.TOO_LARGE_REQUEST, f"expected at most {MOST_BODIES} blocks, got {wanted}")
        last = min(first + wanted - 1, (await self._engine.block(L2Label.UNSAFE)).number)
        return [await self._body(L2Number(number)) for number in range(first, last + 1)]

    async def _body(self, block: bytes | L2Number) -> dict[str, Any] | None:
        try:
            return _body_json(await self._engine.block(block))
        except NotFound:
            return None


def _body_json(block: Payload) -> dict[str, Any]:
    return {
        "transactions": [to_data(raw) for raw in block.transactions],
        "withdrawals": withdrawals_to_json(block.withdrawal_list) if block.withdrawals else None,
    }
