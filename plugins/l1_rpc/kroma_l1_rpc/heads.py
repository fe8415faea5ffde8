"""The heads of L1, from what several servers show of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs
import trio

from kroma_core.errors import TemporaryError
from kroma_core.events import Event, Retrying
from kroma_core.l1 import L1Heads, L1Label
from kroma_core.types import L1Number, L1Ref
from kroma_l1_rpc.chain_index import ChainIndex
from kroma_l1_rpc.pool import ServerPool
from kroma_l1_rpc.server import RpcServer
from kroma_l1_rpc.verification import Contradiction

LINK_WINDOW: Final = 128
"""So many blocks below the head every block is linked to it; deeper reorgs begin anew."""
LINK_BATCH: Final = 32
TOLERATED_LAG: Final = 2
"""Blocks that a server may be behind the known head without being asked last for it."""

_ATTEMPT = "find the L1 heads"


@attrs.frozen(kw_only=True)
class _Shown:
    """What one server shows."""

    place: int
    server: RpcServer
    unsafe: L1Ref
    labels: Mapping[L1Label, L1Ref | None]

    @classmethod
    def of(cls, place: int, server: RpcServer, labels: Mapping[L1Label, L1Ref | None]) -> _Shown:
        """Raises `Contradiction` where the server has no head at all."""
        unsafe = labels[L1Label.UNSAFE]
        if unsafe is None:
            raise Contradiction(f"{server.name} shows no head")
        return cls(place=place, server=server, unsafe=unsafe, labels=labels)


class HeadFollower:
    """Asks for the heads at intervals, or when told to, and judges the answers.

    A head that is higher counts at once, and so does another branch shown by the server that showed the present head. A
    head that lies below, or on another branch of another server, counts once nobody has shown the present one for
    `patience` seconds: until then whoever shows it lags.
    """

    def __init__(
        self,
        pool: ServerPool,
        *,
        poll_interval: float,
        labels_interval: float,
        patience: float,
        emit: Callable[[Event], None],
    ) -> None:
        self.index = ChainIndex()
        self._pool = pool
        self._poll_interval = poll_interval
        self._labels_interval = labels_interval
        self._patience = patience
        self._emit = emit
        self._heads: L1Heads | None = None
        self._shown_by: RpcServer | None = None
        self._doubted_since: float | None = None
        self._labels_due = -1.0
        self._polling = trio.Lock()
        self._wake = trio.Event()
        self._changed = trio.Event()

    @property
    def heads(self) -> L1Heads | None:
        """The heads as they are known; None before the first answer."""
        return self._heads

    @property
    def changed(self) -> trio.Event:
        """Set when the heads next change."""
        return self._changed

    def wake(self) -> None:
        """Ask soon: something says that the heads have moved."""
        self._wake.set()

    async def known(self) -> L1Heads:
        """The heads, asked for now where they have not been yet. Raises `TemporaryError`."""
        if self._heads is None:
            await self.poll()
        if self._heads is None:
            raise TemporaryError(f"{_ATTEMPT}: no server shows one")
        return self._heads

    async def run(self) -> None:
        """Poll until cancelled. Silence of all servers is told as `Retrying`."""
        attempt = 0
        while True:
            try:
                await self.poll()
                attempt = 0
            except TemporaryError as error:
                attempt += 1
                self._emit(
                    Retrying(
                        part=self._pool.trust.part,
                        what=_ATTEMPT,
                        error=str(error).removeprefix(f"{_ATTEMPT}: "),
                        attempt=attempt,
                        delay=self._poll_interval,
                    )
                )
            with trio.move_on_after(self._poll_interval):
                await self._wake.wait()
            self._wake = trio.Event()

    async def poll(self) -> None:
        """Ask for the heads once. Raises `TemporaryError` where no server answers well."""
        async with self._polling:
            await self._poll()

    async def _poll(self) -> None:
        pool = self._pool
        now = trio.current_time()
        survey = now >= self._labels_due
        labels = tuple(L1Label) if survey else (L1Label.UNSAFE,)
        told: list[str] = []
        good: list[_Shown] = []
        doubtful: list[_Shown] = []
        for place in pool.trust.order():
            if good and not (survey and pool.trust.trusts(place)):
                continue  # one answer is enough, but for a look now and then at whether that server stands still
            try:
                shown = _Shown.of(place, pool.servers[place], await pool.servers[place].labels(labels))
            except TemporaryError as error:
                pool.trust.failed(place, error)
                told.append(str(error))
                continue
            (good if self._counts(shown) else doubtful).append(shown)
        if not good and doubtful:
            if self._doubted_since is None:
                self._doubted_since = now
            if now - self._doubted_since >= self._patience:
                good, doubtful = doubtful, []  # nobody has shown the present head for long enough
        adopted = await self._adopt_highest(good, told)
        for one in (*good, *doubtful):
            self._note_lag(one)
        if adopted is not None:
            self._doubted_since = None
            if survey:
                self._labels_due = now + self._labels_interval
            self._publish(adopted.labels, survey)
        elif not doubtful:
            raise TemporaryError(f"{_ATTEMPT}: {'; '.join(told)}")

    async def _adopt_highest(self, shown: Sequence[_Shown], told: list[str]) -> _Shown | None:
        """Make the highest of these heads the head, or the next one where it cannot be tied to what is known."""
        for one in sorted(shown, key=lambda one: -one.unsafe.number):
            try:
                await self._adopt(one.server, one.unsafe)
            except TemporaryError as error:
                self._pool.trust.failed(one.place, error)
                told.append(str(error))
            else:
                return one
        return None

    def _counts(self, shown: _Shown) -> bool:
        """Whether a head that a server shows is to be believed at once."""
        head, unsafe = self.index.head, shown.unsafe
        if head is None or unsafe.number > head.number or unsafe.hash == head.hash:
            return True
        # Lower down, an unknown block may as well be an ancestor of the head that a server shows late.
        on_another_branch = unsafe.number == head.number or self.index.at(unsafe.number) is not None
        return shown.server is self._shown_by and on_another_branch and not self.index.holds(unsafe)

    def _note_lag(self, shown: _Shown) -> None:
        head, number = self.index.head, shown.unsafe.number
        if head is not None and number + TOLERATED_LAG < head.number:
            self._pool.trust.lagged(shown.place, f"it shows L1 block {number} as the head, {head.number} is known")
        else:
            self._pool.trust.kept_up(shown.place)

    async def _adopt(self, server: RpcServer, unsafe: L1Ref) -> None:
        """Make `unsafe` the head and tie it to what is known. Raises `TemporaryError`, and changes nothing then."""
        index = self.index
        if index.head is not None and index.head.hash == unsafe.hash:
            self._shown_by = server
            return
        if index.links(unsafe):
            index.cut(unsafe.number)
            self._shown_by = server
            return
        index.move(await self._branch(server, unsafe))
        self._shown_by = server

    async def _branch(self, server: RpcServer, unsafe: L1Ref) -> Sequence[L1Ref]:
        """The blocks from one that continues the known chain up to `unsafe`; `unsafe` alone where there is none."""
        index = self.index
        head, lowest = index.head, index.lowest_linked
        if head is None or lowest is None or unsafe.number > head.number + LINK_WINDOW:
            return [unsafe]
        descending = [unsafe]
        while not index.continues(descending[-1]):
            last = descending[-1].number
            if last - 1 <= lowest.number or unsafe.number - last >= 2 * LINK_WINDOW:
                return [unsafe]
            # Down to the known head in one go, further down in portions: most reorgs are short.
            count = last - 1 - head.number if last - 1 > head.number else min(LINK_BATCH, last - 1 - lowest.number)
            start = len(descending)
            descending += await self._below(server, descending[-1], count)
            for place in range(start, len(descending)):
                if index.continues(descending[place]):
                    return descending[place::-1]
        return descending[::-1]

    async def _below(self, server: RpcServer, ref: L1Ref, count: int) -> list[L1Ref]:
        """The `count` ancestors of a block, its parent first. Raises `TemporaryError` where they do not follow."""
        numbers = range(ref.number - 1, max(ref.number - 1 - count, -1), -1)
        found = await server.refs(numbers)
        child = ref
        linked: list[L1Ref] = []
        for number, parent in zip(numbers, found, strict=True):
            if parent is None or parent.hash != child.parent_hash:
                raise TemporaryError(
                    f"L1 block {number} of {server.name} is not the parent of block {child.id}: its chain is changing"
                )
            linked.append(parent)
            child = parent
        return linked

    async def link_down(self, number: int) -> L1Ref:
        """The canonical block at a number within `LINK_WINDOW` of the head, tied to the head by parent hashes.

        Raises `TemporaryError` where no server has the blocks between.
        """
        while True:
            known = self.index.at(number)
            if known is not None:
                return known
            lowest = self.index.lowest_linked
            if lowest is None or lowest.number <= number:
                raise TemporaryError(f"L1 block {number}: the head has changed meanwhile")
            count = min(lowest.number - number, LINK_WINDOW)

            async def linked(server: RpcServer, lowest: L1Ref = lowest, count: int = count) -> list[L1Ref]:
                return await self._below(server, lowest, count)

            try:
                below = await self._pool.first(f"L1 blocks {number} to {lowest.number - 1}", linked)
            except TemporaryError:
                self.wake()  # the head may be on another branch by now
                raise
            if below is not None and self.index.lowest_linked == lowest:
                self.index.extend_down(below)

    def _publish(self, shown: Mapping[L1Label, L1Ref | None], all_labels: bool) -> None:
        head = self.index.head
        assert head is not None
        old = self._heads
        safe, finalized = (old.safe, old.finalized) if old is not None else (None, None)
        if finalized is not None and not self._may_stand(finalized, head):
            finalized = None
        if all_labels:
            told = shown[L1Label.FINALIZED]
            # What was final stays so: a server that shows less lags.
            if told is not None and self._may_stand(told, head):
                finalized = told if finalized is None else max(finalized, told, key=lambda ref: ref.number)
            told = shown[L1Label.SAFE]
            safe = told if told is not None and self._may_stand(told, head) else safe
        if safe is not None and not self._may_stand(safe, head):
            safe = None
        if safe is None or (finalized is not None and safe.number < finalized.number):
            safe = finalized
        if safe is None or finalized is None:
            self._labels_due = min(self._labels_due, trio.current_time() + self._poll_interval)
        heads = L1Heads(unsafe=head, safe=safe, finalized=finalized)
        if heads != old:
            self._heads = heads
            self._changed.set()
            self._changed = trio.Event()

    def _may_stand(self, ref: L1Ref, head: L1Ref) -> bool:
        """Whether a block can be an ancestor of the head: nothing known contradicts it."""
        known = self.index.at(L1Number(ref.number))
        return ref.number <= head.number and (known is None or known.hash == ref.hash)
