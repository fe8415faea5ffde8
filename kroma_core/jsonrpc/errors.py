"""An error object as JSON-RPC has it, and the codes that rollup nodes and engines use.

Spec: JSON-RPC 2.0, "Error object"; execution-apis engine/common.md, "Errors".
"""

from __future__ import annotations

import enum
from typing import Any

from kroma_core.errors import KromaError, TemporaryError


class Code(enum.IntEnum):
    """Error codes."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    SERVER_ERROR = -32000
    """geth's code for everything that has none of its own, "not found" included."""
    TIMED_OUT = -32002
    RESPONSE_TOO_LARGE = -32003
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

    def __reduce__(self) -> tuple[Any, ...]:
        return RpcError, (self.code, self.message, self.data)


class Failure(enum.StrEnum):
    """Why a server gave no proper answer."""

    UNREACHABLE = "unreachable"
    """No connection, or one that broke."""
    TIMEOUT = "timeout"
    STATUS = "status"
    """An HTTP status other than 200 (and 429)."""
    RATE_LIMITED = "rate limited"
    """HTTP status 429, or a request that was held back because of an earlier one."""
    MALFORMED = "malformed"
    """Not JSON, cut off, or not an answer to what was asked."""
    TOO_LARGE = "too large"
    """More bytes than are taken."""


class NoAnswer(TemporaryError):
    """A server gave no proper answer to a request: the same may succeed later, or elsewhere.

    `status` is the HTTP status where there was one; `retry_after` the seconds that a rate limit has yet to last.
    """

    def __init__(
        self,
        *,
        server: str,
        method: str,
        failure: Failure,
        reason: str,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{method} of {server}: {reason}")
        self.server, self.method, self.failure, self.reason = server, method, failure, reason
        self.status, self.retry_after = status, retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.server, self.method, self.failure, self.reason, self.status, self.retry_after)


def _again(
    server: str, method: str, failure: Failure, reason: str, status: int | None, retry_after: float | None
) -> NoAnswer:
    """A pickled `NoAnswer`: errors cross to a child process and back."""
    return NoAnswer(
        server=server, method=method, failure=failure, reason=reason, status=status, retry_after=retry_after
    )
