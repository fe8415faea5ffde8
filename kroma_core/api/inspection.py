"""What a part would stand on, asked before a node starts: `kroma check PROFILE.toml --live` compares it.

An offer that can tell has an `inspect`; it opens nothing that lasts and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from kroma_core.types import Hash32, Timestamp


@attrs.frozen(kw_only=True)
class Facts:
    """What one server says of itself. None where it does not tell, or where the question has no meaning for the role.

    The part reports; whether it fits the rollup is core's to judge. Only what core cannot know (a method that is
    missing, a secret that is refused) goes into `problems`.
    """

    server: str
    """How messages call it: scheme, host and port, never what may be secret."""
    silent: str | None = None
    """Why it did not answer; then nothing else is known of it."""
    problems: tuple[str, ...] = ()
    chain_id: int | None = None
    """Of L1 for the roles l1 and blobs, of L2 for an engine."""
    genesis: Hash32 | None = None
    """The block with the number at which the rollup begins: the L1 block it is anchored to, or the first L2 block."""
    head_time: Timestamp | None = None
    """Time of the newest block."""
    safe_time: Timestamp | None = None
    """Time of the newest L2 block that an engine holds for safe; that of its first block where none was told."""
    chain_config: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    """geth's chain config of an engine, with its fork times."""
    slot_zero: Timestamp | None = None
    """Time at which the beacon chain begins."""
    slot_ms: int | None = None
    """Milliseconds a slot."""
    blob_retention: int | None = None
    """Seconds for which blobs are kept; None also where they are kept for good."""
