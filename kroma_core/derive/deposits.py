"""Deposits that users made on L1: logs of the portal contract, turned into the deposit transactions of an L2 block.

The portal is trusted to emit well-formed logs: one that is not stops derivation, for a deposit may never be skipped.

Spec: deposits.md, "User-Deposited Transactions"; derivation.md, "On Future-Proof Transaction Log Derivation".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kroma_core.codec.deposits import DepositTransaction, user_deposit_source
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.receipts import Log, Receipt
from kroma_core.errors import CriticalError, DecodeError
from kroma_core.types import Address, Hash32

TRANSACTION_DEPOSITED: Final[Hash32] = keccak256(b"TransactionDeposited(address,address,uint256,bytes)")
"""First topic of the logs that make a deposit."""

_WORD: Final = 32
_FIXED_SIZE: Final = 32 + 32 + 8 + 1
"""Mint, value, gas and the creation flag, before the call data."""


def user_deposits(receipts: Iterable[Receipt], portal: Address, l1_hash: Hash32) -> tuple[DepositTransaction, ...]:
    """The deposits of an L1 block, in the order of their logs.

    Logs are counted through the whole block, those of failed transactions too, and their index enters the deposit's
    identity. Raises `CriticalError` for a malformed log of a successful transaction.
    """
    found: list[DepositTransaction] = []
    index = -1
    for receipt in receipts:
        for log in receipt.logs:
            index += 1
            if receipt.status != 1 or log.address != portal or log.topics[:1] != (TRANSACTION_DEPOSITED,):
                continue
            try:
                found.append(decode_deposit_log(log, l1_hash, index))
            except DecodeError as error:
                raise CriticalError(f"deposit in L1 block 0x{l1_hash.hex()}, log {index}: {error}") from error
    return tuple(found)


def decode_deposit_log(log: Log, l1_hash: Hash32, log_index: int) -> DepositTransaction:
    """The deposit that a log of the portal describes. Raises `DecodeError`."""
    if len(log.topics) != 4:
        raise DecodeError(f"TransactionDeposited: expected 4 topics, got {len(log.topics)}")
    event, sender, to, version = log.topics
    if event != TRANSACTION_DEPOSITED:
        raise DecodeError(f"TransactionDeposited: expected topic 0x{TRANSACTION_DEPOSITED.hex()}, got 0x{event.hex()}")
    if any(version):
        raise DecodeError(f"TransactionDeposited: unknown version 0x{version.hex()}")
    packed = _packed_data(log.data)
    if len(packed) < _FIXED_SIZE:
        raise DecodeError(f"TransactionDeposited: expected at least {_FIXED_SIZE} packed bytes, got {len(packed)}")
    return DepositTransaction(
        source_hash=user_deposit_source(l1_hash, log_index),
        sender=sender[12:],
        to=to[12:] if packed[72] == 0 else None,
        mint=int.from_bytes(packed[:32], "big"),
        value=int.from_bytes(packed[32:64], "big"),
        gas=int.from_bytes(packed[64:72], "big"),
        data=packed[_FIXED_SIZE:],
    )


def _packed_data(data: bytes) -> bytes:
    """The one `bytes` argument of the log: offset, length, content, and no more padding than it takes."""
    if len(data) < 2 * _WORD or len(data) % _WORD:
        raise DecodeError(f"TransactionDeposited: expected whole words of data, at least two, got {len(data)} bytes")
    offset = int.from_bytes(data[:_WORD], "big")
    if offset != _WORD:
        raise DecodeError(f"TransactionDeposited: expected offset {_WORD}, got {offset}")
    length = int.from_bytes(data[_WORD : 2 * _WORD], "big")
    room = len(data) - 2 * _WORD
    if length >> 64 or not (length <= room < (length + _WORD) % 2**64):
        raise DecodeError(f"TransactionDeposited: length {length} does not fit {room} bytes of content and padding")
    return data[2 * _WORD : 2 * _WORD + length]
