"""Channels to singular batches: inflate, decode batches, write out every transaction.

    python -m bench.channel_decode [--passes N] [--json]

Two inputs: the brotli channels in the blobs of bench-jovian (1 996 blocks, 10 026 transactions, half with access
lists), and one zlib channel made here of the size of a real one of OP Mainnet (143 blocks, 1 766 transactions, 576 kB).

Where Go is installed, op-node's own code (bench/opnode/channels) reads the same bytes, pass by pass in turns with ours.
Figures are CPU time, garbage collectors included, and the ratio is of the medians. Both sides' batches are compared.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import attrs
from kroma_da_blob.codec import decode

from bench.go import GoMissing, Turns, turns
from bench.rows import Row, show
from kroma_core.codec.rlp import encode
from kroma_core.derive.batches import SingularBatch, SpanBatch
from kroma_core.derive.channel_out import encode_channel_data
from kroma_core.derive.channel_reader import open_channel
from kroma_core.derive.channels import RawChannel
from kroma_core.derive.decompress import Compression
from kroma_core.derive.frames import decode_frames
from kroma_core.derive.malformed import Malformed
from kroma_core.derive.span_batch import SpanTerms, UnusableBatch
from kroma_core.derive.span_encoder import encode_span_batch, span_of
from kroma_core.derive.span_to_singular import SpanMismatch, singular_batches
from kroma_core.forks import Rules
from kroma_core.recording.chain_vector import BLOB_SIZE, read_json
from kroma_core.types import ZERO_HASH, BlockId, L1Number, L1Ref, L2Number, L2Ref, Timestamp

VECTOR = Path(__file__).parents[1] / "tests/vectors/data/op-chains/bench-jovian.json.xz"
PASSES = 25
LEAST = 1.0
"""The ratio to op-node that the project wants."""

RULES = Rules(brotli=True, rlp_bytes_per_channel=100_000_000)
GENESIS = L2Ref(
    hash=ZERO_HASH,
    number=L2Number(0),
    parent_hash=ZERO_HASH,
    timestamp=Timestamp(0),
    l1_origin=BlockId(ZERO_HASH, 0),
    sequence_number=0,
)


@attrs.frozen(kw_only=True)
class Input:
    """Channels of one chain, their frames joined."""

    name: str
    terms: SpanTerms
    channels: tuple[bytes, ...]


def recorded_channels(vector: Path) -> Input:
    """The channels in the blobs of a chain vector."""
    chain = read_json(vector)
    frames: dict[bytes, dict[int, bytes]] = {}
    for blob in chain["blobs"].values():
        decoded = decode_frames(decode(bytes.fromhex(blob[2:]).ljust(BLOB_SIZE, b"\0")))
        if isinstance(decoded, Malformed):
            raise SystemExit(f"{vector.name}: a blob without frames: {decoded.reason}")
        for frame in decoded:
            frames.setdefault(frame.channel_id, {})[frame.number] = frame.data
    config = chain["rollup_config"]
    terms = SpanTerms(
        chain_id=config["l2_chain_id"],
        genesis_time=Timestamp(config["genesis"]["l2_time"]),
        block_time=config["block_time"],
    )
    channels = tuple(b"".join(parts[number] for number in sorted(parts)) for parts in frames.values())
    return Input(name=vector.name.partition(".")[0], terms=terms, channels=channels)


def made_channel(blocks: int = 143, transactions: int = 1766) -> Input:
    """One zlib channel with one span batch of plausible transactions."""
    chance = random.Random(1)
    terms = SpanTerms(chain_id=10, genesis_time=Timestamp(1_686_068_903), block_time=2)
    receivers = [chance.randbytes(20) for _ in range(80)]
    counts = [transactions // blocks + (place < transactions % blocks) for place in range(blocks)]
    span = span_of(
        [
            SingularBatch(
                parent_hash=chance.randbytes(32),
                epoch_number=L1Number(19_000_000 + place // 6),
                epoch_hash=chance.randbytes(32),
                timestamp=Timestamp(terms.genesis_time + 2 * (10_000_000 + place)),
                transactions=tuple(_transaction(chance, receivers, terms.chain_id) for _ in range(count)),
            )
            for place, count in enumerate(counts)
        ]
    )
    batch = encode_span_batch(span, terms, first_of_epoch=True)
    return Input(name="made", terms=terms, channels=(encode_channel_data([batch], Compression.ZLIB),))


def _transaction(chance: random.Random, receivers: list[bytes], chain_id: int) -> bytes:
    """A dynamic-fee or, one in ten, legacy transaction with the kind of call data that contracts get."""
    words = [
        chance.choice(
            (chance.randbytes(20).rjust(32, b"\0"), chance.randbytes(chance.randrange(1, 32)).rjust(32, b"\0"))
        )
        for _ in range(chance.choice((0, 1, 2, 8, 20, 40)))
    ]
    data = chance.choice(receivers)[:4] + b"".join(words) if words else b""
    nonce, gas, value = chance.randrange(5000), 21_000 + 16 * len(data) + chance.randrange(200_000), 10**15 * len(words)
    tip, cap = chance.randrange(10**9), 10**9 + chance.randrange(10**9)
    receiver, r, s = chance.choice(receivers), chance.getrandbits(256), chance.getrandbits(255)
    if chance.random() < 0.1:
        return encode((nonce, cap, gas, receiver, value, data, 2 * chain_id + 35 + chance.randrange(2), r, s))
    return b"\x02" + encode((chain_id, nonce, tip, cap, gas, receiver, value, data, (), chance.randrange(2), r, s))


def read(given: Input, origins: list[L1Ref] | None = None) -> list[SingularBatch]:
    """One pass. Without origins, span blocks come out with their epoch only."""
    blocks: list[SingularBatch] = []
    for data in given.channels:
        reader = open_channel(RawChannel(id=bytes(16), data=data, frames=1, opened_at=L1Number(0)), RULES, given.terms)
        if isinstance(reader, Malformed):
            raise SystemExit(f"{given.name}: a channel that cannot be opened: {reader.reason}")
        while batch := reader.next():
            if isinstance(batch, Malformed | UnusableBatch):
                raise SystemExit(f"{given.name}: a bad batch: {batch}")
            blocks += _singular(batch, origins)
    return blocks


def _singular(batch: SingularBatch | SpanBatch, origins: list[L1Ref] | None) -> list[SingularBatch]:
    if isinstance(batch, SingularBatch):
        return [batch]
    found = singular_batches(batch, _blocks_of(batch) if origins is None else origins, GENESIS)
    if isinstance(found, SpanMismatch):
        raise SystemExit(f"span batch without its epochs: {found}")
    return found


def _blocks_of(batch: SpanBatch) -> list[L1Ref]:
    return _made_up(block.epoch_number for block in batch.blocks)


def _made_up(epochs: Iterable[L1Number]) -> list[L1Ref]:
    """An L1 block for every epoch."""
    return [
        L1Ref(hash=ZERO_HASH, number=epoch, parent_hash=ZERO_HASH, timestamp=Timestamp(0))
        for epoch in sorted(set(epochs))
    ]


def digest(blocks: Iterable[SingularBatch]) -> str:
    """What both sides compare: epoch, time and transactions of every block."""
    found = hashlib.sha256()
    for block in blocks:
        for number in (block.epoch_number, block.timestamp, len(block.transactions)):
            found.update(number.to_bytes(8, "big"))
        for transaction in block.transactions:
            found.update(len(transaction).to_bytes(8, "big") + transaction)
    return found.hexdigest()


def measure(given: Input, passes: int, *, with_go: bool = True) -> Row:
    """Medians of `passes` passes."""
    ours: list[float] = []
    theirs: list[float] = []
    why_not = "not asked for"
    first = read(given)
    origins = _made_up(block.epoch_number for block in first)
    expected = digest(first)
    with tempfile.TemporaryDirectory(prefix="kroma-bench-") as folder, ExitStack() as opened:
        opnode: Turns | None = None
        if with_go:
            try:
                opnode = opened.enter_context(turns("channels", _arguments(given, Path(folder))))
            except GoMissing as error:
                why_not = str(error)
        for _ in range(passes):
            start = time.process_time()
            read(given, origins)
            ours.append(time.process_time() - start)
            if opnode is not None:
                report = opnode.take()
                if report["digest"] != expected:
                    raise SystemExit(f"{given.name}: op-node reads other batches: {report}")
                theirs.append(report["cpu_seconds"])
    own, other = statistics.median(ours), statistics.median(theirs) if theirs else None
    sizes = f"{len(first)} blocks, {sum(len(block.transactions) for block in first)} transactions"
    ratio = None if other is None else other / own
    return Row(
        what=f"channels to batches ({given.name}: {sizes}), ms",
        ours=f"{own * 1000:.1f}",
        other=why_not if other is None else f"op-node {other * 1000:.1f}",
        ratio=ratio,
        least=LEAST,
        met=None if ratio is None else ratio >= LEAST,
    )


def _arguments(given: Input, folder: Path) -> list[str]:
    """The Go program's, after writing its files."""
    files = []
    for number, channel in enumerate(given.channels):
        files.append(str(folder / f"{number}.channel"))
        Path(files[-1]).write_bytes(channel)
    terms = given.terms
    options = {"-chain-id": terms.chain_id, "-genesis-time": terms.genesis_time, "-block-time": terms.block_time}
    return [*(f"{option}={number}" for option, number in options.items()), *files]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.channel_decode", description="Channels to singular batches.")
    parser.add_argument("--passes", type=int, default=PASSES)
    parser.add_argument("--without-go", action="store_true", help="do not run op-node's reader beside it")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    inputs = (recorded_channels(VECTOR), made_channel())
    rows = [measure(given, arguments.passes, with_go=not arguments.without_go) for given in inputs]
    show(rows, as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
