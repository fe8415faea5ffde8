"""One block from its transactions: what happens before, between and after them."""

from __future__ import annotations

from kroma_core.codec.deposits import is_deposit

from kroma_engine_pyevm.deposits import apply_deposit
from kroma_engine_pyevm.execution import BlockExecution, TransactionResult
from kroma_engine_pyevm.signed import apply_signed


def apply(block: BlockExecution, raw: bytes) -> TransactionResult:
    """Execute one transaction of the block. Raises `InvalidTransaction`, leaving state and gas untouched."""
    return apply_deposit(block, raw) if is_deposit(raw) else apply_signed(block, raw)
