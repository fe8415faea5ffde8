"""A made-up chain of any length, written as a recording of the project's own format, one L1 block at a time.

The L1 has real hashes, roots, signatures and commitments; the batcher posts a channel every few L1 blocks: span batches
in call data, single batches in call data, and now and then a span batch in a blob. Users deposit, and the fee scalars
change from time to time. L2 blocks get their roots from `sealed_block`. Nothing of the chain stays in memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import attrs
from kroma_da_blob.codec import encode as encode_blob

from bench.sealing_engine import genesis_block, sealed_block
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.rollup_json import rollup_config_to_json
from kroma_core.codec.keccak import keccak256
from kroma_core.derive.attributes import L1Origin, payload_attributes
from kroma_core.derive.batch_codec import encode_singular_batch
from kroma_core.derive.batches import SingularBatch
from kroma_core.derive.channel_out import encode_channel
from kroma_core.derive.decompress import Compression
from kroma_core.derive.frames import encode_frames
from kroma_core.derive.l2_blocks import read_l2_block
from kroma_core.derive.span_batch import SpanTerms
from kroma_core.derive.span_encoder import encode_span_batch, span_of
from kroma_core.forks import Fork
from kroma_core.l1 import L1Block, L1Receipts
from kroma_core.recording import About, RecordingWriter, TimelineStep
from kroma_core.testing.l1_logs import FEE_SCALARS, config_update_log, deposit_log, word
from kroma_core.testing.scripted_blocks import Mineable, ScriptedTransaction, scripted_block
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_recording import L1_CHAIN_CONFIG
from kroma_core.testing.scripted_rollup import SCALAR, all_forks_until, rollup_on
from kroma_core.testing.wallet import Wallet
from kroma_core.types import Hash32

L1_FORK = "prague"
L1_BLOCK_TIME = 12
BLOCKS_PER_EPOCH = 6
EPOCHS_PER_CHANNEL = 5
SINGLE_EVERY, BROTLI_EVERY, BLOB_EVERY = 4, 4, 40
"""Every so many channels one of single batches, one compressed by brotli, and one in a blob (the second is the first).
Brotli and commitments are what takes time here."""
MOST_DATA_IN_BLOCK = 3
"""The batcher's transactions in one L1 block: channels stretch over several blocks."""
DEPOSIT_EVERY, UPDATE_EVERY = 3, 500
FINAL_DEPTH = 64
_FRAME_SIZE = 2000


@attrs.define
class _Batcher:
    """Signs and numbers the batcher's transactions."""

    l1: ScriptedL1
    nonces: Iterator[int] = attrs.field(factory=itertools.count)

    def call_data(self, data: bytes) -> bytes:
        return self.l1.batcher.dynamic_fee(
            chain_id=self.l1.chain_id, nonce=next(self.nonces), to=self.l1.inbox, data=data
        )

    def blob(self, versioned_hash: Hash32) -> bytes:
        return self.l1.batcher.blob(
            chain_id=self.l1.chain_id, nonce=next(self.nonces), to=self.l1.inbox, blob_hashes=[versioned_hash]
        )


def write_recording(path: Path, blocks: int, *, blobs: bool = True) -> ChainConfig:
    """Record an L1 from which at least `blocks` L2 blocks follow; returns the rollup's configuration.

    Without `blobs` no channel is in one: making their proofs begins with seconds of preparation.
    """
    l1 = ScriptedL1()
    chain = rollup_on(l1, forks=all_forks_until(Fork.JOVIAN), seq_window_size=100, channel_timeout=50)
    with RecordingWriter(
        path,
        rollup_config=rollup_config_to_json(chain.rollup),
        l1_chain_config={"chainId": l1.chain_id, **L1_CHAIN_CONFIG},
        about=About(name="made-up", summary=f"a made-up chain of {blocks} L2 blocks"),
        check=False,
    ) as writer:
        _write(writer, l1, chain, blocks, blobs=blobs)
        writer.finish()
    return chain


def _write(writer: RecordingWriter, l1: ScriptedL1, chain: ChainConfig, wanted: int, *, blobs: bool) -> None:
    batcher, users = _Batcher(l1), _user_transactions(chain)
    block: L1Block = l1.genesis
    receipts: L1Receipts = ()
    recent: list[Hash32] = []
    _record(writer, block, receipts, recent)
    head = genesis_block(chain)
    batches: list[SingularBatch] = []
    waiting: list[Mineable] = []
    channels = posted = 0
    while posted < wanted or waiting:
        epoch = L1Origin(ref=block.ref, header=block.header, receipts=receipts)
        for _ in range(BLOCKS_PER_EPOCH - (head.number == 0)):
            parent, config = read_l2_block(head, chain)
            sequenced = tuple(itertools.islice(users, head.number % 4))
            attributes = payload_attributes(chain, parent, config, epoch, sequenced=sequenced)
            batches.append(
                SingularBatch(
                    parent_hash=head.hash,
                    epoch_number=block.ref.number,
                    epoch_hash=block.hash,
                    timestamp=attributes.timestamp,
                    transactions=sequenced,
                )
            )
            head = sealed_block(head, attributes, chain)
        number = block.header.number + 1
        content = [*waiting[:MOST_DATA_IN_BLOCK], *_others(l1, number)]
        del waiting[:MOST_DATA_IN_BLOCK]
        if number % EPOCHS_PER_CHANNEL == 0:
            in_blob = blobs and channels % BLOB_EVERY == 1
            waiting += _channel(writer, batcher, chain, batches, channels, in_blob=in_blob)
            batches, channels, posted = [], channels + 1, head.number
        block, receipts = scripted_block(
            block,
            content,
            number=number,
            time=block.header.timestamp + L1_BLOCK_TIME,
            salt=number.to_bytes(8, "big"),
            fork=L1_FORK,
        )
        _record(writer, block, receipts, recent)


def _record(writer: RecordingWriter, block: L1Block, receipts: L1Receipts, recent: list[Hash32]) -> None:
    """One L1 block and the moment at which it is the head; blocks are final `FINAL_DEPTH` later."""
    writer.add_block(block.header.encode(), block.transactions, [receipt.encode() for receipt in receipts])
    recent.append(block.hash)
    writer.add_step(TimelineStep(unsafe=block.hash, safe=recent[len(recent) // 2], finalized=recent[0]))
    if len(recent) > FINAL_DEPTH:
        del recent[0]


def _channel(
    writer: RecordingWriter,
    batcher: _Batcher,
    chain: ChainConfig,
    batches: list[SingularBatch],
    number: int,
    *,
    in_blob: bool,
) -> list[Mineable]:
    """The transactions that carry these batches."""
    compression = Compression.BROTLI if number % BROTLI_EVERY == 1 else Compression.ZLIB
    if number % SINGLE_EVERY == SINGLE_EVERY - 1:
        encoded = [encode_singular_batch(batch) for batch in batches]
    else:
        first = (batches[0].timestamp - chain.rollup.genesis.l2_time) % L1_BLOCK_TIME == 0
        encoded = [encode_span_batch(span_of(batches), SpanTerms.of(chain.rollup), first_of_epoch=first)]
    channel_id = keccak256(b"channel" + number.to_bytes(8, "big"))[:16]
    size = 100_000 if in_blob else _FRAME_SIZE
    frames = encode_channel(encoded, compression, channel_id=channel_id, max_frame_data=size)
    if in_blob:
        return [batcher.blob(writer.add_blob(encode_blob(encode_frames(frames))))]
    return [batcher.call_data(encode_frames([frame])) for frame in frames]


def _others(l1: ScriptedL1, number: int) -> Iterator[Mineable]:
    """What other accounts do on L1 in a block."""
    someone = Wallet.named("someone")
    raw = someone.dynamic_fee(chain_id=l1.chain_id, nonce=number, to=l1.portal)
    if number % UPDATE_EVERY == 0:
        scalar = SCALAR[:-4] + (1000 + number % 1000).to_bytes(4, "big")
        data = word(0) + scalar
        yield ScriptedTransaction(raw=raw, logs=(config_update_log(l1.system_config, FEE_SCALARS, data),))
    elif number % DEPOSIT_EVERY == 0:
        receiver = keccak256(number.to_bytes(8, "big"))[12:]
        log = deposit_log(l1.portal, sender=someone.address, to=receiver, mint=number, value=number)
        yield ScriptedTransaction(raw=raw, logs=(log,))


def _user_transactions(chain: ChainConfig) -> Iterator[bytes]:
    """Signed L2 transactions without end; they repeat, for no engine looks at their nonces."""
    user = Wallet.named("user")
    return itertools.cycle(
        [
            user.dynamic_fee(
                chain_id=chain.rollup.l2_chain_id,
                nonce=nonce,
                to=keccak256(nonce.to_bytes(8, "big"))[12:],
                data=keccak256(b"data" + nonce.to_bytes(8, "big")) * (nonce % 7),
            )
            for nonce in range(1000)
        ]
    )
