"""What the verdict store knows of the place where derivation stands."""

from __future__ import annotations

import json
from typing import Any

import attrs

from kroma_core.chain.config import ChainConfig
from kroma_core.derive.channels import channel_timeout
from kroma_core.node.explain.store import VerdictStore
from kroma_core.types import Timestamp


@attrs.frozen(kw_only=True)
class KeptVerdict:
    """A verdict as the store has it."""

    id: int
    l1: int
    subject: str
    name: str
    outcome: str
    reason: str
    code: str
    rule: str
    numbers: dict[str, Any]
    channel: str | None
    batch: int | None

    def words(self) -> str:
        """Why, with the numbers, by which rule."""
        numbers = ", ".join(f"{name} {value}" for name, value in self.numbers.items())
        return f"{self.reason}{f' ({numbers})' if numbers else ''} [{self.rule}]"

    def as_json(self) -> dict[str, Any]:
        found = attrs.asdict(self)
        del found["id"]
        return found


_VERDICT = "id, l1, subject, name, outcome, reason, code, rule, numbers, channel, batch"


@attrs.frozen(kw_only=True)
class OpenChannel:
    """A channel that is not complete: `waits_for` is the number of the frame that it lacks."""

    channel: str
    opened: int
    frames: int
    waits_for: int
    times_out_after: int


@attrs.frozen
class Situation:
    """Reads the store. `confirmations`: so many L1 blocks below its head the node stays on purpose."""

    store: VerdictStore
    chain: ChainConfig
    confirmations: int = 0

    def state(self, key: str) -> tuple[dict[str, Any], float] | None:
        """A state by its key, and when it was told."""
        found = self.store.row("SELECT value, time FROM state WHERE key = ?", key)
        return None if found is None else (json.loads(found[0]), found[1])

    def states(self, prefix: str) -> list[tuple[str, dict[str, Any], float]]:
        query = "SELECT key, value, time FROM state WHERE key LIKE ? ORDER BY key"
        return [(key.removeprefix(prefix), json.loads(value), time) for key, value, time in
                self.store.rows(query, prefix + "%")]  # fmt: skip

    @property
    def run(self) -> tuple[int, float, str, int, int] | None:
        """The last run: id, time, reason, safe L2 block, first L1 block."""
        return self.store.row("SELECT id, time, reason, safe, l1_start FROM runs ORDER BY id DESC LIMIT 1")

    @property
    def current_l1(self) -> tuple[int, int, float] | None:
        """Number and time of the L1 block that is being read, and when it was taken up."""
        return self.store.row("SELECT l1, l1_time, time FROM l1_blocks WHERE void = 0 ORDER BY id DESC LIMIT 1")

    @property
    def last_block(self) -> dict[str, Any] | None:
        """The highest L2 block that was derived and holds."""
        found = self.store.row(
            "SELECT id, number, l1, origin FROM blocks WHERE void = 0 ORDER BY number DESC, id LIMIT 1"
        )
        return None if found is None else dict(zip(("id", "number", "l1", "origin"), found, strict=True))

    @property
    def safe_number(self) -> int:
        last, run = self.last_block, self.run
        genesis: int = self.chain.rollup.genesis.l2.number
        return max(last["number"] if last else genesis, run[3] if run else genesis)

    def time_of(self, number: int) -> int:
        """The timestamp of an L2 block."""
        rollup = self.chain.rollup
        return int(rollup.genesis.l2_time + (number - rollup.genesis.l2.number) * rollup.block_time)

    def number_at(self, time: int) -> int:
        """The number of the L2 block with a timestamp."""
        rollup = self.chain.rollup
        return int(rollup.genesis.l2.number + (time - rollup.genesis.l2_time) // rollup.block_time)

    def verdicts(self, where: str, *values: Any) -> list[KeptVerdict]:
        """Verdicts in their order; `where` is SQL."""
        names = _VERDICT.split(", ")
        found = []
        for row in self.store.rows(f"SELECT {_VERDICT} FROM verdicts WHERE {where} ORDER BY id", *values):
            fields = dict(zip(names, row, strict=True))
            fields["numbers"] = dict(json.loads(fields["numbers"]))
            fields["channel"] = fields["channel"].hex() if fields["channel"] is not None else None
            found.append(KeptVerdict(**fields))
        return found

    def timeout_at(self, l1_time: int) -> int:
        """L1 blocks for which a channel may stay open."""
        rollup = self.chain.rollup
        return channel_timeout(rollup.schedule.at(Timestamp(l1_time)), rollup.channel_timeout)

    def open_channels(self) -> list[OpenChannel]:
        """Channels that have begun, and are neither read nor given up nor too old, the oldest first."""
        current = self.current_l1
        if current is None:
            return []
        number, l1_time, _ = current
        timeout = self.timeout_at(l1_time)
        query = (
            "SELECT channel, l1, number, is_last, id FROM frames "
            "WHERE void = 0 AND dropped IS NULL AND l1 >= ? ORDER BY id"
        )
        rows = self.store.rows(query, number - timeout)
        ends = self._ends(number - timeout)
        frames: dict[bytes, list[tuple[int, int, int]]] = {}
        for channel, l1, frame, is_last, id in rows:
            if id > ends.get(channel, -1):
                frames.setdefault(channel, []).append((l1, frame, is_last))
        found = []
        for channel, seen in frames.items():
            numbers = {frame for _, frame, _ in seen}
            waits_for = next(n for n in range(len(numbers) + 1) if n not in numbers)
            last = [frame for _, frame, is_last in seen if is_last]
            if last and waits_for > min(last):
                continue
            opened = min(l1 for l1, _, _ in seen)
            found.append(
                OpenChannel(
                    channel=channel.hex(), opened=opened, frames=len(numbers), waits_for=waits_for,
                    times_out_after=opened + timeout,
                )
            )  # fmt: skip
        return found

    def _ends(self, first_l1: int) -> dict[bytes, int]:
        """By channel: the id at which it was last read or given up."""
        ends: dict[bytes, int] = {}
        for table, where in (("channels", ""), ("verdicts", "AND subject = 'channel' AND outcome = 'dropped'")):
            query = f"SELECT channel, max(id) FROM {table} WHERE void = 0 AND l1 >= ? {where} GROUP BY channel"
            for channel, id in self.store.rows(query, first_l1):
                ends[channel] = max(id, ends.get(channel, -1))
        return ends
