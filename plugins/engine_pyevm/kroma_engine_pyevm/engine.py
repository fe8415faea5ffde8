"""The engine protocol over the executor and the chain store.

Spec: exec-engine.md, "Engine API". Calls come one at a time (core's engine controller is the one writer); readers may
come between two transactions of a block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import trio

from kroma_core.api import AccountProof, Applied, Building, Gone, Inconsistent, Invalid, Sealed, Syncing, Valid
from kroma_core.chain.config import ChainConfig
from kroma_core.codec.headers import Header
from kroma_core.codec.payloads import header_of, payload_from_header, payload_id
from kroma_core.errors import NotFound
from kroma_core.events import Event, StateMigrating
from kroma_core.l2 import ForkchoiceState, L2Label, Payload, PayloadAttributes
from kroma_core.types import ZERO_HASH, Address, Hash32, L2Number
from kroma_engine_pyevm import proofs
from kroma_engine_pyevm.blocks import (
    BlockPlan,
    ExecutedBlock,
    InvalidBlock,
    Supply,
    check_form,
    execute_block,
    plan_of_attributes,
    plan_of_payload,
)
from kroma_engine_pyevm.chain import ChainStore
from kroma_engine_pyevm.genesis import genesis_block
from kroma_engine_pyevm.migration import Progress, migrate
from kroma_engine_pyevm.pool import PoolLimits
from kroma_engine_pyevm.queries import ChainQueries
from kroma_engine_pyevm.state import WorldState
from kroma_engine_pyevm.store import Store
from kroma_engine_pyevm.waiting import WaitingTransactions

_KEPT_BLOCKS = 16
_STATE_KEPT = 200_000


class PyEvmEngine(ChainQueries, WaitingTransactions):
    """Executes blocks in this process, answers questions about them, and keeps transactions for the next ones.

    `seconds` is what a query may take, `trace_seconds` what the trace of a block for a prover may take, `fill_seconds`
    how long a block is filled from the pool.
    """

    def __init__(
        self,
        chain: ChainConfig,
        store: Store,
        *,
        seconds: float = 5.0,
        trace_seconds: float = 60.0,
        limits: PoolLimits | None = None,
        fill_seconds: float = 1.0,
        emit: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self._emit = emit
        self._store = ChainStore(store)
        ChainQueries.__init__(self, chain.rollup, self._store, seconds, trace_seconds)
        WaitingTransactions.__init__(self, chain.rollup, self._store, limits or PoolLimits(), fill_seconds)
        identity = f"{chain.rollup.l2_chain_id} (genesis 0x{chain.rollup.genesis.l2.hash.hex()})"
        if self._store.claim(identity):
            rules = chain.rollup.schedule.at(chain.rollup.genesis.l2_time)
            self._store.begin(identity, genesis_block(chain, self._store.trie_of(rules)))
        self._store.expect_states(chain.rollup)
        self._buildings: dict[bytes, ExecutedBlock] = {}
        self._sealed: dict[Hash32, ExecutedBlock] = {}
        """Blocks that were built here and not yet stored: `execute` need not run them again."""
        self._tip: WorldState | None = None
        """The state after the block that was executed last, with what it has loaded."""

    # --- reading

    async def heads(self) -> ForkchoiceState:
        await trio.lowlevel.checkpoint()
        return self._store.heads()

    async def block(self, block: Hash32 | L2Number | L2Label) -> Payload:
        await trio.lowlevel.checkpoint()
        if isinstance(block, L2Label):
            heads = self._store.heads()
            labels = {L2Label.UNSAFE: heads.unsafe, L2Label.SAFE: heads.safe, L2Label.FINALIZED: heads.finalized}
            found = self._store.payload(labels[block])
        elif isinstance(block, bytes):
            found = self._store.payload(block)
        else:
            block_hash = self._store.canonical(block)
            found = None if block_hash is None else self._store.payload(block_hash)
        if found is None:
            raise NotFound(f"the engine has no block {f'0x{block.hex()}' if isinstance(block, bytes) else block}")
        return found

    async def receipts(self, block_hash: Hash32) -> tuple[bytes, ...]:
        await trio.lowlevel.checkpoint()
        found = self._store.receipts(block_hash)
        if found is None:
            raise NotFound(f"the engine has no block 0x{block_hash.hex()}")
        return found

    async def proof(self, address: Address, slots: Sequence[Hash32], block_hash: Hash32) -> AccountProof:
        await trio.lowlevel.checkpoint()
        header = self._header(block_hash)
        return proofs.account_proof(self._trie_at(header), header.state_root, address, slots)

    async def storage_root(self, address: Address, block_hash: Hash32) -> Hash32:
        await trio.lowlevel.checkpoint()
        header = self._header(block_hash)
        return proofs.storage_root(self._trie_at(header), header.state_root, address)

    # --- building

    async def build(
        self, parent: Hash32, attributes: PayloadAttributes, heads: ForkchoiceState
    ) -> Building | Invalid | Syncing:
        await trio.lowlevel.checkpoint()
        header = self._store.header(parent)
        if header is None:
            return Syncing()
        try:
            plan = plan_of_attributes(header, parent, attributes, self._config)
            block = await self._execute(plan, None if attributes.no_tx_pool else self)
        except InvalidBlock as error:
            return Invalid(reason=str(error), latest_valid=parent)
        version = self._config.schedule.at(attributes.timestamp).forkchoice_version
        building = Building(id=payload_id(parent, attributes, version), parent=parent)
        _keep(self._buildings, building.id, block)
        return building

    async def seal(self, building: Building) -> Sealed | Invalid | Gone:
        await trio.lowlevel.checkpoint()
        block = self._buildings.pop(building.id, None)
        if block is None:
            return Gone()
        _keep(self._sealed, block.hash, block)
        payload = payload_from_header(block.header, block.hash, block.transactions)
        return Sealed(payload=payload, value=block.tips)

    async def cancel(self, building: Building) -> None:
        await trio.lowlevel.checkpoint()
        self._buildings.pop(building.id, None)

    # --- executing

    async def execute(self, payload: Payload) -> Valid | Invalid | Syncing:
        await trio.lowlevel.checkpoint()
        try:
            check_form(payload, self._config.schedule.at(payload.timestamp))
        except InvalidBlock as error:
            return Invalid(reason=str(error))
        claimed = header_of(payload)
        if claimed.hash != payload.hash:
            reason = f"block {payload.number}: its fields hash to 0x{claimed.hash.hex()}, not to 0x{payload.hash.hex()}"
            return Invalid(reason=reason)
        if self._store.header(payload.hash) is not None:
            return Valid()
        parent = self._store.header(payload.parent_hash)
        if parent is None:
            return Syncing()
        block = self._sealed.pop(payload.hash, None)
        if block is None:
            try:
                block = await self._execute(plan_of_payload(parent, payload.parent_hash, payload, self._config))
                _compare(claimed, block.header)
            except InvalidBlock as error:
                return Invalid(reason=str(error), latest_valid=payload.parent_hash)
        self._store.save(block)
        return Valid()

    async def set_heads(self, heads: ForkchoiceState) -> Applied | Syncing | Inconsistent:
        await trio.lowlevel.checkpoint()
        unsafe = self._store.header(heads.unsafe)
        if unsafe is None:
            return Syncing()
        current = self._store.heads()
        if heads == current:
            return Applied()
        for name, block_hash, above in (
            ("safe", heads.safe, heads.unsafe),
            ("finalized", heads.finalized, heads.safe),
            ("already finalized", current.finalized, heads.unsafe),
        ):
            if not self._descends(above, block_hash):
                reason = f"the {name} block 0x{block_hash.hex()} is no ancestor of block 0x{above.hex()}"
                return Inconsistent(reason=reason)
        self._store.set_heads(heads)
        self.follow(current.unsafe)
        return Applied()

    def _descends(self, block_hash: Hash32, ancestor: Hash32) -> bool:
        """Whether `ancestor` is a block below the first one, or that block itself."""
        header = self._store.header(block_hash)
        below = self._store.header(ancestor)
        if header is None or below is None or below.number > header.number:
            return False
        return self._store.ancestor(block_hash, below.number) == ancestor

    async def _execute(self, plan: BlockPlan, supply: Supply | None = None) -> ExecutedBlock:
        """Execute a plan. Whatever happens on the way, the chain and its states are unharmed."""
        state = await self._state_for(plan)

        def block_hash(number: int) -> Hash32:
            return self._store.ancestor(plan.parent_hash, number) if number <= plan.parent.number else ZERO_HASH

        block = await execute_block(plan, state, self._config, block_hash, supply)
        self._tip = state
        return block

    async def _state_for(self, plan: BlockPlan) -> WorldState:
        """The state that a block begins with; the tip's, with what it has loaded, where it is that one.

        The first block with another kind of trie than its parent has the parent's state migrated.
        """
        schedule = self._config.schedule
        if schedule.at(plan.parent.timestamp).state is not plan.rules.state:
            await self._migrate(plan.parent)
        found = self._store.state_before(plan.rules, plan.parent, schedule)
        tip, self._tip = self._tip, None
        if tip is not None and tip.trie is found.trie and tip.root == found.root and tip.loaded < _STATE_KEPT:
            return tip
        return found

    async def _migrate(self, parent: Header) -> None:
        def tell(progress: Progress, slots: int) -> None:
            told = StateMigrating(
                part="engine",
                block=parent.number,
                accounts=progress.accounts,
                slots=slots,
                complete=progress.complete,
            )
            self._emit(told)

        store = self._store
        await migrate(store.zk, store.merkle_patricia, parent.state_root, store, on_progress=tell)


def _keep(blocks: dict[bytes, ExecutedBlock], key: bytes, block: ExecutedBlock) -> None:
    """Remember a block, forgetting the oldest of too many."""
    if len(blocks) >= _KEPT_BLOCKS:
        del blocks[next(iter(blocks))]
    blocks[key] = block


def _compare(claimed: Header, computed: Header) -> None:
    """Raises `InvalidBlock` that names the first field in which a block is not what its execution gives."""
    for field in attrs.fields(Header):
        expected, got = getattr(computed, field.name), getattr(claimed, field.name)
        if expected != got:
            raise InvalidBlock(
                f"block {claimed.number}: {field.name} is {_shown(got)}, execution gives {_shown(expected)}"
            )


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return f"0x{value.hex()}" if len(value) <= 32 else f"{len(value)} bytes"
    return str(value)
