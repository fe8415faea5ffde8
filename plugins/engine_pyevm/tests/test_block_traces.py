"""What a block trace says of single instructions. Expected values follow kroma-geth's logger and gas table.

Whole traces of kroma-geth are in tests/vectors/test_block_traces.py.
"""

from __future__ import annotations

from kroma_engine_pyevm.block_traces import trace_block
from kroma_engine_pyevm.environment import BlockEnvironment
from kroma_engine_pyevm.execution import BlockExecution
from kroma_engine_pyevm.state import WorldState
from kroma_engine_pyevm.state_tries import ZkState
from kroma_engine_pyevm.watching import Stopwatch

from kroma_core.api import BlockTrace, BlockTraceRequest, NoTrace, ProverStep, ProverTransaction
from kroma_core.codec.deposits import DepositTransaction
from kroma_core.codec.keccak import EMPTY_HASH, keccak256
from kroma_core.forks import KROMA_FORKS, Fork, Schedule
from kroma_core.testing.wallet import Wallet
from kroma_core.types import ZERO_HASH, Address, Gas, Hash32, L2Number, Seconds, Timestamp, Wei
from kroma_core.zktrie.nodes import EMPTY_ROOT, ENCODED_EMPTY
from kroma_core.zktrie.proof import MAGIC
from kroma_core.zktrie.trie import NodeCache

ALICE = Wallet.named("alice")
CONTRACT: Address = b"\xc0" * 20
OTHER: Address = b"\x07" * 20
BASE_FEE = 1000
TIMES = dict.fromkeys((Fork.REGOLITH, Fork.CANYON, Fork.DELTA, Fork.ECOTONE), Timestamp(0))
RULES = Schedule(table=KROMA_FORKS, times=TIMES, block_time=Seconds(2)).at(1)


def deposit(gas: int = 1_000_000, to: Address | None = CONTRACT, value: int = 0, data: bytes = b"") -> bytes:
    return DepositTransaction(
        source_hash=bytes(32), sender=ALICE.address, to=to, value=value, gas=Gas(gas), data=data
    ).encode_legacy()


def traced(*transactions: bytes, code: bytes = b"", balance: int = 0) -> BlockTrace | NoTrace:
    """A block on a state with Alice, who is rich, and a contract with this code."""
    codes: dict[Hash32, bytes] = {}
    state = WorldState(ZkState(NodeCache({})), EMPTY_ROOT, codes.__getitem__)
    state.suppose(ALICE.address, balance=10**20)
    state.suppose(CONTRACT, code=code, nonce=1, balance=balance)
    environment = BlockEnvironment(
        chain_id=901,
        number=L2Number(5),
        timestamp=Timestamp(10),
        coinbase=bytes(20),
        gas_limit=Gas(30_000_000),
        base_fee=Wei(BASE_FEE),
        prev_randao=bytes(32),
        rules=RULES,
        block_hash=lambda number: bytes(32),
    )
    return trace_block(BlockExecution(state, environment), transactions, BlockTraceRequest(), Stopwatch(60))


def told(code: str, *, gas: int = 1_000_000, balance: int = 0) -> tuple[BlockTrace, ProverTransaction]:
    """The trace of a block with one deposit that runs this code, and of that deposit."""
    trace = traced(deposit(gas), code=bytes.fromhex(code), balance=balance)
    assert isinstance(trace, BlockTrace), trace
    return trace, trace.transactions[0]


def last(code: str, *, gas: int = 1_000_000, balance: int = 0) -> ProverStep:
    return told(code, gas=gas, balance=balance)[1].steps[-1]


def pushed(address: Address) -> str:
    return "73" + address.hex()


def test_selfdestruct_is_priced_and_then_fails() -> None:
    plain = last(pushed(OTHER) + "ff")
    assert (plain.name, plain.cost, plain.failure) == ("SELFDESTRUCT", 5000 + 2600, None)
    rich, done = told(pushed(OTHER) + "ff", balance=5)
    assert done.steps[-1].cost == 5000 + 2600 + 25_000
    assert done.failed
    assert done.gas_used == 1_000_000
    assert last("30ff").cost == 5000
    witness = done.steps[-1].witness
    assert witness is not None
    assert [seen.address for seen in witness.accounts] == [CONTRACT, OTHER]
    assert OTHER not in rich.proofs


def test_instructions_that_cannot_run_say_why_and_what_they_would_cost() -> None:
    for code, gas, cost, failure in (
        ("01", 50_000, 3, "stack underflow (0 <=> 2)"),
        ("5f" * 1024 + "30", 50_000, 2, "stack limit reached 1024 (1023)"),
        ("60016000f3", 21_003, 3, "out of gas"),
        # Memory: its price, no price beyond what is priced, and beyond 64 bits.
        ("600163010000005200", 100_000, 3 + 3 * 524_289 + 524_289**2 // 512, "out of gas"),
        ("600164200000000052", 100_000, 3, "out of gas"),
        ("600167ffffffffffffffff52", 100_000, 3, "gas uint64 overflow"),
        ("6805000000000000000060002060", 100_000, 30, "gas uint64 overflow"),
        # All parts of a price at once, refunds too.
        ("6101006000" + "20", 21_000 + 6 + 40, 30 + 8 * 6 + 8 * 3, "out of gas"),
        ("6001600055", 21_000 + 6 + 2300, 0, "out of gas"),
        ("6001600055", 21_000 + 6 + 2301, 22_100, "out of gas"),
        ("600054", 21_000 + 3 + 2099, 2100, "out of gas"),
        ("6000" * 5 + pushed(OTHER) + "5af1", 21_000 + 18 + 2 + 2599, 100, "out of gas"),
        (
            "6000" * 4 + "6001" + pushed(OTHER) + "5af1",
            21_000 + 18 + 2 + 3000,
            2600 + 9000 + 25_000 + 3000,
            "out of gas",
        ),
        ("600060006000f0", 21_000 + 9 + 31_999, 32_000, "out of gas"),
        ("61c0016000" + "6000" + "f0", 100_000, 32_000, "out of gas"),
        ("60006000a0", 21_000 + 6 + 374, 375, "out of gas"),
        ("6101006002" + "0a", 21_000 + 6 + 109, 10 + 2 * 50, "out of gas"),
    ):
        step = last(code, gas=gas)
        assert (step.cost, step.failure) == (cost, failure), code


def test_instructions_that_run_and_then_fail_say_nothing() -> None:
    for code, name, cost in (
        ("0c", "opcode 0xc not defined", 0),
        ("1e", "opcode 0x1e not defined", 0),
        ("fe", "INVALID", 0),
        ("60ff56", "JUMP", 8),
        ("6001600060003e", "RETURNDATACOPY", 3 + 3 + 3),
        ("60006000fd", "REVERT", 0),
    ):
        step = last(code)
        assert (step.name, step.cost, step.failure) == (name, cost, None)


def test_an_sstore_tells_its_refund_and_the_word_before_it() -> None:
    _, done = told("6005600055" + "6000600055")
    stores = [step for step in done.steps if step.name == "SSTORE"]
    assert [step.cost for step in stores] == [22_100, 100]
    assert [step.refund for step in stores] == [0, 19_900]
    assert [step.storage for step in stores] == [((0, 5),), ((0, 0),)]
    seen = [step.witness.accounts[0] for step in stores if step.witness is not None]
    assert [(one.address, one.slot) for one in seen] == [(CONTRACT, (0, 0)), (CONTRACT, (0, 5))]


def test_a_deposit_sees_a_base_fee_of_zero_and_leaves_the_real_one() -> None:
    signed = ALICE.dynamic_fee(
        chain_id=901, nonce=1, to=CONTRACT, value=0, gas=100_000, tip=1, fee_cap=10**6, data=b""
    )  # fmt: skip
    trace = traced(deposit(), signed, code=bytes.fromhex("48600055"))
    assert isinstance(trace, BlockTrace)
    words = []
    for done in trace.transactions:
        store = done.steps[-2]
        assert store.stack is not None
        assert store.witness is not None
        words.append((store.stack[0], store.witness.accounts[0].slot))
    assert words == [(0, (0, 0)), (BASE_FEE, (0, BASE_FEE))]
    vaults = {bytes.fromhex(f"42{0:034x}{last:04x}") for last in (6, 7, 8)}
    assert vaults <= trace.proofs.keys()


def test_a_creation_shows_the_account_before_its_code_and_after() -> None:
    # Returns one byte of memory, 0, as the new contract's code; the creator gives it 3 wei.
    creation = "6960016000f3000000000060005260" + "0a" + "6016" + "6003" + "f0"
    _, done = told(creation, balance=10)
    [step] = [step for step in done.steps if step.name == "CREATE"]
    witness = step.witness
    assert witness is not None
    before, after = witness.accounts
    assert before.address == after.address
    assert (before.nonce, before.balance, before.code_hash) == (1, 3, EMPTY_HASH)
    assert (after.nonce, after.balance, after.code_hash) == (1, 3, keccak256(b"\0"))
    assert witness.codes == (b"\0",)
    assert not witness.call_failed
    assert [(seen.address, seen.nonce, seen.balance) for seen in witness.caller] == [
        (CONTRACT, 1, 10),
        (CONTRACT, 2, 7),
    ]


def test_a_failed_creation_leaves_no_account() -> None:
    trace, done = told("60fe60005360" + "01" + "6000" + "6000" + "f0")
    [step] = [step for step in done.steps if step.name == "CREATE"]
    witness = step.witness
    assert witness is not None
    assert witness.call_failed
    before, after = witness.accounts
    assert (before.nonce, before.code_hash) == (1, EMPTY_HASH)
    assert (after.nonce, after.balance, after.code_hash) == (0, 0, ZERO_HASH)
    assert witness.codes == (b"",)
    assert before.address in trace.proofs


def test_a_call_of_an_absent_account_makes_it_only_where_the_client_does() -> None:
    calls = {
        "CALL": "6000" * 5 + pushed(OTHER) + "5af1",
        "STATICCALL": "6000" * 4 + pushed(OTHER) + "5afa",
        "DELEGATECALL": "6000" * 4 + pushed(OTHER) + "5af4",
    }
    found = {}
    for name, code in calls.items():
        trace, done = told(code + "00")
        [step] = [step for step in done.steps if step.name == name]
        assert step.witness is not None
        assert OTHER in trace.proofs
        assert step.witness.codes == (bytes.fromhex(code + "00"), b"")
        assert len(step.witness.caller) == 2
        found[name] = [seen.code_hash for seen in step.witness.accounts if seen.address == OTHER]
    assert found == {
        "CALL": [ZERO_HASH, ZERO_HASH],
        "STATICCALL": [ZERO_HASH, EMPTY_HASH],
        "DELEGATECALL": [ZERO_HASH],
    }


def test_a_call_without_the_money_has_no_frame() -> None:
    _, done = told("6000" * 4 + "6001" + pushed(OTHER) + "5af1" + "00")
    [step] = [step for step in done.steps if step.name == "CALL"]
    assert step.witness is not None
    assert [len(step.witness.caller), len(step.witness.accounts)] == [1, 2]
    assert not step.witness.call_failed


def test_who_looks_at_an_account_is_proven_and_not_whom_it_looks_at() -> None:
    for code, proven in (("31", False), ("3f", False), ("3b", True)):
        trace, done = told(pushed(OTHER) + code + "00")
        assert (OTHER in trace.proofs) == proven
        assert done.steps[1].witness is not None


def test_slots_of_a_new_contract_are_proven_in_an_empty_trie_and_of_a_gone_one_not_at_all() -> None:
    stores = bytes.fromhex("6005600055")
    kept = traced(deposit(to=None, data=stores))
    assert isinstance(kept, BlockTrace)
    created = kept.transactions[0].created
    assert created is not None
    assert (created.nonce, created.code_hash) == (1, ZERO_HASH)
    assert kept.transactions[0].recipient is None
    assert kept.storage_proofs == {created.address: {bytes(32): (ENCODED_EMPTY, MAGIC)}}
    gone = traced(deposit(to=None, data=stores + b"\xfe"))
    assert isinstance(gone, BlockTrace)
    assert gone.storage_proofs == {created.address: {bytes(32): ()}}
    assert [seen.code_hash for seen in gone.transactions[0].after[1:]] == [ZERO_HASH, ZERO_HASH]


def test_a_deposit_that_never_began_is_told_without_steps_and_one_that_creates_not_at_all() -> None:
    trace = traced(deposit(gas=20_000))
    assert isinstance(trace, BlockTrace)
    [done] = trace.transactions
    assert (done.failed, done.gas_used, done.steps, done.output) == (True, 20_000, (), b"")
    assert ALICE.address not in trace.proofs
    refused = traced(deposit(to=None, value=10**30))
    assert isinstance(refused, NoTrace)
    assert refused.reason.startswith("block 5: transaction 0 (0x")
    assert not refused.too_long
