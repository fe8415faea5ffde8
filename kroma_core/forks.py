"""Every protocol upgrade of both families, as one table of rows that change a `Rules` value.

Code asks for a rule (`rules.span_batches`), never for a fork's name. Which clock a rule runs on is the caller's to
choose and stands in each rule's comment: the time of the L2 block, of its L1 origin, or of the L1 block that carries
the data ("inclusion").

Spec: protocol/superchain-upgrades.md; protocol/<fork>/overview.md.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from kroma_core.errors import ConfigError
from kroma_core.types import Gas, Seconds, Timestamp


class Fork(enum.StrEnum):
    """Names of the upgrades as configuration files spell them, in protocol order."""

    BEDROCK = "bedrock"
    REGOLITH = "regolith"
    CANYON = "canyon"
    DELTA = "delta"
    ECOTONE = "ecotone"
    KROMA_MPT = "kroma_mpt"
    FJORD = "fjord"
    GRANITE = "granite"
    HOLOCENE = "holocene"
    PECTRA_BLOB_SCHEDULE = "pectra_blob_schedule"
    ISTHMUS = "isthmus"
    JOVIAN = "jovian"
    KARST = "karst"
    LAGOON = "lagoon"


class L1InfoFormat(enum.Enum):
    """Layout of the L1-attributes call data. The family says which selectors and extra fields it has."""

    BEDROCK = "bedrock"
    ECOTONE = "ecotone"
    ISTHMUS = "isthmus"
    JOVIAN = "jovian"


class ExtraDataFormat(enum.Enum):
    """What an L2 header's extraData holds."""

    EMPTY = "empty"
    EIP1559 = "eip1559"
    """version 0, denominator u32, elasticity u32: 9 bytes."""
    MIN_BASE_FEE = "min_base_fee"
    """version 1, denominator u32, elasticity u32, minimum base fee u64: 17 bytes."""


class L1FeeFormula(enum.Enum):
    """How the L1 data fee of a transaction is computed."""

    BEDROCK = "bedrock"
    """Calldata gas + overhead + 68 non-zero bytes for a signature."""
    REGOLITH = "regolith"
    """Calldata gas + overhead."""
    ECOTONE = "ecotone"
    FASTLZ = "fastlz"


class OperatorFeeFormula(enum.Enum):
    """How the operator fee is computed from gas, scalar and constant."""

    NONE = "none"
    PER_MILLION = "per_million"
    """gas * scalar // 10^6 + constant."""
    TIMES_HUNDRED = "times_hundred"
    """gas * scalar * 100 + constant."""


class StateCommitment(enum.Enum):
    """The trie behind a state root."""

    MPT = "mpt"
    ZK_TRIE = "zk_trie"


class EvmRules(enum.IntEnum):
    """L1 instruction set and gas schedule an L2 block runs with."""

    LONDON = 1
    """Bedrock and Regolith (post-merge London: PREVRANDAO, difficulty 0)."""
    SHANGHAI = 2
    CANCUN = 3
    PRAGUE = 4
    OSAKA = 5


@attrs.frozen(kw_only=True)
class PrecompileRules:
    """Precompiles that differ from L1's: existence, input caps in bytes (None: no cap), prices.

    Clock: L2 block time.
    """

    p256_verify_gas: Gas | None = None
    """Price of P256VERIFY at 0x100; None: there is none."""
    bn254_pairing_cap: int | None = None
    bls_g1_msm_cap: int | None = None
    bls_g2_msm_cap: int | None = None
    bls_pairing_cap: int | None = None
    modexp_bounded: bool = False
    """EIP-7823 (1024-byte operands) and EIP-7883 (price)."""


@attrs.frozen(kw_only=True)
class Rules:
    """What the protocol says at one moment. Defaults are Bedrock's."""

    # --- derivation; clock: L1 block that carries the data (inclusion), unless said otherwise
    span_batches: bool = False
    """Span batches are read. Checked with the inclusion block's time, and again with the batch's first origin's."""
    blobs: bool = False
    """Batcher data of blob transactions is in their blobs; before, in their call data."""
    any_ready_channel: bool = False
    """The channel bank reads the first ready channel in opening order; before, only the oldest channel."""
    channel_bank_size: int = 100_000_000
    """Bytes the channel bank may hold before it drops the oldest channel."""
    rlp_bytes_per_channel: int = 10_000_000
    """Decompressed bytes read of one channel."""
    brotli: bool = False
    fixed_sequencer_drift: Seconds | None = None
    """Overrides the configured drift. Clock: L1 origin of the batch."""
    fixed_channel_timeout: int | None = None
    """L1 blocks; overrides the configured timeout."""
    strict_order: bool = False
    """Holocene: frames and batches in order, one staging channel, a bad batch ends its channel, an invalid payload is
    replaced by its deposits."""
    set_code_transactions: bool = False
    """Set-code transactions may stand in a batch. Clock: L2 block time."""
    post_exec_transactions: bool = False
    """Type 0x7D may stand in a batch."""

    # --- deposits and attributes; clock: L2 block time
    system_deposits: bool = True
    """The L1-attributes deposit is a system transaction: 150 000 000 gas, not counted; after: 1 000 000, counted."""
    l1_info: L1InfoFormat = L1InfoFormat.BEDROCK
    """As of this time; a block whose own activation it is still uses the form of before (`Schedule.before`)."""
    l1_info_in_op_form: bool = True
    """False in Kroma's ZK-trie era: 0x42..02, validator reward scalar."""
    legacy_deposits: bool = False
    """Deposits are encoded without isSystemTx (7 fields): Kroma's ZK-trie era."""
    withdrawals: bool = False
    """Blocks carry an (empty) withdrawals list."""
    parent_beacon_root: bool = False
    eip1559_attributes: bool = False
    min_base_fee_attribute: bool = False
    fee_recipient: bytes = bytes.fromhex("4200000000000000000000000000000000000011")
    scalar_is_packed: bool = False
    """System-config scalars must be of a known version, overhead counts as zero. Clock: L1 block of the log."""

    # --- blob base fee of L1; clock: L1 block time
    cancun_blob_fee_override: bool = False
    """L1's blob base fee is computed with Cancun's fraction although L1 is past it (until the Pectra blob schedule)."""

    # --- execution; clock: L2 block time
    evm: EvmRules = EvmRules.LONDON
    precompiles: PrecompileRules = PrecompileRules()
    regolith_deposits: bool = False
    """Deposits use real gas, keep a nonce; system deposits are invalid."""
    deposit_receipt_version: int | None = None
    """1 from Canyon on: the receipt's nonce and version are part of the hashed form."""
    base_fee_denominator_canyon: bool = False
    extra_data: ExtraDataFormat = ExtraDataFormat.EMPTY
    l1_fee: L1FeeFormula = L1FeeFormula.BEDROCK
    operator_fee: OperatorFeeFormula = OperatorFeeFormula.NONE
    da_footprint: bool = False
    withdrawals_root_is_storage_root: bool = False
    """Header's withdrawalsRoot is the message passer's storage root; requestsHash is that of no requests."""
    create2_deployer: bool = False
    """The Create2Deployer contract is there: the block at exactly the time when this begins sets its code."""
    multicall3: bool = False
    """The Multicall3 contract is there: the block at exactly the time when this begins sets its code (Kroma alone)."""
    history_contract: bool = False
    """EIP-2935 system call at the start of a block."""
    transaction_gas_cap: Gas | None = None
    """EIP-7825; deposits are exempt."""
    selfdestruct: bool = True
    """False in Kroma's ZK-trie era: the opcode is undefined."""
    kroma_fee_split: bool = False
    """Fees go to Kroma's protocol, L1 and validator vaults."""
    state: StateCommitment = StateCommitment.MPT
    filled_transactions: int | None = None
    filled_bytes: int | None = None
    """Most that a block filled from a pool has, deposits included, for Kroma's prover; derived blocks may have more."""

    # --- engine API; clock: L2 block time
    forkchoice_version: int = 1
    """N of engine_forkchoiceUpdatedVN with attributes; without attributes it is 3 on every fork."""
    payload_version: int = 2
    """N of engine_newPayloadVN."""
    get_payload_version: int = 2
    """N of engine_getPayloadVN."""


@attrs.frozen
class Change:
    """What a fork sets: fields of `Rules`, and of its `precompiles`."""

    rules: Mapping[str, Any]
    precompiles: Mapping[str, Any] = attrs.field(factory=dict)

    def __call__(self, rules: Rules) -> Rules:
        precompiles = attrs.evolve(rules.precompiles, **self.precompiles)
        return attrs.evolve(rules, precompiles=precompiles, **self.rules)


def _set(**changes: Any) -> Change:
    return Change(changes)


def _precompiles(**changes: Any) -> Change:
    return Change({}, changes)


def _all(*steps: Change) -> Change:
    rules: dict[str, Any] = {}
    precompiles: dict[str, Any] = {}
    for step in steps:
        rules |= step.rules
        precompiles |= step.precompiles
    return Change(rules, precompiles)


_OP_FEE_RECIPIENT = bytes.fromhex("4200000000000000000000000000000000000011")

_SHARED: Mapping[Fork, Change] = {
    Fork.BEDROCK: _set(),
    Fork.REGOLITH: _set(system_deposits=False, regolith_deposits=True, l1_fee=L1FeeFormula.REGOLITH),
    Fork.CANYON: _set(
        any_ready_channel=True,
        withdrawals=True,
        deposit_receipt_version=1,
        create2_deployer=True,
        base_fee_denominator_canyon=True,
        evm=EvmRules.SHANGHAI,
        forkchoice_version=2,
    ),
    Fork.DELTA: _set(span_batches=True),
    Fork.ECOTONE: _set(
        blobs=True,
        l1_info=L1InfoFormat.ECOTONE,
        parent_beacon_root=True,
        scalar_is_packed=True,
        evm=EvmRules.CANCUN,
        l1_fee=L1FeeFormula.ECOTONE,
        forkchoice_version=3,
        payload_version=3,
        get_payload_version=3,
    ),
    Fork.FJORD: _all(
        _set(
            brotli=True,
            channel_bank_size=1_000_000_000,
            rlp_bytes_per_channel=100_000_000,
            fixed_sequencer_drift=Seconds(1800),
            l1_fee=L1FeeFormula.FASTLZ,
        ),
        _precompiles(p256_verify_gas=Gas(3450)),
    ),
    Fork.GRANITE: _all(_set(fixed_channel_timeout=50), _precompiles(bn254_pairing_cap=112_687)),
    Fork.HOLOCENE: _set(strict_order=True, eip1559_attributes=True, extra_data=ExtraDataFormat.EIP1559),
    Fork.PECTRA_BLOB_SCHEDULE: _set(cancun_blob_fee_override=False),
    Fork.ISTHMUS: _all(
        _set(
            set_code_transactions=True,
            l1_info=L1InfoFormat.ISTHMUS,
            operator_fee=OperatorFeeFormula.PER_MILLION,
            withdrawals_root_is_storage_root=True,
            history_contract=True,
            evm=EvmRules.PRAGUE,
            payload_version=4,
            get_payload_version=4,
        ),
        _precompiles(bls_g1_msm_cap=513_760, bls_g2_msm_cap=488_448, bls_pairing_cap=235_008),
    ),
    Fork.JOVIAN: _all(
        _set(
            l1_info=L1InfoFormat.JOVIAN,
            min_base_fee_attribute=True,
            extra_data=ExtraDataFormat.MIN_BASE_FEE,
            operator_fee=OperatorFeeFormula.TIMES_HUNDRED,
            da_footprint=True,
        ),
        _precompiles(bn254_pairing_cap=81_984, bls_g1_msm_cap=288_960, bls_g2_msm_cap=278_784, bls_pairing_cap=156_672),
    ),
    Fork.KARST: _all(
        _set(evm=EvmRules.OSAKA, transaction_gas_cap=Gas(2**24), get_payload_version=5),
        _precompiles(p256_verify_gas=Gas(6900), bn254_pairing_cap=57_600, modexp_bounded=True),
    ),
    Fork.LAGOON: _set(post_exec_transactions=True),
}

OP_FORKS: Mapping[Fork, Change] = dict(_SHARED)

KROMA_FORKS: Mapping[Fork, Change] = {
    Fork.BEDROCK: _set(
        l1_info_in_op_form=False,
        legacy_deposits=True,
        fee_recipient=bytes(20),
        selfdestruct=False,
        kroma_fee_split=True,
        state=StateCommitment.ZK_TRIE,
        filled_transactions=100,
        filled_bytes=2_000_000,
        # kroma-node knows no other blob schedule than Cancun's, whatever L1 does.
        cancun_blob_fee_override=True,
    ),
    Fork.REGOLITH: _SHARED[Fork.REGOLITH],
    Fork.CANYON: _SHARED[Fork.CANYON],
    Fork.DELTA: _SHARED[Fork.DELTA],
    Fork.ECOTONE: _all(_SHARED[Fork.ECOTONE], _set(multicall3=True)),
    Fork.KROMA_MPT: _set(
        l1_info_in_op_form=True,
        legacy_deposits=False,
        fee_recipient=_OP_FEE_RECIPIENT,
        selfdestruct=True,
        kroma_fee_split=False,
        state=StateCommitment.MPT,
        filled_transactions=None,
        filled_bytes=None,
    ),
    Fork.FJORD: _SHARED[Fork.FJORD],
}

ROLLUP_NODE_ONLY = frozenset({Fork.DELTA, Fork.PECTRA_BLOB_SCHEDULE})
"""Upgrades that change nothing in an engine, so that an engine's chain config does not name them."""

_OPTIONAL = frozenset({Fork.PECTRA_BLOB_SCHEDULE})
_ORDER_NOT_ENFORCED = frozenset({Fork.JOVIAN, Fork.KARST, Fork.LAGOON})
_FIRST_BLOCK_EXTRA_DATA: Mapping[Fork, bytes] = {Fork.KROMA_MPT: b"BEDROCK"}
_EMPTY_FIRST_BLOCK = frozenset({Fork.JOVIAN, Fork.KARST, Fork.LAGOON})


@attrs.frozen(kw_only=True)
class Schedule:
    """When each upgrade of a chain activates, and the rules that follow.

    `times` maps a fork to its activation time; a fork that is absent never activates. Bedrock is active from genesis.
    """

    table: Mapping[Fork, Change] = attrs.field(eq=False, repr=False)
    times: Mapping[Fork, Timestamp]
    block_time: Seconds
    _steps: tuple[tuple[int, Rules], ...] = attrs.field(init=False, eq=False, repr=False)
    _starts: tuple[int, ...] = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        active = [
            (0 if fork is Fork.BEDROCK else int(self.times[fork]), fork)
            for fork in self.table
            if fork is Fork.BEDROCK or fork in self.times
        ]
        unknown = [fork for fork in self.times if fork not in self.table]
        if unknown:
            raise ConfigError(*(f"fork {fork} is not one of this chain family's" for fork in unknown))
        # Rules at a moment: the changes of all active forks, in protocol order (not in order of time).
        steps: list[tuple[int, Rules]] = []
        override = Fork.PECTRA_BLOB_SCHEDULE in self.times
        for start in sorted({time for time, _ in active}):
            rules = Rules(cancun_blob_fee_override=override)
            for time, fork in active:
                if time <= start:
                    rules = self.table[fork](rules)
            steps.append((start, rules))
        object.__setattr__(self, "_steps", tuple(steps))
        object.__setattr__(self, "_starts", tuple(start for start, _ in steps))

    def at(self, time: int) -> Rules:
        """Rules at `time`. The caller chooses the clock (see each rule)."""
        return self._steps[bisect_right(self._starts, time) - 1][1]

    def before(self, time: Timestamp) -> Rules:
        """Rules of the block before the L2 block at `time`: an activation block still uses their L1 attributes.

        Where there is no time for a block before, they are those at `time`.
        """
        return self.at(time - self.block_time if time >= self.block_time else time)

    def reorders(self, old: Timestamp, new: Timestamp) -> bool:
        """Whether the stages of derivation change to strict order between an L1 block at `old` and the next, at `new`.

        The reference client changes its stages for the first fork alone of those that activate between the two: where
        an earlier one comes with it, the old stages stay in use until derivation starts anew.
        """
        for fork in self.table:
            if fork in self.times and old < self.times[fork] <= new:
                return self.table[fork].rules.get("strict_order") is True
        return False

    def active(self, fork: Fork, time: int) -> bool:
        """Whether `fork` is active at `time`; for configuration and upgrade transactions, not for rules."""
        return fork is Fork.BEDROCK or (fork in self.times and time >= self.times[fork])

    def activating(self, time: Timestamp) -> tuple[Fork, ...]:
        """Forks whose first L2 block is the one at `time`, in protocol order.

        A fork that is active at genesis activates in the genesis block, which is not derived.
        """
        before = time - self.block_time
        if before < 0 or bisect_right(self._starts, before) == bisect_right(self._starts, time):
            return ()  # nearly every block
        return tuple(fork for fork in self.table if fork in self.times and before < self.times[fork] <= time)

    def first_block_is_empty(self, time: Timestamp) -> bool:
        """Whether the L2 block at `time` activates a fork whose first block holds no batcher transactions.

        Judged on singular batches only, as the reference does.
        """
        return any(fork in _EMPTY_FIRST_BLOCK for fork in self.activating(time))

    def first_block_extra_data(self, time: Timestamp) -> bytes:
        """The mark that a fork leaves in the extraData of its first block, which has none otherwise.

        kroma-geth compares the block's time with the fork's, so a block after it has no mark.
        """
        return b"".join(mark for fork, mark in _FIRST_BLOCK_EXTRA_DATA.items() if self.times.get(fork) == time)

    def problems(self) -> list[str]:
        """Orders that the reference clients refuse: a fork before its predecessor, or without it."""
        return [text for fork, text in self._disorder() if fork not in _ORDER_NOT_ENFORCED]

    def warnings(self) -> list[str]:
        """Orders that no live chain has, but that the reference clients accept."""
        return [text for fork, text in self._disorder() if fork in _ORDER_NOT_ENFORCED]

    def _disorder(self) -> Iterator[tuple[Fork, str]]:
        previous: Fork | None = None
        for fork in self.table:
            if fork is Fork.BEDROCK or fork in _OPTIONAL:
                continue
            time = self.times.get(fork)
            if previous is not None and time is not None:
                before = self.times.get(previous)
                if before is None:
                    yield fork, f"fork {fork} has time {time}, but {previous} before it has none"
                elif before > time:
                    yield fork, f"fork {fork} has time {time}, before {previous} at {before}"
            previous = fork
