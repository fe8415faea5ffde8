"""Procedure "library": a client derives attributes and prints them, a line each; the runner answers as its engine."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from kroma_core.codec.attributes import attributes_from_json
from kroma_core.errors import DecodeError, KromaError
from kroma_core.recording import Difference, ExpectedBlock, first_difference
from kroma_core.recording.expected_json import block_object
from kroma_core.suite.chains import SuiteChain
from kroma_core.suite.commands import ClientEnded, Started, check_places, filled, fresh, started
from kroma_core.suite.results import Outcome, Result

PROTOCOL = "kroma-derivation/1"
PLACES = {"l1": "the chain's L1 file", "name": "the chain's name", "work": "an empty folder of its own"}
_LAST_WORDS = 2.0
MAX_LINE = 32 << 20
"""Bytes of a line, from the client."""


class ClientDiffers(KromaError):
    """The client does not derive what was expected, or does not keep to the protocol."""


class ClientCannot(KromaError):
    """The client says that this chain is not one that it knows how to derive."""


@attrs.frozen(kw_only=True)
class LineClient:
    """How a client is run."""

    command: Sequence[str]
    seconds: float
    work: Path

    def __attrs_post_init__(self) -> None:
        check_places(self.command, PLACES, ())

    async def run(self, chain: SuiteChain) -> Result:
        """Raises `ConfigError` where the suite or the command cannot be used at all."""
        chain.check()
        begin = time.monotonic()
        outcome, reason, log = Outcome.PASSED, "", ""
        folder = fresh(self.work / chain.name)
        values = {"l1": chain.l1.resolve(), "name": chain.name, "work": folder}
        async with started("client", filled(self.command, values), folder, pipes=True) as client:
            try:
                with trio.move_on_after(self.seconds) as scope:
                    await _Session(client=client, chain=chain).run()
                if scope.cancelled_caught:
                    raise ClientDiffers(f"not done after {self.seconds:g} s")
            except ClientCannot as error:
                outcome, reason = Outcome.SKIPPED, str(error)
            except (ClientDiffers, ClientEnded) as error:
                outcome, reason, log = Outcome.FAILED, str(error), client.tail()
        return Result(
            chain=chain.name,
            family=chain.family,
            forks=chain.forks,
            outcome=outcome,
            seconds=time.monotonic() - begin,
            reason=reason,
            log=log,
        )


@attrs.define(kw_only=True)
class _Session:
    """The conversation about one chain. `refused` is why the last attributes were called invalid."""

    client: Started
    chain: SuiteChain
    refused: str = ""

    async def run(self) -> None:
        expected = self.chain.expected_chain()
        children = {block.payload.parent_hash: block for block in expected.blocks}
        await self._say(
            type="start",
            protocol=PROTOCOL,
            name=self.chain.name,
            family=self.chain.family,
            l1=str(self.chain.l1.resolve()),
            l1_head=f"0x{self.chain.l1_head.hash.hex()}",
        )
        genesis = expected.blocks[0].payload.parent_hash
        known, done = {genesis}, 0
        while True:
            message = await self._heard()
            match message.get("type"):
                case "attributes":
                    parent = self._parent(message)
                    if parent not in known:
                        raise ClientDiffers(f"attributes on 0x{parent.hex()}, which no block of this chain is")
                    block = children.get(parent)
                    if block is None:
                        raise ClientDiffers(f"attributes on 0x{parent.hex()}, where the chain ends")
                    different = self._difference(block, message)
                    if different is None:
                        known.add(block.hash)
                        done = max(done, block.number - expected.blocks[0].number + 1)
                        payload = block_object(block)["payload"]
                        await self._say(type="valid", hash=payload["blockHash"], number=block.number, payload=payload)
                    else:
                        self.refused = f"; its last attributes on block {block.number - 1} differ: {different}"
                        await self._say(type="invalid")
                case "end":
                    break
                case "unsupported":
                    raise ClientCannot(str(message.get("reason", "no reason given")))
                case other:
                    raise ClientDiffers(f"expected a message of type attributes, end or unsupported, got {other!r}")
        if done < len(expected.blocks):
            missing = expected.blocks[done]
            raise ClientDiffers(
                f"{done} of {len(expected.blocks)} blocks: L2 block {missing.number} is missing, a {missing.batch} "
                f"batch that is read to its end with L1 block {missing.derived_from.number}{self.refused}"
            )

    def _parent(self, message: dict[str, Any]) -> bytes:
        try:
            return bytes.fromhex(message["parent"].removeprefix("0x"))
        except (KeyError, AttributeError, ValueError) as error:
            raise ClientDiffers(f"attributes without the hash of their `parent`: {error!r}") from error

    def _difference(self, block: ExpectedBlock, message: dict[str, Any]) -> Difference | None:
        attributes = message.get("attributes")
        if not isinstance(attributes, dict):
            raise ClientDiffers(f"block {block.number}: expected `attributes`, a JSON object, got {attributes!r}")
        try:
            return first_difference(block.attributes, attributes_from_json(attributes))
        except DecodeError as error:
            raise ClientDiffers(f"attributes for block {block.number}: {error}") from error

    async def _say(self, **message: Any) -> None:
        pipe = self.client.process.stdin
        assert pipe is not None
        data = json.dumps(message).encode() + b"\n"

        def write() -> None:
            pipe.write(data)
            pipe.flush()

        try:
            await trio.to_thread.run_sync(write, abandon_on_cancel=True)
        except BrokenPipeError as error:
            raise await self._gone() from error

    async def _heard(self) -> dict[str, Any]:
        pipe = self.client.process.stdout
        assert pipe is not None
        line = await trio.to_thread.run_sync(partial(pipe.readline, MAX_LINE), abandon_on_cancel=True)
        if not line:
            raise await self._gone()
        if len(line) >= MAX_LINE:
            raise ClientDiffers(f"a line of {MAX_LINE} bytes or more")
        try:
            found = json.loads(line)
        except ValueError as error:
            raise ClientDiffers(f"a line that is not JSON ({error}): {line[:80]!r}") from error
        if not isinstance(found, dict):
            raise ClientDiffers(f"expected a JSON object a line, got {line[:80]!r}")
        return found

    async def _gone(self) -> ClientEnded:
        with trio.move_on_after(_LAST_WORDS):
            code = await trio.to_thread.run_sync(self.client.process.wait, abandon_on_cancel=True)
            return ClientEnded(f"the client ended with exit code {code}, without a message of type end{self.refused}")
        return ClientEnded(f"the client closed its output without a message of type end{self.refused}")
