"""What a prover is told of one transaction while it runs: every instruction, with the accounts and code it deals with.

Spec: kroma-geth, core/vm/logger.go, core/vm/logger_trace.go.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from eth.exceptions import Revert
from eth.vm import opcode_values as op

from kroma_core.api import BlockTraceRequest, ProverStep, SeenAccount, StepWitness
from kroma_core.codec.receipts import Log
from kroma_core.errors import KromaError
from kroma_core.types import ZERO_HASH, Address
from kroma_engine_pyevm.failures import opcode_name
from kroma_engine_pyevm.frames import Frame, Instruction, Machine
from kroma_engine_pyevm.instructions import CLZ
from kroma_engine_pyevm.state import Account, WorldState
from kroma_engine_pyevm.step_costs import StepCost, StepCosts

_ADDRESS_MASK = 2**160 - 1
_STEP_BYTES = 120
"""What a step takes when it is written down, besides stack, memory and what it deals with."""
_ACCOUNT_BYTES = 220
_CALLS = frozenset((op.CALL, op.CALLCODE, op.DELEGATECALL, op.STATICCALL))
_CREATIONS = frozenset((op.CREATE, op.CREATE2))
_WITH_TARGET_CODE = _CALLS | {op.EXTCODESIZE, op.EXTCODECOPY}
_WITH_OWN_CODE = frozenset((op.CODESIZE, op.CODECOPY))
_WITH_OWN_ACCOUNT = frozenset((op.CALL, op.CALLCODE, op.SELFDESTRUCT, op.SELFBALANCE))
_WITH_TARGET_ACCOUNT = frozenset((op.CALL, op.CALLCODE, op.STATICCALL, op.SELFDESTRUCT, op.BALANCE, op.EXTCODEHASH))
_STORAGE = frozenset((op.SLOAD, op.SSTORE))
_WITNESSED = _WITH_TARGET_CODE | _WITH_OWN_CODE | _WITH_OWN_ACCOUNT | _WITH_TARGET_ACCOUNT | _CREATIONS | _STORAGE
_NAMES = [f"opcode {code:#x} not defined" if code == CLZ else opcode_name(code) for code in range(256)]
"""By opcode; what later rules added is not known to kroma-geth."""


class TraceTooLong(KromaError):
    """A trace would hold more than was asked for."""


class TraceSize:
    """How much of a block's trace there is. Raises `TraceTooLong` beyond what is wanted."""

    def __init__(self, wanted: BlockTraceRequest) -> None:
        self._wanted = wanted
        self._steps = 0
        self._bytes = 0

    def add(self, size: int) -> None:
        self._steps += 1
        self._bytes += size
        if self._steps > self._wanted.most_steps:
            raise TraceTooLong(f"the trace is too long: more than {self._wanted.most_steps} steps")
        if self._bytes > self._wanted.most_bytes:
            raise TraceTooLong(f"the trace is too long: more than {self._wanted.most_bytes} bytes")


class TracedState(WorldState):
    """The state that one transaction is traced on. What it does stays here: `before` is only read.

    Unlike in other states an account is there or not as kroma-geth has it while the transaction runs: calling an absent
    one without value does not make it, unless by STATICCALL or where it is a precompile.
    """

    def __init__(self, before: WorldState) -> None:
        super().__init__(before.trie, before.root, before.code_of_hash)
        self._before = before
        self.makes: Callable[[Address], bool] = lambda address: False
        self.at_end: Callable[[], None] = lambda: None

    def account(self, address: Address) -> Account:
        account = self._accounts.get(address)
        if account is None:
            found = self._before.account(address)
            account = Account(address, self.trie.empty_root)
            account.exists, account.root = found.exists, found.root
            account.nonce, account.balance, account.code_hash = found.nonce, found.balance, found.code_hash
            account.storage = dict(found.storage)
            self._accounts[address] = account
        return account

    def touch_account(self, address: Address) -> None:
        if self.account_exists(address) or self.makes(address):
            super().touch_account(address)

    def end_transaction(self) -> tuple[Log, ...]:
        self.at_end()
        return super().end_transaction()

    def seen(self, address: Address, slot: tuple[int, int] | None = None) -> SeenAccount:
        """The account as it is now."""
        account = self.account(address)
        return SeenAccount(
            address=address,
            nonce=account.nonce,
            balance=account.balance,
            code_hash=account.code_hash if account.exists else ZERO_HASH,
            slot=slot,
        )


@attrs.define
class _OpenStep:
    """A step with what it has to do with, as far as that is known: calls are completed when their frame ends."""

    step: ProverStep
    accounts: list[SeenAccount]
    caller: list[SeenAccount]
    codes: list[bytes]
    created: Address | None = None
    call_failed: bool = False

    def closed(self) -> ProverStep:
        witness = StepWitness(
            accounts=tuple(self.accounts),
            caller=tuple(self.caller),
            codes=tuple(self.codes),
            call_failed=self.call_failed,
        )
        return attrs.evolve(self.step, witness=witness)


class ProverTracer:
    """Looks on while one transaction to `recipient` runs on `state`.

    `touched` are the accounts and `slots` the words of storage that must be proven, both in the order in which they
    were met.
    """

    def __init__(
        self, state: TracedState, recipient: Address | None, wanted: BlockTraceRequest, size: TraceSize
    ) -> None:
        self._state = state
        self._recipient = recipient
        self._wanted = wanted
        self._size = size
        self._steps: list[ProverStep | _OpenStep] = []
        self._open: list[_OpenStep | None] = []
        """The step that opened each running frame, None for the outermost and for one that never ran."""
        self._calling: int | None = None
        self.touched: dict[Address, None] = {}
        self.slots: dict[Address, dict[int, int]] = {}
        self.created: SeenAccount | None = None
        self.output = b""

    @property
    def steps(self) -> tuple[ProverStep, ...]:
        return tuple([step.closed() if isinstance(step, _OpenStep) else step for step in self._steps])

    def on(self, machine: Machine) -> Machine:
        """The machine with this tracer looking on; nothing else may be wrapped around it yet."""
        costs, precompiles = StepCosts(machine), machine.precompiles
        self._state.makes = lambda address: self._calling == op.STATICCALL or address in precompiles
        instructions = [
            self._stepping(opcode, machine.prices[opcode], logic, costs)
            for opcode, logic in enumerate(machine.instructions)
        ]
        return attrs.evolve(machine, prices=(0,) * 256, instructions=tuple(instructions), watch=self)

    # --- frames

    def enter(self, frame: Frame, *, creates: bool) -> None:
        self._calling = None
        if not frame.succeeded:
            # A creation where something is already: the reference sees no frame.
            self._open.append(None)
            return
        message = frame.msg
        # A delegated call enters the account whose code it runs.
        to = message.storage_address if creates or message.code_address is None else message.code_address
        self.touched[to] = None
        if not self._open:
            self.touched[message.sender] = None
            if creates:
                nonce = self._state.get_nonce(to)
                self.created = SeenAccount(address=to, nonce=nonce, balance=message.value, code_hash=ZERO_HASH)
            self._open.append(None)
            return
        step = self._steps[-1]
        assert isinstance(step, _OpenStep), "no instruction but calls and creations opens a frame"
        step.accounts.append(self._state.seen(to))
        if len(step.caller) == 1:
            step.caller.append(self._state.seen(step.caller[0].address))
        if creates:
            step.created = to
        self._open.append(step)

    def leave(self, frame: Frame) -> None:
        step = self._open.pop()
        if not self._open and (frame.succeeded or isinstance(frame.failure, Revert)):
            self.output = frame.output
        if step is None:
            return
        step.call_failed = not frame.succeeded
        if step.created is not None:
            step.accounts.append(self._state.seen(step.created))
            code = self._state.get_code(step.created)
            step.codes.append(code)

    # --- steps

    def _stepping(self, opcode: int, price: int, instruction: Instruction, costs: StepCosts) -> Instruction:
        def traced(frame: Frame) -> None:
            self._note(opcode, frame, costs.of(opcode, frame))
            self._calling = opcode if opcode in _CALLS else None
            frame.consume_gas(price, "")
            instruction(frame)

        return traced

    def _note(self, opcode: int, frame: Frame, cost: StepCost) -> None:
        wanted, stack = self._wanted, frame.stack
        size = _STEP_BYTES
        size += 34 * len(stack) if wanted.stack else 0
        size += 2 * len(frame.memory) if wanted.memory else 0
        storage: tuple[tuple[int, int], ...] | None = None
        if opcode in _WITNESSED:
            accounts: list[SeenAccount] = []
            caller: list[SeenAccount] = []
            codes: list[bytes] = []
            own = frame.msg.storage_address
            if opcode not in _STORAGE:
                self._witness(opcode, own, stack, accounts, codes)
            elif wanted.storage:
                storage = self._slots(opcode, frame, accounts)
            if opcode in _CALLS or opcode in _CREATIONS:
                caller.append(self._state.seen(own))
            size += _ACCOUNT_BYTES * len(accounts) + 2 * sum(map(len, codes)) + (140 * len(storage) if storage else 0)
        self._size.add(size)
        step = ProverStep(
            pc=frame.pc - 1,
            opcode=opcode,
            name=_NAMES[opcode],
            gas=frame.gas,
            cost=cost.gas,
            depth=frame.msg.depth + 1,
            refund=frame.world.refund + cost.refund,
            stack=tuple(stack) if wanted.stack else None,
            memory=bytes(frame.memory) if wanted.memory else None,
            storage=storage,
            witness=None,
            failure=cost.failure,
        )
        if opcode in _WITNESSED and (opcode not in _STORAGE or storage is not None):
            self._steps.append(_OpenStep(step, accounts, caller, codes))
        else:
            self._steps.append(step)

    def _slots(self, opcode: int, frame: Frame, accounts: list[SeenAccount]) -> tuple[tuple[int, int], ...] | None:
        stack, own = frame.stack, frame.msg.storage_address
        if (opcode != op.SLOAD or not stack) and (opcode != op.SSTORE or len(stack) < 2):
            return None
        slot = stack[-1]
        current = self._state.get_storage(own, slot)
        seen = self.slots.setdefault(own, {})
        seen[slot] = current if opcode == op.SLOAD else stack[-2]
        accounts.append(self._state.seen(own, (slot, current)))
        return tuple(sorted(seen.items()))

    def _witness(
        self, opcode: int, own: Address, stack: list[int], accounts: list[SeenAccount], codes: list[bytes]
    ) -> None:
        place = 1 if opcode in _CALLS else 0
        target = (stack[-1 - place] & _ADDRESS_MASK).to_bytes(20, "big") if len(stack) > place else None
        if opcode in _CALLS and self._recipient is not None:
            codes.append(self._state.get_code(self._recipient))
        if opcode in _WITH_TARGET_CODE and target is not None:
            codes.append(self._state.get_code(target))
            self.touched[target] = None
        if opcode in _WITH_OWN_CODE:
            codes.append(self._state.get_code(own))
        if opcode in _WITH_OWN_ACCOUNT:
            accounts.append(self._state.seen(own))
            self.touched[own] = None
        if opcode in _WITH_TARGET_ACCOUNT and target is not None:
            accounts.append(self._state.seen(target))
            # The account that looks is proven, not the one looked at: as in the reference.
            self.touched[own] = None
