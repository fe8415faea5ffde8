"""Withdrawals that L2 announces to L1: the message passer's event, their hash, and the slot that remembers them.

Spec: withdrawals.md, "The L2ToL1MessagePasser Contract", "Withdrawal Hash".
"""

from __future__ import annotations

import attrs

from kroma_core.codec.keccak import keccak256
from kroma_core.codec.receipts import Log
from kroma_core.errors import DecodeError
from kroma_core.types import Address, Hash32

MESSAGE_PASSED: Hash32 = bytes.fromhex("02a52367d10742d8032712c1bb8e0144ff1ec5ffda1ed7d70bb05a2744955054")
"""Topic of MessagePassed(uint256,address,address,uint256,uint256,bytes,bytes32)."""

_WORD = 32
_ADDRESS_PADDING = bytes(12)
_HEAD = 4 * _WORD
"""Of the event's data: value, gas limit, where the message begins, and the hash."""


@attrs.frozen(kw_only=True)
class PassedMessage:
    """A withdrawal: a call that anybody may have the portal make once it is proven and final. Amounts are in wei."""

    nonce: int
    """The message passer's count, with the version of the encoding in its upper two bytes."""
    sender: Address
    target: Address
    value: int
    gas_limit: int
    data: bytes = attrs.field(repr=False)

    @property
    def hash(self) -> Hash32:
        """The withdrawal hash: what the message passer remembers, and what the portal is asked about."""
        return keccak256(self.encode())

    @property
    def slot(self) -> Hash32:
        """The storage slot of the message passer that holds 1 from this withdrawal on."""
        return keccak256(self.hash + bytes(_WORD))

    def encode(self) -> bytes:
        """The ABI encoding of the six fields."""
        return b"%b%b%b%b%b%b%b%b" % (
            word(self.nonce),
            _ADDRESS_PADDING + self.sender,
            _ADDRESS_PADDING + self.target,
            word(self.value),
            word(self.gas_limit),
            word(6 * _WORD),
            word(len(self.data)),
            padded(self.data),
        )

    @classmethod
    def of_log(cls, log: Log) -> PassedMessage:
        """The withdrawal that a `MessagePassed` event tells. Raises `DecodeError` where it is no such event."""
        if len(log.topics) != 4 or log.topics[0] != MESSAGE_PASSED:
            raise DecodeError(f"withdrawal event: expected MessagePassed with 3 indexed fields, got {len(log.topics)}")
        size = _uint(log.data, _HEAD)
        begin = _HEAD + _WORD
        if _uint(log.data, 2 * _WORD) != _HEAD or len(log.data) != begin + size + -size % _WORD:
            raise DecodeError(f"withdrawal event: {len(log.data)} bytes are no data of MessagePassed")
        found = cls(
            nonce=int.from_bytes(log.topics[1], "big"),
            sender=log.topics[2][12:],
            target=log.topics[3][12:],
            value=_uint(log.data, 0),
            gas_limit=_uint(log.data, _WORD),
            data=log.data[begin : begin + size],
        )
        told = log.data[3 * _WORD : _HEAD]
        if found.hash != told:
            raise DecodeError(f"withdrawal event: expected hash 0x{found.hash.hex()}, got 0x{told.hex()}")
        return found


def word(number: int) -> bytes:
    """A number as the ABI has it."""
    return number.to_bytes(_WORD, "big")


def padded(data: bytes) -> bytes:
    """Bytes up to a whole number of words."""
    return data + bytes(-len(data) % _WORD)


def _uint(data: bytes, offset: int) -> int:
    if len(data) < offset + _WORD:
        raise DecodeError(f"withdrawal event: expected a word at byte {offset}, got {len(data)} bytes")
    return int.from_bytes(data[offset : offset + _WORD], "big")
