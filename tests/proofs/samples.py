"""Proof files over small states of both kinds of trie."""

from __future__ import annotations

import copy
from typing import Any

from kroma_core.chain.config import Family
from kroma_core.chain.predeploys import MESSAGE_PASSER
from kroma_core.codec.headers import EMPTY_ROOT as NO_TRANSACTIONS
from kroma_core.codec.headers import Header
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.passed_messages import PassedMessage
from kroma_core.codec.rlp import encode
from kroma_core.proofs.account import AccountStateProof, SlotProof
from kroma_core.proofs.text import account_json, withdrawal_json
from kroma_core.proofs.withdrawal import WithdrawalProof
from kroma_core.types import Address, Hash32
from kroma_core.zktrie.accounts import Account, account_leaf, storage_leaf
from kroma_core.zktrie.hashing import key_of
from kroma_core.zktrie.nodes import EMPTY_ROOT, Leaf
from kroma_core.zktrie.trie import NodeCache, prove, update

PASSER = MESSAGE_PASSER[Family.KROMA]
ALICE, BOB = bytes.fromhex("aa" * 20), bytes.fromhex("bb" * 20)
MESSAGE = PassedMessage(nonce=1 << 240, sender=ALICE, target=BOB, value=5, gas_limit=21_000, data=b"\1\2\3")
OTHER_SLOT = (7).to_bytes(32, "big")


def header(state_root: Hash32) -> Header:
    return Header(
        parent_hash=bytes(32), coinbase=bytes(20), state_root=state_root, transactions_root=NO_TRANSACTIONS,
        receipts_root=NO_TRANSACTIONS, bloom=bytes(256), number=9, gas_limit=30_000_000, gas_used=0, timestamp=18,
        extra_data=b"", mix_hash=bytes(32), base_fee=7,
    )  # fmt: skip


class ZkWorld:
    """A state of four accounts, one of which is the message passer with three slots."""

    def __init__(self, word: int = 1) -> None:
        self.stored: dict[Hash32, bytes] = {}
        self.nodes = NodeCache(self.stored)
        words = {MESSAGE.slot: word, OTHER_SLOT: 3, bytes(32): 4}
        slots: dict[int, Leaf | None] = {key_of(slot): storage_leaf(slot, value) for slot, value in words.items()}
        self.storage_root = update(self.nodes, EMPTY_ROOT, slots, self.stored)
        accounts = {address: Account(nonce=1, balance=2) for address in (ALICE, BOB, bytes(20))}
        accounts[PASSER] = Account(storage_root=self.storage_root)
        leaves: dict[int, Leaf | None] = {
            key_of(address): account_leaf(address, account) for address, account in accounts.items()
        }
        self.root = update(self.nodes, EMPTY_ROOT, leaves, self.stored)

    def account(self, address: Address) -> tuple[bytes, ...]:
        return prove(self.nodes, self.root, key_of(address))

    def slot(self, slot: Hash32) -> tuple[bytes, ...]:
        return prove(self.nodes, self.storage_root, key_of(slot))

    def withdrawal(self) -> WithdrawalProof:
        return WithdrawalProof(
            message=MESSAGE, message_passer=PASSER, header=header(self.root), next_block_hash=keccak256(b"next"),
            account_proof=self.account(PASSER), storage_proof=self.slot(MESSAGE.slot),
        )  # fmt: skip


def merkle_patricia_withdrawal(word: int = 1) -> WithdrawalProof:
    """Over tries of one leaf each."""
    storage = encode([b"\x20" + keccak256(MESSAGE.slot), encode(word)])
    account = encode([b"\x20" + keccak256(PASSER), encode([0, 0, keccak256(storage), keccak256(b"code")])])
    return WithdrawalProof(
        message=MESSAGE, message_passer=PASSER, header=header(keccak256(account)), next_block_hash=None,
        account_proof=(account,), storage_proof=(storage,),
    )  # fmt: skip


def merkle_patricia_account(address: Address) -> AccountStateProof:
    """Over the same tries, with a slot that holds something and one that does not; `address` may be another's."""
    sample = merkle_patricia_withdrawal()
    slots = ((MESSAGE.slot, sample.storage_proof), (OTHER_SLOT, sample.storage_proof)) if address == PASSER else ()
    return AccountStateProof(
        address=address, header=sample.header, account_proof=sample.account_proof,
        slots=tuple([SlotProof(slot=slot, nodes=nodes) for slot, nodes in slots]),
    )  # fmt: skip


def _no_account_file() -> Any:
    world = ZkWorld()
    absent = b"\x5a" * 20
    return account_json(
        AccountStateProof(address=absent, header=header(world.root), account_proof=world.account(absent), slots=())
    )


def _account_file() -> Any:
    world = ZkWorld()
    slots = tuple([SlotProof(slot=slot, nodes=world.slot(slot)) for slot in (OTHER_SLOT, b"\1" * 32)])
    return account_json(
        AccountStateProof(address=PASSER, header=header(world.root), account_proof=world.account(PASSER), slots=slots)
    )


FILES: dict[str, Any] = {
    "withdrawal-zk": withdrawal_json(ZkWorld().withdrawal(), 3),
    "withdrawal-mpt": withdrawal_json(merkle_patricia_withdrawal(), 3),
    "account-zk": _account_file(),
    "account-mpt": account_json(merkle_patricia_account(PASSER)),
    "no-account-zk": _no_account_file(),
    "no-account-mpt": account_json(merkle_patricia_account(ALICE)),
}


def file(name: str) -> Any:
    """A copy to change."""
    return copy.deepcopy(FILES[name])
