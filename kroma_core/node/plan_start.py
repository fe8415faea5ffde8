"""Where a node of a plan would begin, as far as this shows without opening anything."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Final

import attrs

from kroma_core.api.roles import Role
from kroma_core.node.data_directory import expect_own
from kroma_core.node.plan import Plan
from kroma_core.node.profile import SyncMode
from kroma_core.node.safe_head_store import SAFE_HEADS, Entry, last_stored
from kroma_core.types import BlockId


class StartKind(enum.StrEnum):
    GENESIS = "genesis"
    """Nothing is stored: everything is derived."""
    STORED = "stored"
    """The engine has stored a chain in the data directory."""
    SERVER = "server"
    """The engine's server knows; it is asked when the node starts."""
    CHECKPOINT = "checkpoint"
    """The profile trusts a block, and nothing is stored yet."""
    DRIVEN = "driven"
    """Another rollup node decides."""


@attrs.frozen(kw_only=True)
class Start:
    """`block` is the one above which derivation begins, as far as it is known: a checkpoint's number is not.

    `stored` is the last safe block that the data directory tells of, with its L1 block.
    """

    kind: StartKind
    block: BlockId | None = None
    stored: Entry | None = None
    checkpoint: bytes | None = None
    engine_first: bool = False

    @property
    def text(self) -> str:
        """The same in words, a line each."""
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        lines = [_WORDS[self.kind].format(block=self.block)]
        if self.stored is not None and self.stored.safe is not None:
            lines.append(f"the last safe block noted: {self.stored.safe}, after L1 block {self.stored.l1.number}")
        if self.checkpoint is not None:
            lines.append(
                f"checkpoint 0x{self.checkpoint.hex()}: the engine has to have that block, with its state; "
                "nothing up to it is derived"
            )
        if self.engine_first:
            lines.append(
                "execution-layer sync: a fresh engine fetches the chain up to the first unsafe block it is shown"
            )
        return lines


_WORDS: Final = {
    StartKind.GENESIS: "genesis: block {block}; nothing is stored yet",
    StartKind.STORED: "where the engine's chain in the data directory stands",
    StartKind.SERVER: "the engine's own safe head, or genesis, block {block}: its server is asked when the node starts",
    StartKind.CHECKPOINT: "the checkpoint; nothing is stored here yet",
    StartKind.DRIVEN: "another rollup node drives the engine: it derives nothing",
}


def start_of(plan: Plan) -> Start:
    """Where the node of a plan would begin. Raises `ConfigError` where its data directory is another chain's."""
    expect_own(plan.data_dir, plan.chain)
    if not plan.node.derive:
        return Start(kind=StartKind.DRIVEN)
    genesis = plan.chain.rollup.genesis.l2
    engines = [layer for part in plan.of_role(Role.ENGINE) for layer in part.layers]
    checkpoint = plan.node.checkpoint
    engine_first = plan.node.sync_mode is SyncMode.EXECUTION_LAYER
    if any(engine.installed.offer.inspect is not None for engine in engines):
        stored = last_stored(plan.data_dir / SAFE_HEADS)
        return Start(
            kind=StartKind.SERVER, block=genesis, stored=stored, checkpoint=checkpoint, engine_first=engine_first
        )
    if any(_holds_something(engine.data_dir) for engine in engines):
        stored = last_stored(plan.data_dir / SAFE_HEADS)
        block = stored.safe if stored is not None else None
        return Start(
            kind=StartKind.STORED, block=block, stored=stored, checkpoint=checkpoint, engine_first=engine_first
        )
    if checkpoint is not None:
        return Start(kind=StartKind.CHECKPOINT, checkpoint=checkpoint, engine_first=engine_first)
    return Start(kind=StartKind.GENESIS, block=genesis, engine_first=engine_first)


def _holds_something(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
