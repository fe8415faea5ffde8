"""A trusted L2 block to start from: what has to hold before a node takes the operator's word for it.

Derivation then begins above that block instead of above genesis. Everything below it counts as right and is never
derived again; where derivation has to read blocks below it (the channels that were open there), the engine has them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import attrs

from kroma_core.chain.config import ChainConfig
from kroma_core.derive.l2_blocks import l2_ref
from kroma_core.derive.pipeline import is_far_enough
from kroma_core.errors import CriticalError, DecodeError, NotFound
from kroma_core.l2 import L2Label, Payload
from kroma_core.types import Hash32, L1Number, L1Ref, L2Number, L2Ref

ReadL1: TypeAlias = Callable[[L1Number | Hash32], Awaitable[L1Ref]]
ReadL2: TypeAlias = Callable[[Hash32 | L2Number | L2Label], Awaitable[Payload]]

HOW_TO_GET_THERE = (
    "copy the data directory of a node that has it, or let the engine fetch the chain first "
    '(sync_mode = "execution-layer" in [node], with an engine that has peers of its own), or leave the checkpoint out'
)


@attrs.frozen(kw_only=True)
class Trusted:
    """The checkpoint as the engine has it. `final`: nothing on L1 can change it any more."""

    block: Payload
    final: bool


@attrs.frozen(kw_only=True)
class Checkpoint:
    """The block that the profile trusts, and who is asked about it.

    `state` raises `NotFound` where the engine has none after a block. `finalized_l1` is the L1 block that is final now,
    None where L1 has not told.
    """

    hash: Hash32
    config: ChainConfig
    l1: ReadL1
    l2: ReadL2
    state: Callable[[Hash32], Awaitable[object]]
    finalized_l1: L1Ref | None

    async def trusted(self) -> Trusted:
        """The block, when the engine has what it takes to begin there.

        Raises `CriticalError` that says what is missing or wrong: no such block, no state after it, a block of another
        chain, an L1 on which its origin is another block, or too few blocks below it.
        """
        block = await self._found()
        ref = await self._of_this_chain(block)
        safe = await self._engine_safe()
        await self._expect_no_other(ref, safe)
        if safe is None or safe.number < ref.number:  # otherwise derivation begins above it, whatever it left behind
            await self._expect_state(ref)
            await self._expect_below(block)
        return Trusted(block=block, final=self._is_final(ref))

    @property
    def _name(self) -> str:
        return f"checkpoint 0x{self.hash.hex()}"

    async def _found(self) -> Payload:
        try:
            return await self.l2(self.hash)
        except NotFound as error:
            raise CriticalError(
                f"{self._name}: the engine does not have that block; is the hash right? If it is: {HOW_TO_GET_THERE}"
            ) from error

    async def _of_this_chain(self, block: Payload) -> L2Ref:
        genesis = self.config.rollup.genesis
        try:
            first = await self.l2(L2Number(genesis.l2.number))
        except NotFound:
            first = None  # an engine that was given a snapshot may lack it: its other blocks tell
        if first is not None and first.hash != genesis.l2.hash:
            raise CriticalError(
                f"{self._name}: the engine holds another chain: its block {first.number} is 0x{first.hash.hex()}, "
                f"the rollup's genesis is 0x{genesis.l2.hash.hex()}"
            )
        if block.number <= genesis.l2.number:
            raise CriticalError(
                f"{self._name}: expected a block after genesis ({genesis.l2.number}), got block {block.number}"
            )
        time = genesis.l2_time + (block.number - genesis.l2.number) * self.config.rollup.block_time
        if block.timestamp != time:
            raise CriticalError(
                f"{self._name}: it is no block of this chain: block {block.number} has the time {time} there, and "
                f"{block.timestamp} in the engine"
            )
        try:
            ref = l2_ref(block, self.config)
        except DecodeError as error:
            raise CriticalError(f"{self._name}: it is no block of this chain: {error}") from error
        await self._expect_origin(ref)
        return ref

    async def _expect_origin(self, ref: L2Ref) -> None:
        try:
            canonical = await self.l1(L1Number(ref.l1_origin.number))
        except NotFound:
            return  # L1 has not come that far: nothing contradicts the block
        if canonical.hash != ref.l1_origin.hash:
            raise CriticalError(
                f"{self._name}: L2 block {ref.id} has L1 origin {ref.l1_origin}, and L1 has "
                f"0x{canonical.hash.hex()} there: it rests on another L1, or on a branch that L1 has given up"
            )

    async def _engine_safe(self) -> Payload | None:
        try:
            return await self.l2(L2Label.SAFE)
        except NotFound:
            return None

    async def _expect_no_other(self, ref: L2Ref, safe: Payload | None) -> None:
        """What the engine calls safe has to agree with the checkpoint."""
        if safe is None or safe.number < ref.number:
            return
        there = await self.l2(L2Number(ref.number))
        if there.hash != ref.hash:
            raise CriticalError(
                f"{self._name}: the engine's safe head is L2 block {safe.id}, and below it block {ref.number} is "
                f"0x{there.hash.hex()}: one of the two is wrong. Check the hash, or begin with an empty data directory"
            )

    async def _expect_state(self, ref: L2Ref) -> None:
        try:
            await self.state(ref.hash)
        except NotFound as error:
            raise CriticalError(
                f"{self._name}: the engine has L2 block {ref.id}, but not the state after it ({error}), so nothing "
                f"can be built on it; {HOW_TO_GET_THERE}"
            ) from error

    async def _expect_below(self, block: Payload) -> None:
        """Blocks down to the one whose L1 origin is a channel timeout older: the channels open at the checkpoint."""
        below, ref = block, l2_ref(block, self.config)
        while not is_far_enough(l2_ref(below, self.config), ref, self.config):
            try:
                below = await self.l2(below.parent_hash)
            except NotFound as error:
                raise CriticalError(
                    f"{self._name}: the engine lacks L2 block {below.number - 1}, below the checkpoint {ref.id}: "
                    f"derivation reads the channels that were open there, back to an L1 origin {ref.l1_origin.number} "
                    f"less the channel timeout; {HOW_TO_GET_THERE}"
                ) from error

    def _is_final(self, ref: L2Ref) -> bool:
        """Whether L1's final block is past the block's sequencing window: batches for it cannot come any more."""
        finalized = self.finalized_l1
        window = self.config.rollup.seq_window_size
        return finalized is not None and ref.l1_origin.number + window < finalized.number
