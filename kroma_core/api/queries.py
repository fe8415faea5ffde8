"""Optional protocols of an engine: what its states hold, what a call would do, and transactions that wait for a block.

In rollup terms, not in those of an RPC: the `eth_` methods are one way to show the answers. Every block is named by its
hash, so that what several answers say fits together. All values can be pickled.
Spec: execution-apis, "eth"; exec-engine.md, "Fees".
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

import attrs

from kroma_core.codec.headers import Header
from kroma_core.codec.receipts import Log
from kroma_core.codec.transactions import AccessList, Authorization
from kroma_core.types import Address, Hash32, L2Number


@attrs.frozen(kw_only=True)
class TransactionPlace:
    """Where a transaction of the canonical chain stands."""

    block_hash: Hash32
    number: L2Number
    index: int


@attrs.frozen(kw_only=True)
class AccountState:
    """An account after a block; an absent one has the values of an empty one."""

    nonce: int
    balance: int
    code_hash: Hash32


@attrs.frozen(kw_only=True)
class MessageCall:
    """What a transaction would do, without being one: no signature, no nonce, no fee for its data.

    `to` is None for a creation. `max_fee` and `max_priority_fee` are wei for each gas; both zero ask for no fees at
    all, and the base fee then reads as 0. With an authorisation list `to` must be given.
    """

    sender: Address
    to: Address | None
    gas: int
    value: int = 0
    data: bytes = attrs.field(default=b"", repr=False)
    max_fee: int = 0
    max_priority_fee: int = 0
    access_list: AccessList = ()
    authorizations: tuple[Authorization, ...] = ()


@attrs.frozen(kw_only=True)
class AccountOverride:
    """What an account is supposed to have before a call; None leaves it as it is.

    `storage` replaces all of it, `slots` some of it; one excludes the other. `moved_to` puts the precompile at this
    address elsewhere. A precompile that is overridden is none for the call.
    """

    nonce: int | None = None
    balance: int | None = None
    code: bytes | None = None
    storage: Mapping[int, int] | None = None
    slots: Mapping[int, int] | None = None
    moved_to: Address | None = None


@attrs.frozen(kw_only=True)
class BlockOverride:
    """What a call is supposed to see of its block; None leaves it as it is."""

    number: int | None = None
    timestamp: int | None = None
    gas_limit: int | None = None
    fee_recipient: Address | None = None
    prev_randao: Hash32 | None = None
    base_fee: int | None = None


@attrs.frozen(kw_only=True)
class Supposition:
    """What a call takes for granted instead of what its block left behind."""

    accounts: Mapping[Address, AccountOverride] = attrs.field(factory=dict)
    block: BlockOverride = BlockOverride()


class CallFailure(enum.StrEnum):
    """Why bytecode ended badly."""

    REVERTED = "execution reverted"
    OUT_OF_GAS = "out of gas"
    INVALID_OPCODE = "invalid opcode"
    STACK_UNDERFLOW = "stack underflow"
    STACK_OVERFLOW = "stack overflow"
    INVALID_JUMP = "invalid jump destination"
    WRITE_PROTECTION = "write protection"
    RETURN_DATA = "return data out of bounds"
    COLLISION = "contract address collision"
    CODE_SIZE = "max code size exceeded"
    INITCODE_SIZE = "max initcode size exceeded"
    CODE_STORE = "contract creation code storage out of gas"
    INVALID_CODE = "invalid code: must not begin with 0xef"
    DEPTH = "max call depth exceeded"
    BALANCE = "insufficient balance for transfer"
    NONCE = "nonce uint64 overflow"
    PRECOMPILE = "precompile failed"
    OTHER = "execution failed"


class Refusal(enum.StrEnum):
    """Why a transaction, or a call in its form, cannot begin."""

    INTRINSIC_GAS = "intrinsic gas too low"
    FLOOR_GAS = "insufficient gas for floor data gas cost"
    FUNDS = "insufficient funds for gas * price + value"
    VALUE = "insufficient funds for transfer"
    FEE_TOO_LOW = "max fee per gas less than block base fee"
    TIP_ABOVE_FEE = "max priority fee per gas higher than max fee per gas"
    FEE_TOO_LARGE = "max fee per gas higher than 2^256-1"
    INITCODE_SIZE = "max initcode size exceeded"
    OVERRIDE = "override"
    AUTHORIZATIONS = "EIP-7702 transaction"
    # what only a pool refuses
    KNOWN = "already known"
    UNDECODABLE = "undecodable"
    TYPE = "transaction type not supported"
    SENDER = "invalid sender"
    CHAIN_ID = "invalid chain id for signer"
    NONCE_TOO_LOW = "nonce too low"
    NONCE_MAX = "nonce has max value"
    NOT_AN_ACCOUNT = "sender not an eoa"
    GAS_LIMIT = "exceeds block gas limit"
    GAS_CAP = "transaction gas limit too high"
    UNDERPRICED = "transaction gas price below minimum"
    REPLACEMENT = "replacement transaction underpriced"
    TOO_LARGE = "oversized data"
    FULL = "txpool is full"
    TOO_MANY = "account limit exceeded"


@attrs.frozen(kw_only=True)
class Refused:
    """The transaction or call did not begin. `text` has the numbers that were compared."""

    cause: Refusal
    text: str


@attrs.frozen(kw_only=True)
class Ran:
    """The call ran, well or badly. `failure` is None where it ended well; `detail` says more about a failure.

    `gas_used` counts refunds, `peak_gas` does not: that much must be there while it runs. `accessed` are the accounts
    and slots that it had to pay access for, also in frames that were undone.
    """

    output: bytes = attrs.field(repr=False)
    gas_used: int
    peak_gas: int
    failure: CallFailure | None = None
    detail: str = ""
    accessed: AccessList = attrs.field(default=(), repr=False)


CallOutcome: TypeAlias = Ran | Refused


@attrs.frozen(kw_only=True)
class TracedLog:
    """A log, and after how many of its frame's calls it came. `index` counts in the transaction."""

    log: Log
    index: int
    position: int


@attrs.frozen(kw_only=True)
class TracedCall:
    """One frame of a transaction. `kind` is the instruction's name, CALL for the outermost call, whose `depth` is 0.

    `to` is None for a creation that failed. Gas is that of the frame; outermost, of the transaction. A deposit that
    failed before it began has kind STOP.
    """

    depth: int
    kind: str
    sender: Address
    to: Address | None
    value: int | None
    gas: int
    gas_used: int
    input: bytes = attrs.field(repr=False)
    output: bytes = attrs.field(repr=False)
    failure: CallFailure | None = None
    detail: str = ""
    logs: tuple[TracedLog, ...] = ()


@attrs.frozen(kw_only=True)
class TracedStep:
    """One instruction, as it was about to run. `cost` includes gas that it hands on to a call.

    `storage` holds what the contract's slots were seen to have, where the instruction reads or writes one.
    """

    pc: int
    opcode: int
    name: str
    gas: int
    cost: int
    depth: int
    refund: int
    stack: tuple[int, ...] | None
    memory: bytes | None = attrs.field(repr=False)
    return_data: bytes | None = attrs.field(repr=False)
    storage: tuple[tuple[int, int], ...] | None
    failure: CallFailure | None = None
    detail: str = ""


@attrs.frozen(kw_only=True)
class TraceRequest:
    """What a trace is to hold: frames always, steps up to `most_steps`, of them what the flags say.

    `most_bytes` bounds, roughly, what the steps' stacks and memories take.
    """

    most_steps: int = 0
    most_bytes: int = 64 << 20
    stack: bool = True
    memory: bool = False
    storage: bool = True
    return_data: bool = False


@attrs.frozen(kw_only=True)
class Trace:
    """What a transaction or call did. `complete` is false where there were more steps than asked for.

    `calls` are its frames in the order in which they began, each with its depth: a tree, but flat, since it may be a
    thousand levels deep. The first is the outermost.
    """

    calls: tuple[TracedCall, ...]
    gas_used: int
    steps: tuple[TracedStep, ...] = attrs.field(repr=False)
    complete: bool = True


class StateQueries(Protocol):
    """Capability `state-queries`. Every method raises `NotFound` for a block that the engine does not have.

    Calls may come at any time, also while a block is being built. One that takes too long raises `TemporaryError`;
    a cancelled one has no effect.
    """

    async def header(self, block_hash: Hash32) -> Header:
        """The header of a block, of genesis too."""
        ...

    async def headers(self, first: L2Number, count: int) -> Sequence[tuple[Hash32, Header]]:
        """Headers of the canonical chain from `first` on, upwards: fewer than `count` where the chain ends before."""
        ...

    async def canonical(self, number: L2Number) -> Hash32 | None:
        """The hash of the canonical block with a number."""
        ...

    async def locate(self, transaction_hash: Hash32) -> TransactionPlace | None:
        """Where the canonical chain has a transaction."""
        ...

    async def stored_receipts(self, block_hash: Hash32) -> tuple[bytes, ...]:
        """Receipts with the deposits' nonces, also where the receipts root leaves those out."""
        ...

    async def account(self, address: Address, block_hash: Hash32) -> AccountState:
        """An account after a block."""
        ...

    async def code(self, address: Address, block_hash: Hash32) -> bytes:
        """An account's code after a block."""
        ...

    async def storage(self, address: Address, slot: int, block_hash: Hash32) -> int:
        """A word of an account's storage after a block."""
        ...

    async def call(self, call: MessageCall, block_hash: Hash32, supposition: Supposition) -> CallOutcome:
        """What a call on top of a block's state would do, seen from inside of that block. Changes nothing."""
        ...

    async def trace_call(
        self, call: MessageCall, block_hash: Hash32, supposition: Supposition, wanted: TraceRequest
    ) -> Trace | Refused:
        """The same, step by step."""
        ...

    async def trace_transactions(
        self, block_hash: Hash32, first: int, count: int, wanted: TraceRequest
    ) -> tuple[Trace, ...]:
        """Traces of transactions of a block, executed again on the state of its parent."""
        ...


@attrs.frozen(kw_only=True)
class Pooled:
    """The transaction is in the pool now. `executable` is false while one with a lower nonce is missing."""

    hash: Hash32
    executable: bool


@attrs.frozen(kw_only=True)
class PoolContent:
    """Raw transactions by sender, in order of nonce: those that could go into the next block, and those that wait."""

    pending: Mapping[Address, tuple[bytes, ...]] = attrs.field(repr=False)
    queued: Mapping[Address, tuple[bytes, ...]] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class PoolArrivals:
    """Transactions that became executable, in order of arrival; `last` is where to ask on from."""

    last: int
    hashes: tuple[Hash32, ...]


class TxPool(Protocol):
    """Capability `tx-pool`: transactions that wait for a block, and the nonces that follow from them.

    A block whose attributes allow it (`no_tx_pool` false) takes from here after its forced transactions, the best tip
    first. What a new head includes leaves the pool; what a reorganisation took out of the chain comes back.
    """

    async def add_transaction(self, raw: bytes) -> Pooled | Refused:
        """Check a transaction against the unsafe head and keep it."""
        ...

    async def pooled_transaction(self, transaction_hash: Hash32) -> bytes | None:
        """A transaction of the pool."""
        ...

    async def pooled_nonce(self, address: Address) -> int:
        """The nonce that the account's next transaction needs, after those in the pool that can be executed."""
        ...

    async def pool_counts(self) -> tuple[int, int]:
        """How many can be executed, and how many wait."""
        ...

    async def pool_content(self) -> PoolContent:
        """Everything in the pool."""
        ...

    async def pool_arrivals(self, after: int) -> PoolArrivals:
        """What became executable after an earlier answer's `last`; 0 asks from the beginning of what is remembered."""
        ...

    async def limit_data(self, transaction: int | None, block: int | None) -> None:
        """From now on, how much data of the pool a block built here may bring to L1; None for any amount.

        In bytes that a transaction is estimated to take in a compressed batch. One above `transaction` stays in the
        pool, with what its sender has after it; those of a block come to at most `block` together. Forced transactions
        do not count. Batchers ask for it when they cannot keep up.

        Spec: fjord/exec-engine.md, "L1-Cost fees (L1 Fee Vault)".
        """
        ...
