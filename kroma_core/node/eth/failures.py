"""Failures of calls and refused transactions as errors of the JSON-RPC.

Spec: execution-apis, "eth_call"; code 3 with the returned bytes is geth's for a revert.
"""

from __future__ import annotations

from typing import Final

from kroma_core.api import CallFailure, Ran, Refusal, Refused
from kroma_core.codec.hexadecimal import to_data
from kroma_core.jsonrpc.errors import Code, RpcError

_ERROR: Final = bytes.fromhex("08c379a0")
_PANIC: Final = bytes.fromhex("4e487b71")
_PANICS: Final = {
    0x00: "generic panic",
    0x01: "assert(false)",
    0x11: "arithmetic underflow or overflow",
    0x12: "division or modulo by zero",
    0x21: "enum overflow",
    0x22: "invalid encoded storage byte array accessed",
    0x31: "out-of-bounds array access; popping on an empty array",
    0x32: "out-of-bounds access of an array or bytesN",
    0x41: "out of memory",
    0x51: "uninitialized function",
}
_WITH_DETAIL: Final = (CallFailure.INVALID_OPCODE,)


def failure_text(failure: CallFailure, detail: str) -> str:
    """What a failed call is said to have died of."""
    return f"{failure}: {detail}" if failure in _WITH_DETAIL and detail else str(failure)


def call_error(done: Ran) -> RpcError:
    """The error that answers a call which ended badly."""
    if done.failure is CallFailure.REVERTED:
        reason = revert_reason(done.output)
        text = str(done.failure) if reason is None else f"{done.failure}: {reason}"
        return RpcError(Code.EXECUTION_REVERTED, text, to_data(done.output))
    assert done.failure is not None
    return RpcError(Code.SERVER_ERROR, failure_text(done.failure, done.detail))


def refusal_error(refused: Refused, attempted: str = "", after: str = "") -> RpcError:
    """The error that answers what could not begin; overrides that contradict each other need no more words."""
    if not attempted or refused.cause is Refusal.OVERRIDE:
        return RpcError(Code.SERVER_ERROR, refused.text)
    return RpcError(Code.SERVER_ERROR, f"{attempted}: {refused.text}{after}")


def revert_reason(output: bytes) -> str | None:
    """The text of Solidity's `Error(string)`, or the meaning of its `Panic(uint256)`; None for anything else."""
    selector, body = output[:4], output[4:]
    if selector == _PANIC and len(body) >= 32:
        code = int.from_bytes(body[:32], "big")
        return _PANICS.get(code, f"unknown panic code: {code:#x}")
    if selector != _ERROR or len(body) < 64:
        return None
    start = int.from_bytes(body[:32], "big")
    if start + 32 > len(body):
        return None
    size = int.from_bytes(body[start : start + 32], "big")
    if start + 32 + size > len(body):
        return None
    return body[start + 32 : start + 32 + size].decode(errors="replace")
