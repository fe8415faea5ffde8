"""Blocks, receipts and proofs as an engine's `eth_` methods answer them: believed as far as their hashes go.

Spec: execution-apis, "eth"; EIP-1186.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from kroma_core.api import AccountProof
from kroma_core.codec.headers import EMPTY_ROOT, Header
from kroma_core.codec.hexadecimal import data_list, fixed, shown
from kroma_core.codec.payloads import payload_from_header
from kroma_core.codec.rpc_blocks import header_from_json, receipt_from_json, transaction_from_json
from kroma_core.codec.transactions import DEPOSIT
from kroma_core.codec.trie_root import ordered_root
from kroma_core.errors import CriticalError, DecodeError
from kroma_core.forks import Rules, Schedule, StateCommitment
from kroma_core.l2 import Payload
from kroma_core.state_proof import proven_account, proven_word
from kroma_core.types import Address, Hash32
from kroma_core.zktrie.accounts import Account
from kroma_core.zktrie.nodes import EMPTY_ROOT as ZK_EMPTY_ROOT
from kroma_core.zktrie.proof import is_zk_proof

JsonObject = Mapping[str, Any]


@attrs.frozen(kw_only=True)
class FoundHeader:
    """A header whose fields hash to `hash`."""

    hash: Hash32
    header: Header


def header_found(block: object) -> FoundHeader:
    """The header in a block object. Raises `DecodeError`; `CriticalError` where it is not the block it is called."""
    if not isinstance(block, Mapping):
        raise DecodeError(f"block: expected an object, got {shown(block)}")
    header = header_from_json(block)
    claimed = fixed(block.get("hash"), 32, "block hash")
    computed = header.hash
    if computed != claimed:
        raise CriticalError(
            f"the engine's L2 block {header.number}: its fields hash to 0x{computed.hex()}, the engine calls it "
            f"0x{claimed.hex()}; does it follow a fork that this node does not know?"
        )
    return FoundHeader(hash=claimed, header=header)


def payload_found(found: FoundHeader, transactions: Sequence[bytes]) -> Payload:
    """The payload of a block. Raises `DecodeError` where the transactions are not the header's."""
    root = ordered_root(transactions)
    if root != found.header.transactions_root:
        raise DecodeError(
            f"L2 block {found.header.number}: its {len(transactions)} transactions hash to 0x{root.hex()}, "
            f"the header says 0x{found.header.transactions_root.hex()}"
        )
    return payload_from_header(found.header, found.hash, transactions)


def transactions_found(block: JsonObject, schedule: Schedule) -> tuple[bytes, ...]:
    """Encodings of a block's transaction objects. Raises `DecodeError` for a type that is unknown here."""
    listed = block.get("transactions")
    if not isinstance(listed, list):
        raise DecodeError(f"block transactions: expected a list, got {shown(listed)}")
    rules = schedule.at(header_from_json(block).timestamp)
    return tuple([transaction_from_json(_with_system_flag(item, rules)) for item in listed])


def _with_system_flag(item: Any, rules: Rules) -> Any:
    """op-geth leaves isSystemTx out where it is false; which of the two encodings a deposit has, the rules say."""
    if not isinstance(item, Mapping) or item.get("type") != hex(DEPOSIT):
        return item
    flag = None if rules.legacy_deposits else item.get("isSystemTx") is True
    return {**item, "isSystemTx": flag}


def receipts_found(found: FoundHeader, receipts: object) -> tuple[bytes, ...]:
    """Encodings of a block's receipts as they enter its root. Raises `DecodeError` where they are not the header's."""
    if not isinstance(receipts, list):
        raise DecodeError(f"receipts of L2 block {found.header.number}: expected a list, got {shown(receipts)}")
    encoded = tuple([receipt_from_json(item).encode() for item in receipts])
    root = ordered_root(encoded)
    if root != found.header.receipts_root:
        raise DecodeError(
            f"receipts of L2 block {found.header.number}: {len(encoded)} hash to 0x{root.hex()}, "
            f"the header says 0x{found.header.receipts_root.hex()}"
        )
    return encoded


def proof_found(
    found: FoundHeader, address: Address, slots: Sequence[Hash32], answer: object, commitment: StateCommitment
) -> AccountProof:
    """An account and slots of its storage, each proven from the header's state root. Raises `DecodeError`.

    What the nodes prove counts; what the answer says beside them is not read. They have to be of the trie that the
    block's time has.
    """
    account_nodes, storage = _proofs_in(answer, slots)
    in_zk_trie = commitment is StateCommitment.ZK_TRIE
    if is_zk_proof(account_nodes) != in_zk_trie:
        kind = "ZK trie" if in_zk_trie else "Merkle-Patricia trie"
        raise DecodeError(f"account proof: expected nodes of a {kind} at block {found.header.number}, got another's")
    account = proven_account(found.header.state_root, address, account_nodes)
    if account is None:
        account = Account(storage_root=ZK_EMPTY_ROOT if in_zk_trie else EMPTY_ROOT)
    return AccountProof(
        address=address,
        nonce=account.nonce,
        balance=account.balance,
        code_hash=account.code_hash,
        storage_root=account.storage_root,
        account_proof=account_nodes,
        storage=tuple(
            [
                (slot, proven_word(account.storage_root, slot, nodes), nodes)
                for slot, (_, nodes) in zip(slots, storage, strict=True)
            ]
        ),
    )


def _proofs_in(
    answer: object, slots: Sequence[Hash32]
) -> tuple[tuple[bytes, ...], tuple[tuple[int, tuple[bytes, ...]], ...]]:
    """Nodes of the account; value and nodes of each slot, in the order asked for."""
    if not isinstance(answer, Mapping):
        raise DecodeError(f"proof: expected an object, got {shown(answer)}")
    storage = answer.get("storageProof")
    if not isinstance(storage, list) or len(storage) != len(slots):
        raise DecodeError(f"proof: expected storageProof to be a list of {len(slots)}")
    found = []
    for slot, item in zip(slots, storage, strict=True):
        if not isinstance(item, Mapping) or _number(item.get("key"), "proof key") != int.from_bytes(slot, "big"):
            raise DecodeError(f"proof: expected slot 0x{slot.hex()} in its place, got another")
        found.append((_number(item.get("value"), "proof value"), data_list(item.get("proof"), "storage proof")))
    return data_list(answer.get("accountProof"), "account proof"), tuple(found)


def _number(value: object, what: str) -> int:
    """A number of at most 256 bits; slots may come with leading zeros."""
    if isinstance(value, str) and value[:2] == "0x" and 2 < len(value) <= 66 and value[2:].isalnum():
        try:
            return int(value, 16)
        except ValueError:
            pass
    raise DecodeError(f"{what}: expected a hexadecimal number of at most 256 bits, got {shown(value)}")
