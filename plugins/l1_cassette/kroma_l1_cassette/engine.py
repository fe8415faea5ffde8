"""The engine that does not execute: it knows the blocks of a recorded chain and answers with them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import trio

from kroma_core.api import (
    AccountProof,
    Applied,
    Building,
    Gone,
    Inconsistent,
    Invalid,
    Sealed,
    Syncing,
    Valid,
)
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.genesis_json import genesis_from_json, genesis_header, genesis_state
from kroma_core.codec.payloads import payload_from_header
from kroma_core.errors import NotFound
from kroma_core.l2 import ForkchoiceState, L2Label, Payload, PayloadAttributes
from kroma_core.recording import Expected, ExpectedBlock, Recording, first_difference
from kroma_core.recording.problems import refuse
from kroma_core.types import ZERO_HASH, Address, Gas, Hash32, L2Number, Wei

RECENT = 8
"""Blocks that are kept decoded: each is asked for several times while it is added."""


class RecordedEngine:
    """Answers from the expected chain of a recording: derivation without execution.

    It starts at genesis and knows a recorded block once that was executed. Attributes are good where the recorded block
    on their parent was made of exactly these; a payload is good where it is the recorded one in every field. There is
    no state: proofs are never found. Heads are kept in memory.
    """

    def __init__(self, expected: Expected, genesis: Payload) -> None:
        self._expected = expected
        self._genesis = genesis
        self._executed = genesis.number
        self._heads = ForkchoiceState(unsafe=genesis.hash, safe=genesis.hash, finalized=genesis.hash)
        self._buildings: dict[bytes, ExpectedBlock] = {}
        self._recent: deque[ExpectedBlock] = deque(maxlen=RECENT)

    async def heads(self) -> ForkchoiceState:
        await trio.lowlevel.checkpoint()
        return self._heads

    async def block(self, block: Hash32 | L2Number | L2Label) -> Payload:
        await trio.lowlevel.checkpoint()
        if isinstance(block, L2Label):
            heads = self._heads
            block = {
                L2Label.UNSAFE: heads.unsafe,
                L2Label.SAFE: heads.safe,
                L2Label.FINALIZED: heads.finalized,
            }[block]
        if isinstance(block, bytes):
            found = self._known(block)
        else:
            found = self._numbered(block)
        if found is None:
            name = f"0x{block.hex()}" if isinstance(block, bytes) else block
            raise NotFound(f"the recorded engine has no block {name}")
        return found

    async def receipts(self, block_hash: Hash32) -> tuple[bytes, ...]:
        await trio.lowlevel.checkpoint()
        if block_hash == self._genesis.hash:
            return ()
        found = self._by_hash(block_hash)
        if found is None or found.number > self._executed:
            raise NotFound(f"the recorded engine has no block 0x{block_hash.hex()}")
        return found.receipts

    async def build(
        self, parent: Hash32, attributes: PayloadAttributes, heads: ForkchoiceState
    ) -> Building | Invalid | Syncing:
        await trio.lowlevel.checkpoint()
        below = self._known(parent)
        if below is None:
            return Syncing()
        recorded = self._child(parent)
        if recorded is None:
            reason = f"no block is recorded on block {below.id}"
            return Invalid(reason=reason, latest_valid=parent)
        different = first_difference(recorded.attributes, attributes)
        if different is not None:
            reason = f"attributes are not those of the recorded block {recorded.id}: {different}"
            return Invalid(reason=reason, latest_valid=parent)
        building = Building(id=recorded.hash[:8], parent=parent)
        self._buildings[building.id] = recorded
        return building

    async def seal(self, building: Building) -> Sealed | Invalid | Gone:
        await trio.lowlevel.checkpoint()
        recorded = self._buildings.pop(building.id, None)
        return Gone() if recorded is None else Sealed(payload=recorded.payload)

    async def cancel(self, building: Building) -> None:
        await trio.lowlevel.checkpoint()
        self._buildings.pop(building.id, None)

    async def execute(self, payload: Payload) -> Valid | Invalid | Syncing:
        await trio.lowlevel.checkpoint()
        if payload == self._genesis:
            return Valid()
        if self._known(payload.parent_hash) is None:
            return Syncing()
        recorded = self._child(payload.parent_hash)
        if recorded is None:
            reason = f"block {payload.number}: no block is recorded on its parent"
            return Invalid(reason=reason, latest_valid=payload.parent_hash)
        different = first_difference(recorded.payload, payload)
        if different is not None:
            reason = f"block {payload.number} is not the recorded one: {different}"
            return Invalid(reason=reason, latest_valid=payload.parent_hash)
        self._executed = max(self._executed, recorded.number)
        return Valid()

    async def set_heads(self, heads: ForkchoiceState) -> Applied | Syncing | Inconsistent:
        await trio.lowlevel.checkpoint()
        blocks = [self._known(block_hash) for block_hash in (heads.unsafe, heads.safe, heads.finalized)]
        known = [block.number for block in blocks if block is not None]
        if len(known) < len(blocks):
            return Syncing()
        unsafe, safe, finalized = known
        if not finalized <= safe <= unsafe:
            return Inconsistent(reason=f"unsafe {unsafe}, safe {safe} and finalized {finalized} are not in this order")
        self._heads = heads
        return Applied()

    async def proof(self, address: Address, slots: Sequence[Hash32], block_hash: Hash32) -> AccountProof:
        await trio.lowlevel.checkpoint()
        raise NotFound("the recorded engine keeps no state and has no proofs")

    async def storage_root(self, address: Address, block_hash: Hash32) -> Hash32:
        await trio.lowlevel.checkpoint()
        raise NotFound("the recorded engine keeps no state and has no storage roots")

    def _by_hash(self, block_hash: Hash32) -> ExpectedBlock | None:
        for block in self._recent:
            if block.hash == block_hash:
                return block
        return self._remembered(self._expected.by_hash(block_hash))

    def _child(self, parent: Hash32) -> ExpectedBlock | None:
        for block in self._recent:
            if block.payload.parent_hash == parent:
                return block
        return self._remembered(self._expected.child(parent))

    def _remembered(self, block: ExpectedBlock | None) -> ExpectedBlock | None:
        if block is not None:
            self._recent.append(block)
        return block

    def _known(self, block_hash: Hash32) -> Payload | None:
        """Genesis, or a block that was executed."""
        if block_hash == self._genesis.hash:
            return self._genesis
        found = self._by_hash(block_hash)
        return None if found is None or found.number > self._executed else found.payload

    def _numbered(self, number: int) -> Payload | None:
        """A block of the canonical chain, which is what lies below the unsafe head."""
        if number == self._genesis.number:
            return self._genesis
        head = self._known(self._heads.unsafe)
        if head is None or not self._genesis.number < number <= head.number:
            return None
        found = self._expected.block(number)
        return None if found is None else found.payload


def recorded_engine(recording: Recording, chain: ChainConfig) -> RecordedEngine:
    """The engine of a recording. Raises `RecordingError` where it carries no expected chain, or another chain's."""
    expected = recording.expected
    if expected is None:
        raise refuse(recording.path, "expected", "value", expected="an expected chain", got="a recording without one")
    genesis = genesis_payload(recording, chain)
    first = expected.block(genesis.number + 1)
    if first is not None and first.payload.parent_hash != genesis.hash:
        got = first.payload.parent_hash
        raise refuse(recording.path, "expected", "genesis", expected=genesis.hash, got=got)
    return RecordedEngine(expected, genesis)


def genesis_payload(recording: Recording, chain: ChainConfig) -> Payload:
    """Block 0 as far as the recording tells.

    Raises `RecordingError` where the recorded genesis is not the one that the rollup config names.
    """
    genesis = chain.rollup.genesis
    if recording.l2_genesis is None:
        return _bare_genesis(chain)
    block = genesis_from_json(recording.l2_genesis, source=f"{recording.path}: l2_genesis")
    rules = chain.rollup.schedule.at(block.timestamp)
    state = genesis_state(block, rules)
    header = genesis_header(block, state, rules)
    if header.hash != genesis.l2.hash:
        raise refuse(recording.path, "l2_genesis", "block hash", expected=genesis.l2.hash, got=header.hash)
    return payload_from_header(header, genesis.l2.hash, ())


def _bare_genesis(chain: ChainConfig) -> Payload:
    """Block 0 of a recording without a genesis: hash, number and time; what is unknown is zero."""
    genesis = chain.rollup.genesis
    return Payload(
        hash=genesis.l2.hash,
        parent_hash=ZERO_HASH,
        number=L2Number(genesis.l2.number),
        timestamp=genesis.l2_time,
        fee_recipient=bytes(20),
        state_root=ZERO_HASH,
        receipts_root=ZERO_HASH,
        logs_bloom=bytes(256),
        prev_randao=ZERO_HASH,
        gas_limit=Gas(genesis.system_config.gas_limit),
        gas_used=Gas(0),
        extra_data=b"",
        base_fee=Wei(0),
        transactions=(),
    )
