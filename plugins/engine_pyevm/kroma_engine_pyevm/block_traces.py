"""Block traces of the ZK era: a block executed again on its parent's state, written down for a prover.

Each transaction is traced on a copy of the state and then executed without looking, as kroma-geth does it. Two things
are different there from the block's own execution, and here: what the protocol does by itself before the first
transaction is not done, and a deposit, which pays nothing, sees a base fee of 0.
Spec: kroma-geth, eth/tracers/api_blocktrace.go.
"""

from __future__ import annotations

import attrs

from kroma_core.api import BlockTrace, BlockTraceRequest, NoTrace, ProverTransaction
from kroma_core.codec.deposits import decode_deposit, is_deposit
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.transactions import decode_transaction
from kroma_core.forks import StateCommitment
from kroma_core.types import ZERO_HASH, Address, Hash32, Wei
from kroma_core.zktrie import trie as zk_trie
from kroma_core.zktrie.hashing import key_of
from kroma_engine_pyevm.blocks import apply
from kroma_engine_pyevm.execution import BlockExecution
from kroma_engine_pyevm.prover_tracer import ProverTracer, TracedState, TraceSize, TraceTooLong
from kroma_engine_pyevm.signed import KROMA_L1_FEE_VAULT, PROTOCOL_VAULT, VALIDATOR_REWARD_VAULT
from kroma_engine_pyevm.state_tries import ZkState
from kroma_engine_pyevm.watching import Stopwatch

_FEE_RECIPIENTS = (PROTOCOL_VAULT, KROMA_L1_FEE_VAULT, VALIDATOR_REWARD_VAULT)


def trace_block(
    block: BlockExecution, transactions: tuple[bytes, ...], wanted: BlockTraceRequest, watch: Stopwatch
) -> BlockTrace | NoTrace:
    """The trace of a valid block with these transactions, none of which was executed yet."""
    trie = block.state.trie
    if block.rules.state is not StateCommitment.ZK_TRIE or not isinstance(trie, ZkState):
        number = block.environment.number
        return NoTrace(reason=f"block {number} is not of the ZK era: its state is no ZK trie, which provers need")
    work = _Work(block, trie, wanted, watch)
    for index, raw in enumerate(transactions):
        watch.check()
        try:
            problem = work.transaction(raw)
        except TraceTooLong as error:
            return NoTrace(reason=f"block {block.environment.number}: {error}", too_long=True)
        if problem is not None:
            where = f"block {block.environment.number}: transaction {index} (0x{keccak256(raw).hex()})"
            return NoTrace(reason=f"{where}: {problem}")
    return work.done()


class _Work:
    """What is known of a block while it is traced."""

    def __init__(self, block: BlockExecution, trie: ZkState, wanted: BlockTraceRequest, watch: Stopwatch) -> None:
        self._block = block
        self._trie = trie
        self._wanted = wanted
        self._size = TraceSize(wanted)
        self._watch = watch
        self._machine = block.machine
        block.machine = watch.on(block.machine)
        self._before = block.state.root
        """The block's own state stays at this root: what is executed is not committed."""
        self._proofs: dict[Address, tuple[bytes, ...]] = {}
        self._slots: dict[Address, dict[Hash32, tuple[bytes, ...]]] = {}
        self._recipients: dict[Address, None] = {}
        self._done: list[ProverTransaction] = []
        self._prove(block.environment.coinbase)

    def transaction(self, raw: bytes) -> str | None:
        """Trace one, and execute it; gives why it cannot be traced, if it cannot."""
        block = self._block
        deposit = decode_deposit(raw, legacy=block.rules.legacy_deposits) if is_deposit(raw) else None
        content = decode_transaction(raw) if deposit is None else deposit
        to, sender = content.to, content.sender
        environment = block.environment
        if deposit is not None:
            environment = attrs.evolve(environment, base_fee=Wei(0))
        state = TracedState(block.state)
        copy = BlockExecution(state, environment)
        copy.gas_left = block.gas_left
        tracer = ProverTracer(state, to, self._wanted, self._size)
        copy.machine = self._watch.on(tracer.on(self._machine))
        before, called = state.seen(sender), None if to is None else state.seen(to)
        found: list[ProverTransaction] = []

        def at_end() -> None:
            """Before empty accounts are deleted, and with everything else done."""
            parties = (sender, to or (tracer.created.address if tracer.created else sender), environment.coinbase)
            found.append(
                ProverTransaction(
                    gas_used=0,
                    failed=False,
                    output=tracer.output,
                    sender=before,
                    recipient=called,
                    created=tracer.created,
                    after=tuple([state.seen(address) for address in parties]),
                    steps=tracer.steps,
                )
            )
            self._prove_slots(state, tracer)

        state.at_end = at_end
        result = apply(copy, raw)
        if to is None and tracer.created is None:
            return "it was to create a contract and did not begin, so there is no account to tell the prover of"
        failed = not result.receipt.status
        self._done.append(attrs.evolve(found[0], gas_used=result.gas_used, failed=failed))
        for address in tracer.touched:
            self._prove(address)
        if deposit is None:
            for address in _FEE_RECIPIENTS:
                self._prove(address)
        if to is not None:
            self._recipients[to] = None
        apply(block, raw)
        return None

    def _prove(self, address: Address) -> None:
        if address not in self._proofs:
            self._proofs[address] = self._trie.account_proof(self._before, address)

    def _prove_slots(self, state: TracedState, tracer: ProverTracer) -> None:
        for address, words in tracer.slots.items():
            account = state.account(address)
            known = self._slots.setdefault(address, {})
            for word in words:
                slot = word.to_bytes(32, "big")
                if slot in known:
                    continue
                known[slot] = zk_trie.prove(self._trie.nodes, account.root, key_of(slot)) if account.exists else ()

    def done(self) -> BlockTrace:
        state = TracedState(self._block.state)
        codes = {}
        for address in self._recipients:
            found = state.seen(address)
            codes[address] = (found.code_hash, b"" if found.code_hash == ZERO_HASH else state.get_code(address))
        return BlockTrace(
            fee_recipient=state.seen(self._block.environment.coinbase),
            recipients=codes,
            root_before=self._before,
            proofs=self._proofs,
            storage_proofs=self._slots,
            transactions=tuple(self._done),
        )
