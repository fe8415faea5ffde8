"""What a node tells its observers. Values only; every verdict of derivation is one of them.

A verdict names what was judged, the outcome, the rule in the spec, and the numbers that were compared, so that an
explanation is a reader of events and not a second implementation of the rules.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import attrs

from kroma_core.errors import DataMissing, EngineSyncing, KromaError
from kroma_core.l1 import L1Heads
from kroma_core.types import BlockId, L1Ref, L2Ref

Number: TypeAlias = int | str | bytes


class Outcome(enum.StrEnum):
    """What became of an input."""

    ACCEPTED = "accepted"
    DROPPED = "dropped"
    UNDECIDED = "undecided"
    FUTURE = "future"
    PAST = "past"


class Subject(enum.StrEnum):
    """The kind of input that was judged."""

    TRANSACTION = "transaction"
    DATA = "data"
    FRAME = "frame"
    CHANNEL = "channel"
    BATCH = "batch"
    SPAN_BATCH = "span batch"
    CONFIG_UPDATE = "config update"
    ATTRIBUTES = "attributes"
    BLOCK = "block"


@attrs.frozen
class BatchPlace:
    """Where a batch was read: its channel, and its number in it, from 0."""

    channel_id: bytes
    index: int

    def __str__(self) -> str:
        return f"{self.channel_id.hex()}:{self.index}"


@attrs.frozen(kw_only=True)
class Verdict:
    """Derivation judged an input.

    `name` identifies the subject (a transaction hash, `channel/frame`, a batch's first timestamp); `reason` is a member
    of an enumeration beside the rule that judged; `rule` quotes the spec's page and section; `numbers` holds what was
    compared, by name; `origin` is the L1 block that was being read; `place` is that of the batch that was judged, or
    that the attributes are of.
    """

    subject: Subject
    name: str
    outcome: Outcome
    reason: enum.StrEnum
    rule: str
    numbers: tuple[tuple[str, Number], ...] = ()
    origin: BlockId | None = None
    place: BatchPlace | None = None


@attrs.frozen(kw_only=True)
class InboxRead:
    """A transaction of the batcher was taken up. `inputs` is how many its data made: 0 where it carries none."""

    transaction: bytes
    index: int
    type: int
    blobs: int
    inputs: int
    origin: BlockId


@attrs.frozen
class FrameSeen:
    """A frame as it stands in an input, whatever becomes of it. `size` in bytes of data."""

    channel_id: bytes
    number: int
    size: int
    is_last: bool


@attrs.frozen(kw_only=True)
class FramesRead:
    """An input was taken apart into frames; verdicts on them follow before the next input is.

    `input` is the hash of its transaction and its number there: `hash/0`.
    """

    input: str
    size: int
    frames: tuple[FrameSeen, ...]
    origin: BlockId


@attrs.frozen(kw_only=True)
class ChannelRead:
    """A channel was complete and its batches were read. Sizes in bytes; `opened` and `origin` are L1 numbers."""

    channel_id: bytes
    frames: int
    compressed: int
    decompressed: int
    compression: str
    batches: int
    opened: int
    origin: BlockId | None = None


@attrs.frozen(kw_only=True)
class L1Traversed:
    """Derivation has taken up an L1 block."""

    block: L1Ref


@attrs.frozen(kw_only=True)
class BlockDerived:
    """An L2 block became (locally) safe. `batch` is singular, span, empty or deposits-only; `place` says which one."""

    block: L2Ref
    derived_from: BlockId
    batch: str
    transactions: int
    gas_used: int
    consolidated: bool
    place: BatchPlace | None = None


@attrs.frozen(kw_only=True)
class HeadsMoved:
    """The node's heads changed."""

    unsafe: BlockId
    safe: BlockId
    finalized: BlockId
    derived_l1: BlockId


@attrs.frozen(kw_only=True)
class PipelineReset:
    """Derivation began anew from a safe block that holds."""

    reason: str
    safe: BlockId
    l1_start: BlockId


class Asked(enum.StrEnum):
    """Of whom something was asked that is asked again."""

    L1 = "l1"
    L1_HEADS = "l1 heads"
    DATA = "data"
    ENGINE = "engine"
    UNSAFE = "unsafe"
    """The engine, for a block that no L1 data confirm yet."""
    DERIVATION = "derivation"
    """Derivation as a whole, which begins anew."""
    OTHER = "other"


class Trouble(enum.StrEnum):
    """Why something is asked again."""

    SILENT = "silent"
    """No answer, or none that can be used."""
    SYNCING = "syncing"
    """The engine answers that it is not as far yet."""
    MISSING = "missing"
    """Data that L1 names, which nobody has."""

    @classmethod
    def of(cls, error: KromaError) -> Trouble:
        if isinstance(error, EngineSyncing):
            return cls.SYNCING
        return cls.MISSING if isinstance(error, DataMissing) else cls.SILENT


@attrs.frozen(kw_only=True)
class Retrying:
    """A part did not answer; the call is tried again after `delay` seconds."""

    part: str
    what: str
    error: str
    attempt: int
    delay: float
    asked: Asked = Asked.OTHER
    """OTHER also where a part tells what it tries by itself: its role says the rest."""
    trouble: Trouble = Trouble.SILENT


@attrs.frozen(kw_only=True)
class L1HeadsChanged:
    """The L1 source shows other heads than before."""

    heads: L1Heads


@attrs.frozen(kw_only=True)
class L1Reorganised:
    """Derivation met an L1 chain that does not continue what it has read; `depth` blocks are given up."""

    depth: int
    old: BlockId
    new: BlockId


@attrs.frozen(kw_only=True)
class UnsafePayload:
    """A block came that no L1 data confirms yet. `outcome` says what became of it, `source` who brought it."""

    block: BlockId
    source: str
    outcome: str
    queued: int
    """Blocks in the queue of unsafe payloads after this."""


@attrs.frozen(kw_only=True)
class RequestAnswered:
    """A part asked something of a server. `outcome` is `ok` or the kind of failure; `seconds` the time it took."""

    part: str
    server: str
    """The server without credentials: scheme, host and port."""
    method: str
    seconds: float
    outcome: str
    count: int = 1
    """Calls of that method in one batch."""


@attrs.frozen(kw_only=True)
class RequestServed:
    """One of the node's own servers has answered. `outcome` is `ok` or `rpc_<code>`; `method` is one it knows."""

    server: str
    """The profile's table: rpc, eth, authrpc."""
    method: str
    seconds: float
    outcome: str
    error: str = ""
    """Where a method broke that does not know why itself: a mistake in the program, to be reported."""


@attrs.frozen(kw_only=True)
class SourceDistrusted:
    """A server lagged, contradicted itself or the hashes; it is asked last until `seconds` have passed."""

    part: str
    server: str
    reason: str
    seconds: float


@attrs.frozen(kw_only=True)
class Searching:
    """A search that takes long is still going on: how far it has come, towards what, in numbers of blocks."""

    part: str
    what: str
    at: int
    towards: int


@attrs.frozen(kw_only=True)
class StateMigrating:
    """The state after a block is brought into another kind of trie: how many accounts are there by now.

    `slots` are those of the next account, where it has so many that it takes long. Once told with `complete`, the block
    after it can be executed. A start in between goes on where the last one was.
    """

    part: str
    block: int
    accounts: int
    slots: int = 0
    complete: bool


@attrs.frozen(kw_only=True)
class StoreSetAside:
    """A file of the node is damaged; it was renamed to `path`, and a new one was begun."""

    store: str
    path: str
    reason: str


@attrs.frozen(kw_only=True)
class Warned:
    """A part was told to work in a way that is not safe, or finds itself in a state that an operator should know of."""

    part: str
    warning: str


@attrs.frozen(kw_only=True)
class Noted:
    """A part says how things are with it, where nothing is amiss: what it found, how it works, a sum at its end."""

    part: str
    text: str


@attrs.frozen(kw_only=True)
class PartDetached:
    """A part that the node can do without failed and is no longer asked."""

    part: str
    error: str


@attrs.frozen(kw_only=True)
class FollowerAttached:
    """A part in the shadow of another is open, and what the leading one does is compared with it from now on."""

    part: str


@attrs.frozen(kw_only=True)
class FollowerDetached:
    """A part in the shadow of another is compared with no longer: it failed, or it has parted from the leading one.

    `delay`: seconds until it is opened again; None where it is not, before the node's next start.
    """

    part: str
    reason: str
    delay: float | None


@attrs.frozen(kw_only=True)
class FollowerBehind:
    """A part in the shadow of another has not come as far as the leading one, which is no divergence.

    `dropped` steps of the leading one were given up just now, because more waited than a queue may hold.
    """

    part: str
    at: str
    waiting: int
    dropped: int
    reason: str


@attrs.frozen(kw_only=True)
class FollowerAgreed:
    """A part in the shadow of another gave the same. `at` names the place, `compared` counts since the node began."""

    part: str
    at: str
    compared: int
    waiting: int


@attrs.frozen(kw_only=True)
class Diverged:
    """Two parts that were asked the same gave different answers.

    `at` names the place, `fields` what differs, as `name: the leading one's value, the other's`; `bundle` is the file
    with all of it; `verdict` says what follows from it.
    """

    leader: str
    part: str
    at: str
    fields: tuple[str, ...]
    bundle: str
    verdict: str


@attrs.frozen(kw_only=True)
class Outvoted:
    """Most parts give what the leading one gives: the divergence of this one is settled, and counts against it."""

    leader: str
    part: str
    at: str
    verdict: str


Event: TypeAlias = (
    Verdict
    | InboxRead
    | FramesRead
    | ChannelRead
    | L1Traversed
    | BlockDerived
    | HeadsMoved
    | PipelineReset
    | Retrying
    | L1HeadsChanged
    | L1Reorganised
    | UnsafePayload
    | RequestAnswered
    | RequestServed
    | SourceDistrusted
    | Searching
    | StateMigrating
    | StoreSetAside
    | Warned
    | Noted
    | PartDetached
    | FollowerAttached
    | FollowerDetached
    | FollowerBehind
    | FollowerAgreed
    | Diverged
    | Outvoted
)
