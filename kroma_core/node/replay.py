"""Derives and executes a recording with any parts, and compares the result with what the reference client recorded.

The parts get L1 data and attributes only; what is expected is read here, after the fact. A block may be derived several
times (L1 reorgs, resets): the last time counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs

from kroma_core.api import DataSource, ExecutionEngine, L1Source
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.predeploys import MESSAGE_PASSER
from kroma_core.derive.steps import Derived
from kroma_core.errors import NotFound
from kroma_core.events import Event
from kroma_core.l1 import L1Heads
from kroma_core.l2 import Payload
from kroma_core.node.driver import Driver
from kroma_core.node.engine_controller import Confirmed
from kroma_core.node.retry import IMPATIENT
from kroma_core.output import Output
from kroma_core.recording.compare import differences
from kroma_core.recording.reader import Expected
from kroma_core.recording.values import ExpectedBlock, ExpectedOutput, SafeAfter
from kroma_core.types import BlockId, L2Number

FRUITLESS_RESETS = 3
"""How often a replay begins derivation anew without a new block before it gives up: a recording does not change."""


@attrs.frozen(kw_only=True)
class Difference:
    """The first place where the computed chain is not the expected one. `where` is a block or a timeline step."""

    where: str
    field: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.where}: {self.field}: expected {self.expected}, got {self.got}"


@attrs.frozen(kw_only=True)
class Progress:
    """How far a replay is: safe L2 blocks and timeline steps."""

    blocks: int
    blocks_in_all: int | None
    steps: int
    steps_in_all: int


@attrs.frozen(kw_only=True)
class ReplayResult:
    """What came of a replay. `difference` is None when all that the recording expects was met.

    `compared` is False where the recording carries no expected chain.
    """

    blocks: int
    head: BlockId
    difference: Difference | None
    compared: bool


@attrs.define(kw_only=True)
class Replay:
    """One run over a recorded timeline. `expected` None: derive and execute only.

    `executes`: the engine has state of its own, so that outputs can be compared too.
    """

    config: ChainConfig
    l1: L1Source
    data: Sequence[DataSource]
    engine: ExecutionEngine
    executes: bool
    steps_in_all: int
    expected: Expected | None
    skipped_steps: frozenset[int] = frozenset()
    emit: Callable[[Event], None] = lambda event: None
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_derived: Callable[[Derived, Confirmed], None] = lambda derived, confirmed: None
    _bad_blocks: dict[int, Difference] = attrs.field(factory=dict, init=False)
    _bad_step: Difference | None = attrs.field(default=None, init=False)
    _steps: int = attrs.field(default=0, init=False)

    async def run(self) -> ReplayResult:
        """Replay to the end of the timeline. Raises what the parts raise when they cannot go on."""
        driver = Driver(
            config=self.config,
            l1=self.l1,
            data=self.data,
            engine=self.engine,
            emit=self.emit,
            policy=IMPATIENT,
            resets_without_progress=FRUITLESS_RESETS,
            on_derived=self._compare_block,
        )
        await driver.follow(lambda heads: self._compare_step(driver, heads))
        safe = driver.heads.safe
        difference: Difference | None = None
        if self.expected is not None:
            difference = await self._first_difference(self.expected, safe.id)
        return ReplayResult(
            blocks=safe.number - self.config.rollup.genesis.l2.number,
            head=safe.id,
            difference=difference,
            compared=self.expected is not None,
        )

    def _compare_block(self, derived: Derived, confirmed: Confirmed) -> None:
        self.on_derived(derived, confirmed)
        number = confirmed.ref.number
        if self.expected is None:
            return
        expected = self.expected.block(number)
        if expected is None:
            self._bad_blocks.pop(number, None)  # above the final chain: judged by the steps' safe heads
            return
        found = next(block_differences(expected, derived, confirmed, history=not self.skipped_steps), None)
        if found is None:
            self._bad_blocks.pop(number, None)
        else:
            self._bad_blocks[number] = found

    def _compare_step(self, driver: Driver, heads: L1Heads) -> None:
        while self._steps in self.skipped_steps:
            self._steps += 1
        if self.expected is not None and self._bad_step is None:
            wanted = self.expected.safe_after(self._steps)
            if wanted is not None and not (self.skipped_steps and wanted.behind):
                self._bad_step = step_difference(self._steps, wanted, driver, heads)
        self._steps += 1
        self.on_progress(
            Progress(
                blocks=driver.heads.safe.number - self.config.rollup.genesis.l2.number,
                blocks_in_all=self.expected.block_count if self.expected is not None else None,
                steps=self._steps,
                steps_in_all=self.steps_in_all,
            )
        )

    async def _first_difference(self, expected: Expected, safe: BlockId) -> Difference | None:
        if self._bad_blocks:
            return self._bad_blocks[min(self._bad_blocks)]
        stored = await self._stored_difference(expected)
        if stored is not None:
            return stored
        return self._bad_step or _count_difference(expected, safe, self.config, self._steps, self.steps_in_all)

    async def _stored_difference(self, expected: Expected) -> Difference | None:
        """What shows only in the engine's final chain: canonical blocks, receipts, outputs."""
        for block in expected.blocks():
            where = f"block {block.number}"
            try:
                payload = await self.engine.block(L2Number(block.number))
                receipts = await self.engine.receipts(payload.hash)
            except NotFound:
                return Difference(where=where, field="hash", expected=_text(block.hash), got="no such block")
            if payload.hash != block.hash:
                return Difference(where=where, field="hash", expected=_text(block.hash), got=_text(payload.hash))
            found = next(_differ(where, "receipts", block.receipts, receipts), None)
            output = expected.output(block.number) if self.executes else None
            if found is None and output is not None:
                found = await self._output_difference(where, output, payload)
            if found is not None:
                return found
        return None

    async def _output_difference(self, where: str, output: ExpectedOutput, payload: Payload) -> Difference | None:
        root = await self.engine.storage_root(MESSAGE_PASSER[self.config.rollup.family], payload.hash)
        computed = Output(
            state_root=payload.state_root, message_passer_storage_root=root, block_hash=payload.hash
        ).root
        if computed == output.output_root:
            return None
        return Difference(where=where, field="outputRoot", expected=_text(output.output_root), got=_text(computed))


def block_differences(
    expected: ExpectedBlock, derived: Derived, confirmed: Confirmed, *, history: bool = True
) -> Iterator[Difference]:
    """Every field in which a derived and executed block differs from the expected one, attributes first.

    `history`: also which batch gave it at which L1 block. A chain can hold the same block in two batches, and which one
    counts in the end depends on the resets on the way; without the abandoned branches there are none.
    """
    came_from: tuple[tuple[str, object, object], ...] = (
        ("batch", expected.batch, derived.kind.value),
        ("derived_from", expected.derived_from, derived.derived_from.id),
    )
    pairs: tuple[tuple[str, object, object], ...] = (
        ("attributes", expected.attributes, derived.attributes),
        *(came_from if history else ()),
        ("l1_origin", expected.l1_origin, confirmed.ref.l1_origin),
        ("sequence_number", expected.sequence_number, confirmed.ref.sequence_number),
        ("payload", _without_hash(expected.payload), _without_hash(confirmed.payload)),
        ("payload.hash", expected.payload.hash, confirmed.payload.hash),
        ("number", expected.number, confirmed.payload.number),
        ("hash", expected.hash, confirmed.payload.hash),
    )
    for field, one, other in pairs:
        yield from _differ(f"block {expected.number}", field, one, other)


def _without_hash(payload: Payload) -> Payload:
    """The payload with its hash blanked: a field that differs is named before the hash that follows from it."""
    return attrs.evolve(payload, hash=b"")


def step_difference(index: int, wanted: SafeAfter, driver: Driver, heads: L1Heads) -> Difference | None:
    """How the safe head after a timeline step differs from the recorded one."""
    where = f"timeline step {index} (L1 head {heads.unsafe.id})"
    if heads.unsafe.hash != wanted.l1_head:
        return Difference(where=where, field="l1_head", expected=_text(wanted.l1_head), got=_text(heads.unsafe.hash))
    safe = driver.heads.safe.id
    if safe != wanted.safe_l2:
        return Difference(where=where, field="safe_l2", expected=_text(wanted.safe_l2), got=_text(safe))
    derived = driver.derived_l1.id if driver.derived_l1 is not None else None
    if wanted.derived_l1 is not None and wanted.derived_l1.hash == wanted.l1_head and derived != wanted.derived_l1:
        return Difference(where=where, field="derived_l1", expected=_text(wanted.derived_l1), got=_text(derived))
    return None


def _count_difference(
    expected: Expected, safe: BlockId, config: ChainConfig, steps: int, steps_in_all: int
) -> Difference | None:
    last = config.rollup.genesis.l2.number + expected.block_count
    if safe.number != last:
        return Difference(where="final chain", field="safe head", expected=str(last), got=str(safe.number))
    if steps != steps_in_all:
        return Difference(where="timeline", field="steps", expected=str(steps_in_all), got=str(steps))
    return None


def _differ(where: str, field: str, expected: object, got: object) -> Iterator[Difference]:
    if expected != got:
        for found in differences(expected, got, field):
            yield Difference(where=where, field=found.field, expected=found.expected, got=found.got)


def _text(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
