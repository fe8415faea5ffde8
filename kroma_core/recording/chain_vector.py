"""The format `chain-vector/1`: one small world as (xz-compressed) JSON, read whole and decoded as it is asked for.

docs/recordings.md describes it.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kroma_core.codec.headers import Header
from kroma_core.codec.json_text import json_loads
from kroma_core.codec.keccak import keccak256
from kroma_core.errors import DecodeError
from kroma_core.recording.expected_json import expected_block, expected_output, safe_after
from kroma_core.recording.json_fields import Fields
from kroma_core.recording.problems import l1_block_name, l2_block_name, refuse
from kroma_core.recording.values import (
    About,
    ExpectedBlock,
    ExpectedOutput,
    SafeAfter,
    StoredBlob,
    StoredLink,
    TimelineStep,
)
from kroma_core.types import Hash32

FORMAT = "chain-vector/1"
XZ_MAGIC = b"\xfd7zXZ\x00"
MAX_JSON = 1 << 30
"""Bytes of JSON a file of this format may hold: it is read whole. Longer recordings belong in the other format."""
XZ_MEMORY = 256 << 20
BLOB_SIZE = 131_072
_CHUNK = 1 << 20


def read_json(path: Path) -> Any:
    """The JSON value in a plain or xz-compressed file; at most `MAX_JSON` bytes of it."""
    try:
        with path.open("rb") as file:
            start = file.read(len(XZ_MAGIC))
            file.seek(0)
            data = _unpack(path, file.read()) if start == XZ_MAGIC else file.read(MAX_JSON + 1)
    except OSError as error:
        raise refuse(path, "file", "content", expected="a readable file", got=error.strerror or error) from error
    if len(data) > MAX_JSON:
        raise refuse(path, "file", "size", expected=f"at most {MAX_JSON} bytes of JSON", got="more")
    try:
        return json_loads(data)
    except ValueError as error:
        raise refuse(path, "file", "content", expected="JSON", got=error) from error


def _unpack(path: Path, packed: bytes) -> bytes:
    unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
    chunks: list[bytes] = []
    size = 0
    try:
        chunk = unpacker.decompress(packed, _CHUNK)
        while True:
            size += len(chunk)
            if size > MAX_JSON:
                raise refuse(path, "file", "size", expected=f"at most {MAX_JSON} bytes of JSON", got="more")
            chunks.append(chunk)
            if unpacker.eof:
                break
            if unpacker.needs_input:
                raise refuse(path, "file", "content", expected="a whole xz stream", got="one that is cut short")
            chunk = unpacker.decompress(b"", _CHUNK)
    except lzma.LZMAError as error:
        raise refuse(path, "file", "content", expected="an intact xz stream", got=error) from error
    if unpacker.unused_data:
        got = f"{len(unpacker.unused_data)} bytes after its end"
        raise refuse(path, "file", "content", expected="one xz stream", got=got)
    return b"".join(chunks)


class VectorExpected:
    """`expected` of a chain vector."""

    def __init__(self, file: Path, fields: Fields) -> None:
        self._file = file
        self._blocks = fields.list("blocks")
        self._safe_after = fields.list("safe_after")
        self._outputs: list[Any] = fields.list("outputs") if "outputs" in fields else []
        self._by_hash: dict[str, int] = {}
        self._by_parent: dict[str, int] = {}
        self._first = 1
        for index in range(len(self._blocks)):
            block = self._block_fields(index)
            number = block.number("number")
            if index == 0:
                self._first = number
            elif number != self._first + index:
                raise refuse(file, f"expected.blocks[{index}]", "number", expected=self._first + index, got=number)
            self._by_hash.setdefault(block.text("hash").lower(), index)
            self._by_parent.setdefault(block.under("payload").text("parentHash").lower(), index)
        for index, item in enumerate(self._outputs):
            part = f"expected.outputs[{index}]"
            if (number := Fields.of(item, file=file, part=part).number("number")) != self._first + index:
                raise refuse(file, part, "number", expected=self._first + index, got=number)

    @property
    def block_count(self) -> int:
        return len(self._blocks)

    def block(self, number: int) -> ExpectedBlock | None:
        index = number - self._first
        return self._decoded(index) if 0 <= index < len(self._blocks) else None

    def by_hash(self, block_hash: Hash32) -> ExpectedBlock | None:
        index = self._by_hash.get("0x" + block_hash.hex())
        return None if index is None else self._decoded(index)

    def child(self, parent_hash: Hash32) -> ExpectedBlock | None:
        index = self._by_parent.get("0x" + parent_hash.hex())
        return None if index is None else self._decoded(index)

    def blocks(self) -> Iterator[ExpectedBlock]:
        for index in range(len(self._blocks)):
            yield self._decoded(index)

    def safe_after(self, step: int) -> SafeAfter | None:
        if not 0 <= step < len(self._safe_after):
            return None
        return safe_after(Fields.of(self._safe_after[step], file=self._file, part=f"expected.safe_after[{step}]"))

    def output(self, number: int) -> ExpectedOutput | None:
        index = number - self._first
        if not 0 <= index < len(self._outputs):
            return None
        return expected_output(Fields.of(self._outputs[index], file=self._file, part=f"expected output {number}"))

    def block_objects(self) -> Iterator[dict[str, Any]]:
        """The blocks as they stand in the file."""
        for index in range(len(self._blocks)):
            yield self._block_fields(index).object

    def all_safe_after(self) -> Iterator[SafeAfter]:
        for step in range(len(self._safe_after)):
            safe = self.safe_after(step)
            if safe is not None:
                yield safe

    def output_objects(self) -> Iterator[dict[str, Any]]:
        """The outputs as they stand in the file."""
        for item in self._outputs:
            yield Fields.of(item, file=self._file, part="expected.outputs").object

    def _block_fields(self, index: int) -> Fields:
        return Fields.of(self._blocks[index], file=self._file, part=f"expected.blocks[{index}]")

    def _decoded(self, index: int) -> ExpectedBlock:
        part = l2_block_name(self._first + index)
        return expected_block(Fields.of(self._blocks[index], file=self._file, part=part))


class VectorRecording:
    """A `chain-vector/1` file."""

    format = FORMAT

    def __init__(self, path: Path) -> None:
        self.path = path
        self._root = root = Fields.of(read_json(path), file=path, part="file")
        if root.object.get("format") != FORMAT:
            raise refuse(path, "file", "format", expected=FORMAT, got=root.object.get("format"))
        top = Fields(file=path, part="", object=root.object)
        self.about = About(
            **{key: str(root.object.get(key, "")) for key in ("name", "summary", "made_by")},
        )
        self.rollup_config: Mapping[str, Any] = top.under("rollup_config").object
        self.l1_chain_config: Mapping[str, Any] | None = (
            top.under("l1_chain_config").object if "l1_chain_config" in top else None
        )
        self.l2_genesis: Mapping[str, Any] | None = top.under("l2_genesis").object if "l2_genesis" in top else None
        self._blocks: dict[Hash32, Fields] = {}
        self._heights: dict[int, list[Hash32]] = {}
        for index, item in enumerate(top.under("l1").list("blocks")):
            block = Fields.of(item, file=path, part=f"l1.blocks[{index}]")
            block_hash, number = block.data("hash", 32), block.number("number")
            if block_hash in self._blocks:
                raise refuse(path, block.part, "hash", expected="each block once", got=f"{block_hash.hex()} again")
            self._blocks[block_hash] = Fields.of(item, file=path, part=l1_block_name(number, block_hash))
            self._heights.setdefault(number, []).append(block_hash)
        if not self._blocks:
            raise refuse(path, "l1", "blocks", expected="at least one L1 block", got="none")
        self._blobs = top.under("blobs") if "blobs" in top else Fields(file=path, part="blobs", object={})
        self._timeline = top.list("timeline")
        self.expected: VectorExpected | None = (
            VectorExpected(path, top.under("expected")) if "expected" in top else None
        )
        self._links = {block_hash: self._linked(block_hash, block) for block_hash, block in self._blocks.items()}
        self._check_tree()

    def link(self, block_hash: Hash32) -> StoredLink | None:
        return self._links.get(block_hash)

    def at(self, number: int) -> tuple[StoredLink, ...]:
        return tuple(self._links[block_hash] for block_hash in self._heights.get(number, ()))

    def span(self) -> tuple[int, int]:
        return min(self._heights), max(self._heights)

    def links(self) -> Iterator[StoredLink]:
        yield from self._links.values()

    def header(self, block_hash: Hash32) -> bytes | None:
        block = self._blocks.get(block_hash)
        return None if block is None else block.data("header")

    def transactions(self, block_hash: Hash32) -> tuple[bytes, ...] | None:
        block = self._blocks.get(block_hash)
        return None if block is None else block.data_list("transactions")

    def receipts(self, block_hash: Hash32) -> tuple[bytes, ...] | None:
        block = self._blocks.get(block_hash)
        return None if block is None else block.data_list("receipts")

    def blob(self, versioned_hash: Hash32) -> StoredBlob | None:
        name = "0x" + versioned_hash.hex()
        if name not in self._blobs.object:
            return None
        data = self._blobs.data(name)
        if len(data) > BLOB_SIZE:
            raise refuse(self.path, f"blob {name}", "size", expected=f"{BLOB_SIZE} bytes", got=f"{len(data)} bytes")
        return StoredBlob(versioned_hash=versioned_hash, data=data.ljust(BLOB_SIZE, b"\0"))

    def blob_hashes(self) -> Iterator[Hash32]:
        for name in self._blobs.object:
            yield Fields(file=self.path, part="blobs", object={"versioned hash": name}).data("versioned hash", 32)

    @property
    def step_count(self) -> int:
        return len(self._timeline)

    def step(self, index: int) -> TimelineStep:
        step = Fields.of(self._timeline[index], file=self.path, part=f"timeline[{index}]")
        return TimelineStep(
            unsafe=step.data("l1_head", 32),
            safe=step.data("l1_safe", 32) if "l1_safe" in step else None,
            finalized=step.data("l1_finalized", 32) if "l1_finalized" in step else None,
        )

    def _linked(self, block_hash: Hash32, block: Fields) -> StoredLink:
        raw = block.data("header")
        if (got := keccak256(raw)) != block_hash:
            raise refuse(self.path, block.part, "header", expected=block_hash, got=got)
        try:
            parent_hash = Header.decode(raw).parent_hash
        except DecodeError as error:
            raise refuse(self.path, block.part, "header", expected="an RLP header", got=error) from error
        return StoredLink(hash=block_hash, number=block.number("number"), parent_hash=parent_hash)

    def _check_tree(self) -> None:
        """Every block but the lowest has its parent, and every head of the timeline is there."""
        lowest = self.span()[0]
        for link in self._links.values():
            if link.number > lowest and link.parent_hash not in self._links:
                part = l1_block_name(link.number - 1, link.parent_hash)
                raise refuse(self.path, part, "block", expected="in the recording", got="missing")
        for index in range(self.step_count):
            head = self.step(index).unsafe
            if head not in self._links:
                got = f"0x{head.hex()}, which is missing"
                raise refuse(self.path, f"timeline[{index}]", "l1_head", expected="a recorded L1 block", got=got)

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
