"""One JSON-RPC server of an L1: asked in batches within its budget, every answer verified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.hexadecimal import data, quantity
from kroma_core.codec.receipts import RECEIPT_TYPES
from kroma_core.errors import DecodeError, TemporaryError
from kroma_core.jsonrpc.answers import Call
from kroma_core.jsonrpc.client import Client
from kroma_core.jsonrpc.errors import Code, Failure, NoAnswer, RpcError
from kroma_core.l1 import L1Block, L1Label, L1Receipts
from kroma_core.types import Hash32, L1Number, L1Ref, Timestamp
from kroma_l1_rpc.budget import Budget
from kroma_l1_rpc.verification import (
    Contradiction,
    TransactionsMismatch,
    named,
    transaction_hashes,
    unknown_places,
    verified_block,
    verified_header,
    verified_raw_receipts,
    verified_receipts,
)

Key: TypeAlias = Hash32 | int
"""A block by hash or by number."""

_LIMITED: Final = frozenset({int(Code.LIMIT_EXCEEDED), 429, -32029})
_MISSING: Final = frozenset({int(Code.METHOD_NOT_FOUND), -32004})
_MISSING_WORDS: Final = ("not found", "not supported", "unsupported", "does not exist", "not available", "not allowed")
_PAUSE: Final = 1.0
"""Seconds to leave a server alone that says it is asked too much."""


class WrongChain(TemporaryError):
    """A server of another chain than the rollup's L1."""


class RpcServer:
    """Asks one server. None stands for "there is no such block"; errors are those of `L1Source`, without `NotFound`.

    `chain_id` is compared before anything else is believed. `skip_root_with_blobs`: see `verified_block`.
    """

    def __init__(
        self, client: Client, *, budget: Budget, max_batch: int, chain_id: int, skip_root_with_blobs: bool
    ) -> None:
        self.client = client
        self._budget = budget
        self._max_batch = max_batch
        self._chain_id = chain_id
        self._chain_checked = False
        self._skip_root_with_blobs = skip_root_with_blobs
        self._block_receipts = True

    @property
    def name(self) -> str:
        return self.client.server

    async def expect_chain(self) -> None:
        """Raises `WrongChain` where the server is of another chain; asks once."""
        if self._chain_checked:
            return
        answer = self._value("eth_chainId", (await self._ask([("eth_chainId", ())]))[0])
        try:
            got = quantity(answer, "chain id", bits=256)
        except DecodeError as error:
            raise Contradiction(f"eth_chainId of {self.name}: {error}") from error
        if got != self._chain_id:
            raise WrongChain(f"{self.name} is a server of chain {got}; the rollup's L1 is chain {self._chain_id}")
        self._chain_checked = True

    async def labels(self, labels: Sequence[L1Label]) -> dict[L1Label, L1Ref | None]:
        """The blocks that labels point to; None where the server has none (yet)."""
        await self.expect_chain()
        answers = await self._ask([("eth_getBlockByNumber", (str(label), False)) for label in labels])
        found: dict[L1Label, L1Ref | None] = {}
        for label, answer in zip(labels, answers, strict=True):
            if isinstance(answer, RpcError) and label is not L1Label.UNSAFE:
                found[label] = None  # geth's answer as long as nothing is final
            else:
                value = self._value("eth_getBlockByNumber", answer)
                found[label] = None if value is None else _ref(value, None)
        return found

    async def refs(self, keys: Sequence[Key]) -> list[L1Ref | None]:
        """Verified references of blocks."""
        await self.expect_chain()
        answers = await self._ask([_block_call(key, full=False) for key in keys])
        values = [self._value("eth_getBlockBy*", answer) for answer in answers]
        return [None if value is None else _ref(value, key) for value, key in zip(values, keys, strict=True)]

    async def blocks(self, keys: Sequence[Key]) -> list[L1Block | TemporaryError | None]:
        """Verified blocks; one that cannot be had is its error, the others are there all the same."""
        await self.expect_chain()
        answers = await self._ask([_block_call(key, full=True) for key in keys])
        found: list[L1Block | TemporaryError | None] = []
        for key, answer in zip(keys, answers, strict=True):
            try:
                value = self._value("eth_getBlockBy*", answer)
                found.append(None if value is None else await self._verified(value, key))
            except TemporaryError as error:
                found.append(error)
        return found

    async def receipts(self, blocks: Sequence[L1Block]) -> list[L1Receipts | TemporaryError | None]:
        """Verified receipts of verified blocks; one list that cannot be had is its error."""
        await self.expect_chain()
        found: dict[Hash32, L1Receipts | TemporaryError | None] = {}
        wanted = [block for block in blocks if block.header.receipts_root != EMPTY_ROOT]
        if self._block_receipts and wanted:
            answers = await self._ask([("eth_getBlockReceipts", (_hex(block.hash),)) for block in wanted])
            for block, answer in zip(wanted, answers, strict=True):
                if isinstance(answer, RpcError) and _is_missing(answer):
                    self._block_receipts = False
                    continue
                try:
                    value = self._value("eth_getBlockReceipts", answer)
                    found[block.hash] = None if value is None else await self._verified_receipts(value, block)
                except TemporaryError as error:
                    found[block.hash] = error
        for block in wanted:
            if block.hash not in found:
                found[block.hash] = await self._receipts_one_by_one(block)
        return [() if block.header.receipts_root == EMPTY_ROOT else found[block.hash] for block in blocks]

    async def _receipts_one_by_one(self, block: L1Block) -> L1Receipts | TemporaryError | None:
        """For servers without `eth_getBlockReceipts`."""
        try:
            answers = await self._ask([("eth_getTransactionReceipt", (one,)) for one in transaction_hashes(block)])
            values = [self._value("eth_getTransactionReceipt", answer) for answer in answers]
            return None if None in values else await self._verified_receipts(values, block)
        except TemporaryError as error:
            return error

    async def _verified_receipts(self, value: Any, block: L1Block) -> L1Receipts:
        try:
            return verified_receipts(value, block)
        except Contradiction:
            if all(raw[0] in RECEIPT_TYPES or raw[0] >= 0xC0 for raw in block.transactions):
                raise
        return await self._raw_receipts(block)

    async def _raw_receipts(self, block: L1Block) -> L1Receipts:
        """Receipts from their consensus encodings, for transactions whose receipts may have other fields in JSON."""
        answer = (await self._ask([("debug_getRawReceipts", (_hex(block.hash),))]))[0]
        value = self._value("debug_getRawReceipts", answer)
        if not isinstance(value, list):
            raise Contradiction(f"debug_getRawReceipts of {self.name}: expected a list of receipts")
        try:
            raw = [data(item, "raw receipt") for item in value]
        except DecodeError as error:
            raise Contradiction(f"debug_getRawReceipts of {self.name}: {error}") from error
        return verified_raw_receipts(raw, block)

    async def _verified(self, value: Any, key: Key) -> L1Block:
        block_hash, header = verified_header(value, key)
        unknown = unknown_places(value, named(header.number, block_hash))
        raw = await self._raw_transactions(value, block_hash, unknown) if unknown else {}
        try:
            return verified_block(value, block_hash, header, raw=raw, skip_root_with_blobs=self._skip_root_with_blobs)
        except TransactionsMismatch as error:
            if error.blob_places:
                await self._explain_network_form(value, block_hash, error.blob_places, error)
            raise

    async def _raw_transactions(self, value: Any, block_hash: Hash32, places: Sequence[int]) -> dict[int, bytes]:
        """Consensus encodings of transactions of types that came after this node was written."""
        method = "eth_getRawTransactionByBlockHashAndIndex"
        answers = await self._ask([(method, (_hex(block_hash), hex(place))) for place in places])
        found: dict[int, bytes] = {}
        for place, answer in zip(places, answers, strict=True):
            try:
                found[place] = data(self._value(method, answer), "raw transaction")
            except (DecodeError, TemporaryError) as error:
                kind = value["transactions"][place].get("type")
                raise TemporaryError(
                    f"L1 block 0x{block_hash.hex()}: transaction {place} has type {kind}, whose JSON is not known "
                    f"here; a server that answers {method} is needed ({error})"
                ) from error
        return found

    async def _explain_network_form(
        self, value: Any, block_hash: Hash32, places: Sequence[int], mismatch: TransactionsMismatch
    ) -> None:
        """Raise a better error where the header's root turns out to cover blob transactions with their sidecars."""
        try:
            raw = await self._raw_transactions(value, block_hash, places)
            header = verified_header(value, block_hash)[1]
            verified_block(value, block_hash, header, raw=raw)
        except TemporaryError:
            raise Contradiction(
                f"{mismatch} (it holds blob transactions: anvil, for one, puts them into the root with their sidecars, "
                "which no Ethereum block does; see skip_transactions_root)"
            ) from mismatch
        raise Contradiction(
            f"{mismatch}: its root covers blob transactions in their network form, with sidecars, as no Ethereum block "
            "does (anvil does); use another L1 such as `geth --dev`, or set skip_transactions_root = true for a test"
        ) from mismatch

    async def _ask(self, calls: Sequence[Call]) -> list[Any | RpcError]:
        """Results in order, in as few batches as the server takes."""
        results: list[Any | RpcError] = []
        while len(results) < len(calls):
            part = calls[len(results) : len(results) + self._max_batch]
            async with self._budget.spend(len(part)):
                try:
                    got = await self._requested(part)
                except NoAnswer as error:
                    too_much = error.status == 413 or error.failure is Failure.TOO_LARGE
                    if too_much and len(part) > 1:
                        self._max_batch = max(1, len(part) // 2)
                        continue
                    raise
            self._expect_unlimited(part[0][0], got)
            if len(part) > 1 and isinstance(got[0], RpcError) and all(one is got[0] for one in got):
                self._max_batch = max(1, len(part) // 2)  # the batch was refused as a whole
                continue
            results += got
        return results

    async def _requested(self, part: Sequence[Call]) -> list[Any | RpcError]:
        if len(part) > 1:
            return await self.client.batch(part)
        method, params = part[0]
        try:
            return [await self.client.call(method, *params)]
        except RpcError as error:
            return [error]

    def _expect_unlimited(self, method: str, results: Sequence[Any | RpcError]) -> None:
        for result in results:
            if isinstance(result, RpcError) and result.code in _LIMITED:
                raise NoAnswer(
                    server=self.name,
                    method=method,
                    failure=Failure.RATE_LIMITED,
                    reason=str(result),
                    retry_after=_PAUSE,
                )

    def _value(self, method: str, result: Any | RpcError) -> Any:
        if isinstance(result, RpcError):
            raise TemporaryError(f"{method} of {self.name}: {result}") from result
        return result


def _block_call(key: Key, *, full: bool) -> Call:
    if isinstance(key, bytes):
        return "eth_getBlockByHash", (_hex(key), full)
    return "eth_getBlockByNumber", (hex(key), full)


def _hex(block_hash: Hash32) -> str:
    return "0x" + block_hash.hex()


def _ref(value: Mapping[str, Any], asked: Key | None) -> L1Ref:
    block_hash, header = verified_header(value, asked)
    return L1Ref(
        hash=block_hash,
        number=L1Number(header.number),
        parent_hash=header.parent_hash,
        timestamp=Timestamp(header.timestamp),
    )


def _is_missing(error: RpcError) -> bool:
    """Whether an error says that the server does not have the method."""
    message = error.message.lower()
    return error.code in _MISSING or ("method" in message and any(word in message for word in _MISSING_WORDS))
