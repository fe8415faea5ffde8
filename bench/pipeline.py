"""The whole derivation without an engine: stored L1 bytes in, payload attributes out, in L2 blocks a second.

    python -m bench.pipeline [--file VECTOR] [--passes N] [--json]

A pass reads every L1 block from a recording of the project's own format as a node does (header against its hash,
transactions and receipts against their roots, blobs by their KZG proofs), derives, and is told the recorded payload for
every block. The payloads are decoded beforehand, for they are the engine's work. After each pass all attributes are
compared with the recorded ones.

Where Go is installed, op-node's own pipeline (bench/opnode/pipeline) does the same with the same bytes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import attrs
from kroma_da_blob.blob_data import BLOB_TYPE
from kroma_da_blob.codec import decode
from kroma_l1_cassette.engine import genesis_payload

from bench.go import GoMissing, Turns, turns
from bench.rows import Row, show
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.load import chain_from_json
from kroma_core.codec.kzg import commitment_of
from kroma_core.derive.attributes import needs_receipts
from kroma_core.derive.pipeline import Derivation
from kroma_core.derive.steps import Derived, MustReset, NeedData, NeedL1, NeedL2Block
from kroma_core.l1 import InboxTransaction
from kroma_core.l2 import Payload, PayloadAttributes
from kroma_core.recording import Recording, VerifiedReader, import_vector, open_recording
from kroma_core.recording.chain_vector import BLOB_SIZE, read_json
from kroma_core.types import Hash32

VECTOR = Path(__file__).parents[1] / "tests/vectors/data/op-chains/bench-jovian.json.xz"
PASSES = 15
LEAST = 1500
"""L2 blocks a second that the project wants."""


@attrs.frozen(kw_only=True)
class Recorded:
    """Everything a pass needs: an opened recording, its chain, and the engine's answers by parent hash."""

    recording: Recording
    chain: ChainConfig
    genesis: Payload
    children: dict[Hash32, Payload]
    attributes: tuple[PayloadAttributes, ...]

    @classmethod
    def of(cls, recording: Recording) -> Recorded:
        chain = chain_from_json(
            recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=str(recording.path)
        )
        if recording.expected is None:
            raise SystemExit(f"{recording.path}: no expected chain, so nothing answers in place of an engine")
        blocks = tuple(recording.expected.blocks())
        return cls(
            recording=recording,
            chain=chain,
            genesis=genesis_payload(recording, chain),
            children={block.payload.parent_hash: block.payload for block in blocks},
            attributes=tuple(block.attributes for block in blocks),
        )


@attrs.frozen(kw_only=True)
class Pass:
    """One derivation of everything: seconds in all, and for reading L1 blocks and blobs."""

    blocks: int
    seconds: float
    l1_seconds: float
    blob_seconds: float


def derive(recorded: Recorded) -> Pass:
    """Derive from genesis to the last recorded L1 head. Exits if the attributes are not the recorded ones."""
    reader = VerifiedReader(recorded.recording)
    clock = time.process_time
    found: list[PayloadAttributes] = []
    l1_seconds = blob_seconds = 0.0
    start = clock()
    tip = reader.heads(recorded.recording.step_count - 1).unsafe
    machine = Derivation(recorded.chain, safe=recorded.genesis, base=recorded.genesis)
    while True:
        match machine.next_event():
            case Derived(attributes=attributes, parent=parent):
                found.append(attributes)
                payload = recorded.children.get(parent.hash)
                if payload is None:
                    raise SystemExit(f"no block is recorded on {parent.id}")
                machine.confirm(payload)
            case NeedL1(number=number):
                if number > tip.number:
                    break
                before = clock()
                block = reader.block(reader.canonical(tip.hash, number).hash)
                receipts = reader.receipts(block.hash) if needs_receipts(block.header, recorded.chain) else ()
                l1_seconds += clock() - before
                machine.feed_l1(block, receipts)
            case NeedData(transactions=transactions):
                before = clock()
                data = [_data(reader, transaction) for transaction in transactions]
                blob_seconds += clock() - before
                machine.feed_data(data)
            case NeedL2Block() | MustReset() as step:
                raise SystemExit(f"the recording is not a plain chain: {step}")
            case _:
                pass
    seconds = clock() - start
    if tuple(found) != recorded.attributes:
        raise SystemExit(f"derived {len(found)} blocks, not the {len(recorded.attributes)} recorded ones")
    return Pass(blocks=len(found), seconds=seconds, l1_seconds=l1_seconds, blob_seconds=blob_seconds)


def _data(reader: VerifiedReader, transaction: InboxTransaction) -> tuple[bytes, ...]:
    if transaction.type != BLOB_TYPE:
        return (transaction.data,)
    blobs = [reader.blob(versioned_hash) for versioned_hash in transaction.blob_hashes]
    return tuple(decode(blob) for blob in blobs if blob is not None)


def measure(vector: Path, passes: int, *, with_go: bool = True) -> list[Row]:
    """Medians of `passes` passes."""
    ours: list[Pass] = []
    theirs: list[float] = []
    why_not = "not asked for"
    with tempfile.TemporaryDirectory(prefix="kroma-bench-") as folder, ExitStack() as opened:
        path = import_vector(vector, Path(folder) / "bench.recording")
        recorded = Recorded.of(opened.enter_context(open_recording(path)))
        if any(recorded.recording.blob_hashes()):
            commitment_of(bytes(BLOB_SIZE))  # reads the KZG set-up, once in a process
        opnode: Turns | None = None
        if with_go:
            plain = Path(folder) / "vector.json"
            plain.write_text(json.dumps(read_json(vector)))
            try:
                opnode = opened.enter_context(turns("pipeline", ["-vector", str(plain)]))
            except GoMissing as error:
                why_not = str(error)
        for _ in range(passes):
            ours.append(derive(recorded))
            if opnode is not None:
                theirs.append(opnode.take()["cpu_seconds"])
    return _rows(vector.name.partition(".")[0], ours, theirs, why_not)


def _rows(name: str, ours: list[Pass], theirs: list[float], why_not: str) -> list[Row]:
    blocks = ours[0].blocks
    seconds, l1, blob = (
        statistics.median(getattr(one, field) for one in ours) for field in ("seconds", "l1_seconds", "blob_seconds")
    )
    speed = blocks / seconds
    other = statistics.median(theirs) if theirs else None
    return [
        Row(
            what=f"whole pipeline without engine ({name}), L2 blocks/s",
            ours=f"{speed:.0f}",
            other=why_not if other is None else f"op-node {blocks / other:.0f}",
            ratio=None if other is None else other / seconds,
            least=LEAST,
            met=speed >= LEAST,
        ),
        Row(what="  of it: reading and checking L1 blocks", ours=f"{l1 / seconds:.0%}"),
        Row(what="  of it: reading and checking blobs", ours=f"{blob / seconds:.0%}"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.pipeline", description="Derivation without an engine.")
    parser.add_argument("--file", type=Path, default=VECTOR, help="a chain vector without reorgs")
    parser.add_argument("--passes", type=int, default=PASSES)
    parser.add_argument("--without-go", action="store_true", help="do not run op-node's pipeline beside it")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    show(measure(arguments.file, arguments.passes, with_go=not arguments.without_go), as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
