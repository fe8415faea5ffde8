"""The world state while a block runs: accounts in memory over the trie, with a journal to undo what a call did.

py-evm's own account database journals through several layers of copied mappings and writes through a trie per
transaction; this one keeps plain values, undoes from a list, and touches the trie once per block.
Spec: yellow paper, section 4.1; EIP-158, EIP-2929, EIP-3529, EIP-1153, EIP-6780.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

from kroma_core.codec.keccak import EMPTY_HASH, keccak256
from kroma_core.codec.receipts import Log
from kroma_core.types import Address, Hash32, Wei
from kroma_engine_pyevm.state_tries import StateTrie, StoredAccount

_U256_MASK = 2**256 - 1


class Account:
    """An account as the running block sees it.

    `exists` is false for an address the state does not have. `root` is the storage root at the last commit, the empty
    one for an account created since. `storage` holds every slot that was read or written, `unwritten` the slots whose
    value the trie does not have yet, `original` the values at the start of the transaction of slots it has written.
    """

    __slots__ = (
        "address", "balance", "code_hash", "empty_root", "exists", "nonce", "original", "root", "storage", "unwritten",
    )  # fmt: skip

    def __init__(self, address: Address, empty_root: Hash32) -> None:
        self.address = address
        self.empty_root = empty_root
        self.exists = False
        self.clear()

    def clear(self) -> None:
        """Forget everything that a deleted account has."""
        self.nonce = 0
        self.balance = 0
        self.code_hash: Hash32 = EMPTY_HASH
        self.root: Hash32 = self.empty_root
        self.storage: dict[int, int] = {}
        self.unwritten: set[int] = set()
        self.original: dict[int, int] = {}

    @property
    def is_empty(self) -> bool:
        """Without nonce, balance and code. Spec: EIP-161."""
        return not self.nonce and not self.balance and self.code_hash == EMPTY_HASH


class _Undo(enum.IntEnum):
    """What an entry of the journal undoes."""

    BALANCE = enum.auto()
    NONCE = enum.auto()
    CODE = enum.auto()
    STORAGE = enum.auto()
    EXISTENCE = enum.auto()
    TRANSIENT = enum.auto()
    REFUND = enum.auto()
    WARM_ADDRESS = enum.auto()
    WARM_SLOT = enum.auto()
    LOG = enum.auto()
    CREATED = enum.auto()
    DESTROYED = enum.auto()
    TOUCHED = enum.auto()


class WorldState:
    """The state at one root, changed by one block at a time.

    The journal covers one transaction: `snapshot` and `revert` work within it, `end_transaction` makes its changes
    final. `root_after` computes the new root and leaves this object at it.
    """

    def __init__(self, trie: StateTrie, root: Hash32, code: Callable[[Hash32], bytes]) -> None:
        self.root = root
        self.trie = trie
        self.loaded = 0
        """Accounts and slots held in memory."""
        self._code = code
        self._accounts: dict[Address, Account] = {}
        self._changed: set[Address] = set()
        """Accounts that differ from the trie."""
        self._touched: set[Address] = set()
        """Accounts that this transaction touched; empty ones among them are deleted at its end."""
        self._new_code: dict[Hash32, bytes] = {}
        self._journal: list[tuple[Any, ...]] = []
        self._transient: dict[tuple[Address, int], int] = {}
        self.refund = 0
        self.logs: list[Log] = []
        self.created: set[Address] = set()
        """Contracts created in this transaction."""
        self._destroyed: set[Address] = set()
        self.warm_addresses: set[Address] = set()
        self.warm_slots: set[tuple[Address, int]] = set()

    # --- accounts

    def account(self, address: Address) -> Account:
        """The account at `address`, loaded if need be; one that does not exist is there with `exists` false."""
        account = self._accounts.get(address)
        if account is None:
            account = Account(address, self.trie.empty_root)
            stored = self.trie.account(self.root, address)
            if stored is not None:
                account.exists = True
                account.nonce, account.balance, account.root, account.code_hash = stored
            self._accounts[address] = account
            self.loaded += 1
        return account

    def _for_change(self, address: Address) -> Account:
        account = self.account(address)
        if address not in self._touched:
            self._touched.add(address)
            self._journal.append((_Undo.TOUCHED, address))
        if not account.exists:
            account.exists = True
            self._journal.append((_Undo.EXISTENCE, account))
        return account

    def account_exists(self, address: Address) -> bool:
        return self.account(address).exists

    def account_is_empty(self, address: Address) -> bool:
        """Also true of an account that does not exist."""
        return self.account(address).is_empty

    def has_code_or_nonce(self, address: Address) -> bool:
        account = self.account(address)
        return account.nonce != 0 or account.code_hash != EMPTY_HASH

    def has_storage(self, address: Address) -> bool:
        """Whether the account's storage trie was not empty before this block. Spec: EIP-7610."""
        return self.account(address).root != self.trie.empty_root

    def touch_account(self, address: Address) -> None:
        self._for_change(address)

    def get_balance(self, address: Address) -> int:
        return self.account(address).balance

    def set_balance(self, address: Address, balance: int) -> None:
        account = self._for_change(address)
        self._journal.append((_Undo.BALANCE, account, account.balance))
        account.balance = balance

    def delta_balance(self, address: Address, amount: int) -> None:
        """Add to a balance, which wraps around at 256 bits: deposits may mint any amount, again and again."""
        account = self._for_change(address)
        self._journal.append((_Undo.BALANCE, account, account.balance))
        account.balance = (account.balance + amount) & _U256_MASK

    def add_balance(self, address: Address, amount: Wei | int) -> None:
        """Credit an account; with nothing, merely touch it."""
        self.delta_balance(address, amount)

    def get_nonce(self, address: Address) -> int:
        return self.account(address).nonce

    def set_nonce(self, address: Address, nonce: int) -> None:
        account = self._for_change(address)
        self._journal.append((_Undo.NONCE, account, account.nonce))
        account.nonce = nonce

    # --- code

    def get_code_hash(self, address: Address) -> Hash32:
        return self.account(address).code_hash

    def get_code(self, address: Address) -> bytes:
        code_hash = self.account(address).code_hash
        if code_hash == EMPTY_HASH:
            return b""
        return self.code_of_hash(code_hash)

    def code_of_hash(self, code_hash: Hash32) -> bytes:
        code = self._new_code.get(code_hash)
        return self._code(code_hash) if code is None else code

    def set_code(self, address: Address, code: bytes) -> None:
        account = self._for_change(address)
        self._journal.append((_Undo.CODE, account, account.code_hash))
        account.code_hash = keccak256(code)
        if code:
            self._new_code[account.code_hash] = code

    # --- storage

    def get_storage(self, address: Address, slot: int, from_journal: bool = True) -> int:
        """A slot's value now; with `from_journal` false, at the start of the transaction."""
        account = self.account(address)
        if not from_journal:
            original = account.original.get(slot)
            if original is not None:
                return original
        value = account.storage.get(slot)
        if value is None:
            value = self.trie.word(account.root, slot)
            account.storage[slot] = value
            self.loaded += 1
        return value

    def set_storage(self, address: Address, slot: int, value: int) -> None:
        before = self.get_storage(address, slot)
        account = self._for_change(address)
        if before == value:
            return
        self._journal.append((_Undo.STORAGE, account, slot, before))
        account.original.setdefault(slot, before)
        account.storage[slot] = value
        account.unwritten.add(slot)

    def get_transient_storage(self, address: Address, slot: int) -> int:
        return self._transient.get((address, slot), 0)

    def set_transient_storage(self, address: Address, slot: int, value: int) -> None:
        key = (address, slot)
        self._journal.append((_Undo.TRANSIENT, key, self._transient.get(key, 0)))
        self._transient[key] = value

    # --- what a transaction gathers

    def add_refund(self, amount: int) -> None:
        self._journal.append((_Undo.REFUND, self.refund))
        self.refund += amount

    def add_log(self, log: Log) -> None:
        self._journal.append((_Undo.LOG,))
        self.logs.append(log)

    def mark_created(self, address: Address) -> None:
        """A contract is being created here: until the transaction ends, SELFDESTRUCT removes it. Spec: EIP-6780."""
        if address not in self.created:
            self._journal.append((_Undo.CREATED, address))
            self.created.add(address)

    def destroy(self, address: Address) -> None:
        """Delete the account when the transaction ends."""
        if address not in self._destroyed:
            self._journal.append((_Undo.DESTROYED, address))
            self._destroyed.add(address)

    def is_address_warm(self, address: Address) -> bool:
        return address in self.warm_addresses

    def mark_address_warm(self, address: Address) -> None:
        if address not in self.warm_addresses:
            self._journal.append((_Undo.WARM_ADDRESS, address))
            self.warm_addresses.add(address)

    def mark_storage_warm(self, address: Address, slot: int) -> None:
        key = (address, slot)
        if key not in self.warm_slots:
            self._journal.append((_Undo.WARM_SLOT, key))
            self.warm_slots.add(key)

    # --- undoing

    def snapshot(self) -> int:
        return len(self._journal)

    def revert(self, snapshot: int) -> None:
        """Undo what was done since `snapshot`."""
        journal = self._journal
        while len(journal) > snapshot:
            entry = journal.pop()
            match entry[0]:
                case _Undo.BALANCE:
                    entry[1].balance = entry[2]
                case _Undo.STORAGE:
                    entry[1].storage[entry[2]] = entry[3]
                case _Undo.NONCE:
                    entry[1].nonce = entry[2]
                case _Undo.CODE:
                    entry[1].code_hash = entry[2]
                case _Undo.EXISTENCE:
                    entry[1].exists = False
                case _Undo.WARM_ADDRESS:
                    self.warm_addresses.discard(entry[1])
                case _Undo.WARM_SLOT:
                    self.warm_slots.discard(entry[1])
                case _Undo.LOG:
                    self.logs.pop()
                case _Undo.REFUND:
                    self.refund = entry[1]
                case _Undo.TRANSIENT:
                    self._transient[entry[1]] = entry[2]
                case _Undo.CREATED:
                    self.created.discard(entry[1])
                case _Undo.DESTROYED:
                    self._destroyed.discard(entry[1])
                case _Undo.TOUCHED:
                    self._touched.discard(entry[1])

    def end_transaction(self) -> tuple[Log, ...]:
        """Make the transaction's changes final, delete what it destroyed and what it left empty; gives its logs."""
        for address in self._destroyed:
            self._delete(self._accounts[address])
        self._changed |= self._destroyed
        for address in self._touched:
            account = self._accounts[address]
            if account.original:
                account.original = {}
            if account.exists and account.is_empty:
                self._delete(account)
        self._changed |= self._touched
        logs = tuple(self.logs)
        self._touched = set()
        self._destroyed = set()
        self._journal = []
        self._transient = {}
        self.refund = 0
        self.logs = []
        self.created = set()
        self.warm_addresses = set()
        self.warm_slots = set()
        return logs

    def _delete(self, account: Account) -> None:
        account.exists = False
        account.clear()

    def abandon(self) -> None:
        """Undo the transaction that has begun, whatever it has done."""
        self.revert(0)
        self._touched = set()
        self.refund = 0
        self.warm_addresses = set()
        self.warm_slots = set()

    # --- suppositions

    def suppose(
        self,
        address: Address,
        *,
        nonce: int | None = None,
        balance: int | None = None,
        code: bytes | None = None,
        storage: Mapping[int, int] | None = None,
        slots: Mapping[int, int] | None = None,
    ) -> None:
        """Set what is given of an account before a call that nobody will commit. `storage` is all that it has then."""
        account = self.account(address)
        account.exists = True
        if nonce is not None:
            account.nonce = nonce
        if balance is not None:
            account.balance = balance
        if code is not None:
            account.code_hash = keccak256(code)
            self._new_code[account.code_hash] = code
        if storage is not None:
            account.root = self.trie.empty_root
            account.storage = dict(storage)
        if slots:
            account.storage.update(slots)

    # --- the trie

    def storage_root(self, address: Address) -> Hash32:
        """The account's storage root at the last commit."""
        return self.account(address).root

    def root_after(self, written: dict[Hash32, bytes], codes: dict[Hash32, bytes]) -> Hash32:
        """The root with everything done so far; new nodes and code are added to `written` and `codes`.

        Raises `DecodeError` where the trie cannot hold a balance; this object is of no use then.
        """
        codes.update(self._new_code)
        changes: dict[Address, StoredAccount | None] = {}
        for address in self._changed:
            account = self._accounts[address]
            if account.unwritten:
                words = {slot: account.storage[slot] for slot in account.unwritten}
                account.root = self.trie.storage_after(account.root, words, written)
                account.unwritten = set()
            changes[address] = (
                StoredAccount(account.nonce, account.balance, account.root, account.code_hash)
                if account.exists
                else None
            )
        self.root = self.trie.accounts_after(self.root, changes, written)
        self._changed = set()
        self._new_code = {}
        return self.root

    def load_genesis(self, accounts: Mapping[Address, tuple[int, int, bytes, Mapping[int, int]]]) -> None:
        """Write accounts (nonce, balance, code, storage) as they stand in a genesis, empty ones included."""
        for address, (nonce, balance, code, storage) in accounts.items():
            account = self._for_change(address)
            account.nonce = nonce
            account.balance = balance
            if code:
                account.code_hash = keccak256(code)
                self._new_code[account.code_hash] = code
            account.storage = {slot: value for slot, value in storage.items() if value}
            account.unwritten = set(account.storage)
        self._changed |= self._touched
        self._touched = set()
        self._journal = []
