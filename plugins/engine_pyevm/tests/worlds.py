"""Small worlds to execute in: a few accounts, one block, rules of any fork."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from kroma_engine_pyevm.environment import BlockEnvironment
from kroma_engine_pyevm.execution import BlockExecution
from kroma_engine_pyevm.state import WorldState
from kroma_engine_pyevm.state_tries import MerklePatriciaState
from kroma_engine_pyevm.store import MemoryStore
from kroma_engine_pyevm.trie import NodeCache

from kroma_core.chain.config import FORK_TABLES, Family
from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.forks import Fork, Rules, Schedule
from kroma_core.testing.scripted_rollup import all_forks_until
from kroma_core.testing.wallet import Wallet
from kroma_core.types import Address, Gas, L2Number, Seconds, Timestamp, Wei

CHAIN_ID = 901
ALICE = Wallet.named("alice")
BOB = Wallet.named("bob")
CAROL = bytes.fromhex("c0" * 20)
CONTRACT = bytes.fromhex("cc" * 20)
COINBASE = bytes.fromhex("4200000000000000000000000000000000000011")
ETHER = 10**18
BASE_FEE = 10**9


@attrs.frozen(kw_only=True)
class Account:
    balance: int = 0
    nonce: int = 0
    code: bytes = b""
    storage: Mapping[int, int] = attrs.field(factory=dict)


def rules_of(fork: Fork) -> Rules:
    schedule = Schedule(table=FORK_TABLES[Family.OP], times=all_forks_until(fork), block_time=Seconds(2))
    return schedule.at(Timestamp(1000))


def state_of(accounts: Mapping[Address, Account]) -> WorldState:
    """A state that holds these accounts in its trie."""
    store = MemoryStore()
    codes: dict[bytes, bytes] = {}
    state = WorldState(MerklePatriciaState(NodeCache(store)), EMPTY_ROOT, codes.__getitem__)
    state.load_genesis({address: (one.nonce, one.balance, one.code, one.storage) for address, one in accounts.items()})
    nodes: dict[bytes, bytes] = {}
    root = state.root_after(nodes, codes)
    store.write(nodes)
    return WorldState(MerklePatriciaState(NodeCache(store)), root, codes.__getitem__)


def block_of(
    accounts: Mapping[Address, Account],
    *,
    fork: Fork = Fork.JOVIAN,
    gas_limit: int = 30_000_000,
    base_fee: int = BASE_FEE,
) -> BlockExecution:
    """A block about to begin on a state with these accounts."""
    environment = BlockEnvironment(
        chain_id=CHAIN_ID,
        number=L2Number(10),
        timestamp=Timestamp(1000),
        coinbase=COINBASE,
        gas_limit=Gas(gas_limit),
        base_fee=Wei(base_fee),
        prev_randao=bytes(32),
        rules=rules_of(fork),
        block_hash=lambda number: number.to_bytes(32, "big"),
    )
    return BlockExecution(state_of(accounts), environment)


def rich_alice(*, nonce: int = 0) -> dict[Address, Account]:
    return {ALICE.address: Account(balance=100 * ETHER, nonce=nonce)}
