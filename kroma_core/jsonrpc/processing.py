"""From the text of a request to the text of its answer. Nothing that a client sends raises.

Spec: JSON-RPC 2.0, "Request object", "Response object", "Batch".
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import orjson
import trio

from kroma_core.errors import DecodeError, KromaError
from kroma_core.events import Event, RequestServed
from kroma_core.jsonrpc.connection import Connection
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.jsonrpc.limits import DEFAULT, Limits
from kroma_core.jsonrpc.methods import Methods

LARGE = 256 * 1024
"""Requests of more bytes are parsed in a thread: their nesting is looked at in Python."""

_LONGEST_SHOWN = 80
_EXACT = 2.0**53


def ignore(event: Event) -> None:
    """Whoever serves without observers."""


@attrs.frozen
class Broken:
    """A handler that failed in a way it does not know itself; `place` is for the operator, not for the client."""

    error: RpcError
    place: str


async def contained(what: str, call: Callable[[], Awaitable[Any]]) -> Any:
    """What `call` returns; an `RpcError` or `Broken`, as a value, where it raises. One request cannot stop a node."""
    try:
        return await call()
    except RpcError as error:
        return error
    except DecodeError as error:
        return RpcError(Code.INVALID_PARAMS, str(error))
    except KromaError as error:
        return RpcError(Code.SERVER_ERROR, str(error))
    except Exception as error:  # border: rpc request
        name = type(error).__name__
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{name}: {error} ({last.filename}:{last.lineno})"
        return Broken(RpcError(Code.INTERNAL_ERROR, f"internal error in {what}: {name}"), place)


@attrs.frozen(kw_only=True)
class Processor:
    """Answers requests with `methods`. `server` names the profile's table in events."""

    methods: Methods
    server: str
    limits: Limits = DEFAULT
    emit: Callable[[Event], None] = ignore

    async def answer(self, body: bytes, connection: Connection | None = None) -> bytes | None:
        """The answer to a request or to a batch; None where nobody waits for one (notifications alone)."""
        try:
            if len(body) > LARGE:
                request = await trio.to_thread.run_sync(parse, body, self.limits.depth)
            else:
                request = parse(body, self.limits.depth)
        except RpcError as error:
            return _encoded(None, error)
        deadline = trio.current_time() + self.limits.request_seconds
        if isinstance(request, list):
            return await self._batch(request, deadline, connection)
        return await self._single(request, deadline, connection)

    async def _batch(self, calls: list[Any], deadline: float, connection: Connection | None) -> bytes | None:
        if not calls:
            return _encoded(None, RpcError(Code.INVALID_REQUEST, "empty batch"))
        if len(calls) > self.limits.batch:
            message = f"batch of {len(calls)} calls: at most {self.limits.batch} are answered"
            return _encoded(None, RpcError(Code.INVALID_REQUEST, message))
        answers, size = [], 0
        for call in calls:
            if size > self.limits.response:
                answer = _encoded_for(call, self._too_large())
            else:
                answer = await self._single(call, deadline, connection)
                await trio.lowlevel.checkpoint()
            if answer is not None:
                answers.append(answer)
                size += len(answer)
        return b"[" + b",".join(answers) + b"]" if answers else None

    async def _single(self, call: Any, deadline: float, connection: Connection | None) -> bytes | None:
        try:
            name, params = _taken_apart(call)
        except RpcError as error:
            return _encoded(call.get("id") if isinstance(call, dict) and _is_id(call.get("id")) else None, error)
        result = await self._result(name, params, deadline, connection)
        answer = _encoded_for(call, result)
        if answer is not None and len(answer) > self.limits.response:
            return _encoded_for(call, self._too_large())
        return answer

    async def _result(self, name: str, params: Any, deadline: float, connection: Connection | None) -> Any:
        method = self.methods.find(name)
        if method is None:
            shown = name if len(name) <= _LONGEST_SHOWN else name[:_LONGEST_SHOWN] + "..."
            return RpcError(Code.METHOD_NOT_FOUND, f"the method {shown} does not exist here, or is switched off")
        began = trio.current_time()
        result: Any = RpcError(Code.TIMED_OUT, f"{name}: no answer within {self.limits.request_seconds:g} s")
        with trio.CancelScope(deadline=deadline):
            try:
                arguments = method.bind(params)
            except RpcError as error:
                result = error
            else:
                more = {"connection": connection} if method.wants_connection else {}
                result = await contained(name, lambda: method.handler(*arguments, **more))
        self.report(name, trio.current_time() - began, result)
        return result.error if isinstance(result, Broken) else result

    def report(self, method: str, seconds: float, result: Any) -> None:
        """Tell the observers how a call ended: with a result, an `RpcError`, or `Broken`."""
        error = ""
        if isinstance(result, Broken):
            result, error = result.error, result.place
        outcome = f"rpc_{int(result.code)}" if isinstance(result, RpcError) else "ok"
        self.emit(RequestServed(server=self.server, method=method, seconds=seconds, outcome=outcome, error=error))

    def _too_large(self) -> RpcError:
        return RpcError(Code.RESPONSE_TOO_LARGE, f"the answer is larger than {self.limits.response} bytes")


def parse(body: bytes, depth: int) -> Any:
    """The JSON of a request. Raises `RpcError` where it is none, or is nested deeper than `depth` levels."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RpcError(Code.PARSE_ERROR, f"the request is not JSON: {error}") from error
    if body.count(b"[") + body.count(b"{") > depth:
        level = [value] if isinstance(value, dict | list) else []
        for _ in range(depth):
            level = [
                item
                for container in level
                for item in (container.values() if isinstance(container, dict) else container)
                if isinstance(item, dict | list)
            ]
            if not level:
                break
        else:
            raise RpcError(Code.PARSE_ERROR, f"the request is nested deeper than {depth} levels")
    return value


def _is_id(value: Any) -> bool:
    """Whether the value can be given back as it came: an integer beyond 64 bits is read as a float."""
    if isinstance(value, float):
        return abs(value) < _EXACT
    return value is None or (isinstance(value, str | int) and not isinstance(value, bool))


def _taken_apart(call: Any) -> tuple[str, Any]:
    if not isinstance(call, dict):
        raise RpcError(Code.INVALID_REQUEST, "a call is an object with jsonrpc, id, method and params")
    if call.get("jsonrpc") != "2.0":
        raise RpcError(Code.INVALID_REQUEST, 'expected "jsonrpc": "2.0"')
    if not _is_id(call.get("id")):
        raise RpcError(Code.INVALID_REQUEST, "id: expected text, a number of at most 64 bits, or null")
    name = call.get("method")
    if not isinstance(name, str):
        raise RpcError(Code.INVALID_REQUEST, "method: expected text")
    return name, call.get("params")


def _encoded_for(call: Any, result: Any) -> bytes | None:
    """An answer under the call's id; None for a notification."""
    return _encoded(call["id"], result) if isinstance(call, dict) and "id" in call else None


def _encoded(identity: Any, result: Any) -> bytes:
    try:
        match result:
            case RpcError(code=code, message=message, data=None):
                return orjson.dumps(
                    {"jsonrpc": "2.0", "id": identity, "error": {"code": int(code), "message": message}}
                )
            case RpcError(code=code, message=message, data=data):
                error = {"code": int(code), "message": message, "data": data}
                return orjson.dumps({"jsonrpc": "2.0", "id": identity, "error": error})
            case bytes():
                return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (orjson.dumps(identity), result)
        return orjson.dumps({"jsonrpc": "2.0", "id": identity, "result": result})
    except orjson.JSONEncodeError as failure:
        return _encoded(identity, RpcError(Code.INTERNAL_ERROR, f"the result does not fit into JSON: {failure}"))
