"""What bytecode can see beyond the state: the block it runs in, the transaction, and the call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from kroma_core.forks import Rules
from kroma_core.types import Address, Gas, Hash32, L2Number, Timestamp, Wei

BLOCK_HASHES_IN_REACH = 256


@attrs.frozen(kw_only=True)
class BlockEnvironment:
    """The block under execution. `block_hash` gives an ancestor's hash by number, for numbers in reach."""

    chain_id: int
    number: L2Number
    timestamp: Timestamp
    coinbase: Address
    gas_limit: Gas
    base_fee: Wei
    prev_randao: Hash32
    rules: Rules
    block_hash: Callable[[int], Hash32] = attrs.field(eq=False, repr=False)

    def ancestor_hash(self, number: int) -> Hash32:
        """What BLOCKHASH gives: zero outside the last 256 blocks."""
        if self.number - BLOCK_HASHES_IN_REACH <= number < self.number:
            return self.block_hash(number)
        return bytes(32)


class TransactionContext:
    """What ORIGIN, GASPRICE and BLOBHASH give. L2 transactions carry no blobs."""

    __slots__ = ("gas_price", "origin")
    blob_versioned_hashes: Sequence[Hash32] = ()

    def __init__(self, origin: Address, gas_price: int) -> None:
        self.origin = origin
        self.gas_price = gas_price


class Message:
    """A call or a creation: who asks whom for what.

    `storage_address` is the account whose storage and balance the code works on, `code_address` where the code comes
    from (a precompile is recognised by it), None for a creation and behind a delegation. `transfers` is false where
    `value` is only what CALLVALUE shows. `data` is the caller's memory itself where a contract calls: copied for each
    call, megabytes would cost the price of a call to an empty account.
    """

    __slots__ = (
        "code", "code_address", "data", "depth", "gas", "is_static", "sender", "storage_address", "transfers", "value",
    )  # fmt: skip

    def __init__(
        self,
        *,
        sender: Address,
        storage_address: Address,
        code: bytes,
        code_address: Address | None,
        data: bytes | memoryview,
        value: int,
        gas: int,
        depth: int,
        is_static: bool = False,
        transfers: bool = True,
    ) -> None:
        self.sender = sender
        self.storage_address = storage_address
        self.code = code
        self.code_address = code_address
        self.data = data
        self.value = value
        self.gas = gas
        self.depth = depth
        self.is_static = is_static
        self.transfers = transfers

    @property
    def data_as_bytes(self) -> bytes:
        return bytes(self.data)
