"""Addresses of system contracts on L2. The two families number them differently: never share a constant.

Spec: predeploys.md (of each family).
"""

from __future__ import annotations

from collections.abc import Mapping

from kroma_core.chain.config import Family
from kroma_core.types import Address


def predeploy(index: int) -> Address:
    """The address 0x4200...<index>."""
    return bytes.fromhex("42") + bytes(17) + index.to_bytes(2, "big")


MESSAGE_PASSER: Mapping[Family, Address] = {Family.OP: predeploy(0x16), Family.KROMA: predeploy(0x03)}
"""The contract whose storage holds the withdrawals, and whose storage root is part of the output root."""
