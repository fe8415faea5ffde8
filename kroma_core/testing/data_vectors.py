"""A recorded chain through a data source: its batches are carried the source's way, and must derive the same blocks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from kroma_core.chain.config import ChainConfig
from kroma_core.chain.load import chain_from_json
from kroma_core.codec.headers import Header
from kroma_core.codec.receipts import Receipt
from kroma_core.derive.pipeline import Derivation
from kroma_core.derive.steps import Derived, MustReset, NeedData, NeedL1, NeedL2Block
from kroma_core.l1 import InboxTransaction, L1Block
from kroma_core.l2 import Payload
from kroma_core.recording import Recording, open_recording
from kroma_core.testing.blob_content import blob_content
from kroma_core.types import Gas, Hash32, L2Number, Wei

ReadBack = Callable[[bytes], Awaitable[tuple[bytes, ...]]]
"""Publish one input with the source, mine it, and read it back."""


async def derive_recorded(path: Path, read_back: ReadBack) -> tuple[int, int]:
    """Derive the recorded chain with all call data and blobs read back through a source: blocks found, blocks expected.

    Attributes that are not those of the recorded block are refused, as its engine refused them.
    """
    with open_recording(path) as recording:
        expected = recording.expected
        assert expected is not None, f"{path} has no expected chain"
        chain = chain_from_json(
            recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=str(path)
        )
        genesis = _genesis(chain)
        machine, branch, found = Derivation(chain, safe=genesis, base=genesis), _final_branch(recording), 0
        while True:
            event: Any = machine.next_event()
            match event:
                case NeedL1(number=number):
                    if number not in branch:
                        return found, expected.block_count
                    machine.feed_l1(*_block(recording, branch[number]))
                case NeedData(transactions=transactions):
                    machine.feed_data([await _inputs(recording, each, read_back) for each in transactions])
                case NeedL2Block(number=number):
                    below = expected.block(number)
                    machine.feed_l2(genesis if below is None else below.payload)
                case Derived(parent=parent, attributes=attributes):
                    block = expected.child(parent.hash)
                    if block is None or attributes != block.attributes:
                        machine.reject("not the recorded block")  # as the engine did: the chain has batches of lies
                    else:
                        found = block.payload.number
                        machine.confirm(block.payload)
                case MustReset(reason=reason):
                    raise AssertionError(f"derivation must be reset: {reason}")
                case _:
                    pass


async def _inputs(recording: Recording, transaction: InboxTransaction, read_back: ReadBack) -> tuple[bytes, ...]:
    """What a transaction carried; what is no frames (a publisher makes none of it) stays as it is."""
    found: list[bytes] = []
    for content in _contents(recording, transaction):
        found += await read_back(content[1:]) if content[:1] == b"\0" else (content,)
    return tuple(found)


def _contents(recording: Recording, transaction: InboxTransaction) -> Iterator[bytes]:
    """Call data, or what the blobs hold: none of the recorded chains has blobs before they carry data."""
    if not transaction.blob_hashes:
        yield transaction.data
    for versioned_hash in transaction.blob_hashes:
        blob = recording.blob(versioned_hash)
        assert blob is not None, f"the recording lacks blob 0x{versioned_hash.hex()}"
        yield blob_content(blob.data)


def _genesis(chain: ChainConfig) -> Payload:
    """The genesis block as far as derivation looks at it: identity and time."""
    found = chain.genesis
    assert found is not None, "the recording has no genesis"
    return Payload(
        hash=chain.rollup.genesis.l2.hash,
        parent_hash=found.parent_hash,
        number=L2Number(chain.rollup.genesis.l2.number),
        timestamp=chain.rollup.genesis.l2_time,
        fee_recipient=found.coinbase,
        state_root=bytes(32),
        receipts_root=bytes(32),
        logs_bloom=bytes(256),
        prev_randao=found.mix_hash,
        gas_limit=found.gas_limit,
        gas_used=Gas(0),
        extra_data=found.extra_data,
        base_fee=Wei(found.base_fee),
        transactions=(),
    )


def _final_branch(recording: Recording) -> dict[int, Hash32]:
    branch: dict[int, Hash32] = {}
    link = recording.link(recording.step(recording.step_count - 1).unsafe)
    while link is not None:
        branch[link.number] = link.hash
        link = recording.link(link.parent_hash)
    return branch


def _block(recording: Recording, block_hash: Hash32) -> tuple[L1Block, tuple[Receipt, ...]]:
    header, transactions = recording.header(block_hash), recording.transactions(block_hash)
    assert header is not None
    assert transactions is not None
    receipts = tuple(Receipt.decode(raw) for raw in recording.receipts(block_hash) or ())
    return L1Block(hash=block_hash, header=Header.decode(header), transactions=transactions), receipts
