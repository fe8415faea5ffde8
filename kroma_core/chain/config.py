"""The values that every part of a node takes its constants from.

Reading them from the files of op-node, geth and the superchain-registry is the business of the modules beside this one.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs

from kroma_core.forks import KROMA_FORKS, OP_FORKS, Change, Fork, Schedule
from kroma_core.types import Address, BlockId, Gas, Hash32, Seconds, Timestamp


class Family(enum.StrEnum):
    """Which protocol family a chain belongs to.

    Carries the choices that no fork time expresses: deposit codec, meaning of config updates, upgrade transactions,
    predeploys, output root, gossip prefix. Code asks the tables keyed by it, at one place per concern.
    """

    OP = "op"
    KROMA = "kroma"


FORK_TABLES: Mapping[Family, Mapping[Fork, Change]] = {Family.OP: OP_FORKS, Family.KROMA: KROMA_FORKS}


@attrs.frozen(kw_only=True)
class SystemConfig:
    """The part of the chain's configuration that its L1 contract can change.

    `overhead` and `scalar` are 32-byte words as the contract emits them. `eip1559_params` and `operator_fee_params`
    (scalar u32 at [20:24], constant u64 at [24:32]) are zero until set. `validator_reward_scalar` is Kroma's.
    Spec: system_config.md.
    """

    batcher: Address
    overhead: Hash32
    scalar: Hash32
    gas_limit: Gas
    eip1559_params: bytes = bytes(8)
    operator_fee_params: Hash32 = bytes(32)
    min_base_fee: int = 0
    da_footprint_gas_scalar: int = 0
    validator_reward_scalar: Hash32 = bytes(32)


@attrs.frozen(kw_only=True)
class Genesis:
    """Where the rollup begins: the L1 block it is anchored to and its first L2 block."""

    l1: BlockId
    l2: BlockId
    l2_time: Timestamp
    system_config: SystemConfig


@attrs.frozen(kw_only=True)
class BlobSchedule:
    """Blob fee fractions of L1 over time: (activation time, base fee update fraction), ascending.

    Empty where the L1 has no blobs. Spec: EIP-7840, EIP-7892.
    """

    steps: tuple[tuple[Timestamp, int], ...]

    def fraction(self, time: int) -> int | None:
        """The base fee update fraction that an L1 block at `time` uses; None before the first blob schedule."""
        found = None
        for start, fraction in self.steps:
            if start > time:
                break
            found = fraction
        return found


@attrs.frozen(kw_only=True)
class L1ChainConfig:
    """What derivation needs to know of the L1's own rules."""

    chain_id: int
    blob_schedule: BlobSchedule


@attrs.frozen(kw_only=True)
class BaseFeeParams:
    """EIP-1559 constants of the L2."""

    elasticity: int
    denominator: int
    denominator_canyon: int


@attrs.frozen(kw_only=True)
class BlockLimits:
    """The most that any block of an L2 may hold, forced transactions too; None where there is no limit.

    Kroma's engine has them in its chain config, for the circuits of its prover. A block with more is invalid.
    Spec: kroma-geth, core/block_validator.go.
    """

    transactions: int | None = None
    """How many, deposits included."""
    size: int | None = None
    """Bytes of the encoded transactions together."""


@attrs.frozen(kw_only=True)
class RollupConfig:
    """A rollup's constants. Lengths in L1 blocks unless their type says seconds."""

    family: Family
    name: str
    genesis: Genesis
    schedule: Schedule
    block_time: Seconds
    max_sequencer_drift: Seconds
    seq_window_size: int
    channel_timeout: int
    l1_chain_id: int
    l2_chain_id: int
    batch_inbox: Address
    portal: Address
    system_config_address: Address
    base_fee_params: BaseFeeParams
    block_limits: BlockLimits = BlockLimits()
    """From the L2's genesis.json: rollup.json does not have them."""
    keep_karst_upgrade_gas: bool = False
    extra: Mapping[str, Any] = attrs.field(factory=dict, eq=False, repr=False)
    """Keys of the source file that have no meaning here (yet), as they stood there; the known ones are written back."""
    warnings: tuple[str, ...] = attrs.field(default=(), eq=False, repr=False)
    """What is odd about the source file, though the reference clients accept it; for the operator's eyes."""


@attrs.frozen(kw_only=True)
class GenesisAccount:
    balance: int = 0
    nonce: int = 0
    code: bytes = b""
    storage: Mapping[bytes, bytes] = attrs.field(factory=dict, repr=False)


@attrs.frozen(kw_only=True)
class GenesisBlock:
    """geth's genesis.json: the header fields of block 0 and its state."""

    timestamp: Timestamp
    gas_limit: Gas
    base_fee: int
    extra_data: bytes
    coinbase: Address
    mix_hash: Hash32
    parent_hash: Hash32
    nonce: int
    difficulty: int
    number: int
    gas_used: Gas
    blob_gas_used: int | None
    excess_blob_gas: int | None
    alloc: Mapping[Address, GenesisAccount] = attrs.field(repr=False)
    state_root: Hash32 | None = None
    """Given instead of `alloc` where the state is not part of the file."""
    chain_config: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    """geth's chain config as it stands in the file."""


class MissingGenesis(enum.StrEnum):
    """Why a chain configuration comes without a genesis."""

    NOT_GIVEN = "not_given"
    """No genesis file was named; a chain of this kind has one."""
    SNAPSHOT = "snapshot"
    """The rollup begins in the middle of an older chain: its first state is a database snapshot, no genesis file."""


@attrs.frozen(kw_only=True)
class ChainConfig:
    """All three inputs that define a node's chain: rollup config, L1 chain config, and (for an engine) the genesis."""

    rollup: RollupConfig
    l1: L1ChainConfig
    genesis: GenesisBlock | None = attrs.field(default=None, repr=False)
    missing_genesis: MissingGenesis | None = None
    """Set where `genesis` is None."""
    warnings: tuple[str, ...] = attrs.field(default=(), eq=False, repr=False)
    """What is odd about the source files; for the operator's eyes."""
