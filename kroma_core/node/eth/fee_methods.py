"""What a transaction should offer, and what those before it paid: `eth_gasPrice`, `eth_feeHistory` and the like.

Spec: execution-apis, "eth"; the tip that is suggested follows op-geth: one rollup has one builder, and a tip matters
only while blocks are full.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
import trio

from kroma_core.chain.base_fee import next_base_fee
from kroma_core.codec.deposits import DepositTransaction
from kroma_core.codec.headers import Header
from kroma_core.codec.hexadecimal import quantity, shown, to_quantity
from kroma_core.codec.receipts import Receipt
from kroma_core.errors import DecodeError
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.jsonrpc.methods import Handler
from kroma_core.l2 import L2Label
from kroma_core.node.eth import arguments
from kroma_core.node.eth.blocks import Blocks, KnownBlock, KnownTransaction
from kroma_core.node.eth.shapes import JsonObject, effective_price
from kroma_core.types import L2Number

LEAST_TIP: Final = 10**6
MOST_TIP: Final = 500 * 10**9
MOST_BLOCKS: Final = 1024
MOST_PERCENTILES: Final = 100


class FeeMethods:
    """Fees of past blocks, and what follows for the next."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._earliest = blocks.config.genesis.l2.number

    def eth(self) -> Mapping[str, Handler]:
        return {
            "gasPrice": self.gas_price,
            "maxPriorityFeePerGas": self.tip,
            "feeHistory": self.history,
            "blobBaseFee": self.blob_base_fee,
        }

    async def gas_price(self) -> str:
        _, head = await self._blocks.header(L2Label.UNSAFE)
        return to_quantity((head.base_fee or 0) + await suggested_tip(self._blocks))

    async def tip(self) -> str:
        return to_quantity(await suggested_tip(self._blocks))

    async def blob_base_fee(self) -> str | None:
        """1 where blocks have the field: a rollup's transactions carry no blobs."""
        _, head = await self._blocks.header(L2Label.UNSAFE)
        return None if head.excess_blob_gas is None else "0x1"

    async def history(self, count: Any, newest: Any, percentiles: Any = None) -> JsonObject:
        wanted = min(_count(count), MOST_BLOCKS)
        shares = _percentiles(percentiles)
        last = arguments.number(newest, self._earliest)
        _, head = await self._blocks.header(L2Label.UNSAFE)
        if isinstance(last, L2Label):
            _, last_header = await self._blocks.header(last)
            last = L2Number(last_header.number)
        elif last > head.number:
            raise RpcError(Code.SERVER_ERROR, f"request beyond head block: requested {last}, head {head.number}")
        wanted = min(wanted, last + 1 - self._earliest)
        if wanted < 1:
            return {"oldestBlock": "0x0", "gasUsedRatio": None}
        first = L2Number(last + 1 - wanted)
        headers = await self._blocks.queries.headers(first, wanted)
        found: JsonObject = {
            "oldestBlock": to_quantity(first),
            "gasUsedRatio": [header.gas_used / header.gas_limit for _, header in headers],
            "baseFeePerGas": self._base_fees([header for _, header in headers]),
            "baseFeePerBlobGas": [_blob_fee(header) for _, header in (*headers, headers[-1])],
            "blobGasUsedRatio": [0 for _ in headers],
        }
        if shares:
            found["reward"] = [await self._rewards(block_hash, shares) for block_hash, _ in headers]
        return found

    def _base_fees(self, headers: Sequence[Header]) -> list[str]:
        """Those of the blocks, and that of the block after the last."""
        last = headers[-1]
        fees = [header.base_fee or 0 for header in headers]
        return [to_quantity(fee) for fee in (*fees, next_base_fee(last, last.timestamp + 1, self._blocks.config))]

    async def _rewards(self, block_hash: bytes, shares: Sequence[float]) -> list[str]:
        """Tips at percentiles of a block's gas, its transactions in order of their tips."""
        await trio.lowlevel.checkpoint()
        block = await self._blocks.block(block_hash)
        if block is None or not block.transactions:
            return ["0x0"] * len(shares)
        used = _gas_of_each(await self._blocks.receipts(block_hash))
        return [to_quantity(tip) for tip in _percentile_tips(block, used, shares)]


async def suggested_tip(blocks: Blocks) -> int:
    """The least tip, or a tenth above the median of the last block if that was full."""
    block = await blocks.block(L2Label.UNSAFE)
    if block is None or not block.transactions:
        return LEAST_TIP
    used = _gas_of_each(await blocks.receipts(block.hash))
    if block.header.gas_used + max(used) <= block.header.gas_limit:
        return LEAST_TIP
    tips = sorted(_tip(transaction, block.base_fee) for transaction in block.transactions)
    median = tips[len(tips) // 2]
    return min(max(LEAST_TIP, median + median // 10), MOST_TIP)


@attrs.frozen
class _Paid:
    gas: int
    tip: int


def _percentile_tips(block: KnownBlock, used: Sequence[int], shares: Sequence[float]) -> list[int]:
    paid = sorted(
        [_Paid(gas, _tip(one, block.base_fee)) for gas, one in zip(used, block.transactions, strict=True)],
        key=lambda one: one.tip,
    )
    tips, index, total = [], 0, paid[0].gas
    for share in shares:
        threshold = int(block.header.gas_used * share / 100)
        while total < threshold and index < len(paid) - 1:
            index += 1
            total += paid[index].gas
        tips.append(paid[index].tip)
    return tips


def _gas_of_each(receipts: Sequence[Receipt]) -> list[int]:
    totals = [0, *(receipt.cumulative_gas_used for receipt in receipts)]
    return [after - before for before, after in itertools.pairwise(totals)]


def _tip(transaction: KnownTransaction, base_fee: int) -> int:
    content = transaction.content
    return 0 if isinstance(content, DepositTransaction) else effective_price(content, base_fee) - base_fee


def _blob_fee(header: Header) -> str:
    return "0x0" if header.excess_blob_gas is None else "0x1"


def _count(value: object) -> int:
    """A number of blocks, in hexadecimal, in decimal, or as a JSON number."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    return quantity(value, "block count")


def _percentiles(value: object) -> list[float]:
    if value is None:
        return []
    if not isinstance(value, list) or any(isinstance(one, bool) or not isinstance(one, int | float) for one in value):
        raise DecodeError(f"reward percentiles: expected a list of numbers, got {shown(value)}")
    if len(value) > MOST_PERCENTILES:
        raise RpcError(Code.SERVER_ERROR, f"invalid reward percentile: over the query limit {MOST_PERCENTILES}")
    for index, share in enumerate(value):
        if not 0 <= share <= 100:
            raise RpcError(Code.SERVER_ERROR, f"invalid reward percentile: {share:f}")
        if index and share <= value[index - 1]:
            text = f"#{index - 1}:{value[index - 1]:f} >= #{index}:{share:f}"
            raise RpcError(Code.SERVER_ERROR, f"invalid reward percentile: {text}")
    return value
