"""The engine that fails by a script, and otherwise does what the engine below does."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import attrs
import trio

from kroma_core.api import (
    AccountProof,
    Applied,
    Building,
    ExecutionEngine,
    Gone,
    Inconsistent,
    Invalid,
    Sealed,
    Syncing,
    Valid,
)
from kroma_core.errors import TemporaryError
from kroma_core.events import Event, Warned
from kroma_core.l2 import ForkchoiceState, L2Label, Payload, PayloadAttributes
from kroma_core.types import Address, Hash32, L2Number
from kroma_engine_faults.script import Call, Kind, Rule, Script

T = TypeVar("T")

PART = "engine faulty"


@attrs.define
class _Dice:
    """What a rule does with the calls of one kind: the same seed, the same throws."""

    random: random.Random
    seen: int = 0


@attrs.define
class FaultyEngine:
    """Every call of the protocol goes past the script's rules, in order; what the optional protocols have passes.

    A caller that gives up in a delay has had no effect; anywhere else it is as the engine below has it.
    """

    _engine: ExecutionEngine
    _script: Script
    _emit: Callable[[Event], None]
    _dice: dict[tuple[int, Call], _Dice] = attrs.field(factory=dict, init=False)
    _struck: list[int] = attrs.field(init=False)
    """How often each rule has struck."""
    _resting: list[int] = attrs.field(init=False)
    """How many calls each rule still leaves alone."""
    _buildings: dict[bytes, tuple[Building, int | None]] = attrs.field(factory=dict, init=False)
    """Blocks under construction, each with its number where that is known: a restart forgets them."""
    _numbers: dict[Hash32, int] = attrs.field(factory=dict, init=False)
    """Numbers of blocks that were seen: `build` names its parent by hash alone."""

    def __attrs_post_init__(self) -> None:
        self._struck = [0] * len(self._script.rules)
        self._resting = [0] * len(self._script.rules)
        if self._script.rules:
            count, seed = len(self._script.rules), self._script.seed
            self._emit(Warned(part=PART, warning=f"faults are let happen: {count} rules, seed {seed}"))

    def __getattr__(self, name: str) -> Any:
        """Methods of the optional protocols, as the engine below has them."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._engine, name)

    async def heads(self) -> ForkchoiceState:
        return await self._passed(Call.HEADS, None, self._engine.heads)

    async def block(self, block: Hash32 | L2Number | L2Label) -> Payload:
        found = await self._passed(Call.BLOCK, None, lambda: self._engine.block(block))
        self._note(found)
        return found

    async def receipts(self, block_hash: Hash32) -> tuple[bytes, ...]:
        return await self._passed(Call.RECEIPTS, None, lambda: self._engine.receipts(block_hash))

    async def build(
        self, parent: Hash32, attributes: PayloadAttributes, heads: ForkchoiceState
    ) -> Building | Invalid | Syncing:
        below = self._numbers.get(parent)
        number = None if below is None else below + 1

        async def begin() -> Building | Invalid | Syncing:
            found = await self._engine.build(parent, attributes, heads)
            if isinstance(found, Building):
                self._buildings[found.id] = (found, number)
            return found

        return await self._passed(Call.BUILD, number, begin, syncing=Syncing, invalid=_invalid)

    async def seal(self, building: Building) -> Sealed | Invalid | Gone:
        _, number = self._buildings.get(building.id, (building, None))

        async def finish() -> Sealed | Invalid | Gone:
            found = await self._engine.seal(building)
            self._buildings.pop(building.id, None)
            return found

        return await self._passed(Call.SEAL, number, finish, invalid=_invalid)

    async def cancel(self, building: Building) -> None:
        async def drop() -> None:
            await self._engine.cancel(building)
            self._buildings.pop(building.id, None)

        await self._passed(Call.CANCEL, None, drop)

    async def execute(self, payload: Payload) -> Valid | Invalid | Syncing:
        found = await self._passed(
            Call.EXECUTE, payload.number, lambda: self._engine.execute(payload), syncing=Syncing, invalid=_invalid
        )
        if isinstance(found, Valid):
            self._note(payload)
        return found

    async def set_heads(self, heads: ForkchoiceState) -> Applied | Syncing | Inconsistent:
        return await self._passed(Call.SET_HEADS, None, lambda: self._engine.set_heads(heads), syncing=Syncing)

    async def proof(self, address: Address, slots: Sequence[Hash32], block_hash: Hash32) -> AccountProof:
        return await self._passed(Call.PROOF, None, lambda: self._engine.proof(address, slots, block_hash))

    async def storage_root(self, address: Address, block_hash: Hash32) -> Hash32:
        return await self._passed(Call.STORAGE_ROOT, None, lambda: self._engine.storage_root(address, block_hash))

    async def _passed(
        self,
        call: Call,
        number: int | None,
        ask: Callable[[], Awaitable[T]],
        *,
        syncing: Callable[[], T] | None = None,
        invalid: Callable[[str], T] | None = None,
    ) -> T:
        """The engine's answer to a call, or what the first rule that replaces it says."""
        lost: Rule | None = None
        for place, rule in enumerate(self._script.rules):
            dice = self._strikes(place, rule, call, number)
            if dice is None:
                continue
            match rule.do:
                case Kind.DELAY:
                    await trio.sleep(dice.uniform(rule.seconds, rule.up_to))
                case Kind.RESTART:
                    await self._forget_buildings()
                case Kind.LOST:
                    lost = rule
                case Kind.ERROR:
                    raise TemporaryError(f"{PART}: no answer to {call}: {rule.reason}")
                case Kind.SYNCING if syncing is not None:
                    return syncing()
                case Kind.INVALID if invalid is not None:
                    return invalid(rule.reason)
        answer = await ask()
        if lost is not None:
            raise TemporaryError(f"{PART}: the answer to {call} was lost: {lost.reason}")
        return answer

    def _strikes(self, place: int, rule: Rule, call: Call, number: int | None) -> random.Random | None:
        """Whether a rule strikes this call: then the source of chance for what is left to it."""
        if call not in rule.on or not _in_range(rule, number):
            return None
        dice = self._dice.get((place, call))
        if dice is None:
            dice = self._dice[place, call] = _Dice(random.Random(f"{self._script.seed}/{place}/{call}"))
        dice.seen += 1
        hit = dice.random.random() < rule.probability
        if self._resting[place]:
            self._resting[place] -= 1
            return None
        if not hit or dice.seen <= rule.after or self._struck[place] == rule.most:
            return None
        self._struck[place] += 1
        self._resting[place] = rule.rest
        where = "" if number is None else f", L2 block {number}"
        self._emit(Warned(part=PART, warning=f"fault {place + 1} ({rule.do}) strikes {call}{where}"))
        return dice.random

    async def _forget_buildings(self) -> None:
        for building, _ in list(self._buildings.values()):
            await self._engine.cancel(building)
            self._buildings.pop(building.id, None)

    def _note(self, block: Payload) -> None:
        self._numbers[block.hash] = block.number
        while len(self._numbers) > 1024:
            del self._numbers[next(iter(self._numbers))]


def _invalid(reason: str) -> Invalid:
    return Invalid(reason=reason)


def _in_range(rule: Rule, number: int | None) -> bool:
    """Whether a rule fits a block; one that is bounded to blocks fits only those whose number is known."""
    if not rule.first_block and rule.last_block is None:
        return True
    return number is not None and rule.first_block <= number <= (number if rule.last_block is None else rule.last_block)
