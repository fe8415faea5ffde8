"""Blobs of a beacon node: by slot and versioned hash (`blobs`), or all of a slot (`blob_sidecars`).

Whichever of the two delivered last is asked first the next time; what it lacks is asked of the other.
Spec: beacon-APIs, "getBlobs", "getBlobSidecars"; ecotone/derivation.md, "Ecotone: Blob Retrieval".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import trio

from kroma_core.api import Facts, Missing
from kroma_core.errors import DecodeError, TemporaryError
from kroma_core.events import Event, Retrying
from kroma_core.jsonrpc.errors import Failure, NoAnswer
from kroma_core.jsonrpc.http_answer import OK
from kroma_core.types import Hash32, L1Ref, Timestamp
from kroma_da_blob import answers
from kroma_da_blob.answers import FoundBlob, SlotClock
from kroma_da_blob.checking import BlobCheck
from kroma_da_blob.web import ABSENT, Answer, BlobServer

BLOBS, SIDECARS = "blobs", "blob_sidecars"


@attrs.frozen(kw_only=True)
class _Lack:
    """Why a request did not give what was wanted; `answered` is False where it says nothing of what the node has."""

    said: str
    answered: bool = True


class BeaconBlobs:
    """A blob source on a beacon node, or on anything that speaks its API.

    An answer without a blob counts as `Missing` only from a node whose head has reached the slot: 404, an empty list
    and a list of other blobs alike. What contradicts a versioned hash is a `TemporaryError` that names it.
    """

    def __init__(self, server: BlobServer, *, part: str, l1_chain_id: int, emit: Callable[[Event], None]) -> None:
        self._server, self._part, self._l1_chain_id, self._emit = server, part, l1_chain_id, emit
        self.check = BlobCheck()
        self._clock: SlotClock | None = None
        self._order = (BLOBS, SIDECARS)

    async def probe(self) -> None:
        """Ask for what later answers depend on. A problem is told to the observers, not raised: it may pass."""
        try:
            await self._slot_clock()
        except TemporaryError as error:
            what = "read the beacon chain's clock (asked again when a blob is needed)"
            self._emit(Retrying(part=self._part, what=what, error=str(error), attempt=1, delay=0.0))

    async def facts(self) -> Facts:
        """The node's clock, its L1, and for how long it keeps blobs."""
        try:
            genesis = await self._told("genesis", "beacon/genesis")
            spec = await self._told("spec", "config/spec")
            return Facts(
                server=self._server.name,
                chain_id=answers.chain_id(spec),
                slot_zero=Timestamp(answers.genesis_time(genesis)),
                slot_ms=answers.slot_ms(spec),
                blob_retention=answers.retention(spec),
            )
        except NoAnswer as error:
            return Facts(server=self._server.name, silent=str(error))
        except DecodeError as error:
            return Facts(server=self._server.name, silent=f"not an answer of a beacon node: {error}")

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
        wanted = tuple(dict.fromkeys(versioned_hashes))
        found = self.check.known(wanted)
        lacks: list[_Lack] = []
        silent: TemporaryError | None = None
        if len(found) < len(wanted):
            slot = await self._slot(block)
            for endpoint in self._order:
                lacking = [one for one in wanted if one not in found]
                if not lacking:
                    break
                try:
                    more = await self._ask(endpoint, slot, lacking, lacks)
                except TemporaryError as error:
                    silent = silent or error
                    continue
                if more:
                    self._order = (endpoint, BLOBS if endpoint == SIDECARS else SIDECARS)
                found |= more
        else:
            await trio.lowlevel.checkpoint()
        missing = tuple(one for one in wanted if one not in found)
        if not missing:
            return tuple(found[one] for one in versioned_hashes)
        if silent is not None:
            raise silent
        said = ", ".join(lack.said for lack in lacks)
        if not any(lack.answered for lack in lacks):
            raise TemporaryError(f"fetch blobs of L1 block {block.id}: {self._server.name} serves none ({said})")
        await self._expect_reached(slot, block)
        return Missing(versioned_hashes=missing, source=f"{self._server.name} at slot {slot}: {said}")

    async def _ask(self, endpoint: str, slot: int, wanted: Sequence[Hash32], lacks: list[_Lack]) -> dict[Hash32, bytes]:
        """What one endpoint has of `wanted`, checked; why it lacks some is added to `lacks`."""
        query = [("versioned_hashes", f"0x{one.hex()}") for one in wanted] if endpoint == BLOBS else []
        answer, value = await self._get(f"beacon/{endpoint}/{slot}", query, what=endpoint)
        if answer.status != OK:
            said = f"{endpoint} answers {answer.status}{f' ({answer.said})' if answer.said else ''}"
            lacks.append(_Lack(said=said, answered=answer.status in ABSENT))
            return {}
        found = self._read(endpoint, value)
        if not found:
            lacks.append(_Lack(said=f"{endpoint} answers an empty list (expired, or none in this slot)"))
            return {}
        checked = await self.check.check(found, wanted)
        contradiction = checked.contradiction(wanted, len(found))
        if contradiction is not None:
            raise self._server.failed(endpoint, Failure.MALFORMED, f"slot {slot}: {contradiction}")
        if len(checked.good) < len(wanted):
            lacks.append(_Lack(said=f"{endpoint} has {len(found)} blobs, not these"))
        return checked.good

    def _read(self, endpoint: str, value: object) -> tuple[FoundBlob, ...]:
        try:
            return answers.blobs_in(value)
        except DecodeError as error:
            raise self._server.failed(endpoint, Failure.MALFORMED, str(error)) from error

    async def _expect_reached(self, slot: int, block: L1Ref) -> None:
        """Raise `TemporaryError` where the node is behind: what it lacks now it may have soon."""
        answer, value = await self._get("node/syncing", what="syncing")
        if answer.status != OK:
            return  # archives do not tell
        try:
            head = answers.head_slot(value)
        except DecodeError as error:
            raise self._server.failed("syncing", Failure.MALFORMED, str(error)) from error
        if head < slot:
            raise TemporaryError(
                f"fetch blobs of L1 block {block.id} at slot {slot}: {self._server.name} has got as far as slot {head}"
            )

    async def _slot(self, block: L1Ref) -> int:
        clock = await self._slot_clock()
        try:
            return clock.slot(block.timestamp)
        except DecodeError as error:
            raise TemporaryError(
                f"fetch blobs of L1 block {block.id} from {self._server.name}: {error}: is it a node of another chain?"
            ) from error

    async def _slot_clock(self) -> SlotClock:
        if self._clock is None:
            genesis = await self._told("genesis", "beacon/genesis")
            spec = await self._told("spec", "config/spec")
            try:
                clock = SlotClock(
                    genesis_time=answers.genesis_time(genesis),
                    slot_ms=answers.slot_ms(spec),
                    chain_id=answers.chain_id(spec),
                )
            except DecodeError as error:
                raise self._server.failed("genesis and spec", Failure.MALFORMED, str(error)) from error
            if clock.chain_id not in (None, self._l1_chain_id):
                raise TemporaryError(
                    f"{self._server.name} is a beacon node of the L1 with chain id {clock.chain_id}; "
                    f"this rollup's L1 has {self._l1_chain_id}"
                )
            self._clock = clock
        return self._clock

    async def _get(self, path: str, query: Sequence[tuple[str, str]] = (), *, what: str) -> tuple[Answer, Any]:
        """The answer below the API's own path; the URL may have a path and a query before it."""
        own, _, given = self._server.target.partition("?")
        whole = f"{own.rstrip('/')}/eth/v1/{path}{'?' + given if given else ''}"
        return await self._server.get_json(whole, query, what=what)

    async def _told(self, what: str, path: str) -> object:
        answer, value = await self._get(path, what=what)
        if answer.status != OK:
            reason = (
                f"expected HTTP status 200, got {answer.status}: without it no slot can be told from a time "
                "(anvil's beacon API has none, and counts blocks instead of slots: it cannot be used)"
            )
            raise NoAnswer(
                server=self._server.name, method=what, failure=Failure.STATUS, reason=reason, status=answer.status
            )
        return value
