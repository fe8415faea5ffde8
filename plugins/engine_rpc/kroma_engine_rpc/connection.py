"""The way to an engine: two servers that may be one, known to be the chain's before anything else is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

from kroma_core.api import Clock
from kroma_core.chain.config import ChainConfig
from kroma_core.errors import CriticalError, DecodeError, KromaError, TemporaryError
from kroma_core.jsonrpc.answers import Call
from kroma_core.jsonrpc.client import Client
from kroma_core.jsonrpc.errors import Failure, NoAnswer, RpcError
from kroma_engine_rpc.answers import said
from kroma_engine_rpc.identity import identity_problems, needed_methods

UNAUTHORIZED = (401, 403)
_CLOCK_WORDS = ("stale", "future", "expired", "iat", "issued")
"""What engines say of a token whose time of issue is not theirs."""


@attrs.define(kw_only=True)
class Connection:
    """Asks an engine. Before the first question, and again after a connection broke, it is made sure that the engine
    has this chain: one that was replaced meanwhile must not be written to.

    Errors of every method: `TemporaryError` when no proper answer came; `CriticalError` when the engine refuses the
    secret, holds another chain, or lacks a method that the chain needs; `RpcError` for an error object.
    """

    engine: Client
    """The authenticated port."""
    eth: Client
    """Where blocks are read."""
    chain: ChainConfig
    clock: Clock
    secret: Path
    """Where the secret is that the engine has to have too."""
    on_lost: list[Callable[[], None]] = attrs.field(factory=list)
    """Called when a connection broke: what was remembered of the engine may no longer hold."""
    _known: bool = False
    _checking: trio.Lock = attrs.field(factory=trio.Lock)

    async def ask(self, method: str, *params: Any) -> Any:
        """A question about blocks or state."""
        return (await self.ask_all([(method, params)], whole=True))[0]

    async def ask_all(self, calls: Sequence[Call], *, whole: bool = False) -> list[Any]:
        """Several questions at once; with `whole`, the first error object is raised."""
        await self._make_sure()
        found = await self._guarded(self.eth, calls)
        for result in found:
            if whole and isinstance(result, RpcError):
                raise result
        return found

    async def tell(self, method: str, *params: Any) -> Any:
        """A call of the Engine API."""
        await self._make_sure()
        result = (await self._guarded(self.engine, [(method, params)]))[0]
        if isinstance(result, RpcError):
            raise result
        return result

    async def check(self) -> list[str]:
        """What is wrong with the engine for this chain. Raises as every method, but for these problems."""
        problems: list[str] = []
        head_time: int | None = None
        for client in {client.server: client for client in (self.engine, self.eth)}.values():
            found, time = await identity_problems(self, client, self.chain.rollup)
            problems += found
            head_time = time if head_time is None else head_time
        problems += await self._missing_methods(head_time or 0)
        self._known = not problems
        return problems

    async def guarded(self, client: Client, calls: Sequence[Call]) -> list[Any]:
        """Answers of one of the two servers, without making sure of the chain first."""
        return await self._guarded(client, calls)

    async def _missing_methods(self, head_time: int) -> list[str]:
        """Methods of the Engine API that this chain needs from the engine's head to now, and that the engine lacks."""
        needed = needed_methods(self.chain.rollup, head_time, int(self.clock()))
        answer = (await self._guarded(self.engine, [("engine_exchangeCapabilities", [sorted(needed)])]))[0]
        if isinstance(answer, RpcError) or not isinstance(answer, list):
            return []  # an engine that does not tell; what it lacks shows when it is asked
        return [
            f"the engine at {self.engine.server} lacks {method}, which this chain needs from time {since} on"
            for method, since in sorted(needed.items())
            if method not in answer
        ]

    async def _make_sure(self) -> None:
        async with self._checking:
            if not self._known and (problems := await self.check()):
                raise CriticalError("\n".join(problems))

    async def _guarded(self, client: Client, calls: Sequence[Call]) -> list[Any]:
        try:
            if len(calls) == 1:
                try:
                    method, params = calls[0]
                    return [await client.call(method, *params)]
                except RpcError as error:
                    return [error]
            return await client.batch(calls)
        except NoAnswer as error:
            if error.failure is Failure.UNREACHABLE:
                self._lost()
            if error.status in UNAUTHORIZED:
                self._lost()
                raise unauthorized(error, self.secret) from error
            raise

    def _lost(self) -> None:
        self._known = False
        for forget in self.on_lost:
            forget()


def unauthorized(error: NoAnswer, secret: Path) -> KromaError:
    """What a refused token means: a secret that differs stays different; a clock may be set right."""
    if any(word in error.reason.lower() for word in _CLOCK_WORDS):
        return TemporaryError(f"{error}; the engine's clock and this machine's may differ by at most 60 s")
    return CriticalError(
        f"{error}; the secret in {secret} (jwt_secret) has to be the one that the engine was started with "
        "(--authrpc.jwtsecret)"
    )


def readable(what: str, server: str) -> _Readable:
    """Turns `DecodeError` in its body into `TemporaryError`: the server gave no proper answer."""
    return _Readable(what, server)


@attrs.frozen
class _Readable:
    what: str
    server: str

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DecodeError):
            raise TemporaryError(f"{self.what} of {self.server}: {error}") from error


def object_or_none(found: Any, what: str) -> Mapping[str, Any] | None:
    """A JSON object, None for null or an error object that says so. Raises `DecodeError`."""
    if found is None:
        return None
    if isinstance(found, RpcError):
        if "not found" in found.message.lower() or "unknown block" in found.message.lower():
            return None
        raise TemporaryError(f"{what}: {said(found)}")
    if not isinstance(found, Mapping):
        raise DecodeError(f"{what}: expected an object or null")
    return found
