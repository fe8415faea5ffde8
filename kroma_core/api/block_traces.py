"""Optional protocol of an engine: all that a prover of Kroma's ZK era needs to know of a block.

The values are those of the trace that kroma-prover consumes; `kroma_getBlockTraceByNumberOrHash` is one way to show
them. Header and transactions are not in it: whoever asks has the block. All values can be pickled.
Spec: kroma-geth, core/types/l2trace.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import attrs

from kroma_core.types import Address, Hash32


@attrs.frozen(kw_only=True)
class SeenAccount:
    """An account at one moment of a block. One that does not exist has a code hash of zero."""

    address: Address
    nonce: int
    balance: int
    code_hash: Hash32
    slot: tuple[int, int] | None = None
    """A slot of its storage and the word in it, where an instruction is about to read or write one."""


@attrs.frozen(kw_only=True)
class StepWitness:
    """What an instruction has to do with, besides the stack."""

    accounts: tuple[SeenAccount, ...] = ()
    """Before it; of a call also the account called, as the call finds it; of a creation the new account, before its
    code runs and after."""
    caller: tuple[SeenAccount, ...] = ()
    """The account that calls or creates: before, and as the new frame finds it, if there is one."""
    codes: tuple[bytes, ...] = attrs.field(default=(), repr=False)
    """Of a call that of the transaction's recipient and that called, of a creation what it stored, else the one that
    is read or measured."""
    call_failed: bool = False
    """The frame that it opened ended badly."""


@attrs.frozen(kw_only=True)
class ProverStep:
    """One instruction, as it was about to run. `cost` includes gas that it hands on to a call.

    `storage` holds what the contract's slots were seen to have, an SSTORE with the word that it writes. `failure` tells
    why it could not run: an instruction that runs and then fails has none.
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
    storage: tuple[tuple[int, int], ...] | None
    witness: StepWitness | None
    failure: str | None = None


@attrs.frozen(kw_only=True)
class ProverTransaction:
    """What one transaction did. `recipient` is None for a creation, `created` for all else.

    `output` is what it returned, or why it reverted; empty where it failed otherwise.
    """

    gas_used: int
    failed: bool
    output: bytes = attrs.field(repr=False)
    sender: SeenAccount
    """Before it."""
    recipient: SeenAccount | None
    """Before it."""
    created: SeenAccount | None
    """The new account as its code begins to run; its code hash is zero."""
    after: tuple[SeenAccount, ...]
    """Sender, recipient or new account, and the block's fee recipient after it: empty accounts are still there."""
    steps: tuple[ProverStep, ...] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class BlockTrace:
    """What a block did, and proofs of all that it touched in the state before it.

    Proofs are lists of nodes from the root down, with the magic at their end; that of a slot has no nodes where the
    account was not there after the transaction which touched it first.
    """

    fee_recipient: SeenAccount
    """After the block."""
    recipients: Mapping[Address, tuple[Hash32, bytes]] = attrs.field(repr=False)
    """Hash and bytes of the code that each transaction's recipient has after the block; hash zero for an absent one."""
    root_before: Hash32
    proofs: Mapping[Address, tuple[bytes, ...]] = attrs.field(repr=False)
    storage_proofs: Mapping[Address, Mapping[Hash32, tuple[bytes, ...]]] = attrs.field(repr=False)
    transactions: tuple[ProverTransaction, ...] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class BlockTraceRequest:
    """How much a trace may hold and is to show.

    `most_bytes` bounds, roughly, what stacks, memories and codes take when they are written down.
    """

    most_steps: int = 2_000_000
    most_bytes: int = 512 << 20
    stack: bool = True
    memory: bool = False
    storage: bool = True
    """With it false, slots that are read and written are not recorded, nor proven."""


@attrs.frozen(kw_only=True)
class NoTrace:
    """The block has no such trace, and why; with `too_long` because it would exceed what was asked for."""

    reason: str
    too_long: bool = False


class BlockTraces(Protocol):
    """Capability `block-traces`: blocks of Kroma's ZK era, executed again for a prover."""

    async def trace_block(self, block_hash: Hash32, wanted: BlockTraceRequest) -> BlockTrace | NoTrace:
        """What a block did. As kroma-geth does, the protocol's own changes before its first transaction are left out.

        Raises `NotFound` for a block that the engine does not have, and `TemporaryError` where it takes too long. May
        come at any time; a cancelled call has no effect.
        """
        ...
