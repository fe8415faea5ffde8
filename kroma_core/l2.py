"""What passes between derivation and an execution engine: payload attributes, payloads, and the heads of the L2 chain.

Spec: exec-engine.md, "Engine API".
"""

from __future__ import annotations

import enum

import attrs

from kroma_core.types import Address, BlockId, Gas, Hash32, L2Number, L2Ref, Timestamp, Wei


class L2Label(enum.StrEnum):
    """Heads that an engine itself keeps."""

    UNSAFE = "latest"
    SAFE = "safe"
    FINALIZED = "finalized"


@attrs.frozen(kw_only=True)
class PayloadAttributes:
    """Everything that determines the next L2 block, apart from its parent.

    `transactions` are raw, deposits first; all of them are forced: a block that cannot hold one of them is invalid.
    `withdrawals` says whether the block carries an (empty) withdrawals list. `eip1559_params` is denominator u32 and
    elasticity u32; eight zero bytes ask for the chain's constants.
    """

    timestamp: Timestamp
    prev_randao: Hash32
    fee_recipient: Address
    gas_limit: Gas
    transactions: tuple[bytes, ...] = attrs.field(repr=False)
    no_tx_pool: bool = True
    withdrawals: bool = False
    parent_beacon_root: Hash32 | None = None
    eip1559_params: bytes | None = None
    min_base_fee: int | None = None


@attrs.frozen(kw_only=True)
class Withdrawal:
    """A withdrawal of a beacon-chain validator. No valid L2 block has one; formats that can hold them are read."""

    index: int
    validator_index: int
    address: Address
    amount: int


@attrs.frozen(kw_only=True)
class Payload:
    """An executed L2 block in the Engine API's terms, with the fields of its envelope.

    Fields that the block's rules do not have are None; `withdrawals` says whether there is a list of them, and
    `withdrawal_list` what it holds: nothing in a valid block. `withdrawals_root` is set only where the header holds the
    message passer's storage root.
    """

    hash: Hash32
    parent_hash: Hash32
    number: L2Number
    timestamp: Timestamp
    fee_recipient: Address
    state_root: Hash32
    receipts_root: Hash32
    logs_bloom: bytes = attrs.field(repr=False)
    prev_randao: Hash32
    gas_limit: Gas
    gas_used: Gas
    extra_data: bytes
    base_fee: Wei
    transactions: tuple[bytes, ...] = attrs.field(repr=False)
    withdrawals: bool = False
    withdrawal_list: tuple[Withdrawal, ...] = ()
    withdrawals_root: Hash32 | None = None
    blob_gas_used: int | None = None
    excess_blob_gas: int | None = None
    parent_beacon_root: Hash32 | None = None

    @property
    def id(self) -> BlockId:
        return BlockId(self.hash, self.number)


@attrs.frozen(kw_only=True)
class ForkchoiceState:
    """The heads an engine keeps, by hash. Each is an ancestor of (or equal to) the one before it."""

    unsafe: Hash32
    safe: Hash32
    finalized: Hash32


@attrs.frozen(kw_only=True)
class Heads:
    """All heads of the node's L2 chain.

    `local_safe` follows from L1 alone; `safe` is what other chains' messages allow of it (today the same);
    `pending_safe` runs ahead inside a span batch that is not yet safe as a whole.
    """

    unsafe: L2Ref
    cross_unsafe: L2Ref
    local_safe: L2Ref
    pending_safe: L2Ref
    safe: L2Ref
    finalized: L2Ref

    @classmethod
    def all_at(cls, ref: L2Ref) -> Heads:
        return cls(unsafe=ref, cross_unsafe=ref, local_safe=ref, pending_safe=ref, safe=ref, finalized=ref)

    @property
    def forkchoice(self) -> ForkchoiceState:
        return ForkchoiceState(unsafe=self.unsafe.hash, safe=self.safe.hash, finalized=self.finalized.hash)
