"""Blocks and references that are only numbers with hashes, for tests of what counts and compares them."""

from __future__ import annotations

from kroma_core.l2 import Payload
from kroma_core.types import BlockId, Gas, L1Number, L1Ref, L2Number, L2Ref, Timestamp, Wei


def name(number: int, branch: int = 0) -> bytes:
    return number.to_bytes(16, "big") + branch.to_bytes(16, "big")


def l1(number: int, branch: int = 0) -> BlockId:
    return BlockId(b"\x11" * 8 + name(number, branch)[8:], number)


def l1_ref(number: int, branch: int = 0, parent_branch: int | None = None) -> L1Ref:
    parent = l1(number - 1, branch if parent_branch is None else parent_branch)
    return L1Ref(
        hash=l1(number, branch).hash, number=L1Number(number), parent_hash=parent.hash, timestamp=Timestamp(number)
    )


def l2(number: int, *, origin: int | None = None, branch: int = 0, sequence_number: int = 0) -> L2Ref:
    """An L2 block; its L1 origin has its own number unless told."""
    return L2Ref(
        hash=name(number, branch),
        number=L2Number(number),
        parent_hash=name(number - 1, branch) if number else bytes(32),
        timestamp=Timestamp(2 * number),
        l1_origin=l1(number if origin is None else origin),
        sequence_number=sequence_number,
    )


def payload(number: int, *, branch: int = 0, size: int = 0) -> Payload:
    """A block with one transaction of so many bytes, or none."""
    ref = l2(number, branch=branch)
    return Payload(
        hash=ref.hash,
        parent_hash=ref.parent_hash,
        number=ref.number,
        timestamp=ref.timestamp,
        fee_recipient=bytes(20),
        state_root=bytes(32),
        receipts_root=bytes(32),
        logs_bloom=bytes(256),
        prev_randao=bytes(32),
        gas_limit=Gas(0),
        gas_used=Gas(0),
        extra_data=b"",
        base_fee=Wei(0),
        transactions=(bytes(size),) if size else (),
    )
