"""Transactions that wait for a block: what is let in, in which order they come out, what a new head changes.

A sender's transactions are kept by nonce. Those that follow its account's nonce without a gap can be executed, the
others wait. One with the nonce of another replaces it if it pays a tenth more, both in fee and in tip.
"""

from __future__ import annotations

import collections
import heapq
from collections.abc import Callable, Iterator, Sequence

import attrs

from kroma_core.api import PoolArrivals, PoolContent, Pooled, Refusal, Refused
from kroma_core.codec.transactions import Transaction
from kroma_core.types import Address, Hash32

PRICE_BUMP = 10
"""Per cent that a replacement has to pay more."""
MAX_TRANSACTION_SIZE = 4 * 32 * 1024
_ARRIVALS_KEPT = 8192


@attrs.frozen(kw_only=True)
class PoolLimits:
    """How much waits at most."""

    transactions: int = 6144
    """In all."""
    for_sender: int = 80
    """Of one sender."""
    bytes: int = 64 << 20
    """Size of all transactions together."""


@attrs.frozen(kw_only=True)
class Waiting:
    """A transaction of the pool. `cost` is what its sender needs for it, all fees included; `arrival` counts up."""

    transaction: Transaction = attrs.field(repr=False)
    sender: Address
    cost: int
    arrival: int

    def tip(self, base_fee: int) -> int:
        """What the block's builder gets of it, for each gas."""
        return min(self.transaction.max_priority_fee, self.transaction.max_fee - base_fee)


class Pool:
    """Transactions by sender and nonce. Knows accounts by what `nonce_of` and `balance_of` say at the head."""

    def __init__(self, limits: PoolLimits, account: Callable[[Address], tuple[int, int]]) -> None:
        self._limits = limits
        self._account = account
        """Nonce and balance of an account at the head."""
        self._by_sender: dict[Address, dict[int, Waiting]] = {}
        self._by_hash: dict[Hash32, Waiting] = {}
        self._size = 0
        self._counter = 0
        self._announced: set[Hash32] = set()
        self._arrivals: collections.deque[tuple[int, Hash32]] = collections.deque(maxlen=_ARRIVALS_KEPT)

    # --- in

    def add(self, transaction: Transaction, sender: Address, cost: int) -> Pooled | Refused:
        """Keep a transaction that is valid by itself, whose sender could pay `cost` for it alone."""
        if transaction.hash in self._by_hash:
            return Refused(cause=Refusal.KNOWN, text=Refusal.KNOWN.value)
        own = self._by_sender.get(sender, {})
        nonce, balance = self._account(sender)
        replaced = own.get(transaction.nonce)
        refused = self._refusal(transaction, own, replaced, cost, balance)
        if refused is not None:
            return refused
        if replaced is not None:
            self._remove(replaced)
        self._counter += 1
        waiting = Waiting(transaction=transaction, sender=sender, cost=cost, arrival=self._counter)
        self._by_sender.setdefault(sender, {})[transaction.nonce] = waiting
        self._by_hash[transaction.hash] = waiting
        self._size += len(transaction.raw)
        executable = False
        for ready in self._executable(sender, nonce):
            self._announce(ready)
            executable = executable or ready is waiting
        return Pooled(hash=transaction.hash, executable=executable)

    def _refusal(
        self, transaction: Transaction, own: dict[int, Waiting], replaced: Waiting | None, cost: int, balance: int
    ) -> Refused | None:
        if replaced is not None:
            old = replaced.transaction
            for name, before, now in (
                ("max fee", old.max_fee, transaction.max_fee),
                ("tip", old.max_priority_fee, transaction.max_priority_fee),
            ):
                if now <= before or now * 100 < before * (100 + PRICE_BUMP):
                    text = f"{Refusal.REPLACEMENT}: {name} {now}, the one there has {before}"
                    return Refused(cause=Refusal.REPLACEMENT, text=text)
        else:
            if len(own) >= self._limits.for_sender:
                return Refused(cause=Refusal.TOO_MANY, text=f"{Refusal.TOO_MANY}: pooled {len(own)} txs")
            if len(self._by_hash) >= self._limits.transactions:
                return Refused(cause=Refusal.FULL, text=f"{Refusal.FULL}: {len(self._by_hash)} transactions")
        if self._size + len(transaction.raw) > self._limits.bytes:
            return Refused(cause=Refusal.FULL, text=f"{Refusal.FULL}: {self._size} bytes")
        spent = sum(one.cost for one in own.values()) - (replaced.cost if replaced is not None else 0)
        if balance < spent + cost:
            text = f"{Refusal.FUNDS}: balance {balance}, queued cost {spent}, tx cost {cost}"
            return Refused(cause=Refusal.FUNDS, text=f"{text}, overshot {spent + cost - balance}")
        return None

    def _announce(self, waiting: Waiting) -> None:
        if waiting.transaction.hash not in self._announced:
            self._announced.add(waiting.transaction.hash)
            self._arrivals.append((self._arrivals[-1][0] + 1 if self._arrivals else 1, waiting.transaction.hash))

    # --- out

    def drop(self, transaction_hash: Hash32) -> None:
        """Forget a transaction; nothing happens where it is not there."""
        waiting = self._by_hash.get(transaction_hash)
        if waiting is not None:
            self._remove(waiting)

    def _remove(self, waiting: Waiting) -> None:
        transaction = waiting.transaction
        del self._by_hash[transaction.hash]
        self._announced.discard(transaction.hash)
        self._size -= len(transaction.raw)
        own = self._by_sender[waiting.sender]
        del own[transaction.nonce]
        if not own:
            del self._by_sender[waiting.sender]

    def head_changed(self) -> None:
        """Drop what the accounts at the new head have used or can no longer pay."""
        for sender in list(self._by_sender):
            nonce, balance = self._account(sender)
            for waiting in list(self._by_sender[sender].values()):
                if waiting.transaction.nonce < nonce or waiting.cost > balance:
                    self._remove(waiting)
            for ready in self._executable(sender, nonce):
                self._announce(ready)

    # --- looking

    def _executable(self, sender: Address, nonce: int) -> Iterator[Waiting]:
        own = self._by_sender.get(sender, {})
        while (waiting := own.get(nonce)) is not None:
            yield waiting
            nonce += 1

    def get(self, transaction_hash: Hash32) -> Waiting | None:
        return self._by_hash.get(transaction_hash)

    def next_nonce(self, sender: Address) -> int:
        """The nonce after the sender's executable transactions."""
        nonce, _ = self._account(sender)
        return nonce + sum(1 for _ in self._executable(sender, nonce))

    def __len__(self) -> int:
        return len(self._by_hash)

    def content(self) -> PoolContent:
        pending: dict[Address, tuple[bytes, ...]] = {}
        queued: dict[Address, tuple[bytes, ...]] = {}
        for sender in sorted(self._by_sender):
            ready = list(self._executable(sender, self._account(sender)[0]))
            nonces = {one.transaction.nonce for one in ready}
            rest = [one for nonce, one in sorted(self._by_sender[sender].items()) if nonce not in nonces]
            if ready:
                pending[sender] = tuple([one.transaction.raw for one in ready])
            if rest:
                queued[sender] = tuple([one.transaction.raw for one in rest])
        return PoolContent(pending=pending, queued=queued)

    def counts(self) -> tuple[int, int]:
        ready = sum(sum(1 for _ in self._executable(sender, self._account(sender)[0])) for sender in self._by_sender)
        return ready, len(self._by_hash) - ready

    def arrivals(self, after: int) -> PoolArrivals:
        last = self._arrivals[-1][0] if self._arrivals else 0
        return PoolArrivals(last=last, hashes=tuple([one for count, one in self._arrivals if count > after]))

    def best_first(self, base_fee: int, nonce_of: Callable[[Address], int]) -> BestFirst:
        """The executable transactions, the best tip first, the earlier of equal ones first, a sender's in order."""
        queues = []
        for sender, own in self._by_sender.items():
            nonce, ready = nonce_of(sender), []
            while (waiting := own.get(nonce)) is not None and waiting.tip(base_fee) >= 0:
                ready.append(waiting)
                nonce += 1
            if ready:
                queues.append(ready)
        return BestFirst(queues, base_fee)


class BestFirst:
    """Takes transactions out of senders' queues. `next` gives one, `skip_sender` leaves out what follows it."""

    def __init__(self, queues: Sequence[list[Waiting]], base_fee: int) -> None:
        self._base_fee = base_fee
        self._heap = [(*self._rank(queue[0]), queue[::-1]) for queue in queues]
        heapq.heapify(self._heap)

    def _rank(self, waiting: Waiting) -> tuple[int, int]:
        return -waiting.tip(self._base_fee), waiting.arrival

    def peek(self) -> Waiting | None:
        return self._heap[0][2][-1] if self._heap else None

    def advance(self) -> None:
        """Go on with the sender's next one in the running."""
        queue = self._heap[0][2]
        queue.pop()
        if queue:
            heapq.heapreplace(self._heap, (*self._rank(queue[-1]), queue))
        else:
            heapq.heappop(self._heap)

    def skip_sender(self) -> None:
        """Leave out this one and all that its sender has after it."""
        heapq.heappop(self._heap)
