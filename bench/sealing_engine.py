"""An engine that executes nothing: it turns attributes into blocks with invented roots and true hashes.

The same attributes on the same parent always give the same block, so that a made-up chain can be written down once and
derived again. Only the newest blocks are kept: what the engine holds does not grow with the chain.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import attrs
import trio

from kroma_core.api import AccountProof, Applied, Building, Gone, Inconsistent, Invalid, Sealed, Syncing, Valid
from kroma_core.chain.base_fee import extra_data_of
from kroma_core.chain.config import ChainConfig
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.payloads import block_hash_of
from kroma_core.errors import NotFound
from kroma_core.l2 import ForkchoiceState, L2Label, Payload, PayloadAttributes
from kroma_core.types import ZERO_HASH, Address, Gas, Hash32, L2Number, Wei

KEPT = 256
"""Blocks that are remembered."""
_BASE_FEE = Wei(10**9)
_GAS_PER_TRANSACTION = 21_000


def genesis_block(chain: ChainConfig) -> Payload:
    """Block 0 as its hash and time; what nobody looks at is zero."""
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
        base_fee=_BASE_FEE,
        transactions=(),
    )


def sealed_block(parent: Payload, attributes: PayloadAttributes, chain: ChainConfig) -> Payload:
    """The block that these attributes make on `parent`. Its header hashes to its hash."""
    rules = chain.rollup.schedule.at(attributes.timestamp)
    salt = parent.hash + attributes.timestamp.to_bytes(8, "big")
    unnamed = Payload(
        hash=ZERO_HASH,
        parent_hash=parent.hash,
        number=L2Number(parent.number + 1),
        timestamp=attributes.timestamp,
        fee_recipient=attributes.fee_recipient,
        state_root=keccak256(b"state" + salt),
        receipts_root=keccak256(b"receipts" + salt),
        logs_bloom=bytes(256),
        prev_randao=attributes.prev_randao,
        gas_limit=attributes.gas_limit,
        gas_used=Gas(_GAS_PER_TRANSACTION * len(attributes.transactions)),
        extra_data=extra_data_of(attributes, chain.rollup),
        base_fee=_BASE_FEE,
        transactions=attributes.transactions,
        withdrawals=attributes.withdrawals,
        withdrawals_root=keccak256(b"storage" + salt) if rules.withdrawals_root_is_storage_root else None,
        blob_gas_used=0 if attributes.parent_beacon_root is not None else None,
        excess_blob_gas=0 if attributes.parent_beacon_root is not None else None,
        parent_beacon_root=attributes.parent_beacon_root,
    )
    return attrs.evolve(unnamed, hash=block_hash_of(unnamed))


class SealingEngine:
    """Role `engine`; starts at genesis."""

    def __init__(self, chain: ChainConfig) -> None:
        self._chain = chain
        self._genesis = genesis = genesis_block(chain)
        self._blocks: OrderedDict[Hash32, Payload] = OrderedDict()
        self._heads = ForkchoiceState(unsafe=genesis.hash, safe=genesis.hash, finalized=genesis.hash)
        self._building: Payload | None = None

    async def heads(self) -> ForkchoiceState:
        await trio.lowlevel.checkpoint()
        return self._heads

    async def block(self, block: Hash32 | L2Number | L2Label) -> Payload:
        await trio.lowlevel.checkpoint()
        match block:
            case L2Label.UNSAFE:
                found = self._known(self._heads.unsafe)
            case L2Label.SAFE:
                found = self._known(self._heads.safe)
            case L2Label.FINALIZED:
                found = self._known(self._heads.finalized)
            case bytes():
                found = self._known(block)
            case _:
                found = next((one for one in self._blocks.values() if one.number == block), None)
        if found is None:
            raise NotFound(f"the sealing engine has no block {block!r} (any more)")
        return found

    async def receipts(self, block_hash: Hash32) -> tuple[bytes, ...]:
        await trio.lowlevel.checkpoint()
        raise NotFound("the sealing engine makes no receipts")

    async def build(
        self, parent: Hash32, attributes: PayloadAttributes, heads: ForkchoiceState
    ) -> Building | Invalid | Syncing:
        await trio.lowlevel.checkpoint()
        below = self._known(parent)
        if below is None:
            return Syncing()
        self._building = sealed_block(below, attributes, self._chain)
        return Building(id=self._building.hash[:8], parent=parent)

    async def seal(self, building: Building) -> Sealed | Invalid | Gone:
        await trio.lowlevel.checkpoint()
        payload, self._building = self._building, None
        return Gone() if payload is None else Sealed(payload=payload)

    async def cancel(self, building: Building) -> None:
        await trio.lowlevel.checkpoint()
        self._building = None

    async def execute(self, payload: Payload) -> Valid | Invalid | Syncing:
        await trio.lowlevel.checkpoint()
        self._blocks[payload.hash] = payload
        if len(self._blocks) > KEPT:
            self._blocks.popitem(last=False)
        return Valid()

    async def set_heads(self, heads: ForkchoiceState) -> Applied | Syncing | Inconsistent:
        await trio.lowlevel.checkpoint()
        self._heads = heads
        return Applied()

    async def proof(self, address: Address, slots: Sequence[Hash32], block_hash: Hash32) -> AccountProof:
        await trio.lowlevel.checkpoint()
        raise NotFound("the sealing engine keeps no state")

    async def storage_root(self, address: Address, block_hash: Hash32) -> Hash32:
        await trio.lowlevel.checkpoint()
        raise NotFound("the sealing engine keeps no state")

    def _known(self, block_hash: Hash32) -> Payload | None:
        return self._genesis if block_hash == self._genesis.hash else self._blocks.get(block_hash)
