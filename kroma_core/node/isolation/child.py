"""The program of a child process: `python -m kroma_core.node.isolation.child DESCRIPTOR PARENT`.

The first message says what to host. Signals that end the node are the node's business: the child ends when it is told
to, when the other end of its socket is gone, or with the node (Linux kills it then).
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import trio

from kroma_core.errors import KromaError
from kroma_core.jsonrpc.processing import Broken, contained
from kroma_core.node.isolation.hosts import Host, Part
from kroma_core.node.isolation.messages import (
    Abandoned,
    Call,
    Cancel,
    Carried,
    Closed,
    Emitted,
    Failed,
    Lengthy,
    Opened,
    Returned,
    ToChild,
    carried,
    packed,
)
from kroma_core.node.isolation.wire import Wire

_PR_SET_PDEATHSIG = 1


def main(descriptor: int, parent: int) -> None:
    """Host a part until the other end of the socket is gone or says so."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return  # the node has ended meanwhile
    with socket.socket(fileno=descriptor) as connection:
        trio.run(_serve, connection)


async def _serve(connection: socket.socket) -> None:
    wire = Wire(connection)
    async with trio.open_nursery() as nursery, aclosing(wire.messages()) as messages:
        nursery.start_soon(wire.pump)
        host: Host | None = await anext(messages, None)
        if host is not None:
            wire.send(Closed(await _hosted(host, wire, messages)))
        wire.end()


async def _hosted(host: Host, wire: Wire, messages: AsyncIterator[ToChild]) -> Carried | None:
    """Open a part, run its calls, and close it; the error that opening or closing raised."""
    try:
        async with host.opened(lambda event: wire.send(Emitted(event))) as part:
            wire.send(Opened())
            async with trio.open_nursery() as calls:
                await _run_calls(part, wire, messages, calls)
                calls.cancel_scope.cancel()
    except KromaError as error:
        return carried(error)
    return None


async def _run_calls(part: Part, wire: Wire, messages: AsyncIterator[ToChild], calls: trio.Nursery) -> None:
    """Start the calls that come in, until no more do."""
    scopes: dict[int, trio.CancelScope] = {}

    async def run(call: Call, scope: trio.CancelScope) -> None:
        answer = None
        with scope:
            answer = await _answered(part, call)
        del scopes[call.number]
        wire.send_packed(packed(Abandoned(call.number)) if answer is None else answer)

    async for message in messages:
        match message:
            case Call() as call:
                scopes[call.number] = trio.CancelScope()
                calls.start_soon(run, call, scopes[call.number])
            case Cancel(number):
                if number in scopes:
                    scopes[number].cancel()
            case _:
                return


async def _answered(part: Part, call: Call) -> bytes:
    """What came of a call, ready to be sent."""
    method: Callable[..., Awaitable[object]] = getattr(part.target, call.method)

    async def body() -> bytes:
        try:
            value = await method(*call.arguments)
            if call.method in part.lengthy:
                value = Lengthy(await trio.to_thread.run_sync(pickle.dumps, value, pickle.HIGHEST_PROTOCOL))
            return packed(Returned(call.number, value))
        except KromaError as error:
            return packed(Failed(call.number, carried(error)))

    if call.method not in part.queries:
        return await body()
    # Strangers ask queries: what one of them makes fail is that one's failure, as in the node itself.
    answer: bytes | Broken = await contained(call.method, body)
    if isinstance(answer, Broken):
        answer.error.add_note(f"in the part's own process: {answer.place}")
        return packed(Failed(call.number, carried(answer.error)))
    return answer


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
