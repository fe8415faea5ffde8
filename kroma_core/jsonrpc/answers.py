"""Requests as JSON text, and what an answer says to each of them. No I/O.

Spec: JSON-RPC 2.0, "Request object", "Response object", "Batch".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import orjson

from kroma_core.codec.hexadecimal import shown
from kroma_core.jsonrpc.errors import Code, RpcError

Call: TypeAlias = tuple[str, Sequence[Any]]
"""A method and its parameters."""
Result: TypeAlias = Any
"""The `result` of an answer, or an `RpcError`."""

LONGEST_MESSAGE: Final = 1000
"""Characters of a server's error message that are kept."""


class Unusable(ValueError):
    """An answer that is not one to what was asked; the text says why."""


def single(request_id: int, call: Call) -> bytes:
    """The body that asks for one call."""
    return orjson.dumps(_request(request_id, call))


def batch(first_id: int, calls: Sequence[Call]) -> bytes:
    """The body that asks for several, with ids counted from `first_id`."""
    return orjson.dumps([_request(first_id + index, call) for index, call in enumerate(calls)])


def _request(request_id: int, call: Call) -> dict[str, Any]:
    method, params = call
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": list(params)}


def parsed(body: bytes | str) -> Any:
    """The JSON value of an answer. Raises `Unusable`."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unusable(f"expected JSON, got {len(body)} bytes that are not ({error})") from error


def result_of(answer: Any, request_id: int) -> Result:
    """What the answer to one call says. Raises `Unusable`."""
    if not isinstance(answer, Mapping):
        raise Unusable(f"expected an object, got {_kind(answer)}")
    got = answer.get("id")
    if got != request_id and not (got is None and isinstance(answer.get("error"), Mapping)):
        raise Unusable(f"expected the answer to id {request_id}, got one to {shown(got)}")
    return _said(answer)


def results_of(answer: Any, first_id: int, count: int) -> list[Result]:
    """What the answer to a batch says to each call, in the order of the calls. Raises `Unusable`.

    A server may refuse the batch as a whole with one error object: every call then has that error.
    """
    if isinstance(answer, Mapping) and isinstance(answer.get("error"), Mapping):
        return [_error(answer["error"])] * count
    if not isinstance(answer, list):
        raise Unusable(f"expected a list of {count} answers, got {_kind(answer)}")
    found: dict[int, Result] = {}
    for item in answer:
        if not isinstance(item, Mapping):
            raise Unusable(f"expected a list of objects, got {_kind(item)} in it")
        request_id = item.get("id")
        if type(request_id) is not int or not first_id <= request_id < first_id + count:
            raise Unusable(f"expected ids {first_id} to {first_id + count - 1}, got {shown(request_id)}")
        if request_id in found:
            raise Unusable(f"got two answers to id {request_id}")
        found[request_id] = _said(item)
    missing = [first_id + index for index in range(count) if first_id + index not in found]
    if missing:
        raise Unusable(f"expected {count} answers, got {len(found)}: none to id {missing[0]}")
    return [found[first_id + index] for index in range(count)]


def _said(answer: Mapping[str, Any]) -> Result:
    error = answer.get("error")
    if isinstance(error, Mapping):
        return _error(error)
    if error is not None:
        raise Unusable(f"expected an error object, got {_kind(error)}")
    if "result" not in answer:
        raise Unusable("expected a result or an error, got neither")
    return answer["result"]


def _error(error: Mapping[str, Any]) -> RpcError:
    code, message = error.get("code"), error.get("message")
    text = message if isinstance(message, str) else "an error without a message"
    if len(text) > LONGEST_MESSAGE:
        text = text[:LONGEST_MESSAGE] + "..."
    return RpcError(code if type(code) is int else Code.INTERNAL_ERROR, text, error.get("data"))


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a text", type(None): "null"}.get(type(value), "a number")
