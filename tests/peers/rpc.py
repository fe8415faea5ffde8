"""A JSON-RPC client for the tests' own questions, and polling with an end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs
import httpx
import trio

T = TypeVar("T")


class RpcFailed(Exception):
    """The other side answered with an error, or not at all."""


@attrs.frozen
class Rpc:
    """Calls to one URL. `headers` are asked for at each call (a fresh token, for example)."""

    url: str
    headers: Callable[[], Mapping[str, str]] = dict

    async def call(self, method: str, *params: Any, seconds: float = 20.0) -> Any:
        """The result. Raises `RpcFailed`."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        try:
            async with _client(seconds) as client:
                answer = (await client.post(self.url, json=request, headers=dict(self.headers()))).json()
        except (httpx.HTTPError, ValueError) as error:
            raise RpcFailed(f"{method}: {error!r}") from error
        if "error" in answer:
            raise RpcFailed(f"{method}: {answer['error']}")
        return answer["result"]

    async def answers(self, method: str = "eth_chainId") -> bool:
        """Whether there is somebody who answers."""
        try:
            await self.call(method)
        except RpcFailed:
            return False
        return True

    async def reached(self) -> bool:
        """Whether somebody speaks HTTP there, whatever they say."""
        try:
            async with _client(5) as client:
                await client.get(self.url)
        except httpx.TransportError:
            return False
        return True

    async def block(self, block: int | str, *, transactions: bool = False) -> dict[str, Any]:
        """A block by number, label or hash, as `eth_` methods give it. Raises `RpcFailed` where there is none."""
        name = hex(block) if isinstance(block, int) else block
        method = "eth_getBlockByHash" if len(name) == 66 else "eth_getBlockByNumber"
        found: dict[str, Any] | None = await self.call(method, name, transactions)
        if found is None:
            raise RpcFailed(f"{method}: no block {name}")
        return found

    async def number(self, label: str = "latest") -> int:
        """The number of the block that a label points to."""
        return int((await self.block(label))["number"], 16)


def _client(seconds: float) -> httpx.AsyncClient:
    """A client for loopback; without certificates, whose loading takes longer than most answers."""
    return httpx.AsyncClient(timeout=seconds, trust_env=False, verify=False)


async def until(
    ask: Callable[[], Awaitable[T]],
    holds: Callable[[T], bool],
    *,
    seconds: float,
    what: str,
    every: float = 0.1,
) -> T:
    """The first answer that `holds`; an AssertionError with the last one after `seconds`.

    `RpcFailed` counts as an answer that does not hold.
    """
    last: Any = "no answer"
    with trio.move_on_after(seconds):
        while True:
            try:
                last = await ask()
            except RpcFailed as error:
                last = error
            else:
                if holds(last):
                    return last  # type: ignore[no-any-return]  # it is what `ask` gave
            await trio.sleep(every)
    raise AssertionError(f"{what}: not within {seconds} s; the last answer was {last!r}")


@contextmanager
def shown_with(*running: Any) -> Iterator[None]:
    """Adds the end of the programs' logs to what is raised inside."""
    try:
        yield
    except BaseException as error:
        for one in running:
            error.add_note(f"--- {one.name}:\n{one.tail()}")
        raise
