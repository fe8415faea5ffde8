"""Logs by address and topic, over a stretch of the chain: the headers' bloom filters say which blocks to look into.

Spec: execution-apis, "eth_getLogs".
"""

from __future__ import annotations

from typing import Final

import attrs
import trio

from kroma_core.codec.hexadecimal import shown
from kroma_core.codec.receipts import Log, bloom_bits
from kroma_core.errors import DecodeError, NotFound
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.l2 import L2Label
from kroma_core.node.eth import arguments
from kroma_core.node.eth.blocks import Blocks, KnownBlock
from kroma_core.node.eth.shapes import JsonObject, log_json
from kroma_core.types import Address, Hash32, L2Number

MOST_BLOCKS: Final = 100_000
"""Blocks that one search may go through."""
MOST_LOGS: Final = 20_000
"""Logs that one search may find."""
MOST_TOPICS: Final = 4
MOST_CHOICES: Final = 1000
"""Addresses, or topics in one position."""
_HEADERS_AT_ONCE: Final = 256


@attrs.frozen(kw_only=True)
class LogFilter:
    """Which logs are wanted: of any of the addresses (all where there are none), with one of the topics in each place.

    An empty place takes any topic, and there must be a topic in the place.
    """

    addresses: frozenset[Address] = frozenset()
    topics: tuple[frozenset[Hash32], ...] = ()
    _blooms: tuple[tuple[int, ...], ...] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        choices = [one for one in (self.addresses, *self.topics) if one]
        object.__setattr__(self, "_blooms", tuple([tuple([bloom_bits(item) for item in one]) for one in choices]))

    def may_be_in(self, bloom: bytes) -> bool:
        """Whether a block with this bloom filter can have a log of this kind; False is certain."""
        bits = int.from_bytes(bloom, "big")
        return bool(bits) and all(any(bits & item == item for item in choice) for choice in self._blooms)

    def takes(self, log: Log) -> bool:
        if self.addresses and log.address not in self.addresses:
            return False
        if len(self.topics) > len(log.topics):
            return False
        return all(not wanted or topic in wanted for wanted, topic in zip(self.topics, log.topics, strict=False))


@attrs.frozen(kw_only=True)
class LogQuery:
    """A filter and where to look: in one block, or from `first` to `last`, which are the latest where left out."""

    filter: LogFilter
    block_hash: Hash32 | None = None
    first: L2Number | L2Label = L2Label.UNSAFE
    last: L2Number | L2Label = L2Label.UNSAFE


def query_of(value: object, earliest: int) -> LogQuery:
    """The object that describes logs. Raises `DecodeError`."""
    found = arguments.mapping(value, "filter")
    if "pending" in (found.get("fromBlock"), found.get("toBlock")):
        raise DecodeError("pending logs are not supported")
    wanted = LogFilter(addresses=_addresses(found.get("address")), topics=_topics(found.get("topics")))
    if found.get("blockHash") is not None:
        if found.get("fromBlock") is not None or found.get("toBlock") is not None:
            raise DecodeError("cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other")
        return LogQuery(filter=wanted, block_hash=arguments.hash32(found["blockHash"], "blockHash"))
    first, last = (
        L2Label.UNSAFE if found.get(key) is None else arguments.number(found[key], earliest)
        for key in ("fromBlock", "toBlock")
    )
    return LogQuery(filter=wanted, first=first, last=last)


def _addresses(value: object) -> frozenset[Address]:
    listed = value if isinstance(value, list) else [] if value is None else [value]
    if len(listed) > MOST_CHOICES:
        raise DecodeError("exceed max addresses or topics per search position")
    return frozenset([arguments.address(one) for one in listed])


def _topics(value: object) -> tuple[frozenset[Hash32], ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise DecodeError(f"topics: expected a list, got {shown(value)}")
    if len(value) > MOST_TOPICS:
        raise DecodeError("exceed max topics")
    return tuple([_topic(one) for one in value])


def _topic(value: object) -> frozenset[Hash32]:
    if value is None:
        return frozenset()
    if not isinstance(value, list):
        return frozenset([arguments.hash32(value, "topic")])
    if len(value) > MOST_CHOICES:
        raise DecodeError("exceed max topics")
    if None in value:
        return frozenset()
    return frozenset([arguments.hash32(one, "topic") for one in value])


async def search(blocks: Blocks, query: LogQuery) -> list[JsonObject]:
    """All logs that a query means, in the order of the chain. Raises `RpcError` where that is too much."""
    if query.block_hash is not None:
        block = await blocks.block(query.block_hash)
        if block is None:
            raise RpcError(Code.SERVER_ERROR, "unknown block")
        return await logs_of(blocks, block, query.filter)
    head = await _number(blocks, L2Label.UNSAFE)
    first, last = await _number(blocks, query.first), await _number(blocks, query.last)
    if first > last:
        raise DecodeError("invalid block range params")
    if last > head:
        raise DecodeError("block range extends beyond current head block")
    if last - first >= MOST_BLOCKS:
        raise RpcError(Code.LIMIT_EXCEEDED, f"exceed maximum block range: {MOST_BLOCKS}")
    found: list[JsonObject] = []
    while first <= last:
        await trio.lowlevel.checkpoint()
        headers = await blocks.queries.headers(first, min(_HEADERS_AT_ONCE, last + 1 - first))
        for block_hash, header in headers:
            if query.filter.may_be_in(header.bloom):
                block = await blocks.block(block_hash)
                if block is not None:
                    found += await logs_of(blocks, block, query.filter)
        if len(found) > MOST_LOGS:
            text = f"query returned more than {MOST_LOGS} results: ask for fewer blocks"
            raise RpcError(Code.LIMIT_EXCEEDED, text)
        if not headers:
            break  # the chain became shorter
        first = L2Number(first + len(headers))
    return found


async def _number(blocks: Blocks, name: L2Number | L2Label) -> L2Number:
    if not isinstance(name, L2Label):
        return name
    try:
        _, header = await blocks.header(name)
    except NotFound as error:
        raise RpcError(Code.SERVER_ERROR, f"{name} header not found") from error
    return L2Number(header.number)


async def logs_of(blocks: Blocks, block: KnownBlock, wanted: LogFilter, *, removed: bool = False) -> list[JsonObject]:
    """The logs of a block that a filter takes."""
    if not wanted.may_be_in(block.header.bloom):
        return []
    found: list[JsonObject] = []
    log_index = 0
    for index, receipt in enumerate(await blocks.receipts(block.hash)):
        for log in receipt.logs:
            if wanted.takes(log):
                found.append(log_json(log, block, index, log_index, removed=removed))
            log_index += 1
    return found
