"""An error object as JSON-RPC has it, and the codes that rollup nodes and engines use.

Spec: JSON-RPC 2.0, "Error object"; execution-apis engine/common.md, "Errors".
"""

from __future__ import annotations

import enum
from typing import Any

from kroma_core.errors import KromaError


class Code(enum.IntEnum):
    """Error codes."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    SERVER_ERROR = -32000
    """geth's code for everything that has none of its own, "not found" included."""
    LIMIT_EXCEEDED = -32005
    EXECUTION_REVERTED = 3
    UNKNOWN_PAYLOAD = -38001
    INVALID_FORKCHOICE_STATE = -38002
    INVALID_PAYLOAD_ATTRIBUTES = -38003
    TOO_LARGE_REQUEST = -38004
    UNSUPPORTED_FORK = -38005


class RpcError(KromaError):
    """The other side answered with an error object; on our side, what a method answers instead of a result."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(f"{message} (code {code})")
        self.code, self.message, self.data = code, message, data
