"""The one interface to recordings of every format, and the door that tells the formats apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

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


class Expected(Protocol):
    """The chain that the reference client derived: for comparison afterwards, never for the engine that executes.

    Every method raises `RecordingError` where the stored form is damaged.
    """

    @property
    def block_count(self) -> int:
        """Blocks of the final safe chain; the first is the one after L2 genesis."""
        ...

    def block(self, number: int) -> ExpectedBlock | None:
        """The block at an L2 number."""
        ...

    def by_hash(self, block_hash: Hash32) -> ExpectedBlock | None: ...

    def child(self, parent_hash: Hash32) -> ExpectedBlock | None:
        """The block whose parent is `parent_hash`."""
        ...

    def blocks(self) -> Iterator[ExpectedBlock]:
        """All blocks in order, read one at a time."""
        ...

    def safe_after(self, step: int) -> SafeAfter | None:
        """The safe head after a timeline step."""
        ...

    def output(self, number: int) -> ExpectedOutput | None:
        """The output at an L2 number, where outputs were recorded."""
        ...


class Recording(Protocol):
    """A recorded L1: its blocks of all branches, blobs, and heads in the order a node saw them.

    Addressed by hash; what it returns is stored data, not yet checked (see `verified`). Every method raises
    `RecordingError` where the stored form is damaged. A context manager: leaving it closes the file.
    """

    @property
    def path(self) -> Path: ...

    @property
    def format(self) -> str:
        """The format's name with its version."""
        ...

    @property
    def about(self) -> About: ...

    @property
    def rollup_config(self) -> Mapping[str, Any]:
        """rollup.json, as the clients write it."""
        ...

    @property
    def l1_chain_config(self) -> Mapping[str, Any] | None:
        """geth's chain config of the L1."""
        ...

    @property
    def l2_genesis(self) -> Mapping[str, Any] | None:
        """geth's genesis.json of the L2."""
        ...

    def link(self, block_hash: Hash32) -> StoredLink | None: ...

    def at(self, number: int) -> tuple[StoredLink, ...]:
        """The L1 blocks of all branches at one height."""
        ...

    def span(self) -> tuple[int, int]:
        """Lowest and highest L1 number in the recording."""
        ...

    def links(self) -> Iterator[StoredLink]:
        """All L1 blocks in the order they were recorded."""
        ...

    def header(self, block_hash: Hash32) -> bytes | None:
        """RLP of an L1 header."""
        ...

    def transactions(self, block_hash: Hash32) -> tuple[bytes, ...] | None: ...

    def receipts(self, block_hash: Hash32) -> tuple[bytes, ...] | None:
        """Consensus encodings of an L1 block's receipts."""
        ...

    def blob(self, versioned_hash: Hash32) -> StoredBlob | None: ...

    def blob_hashes(self) -> Iterator[Hash32]: ...

    @property
    def step_count(self) -> int:
        """Length of the timeline."""
        ...

    def step(self, index: int) -> TimelineStep:
        """One step of the timeline, counted from 0."""
        ...

    @property
    def expected(self) -> Expected | None:
        """What was derived from it; None in a recording that only holds an L1."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
