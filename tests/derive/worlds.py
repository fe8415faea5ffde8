"""Recorded worlds (`chain-vector/1`) as a test of derivation needs them, and a driver that plays the engine.

Small on purpose and without the project's own reader: what it hands to the machine is what stands in the file.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from kroma_core.chain.base_fee import extra_data_of
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.genesis_json import genesis_from_json
from kroma_core.codec.headers import Header
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.payloads import attributes_from_json, payload_from_json
from kroma_core.codec.receipts import Receipt
from kroma_core.derive.attributes import needs_receipts
from kroma_core.derive.l2_blocks import l2_ref
from kroma_core.derive.pipeline import Derivation, is_far_enough
from kroma_core.derive.steps import Derived, MustReset, NeedData, NeedL1, NeedL2Block
from kroma_core.events import ChannelRead, L1Traversed, Verdict
from kroma_core.l1 import InboxTransaction, L1Block
from kroma_core.l2 import Payload, PayloadAttributes
from kroma_core.types import Gas, Hash32, L1Ref, L2Number, L2Ref, Wei
from tests.vectors.client_json import chain_config
from tests.vectors.unit_files import hex_bytes, load

BLOB_SIZE = 131_072


@attrs.frozen(kw_only=True)
class Block:
    """A block of the expected chain, with where and how it was derived."""

    payload: Payload
    attributes: PayloadAttributes
    derived_from: int
    batch: str
    l1_origin: int
    sequence_number: int


@attrs.frozen(kw_only=True)
class Stop:
    """A step of the timeline: the L1 head, and what the client had derived when idle.

    `derived_l1` is the L1 block it had read; some files leave it out.
    """

    l1_head: Hash32
    derived_l1: Hash32 | None
    safe: Hash32


class World:
    """One file."""

    def __init__(self, path: Path) -> None:
        found: dict[str, Any] = load(path)
        self.name: str = found["name"]
        config = chain_config(found["rollup_config"], found.get("l1_chain_config"))
        self.genesis = _genesis_payload(config, found["l2_genesis"])
        self.config = config
        self._l1 = {hex_bytes(entry["hash"]): entry for entry in found["l1"]["blocks"]}
        self._blobs: dict[str, str] = found.get("blobs", {})
        self.blocks = [_block(entry) for entry in found["expected"]["blocks"]]
        self.by_parent = {block.payload.parent_hash: block for block in self.blocks}
        self.payloads = {block.payload.number: block.payload for block in self.blocks}
        self.payloads[self.genesis.number] = self.genesis
        self.stops = [
            Stop(
                l1_head=hex_bytes(stop["l1_head"]),
                derived_l1=hex_bytes(stop["derived_l1"]["hash"]) if "derived_l1" in stop else None,
                safe=hex_bytes(stop["safe_l2"]["hash"]),
            )
            for stop in found["expected"]["safe_after"]
        ]

    @functools.cached_property
    def final_chain(self) -> list[Hash32]:
        """Hashes of the last head's L1 chain; the list index is the block number."""
        chain: list[Hash32] = []
        head = self.stops[-1].l1_head
        while head in self._l1:
            chain.append(head)
            head = self.header(head).parent_hash
        return chain[::-1]

    @property
    def has_reorgs(self) -> bool:
        return any(stop.l1_head not in self.final_chain for stop in self.stops)

    @functools.lru_cache(maxsize=4096)  # noqa: B019 - a world lives as long as its test
    def header(self, block_hash: Hash32) -> Header:
        return Header.decode(hex_bytes(self._l1[block_hash]["header"]))

    def l1_block(self, block_hash: Hash32) -> L1Block:
        transactions = tuple(hex_bytes(raw) for raw in self._l1[block_hash]["transactions"])
        return L1Block(hash=block_hash, header=self.header(block_hash), transactions=transactions)

    def receipts(self, block_hash: Hash32) -> tuple[Receipt, ...]:
        return tuple(Receipt.decode(hex_bytes(raw)) for raw in self._l1[block_hash]["receipts"])

    def data_of(self, transaction: InboxTransaction, *, blobs: bool) -> tuple[bytes, ...]:
        """What a transaction carries: its call data, or the data of its blobs that can be read."""
        if transaction.type != 3 or not blobs:
            return (transaction.data,)
        found = []
        for versioned_hash in transaction.blob_hashes:
            blob = hex_bytes(self._blobs["0x" + versioned_hash.hex()]).ljust(BLOB_SIZE, b"\0")
            data = read_blob(blob)
            if data is not None:
                found.append(data)
        return tuple(found)


@attrs.define
class Follower:
    """Drives one machine along an L1 chain. The recorded chain decides what the engine takes.

    Attributes other than those of the recorded child of their parent are refused.
    """

    world: World
    machine: Derivation
    derived: dict[int, Derived] = attrs.field(factory=dict)
    refs: dict[int, L2Ref] = attrs.field(factory=dict)
    verdicts: list[Verdict] = attrs.field(factory=list)
    channels: list[ChannelRead] = attrs.field(factory=list)
    traversed: list[L1Ref] = attrs.field(factory=list)
    rejected: int = 0
    full_receipts: bool = True
    """Whether receipts are handed over although the machine does not need them."""

    @classmethod
    def from_genesis(cls, world: World) -> Follower:
        return cls(world, Derivation(world.config, safe=world.genesis, base=world.genesis))

    def run(self, l1_chain: list[Hash32]) -> MustReset | None:
        """Derive until L1 is used up (its blocks by number), or a reset is due."""
        for event in self._events():
            match event:
                case Verdict():
                    self.verdicts.append(event)
                case ChannelRead():
                    self.channels.append(event)
                case L1Traversed(block=block):
                    self.traversed.append(block)
                case NeedL1(number=number):
                    if number >= len(l1_chain):
                        return None
                    next_block = self.world.l1_block(l1_chain[number])
                    needed = self.full_receipts or needs_receipts(next_block.header, self.world.config)
                    self.machine.feed_l1(next_block, self.world.receipts(next_block.hash) if needed else ())
                case NeedData(transactions=transactions, rules=rules):
                    self.machine.feed_data([self.world.data_of(each, blobs=rules.blobs) for each in transactions])
                case NeedL2Block(number=number):
                    self.machine.feed_l2(self.world.payloads[L2Number(number)])
                case Derived():
                    self._judge(event)
                case MustReset():
                    return event
        return None

    def _events(self) -> Iterator[Any]:
        while True:
            yield self.machine.next_event()

    def _judge(self, derived: Derived) -> None:
        expected = self.world.by_parent.get(derived.parent.hash)
        if expected is not None and derived.attributes == expected.attributes:
            self.derived[expected.payload.number] = derived
            self.machine.confirm(expected.payload)
            self.refs[expected.payload.number] = self.machine.pending_safe
        else:
            self.rejected += 1
            self.machine.reject("not the recorded block")


def read_blob(blob: bytes) -> bytes | None:
    """The data in a blob, None if it is not a batcher's. Spec: derivation.md, "Blob Encoding"."""
    elements = [blob[start : start + 32] for start in range(0, BLOB_SIZE, 32)]
    size = int.from_bytes(blob[2:5], "big")
    if blob[1] != 0 or size > 4 * (31 * 1024) - 4 + 3 * 1024:
        return None
    out = bytearray()
    for place in range(0, 4096, 4):
        a, b, c, d = elements[place : place + 4]
        if any(element[0] & 0xC0 for element in elements[place : place + 4][1 if place == 0 else 0 :]):
            return None
        x = (a[0] & 0x3F) | ((b[0] & 0x30) << 2)
        y = (b[0] & 0x0F) | ((d[0] & 0x0F) << 4)
        z = (c[0] & 0x3F) | ((d[0] & 0x30) << 2)
        out += a[1:] + bytes((x,)) + b[1:] + bytes((y,)) + c[1:] + bytes((z,)) + d[1:]
        if len(out) >= size + 4:
            rest = b"".join(elements[place + 4 :])
            return bytes(out[4 : size + 4]) if not any(out[size + 4 :]) and not any(rest) else None
    return None


def _block(entry: dict[str, Any]) -> Block:
    attributes = attributes_from_json(entry["attributes"])
    return Block(
        payload=payload_from_json(entry["payload"], attributes.parent_beacon_root),
        attributes=attributes,
        derived_from=entry["derived_from"]["number"],
        batch=entry["batch"],
        l1_origin=entry["l1_origin"]["number"],
        sequence_number=entry["sequence_number"],
    )


def _genesis_payload(config: ChainConfig, found: dict[str, Any]) -> Payload:
    """The genesis block as far as derivation looks at it: identity and time. Its state is the engine's concern."""
    genesis = genesis_from_json(found, source="l2_genesis")
    return Payload(
        hash=config.rollup.genesis.l2.hash,
        parent_hash=genesis.parent_hash,
        number=L2Number(config.rollup.genesis.l2.number),
        timestamp=config.rollup.genesis.l2_time,
        fee_recipient=genesis.coinbase,
        state_root=bytes(32),
        receipts_root=bytes(32),
        logs_bloom=bytes(256),
        prev_randao=genesis.mix_hash,
        gas_limit=genesis.gas_limit,
        gas_used=Gas(0),
        extra_data=genesis.extra_data,
        base_fee=Wei(genesis.base_fee),
        transactions=(),
    )


def invented_payload(derived: Derived, config: ChainConfig) -> Payload:
    """A block of an engine that takes whatever it is given, and whose hash depends on all of it."""
    attributes = derived.attributes
    identity = [derived.parent.hash, attributes.timestamp.to_bytes(8, "big"), attributes.prev_randao]
    return Payload(
        hash=keccak256(b"".join([*identity, *attributes.transactions])),
        parent_hash=derived.parent.hash,
        number=L2Number(derived.parent.number + 1),
        timestamp=attributes.timestamp,
        fee_recipient=attributes.fee_recipient,
        state_root=bytes(32),
        receipts_root=bytes(32),
        logs_bloom=bytes(256),
        prev_randao=attributes.prev_randao,
        gas_limit=attributes.gas_limit,
        gas_used=Gas(0),
        extra_data=extra_data_of(attributes, config.rollup),
        base_fee=Wei(0),
        transactions=attributes.transactions,
        withdrawals=attributes.withdrawals,
        parent_beacon_root=attributes.parent_beacon_root,
    )


def restarted(world: World, number: int) -> Derivation:
    """A machine that goes on after the recorded block at `number`, as a node does after a restart."""
    safe = world.payloads[L2Number(number)]
    safe_ref = l2_ref(safe, world.config)
    base = safe
    while not is_far_enough(l2_ref(base, world.config), safe_ref, world.config):
        base = world.payloads[L2Number(base.number - 1)]
    return Derivation(world.config, safe=safe, base=base)
