"""Logs that an L1's rollup contracts emit, for scripted blocks.

Layouts are written out here from the contracts' ABI, not taken from the code that reads them.
Spec: deposits.md, "Deposit Contract"; system-config.md, "ConfigUpdate".
"""

from __future__ import annotations

from kroma_core.codec.receipts import Log
from kroma_core.types import Address

TRANSACTION_DEPOSITED = bytes.fromhex("b3813568d9991fc951961fcb4c784893574240a28925604d09fc577c55bb7c32")
CONFIG_UPDATE = bytes.fromhex("1d2b0bda21d56b8bd12d4f94ebacffdfb35f5e226f84b461103bb8beab6353be")

BATCHER, FEE_SCALARS, GAS_LIMIT, UNSAFE_SIGNER = range(4)
EIP1559_PARAMS, OPERATOR_FEE, MIN_BASE_FEE, DA_FOOTPRINT_GAS_SCALAR = range(4, 8)
VALIDATOR_REWARD_SCALAR = 4
"""Kroma's meaning of the fourth type."""


def word(value: int | bytes) -> bytes:
    """32 bytes, padded on the left."""
    return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")


def deposit_log(
    portal: Address,
    *,
    sender: Address,
    to: Address | None,
    mint: int = 0,
    value: int = 0,
    gas: int = 100_000,
    data: bytes = b"",
) -> Log:
    """`TransactionDeposited` of the portal; without `to` the deposit creates a contract."""
    packed = word(mint) + word(value) + gas.to_bytes(8, "big") + (b"\1" if to is None else b"\0") + data
    topics = (TRANSACTION_DEPOSITED, word(sender), word(to or b""), word(0))
    return Log(portal, topics, _bytes_argument(packed))


def config_update_log(system_config: Address, kind: int, data: bytes) -> Log:
    """`ConfigUpdate` of the system config contract; `data` as the contract packs it: whole words."""
    return Log(system_config, (CONFIG_UPDATE, word(0), word(kind)), _bytes_argument(data))


def _bytes_argument(content: bytes) -> bytes:
    padding = -len(content) % 32
    return word(32) + word(len(content)) + content + bytes(padding)
