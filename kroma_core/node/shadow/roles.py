"""Which roles can be shadowed, and by what the leading part is replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kroma_core.api.roles import Role
from kroma_core.node.shadow.data_source import shadow_blobs, shadow_data
from kroma_core.node.shadow.engine import shadow_engine
from kroma_core.node.shadow.l1_source import shadow_l1
from kroma_core.node.shadow.leading import Leading

SHADOWED: Final[dict[Role, Callable[[Leading], Any]]] = {
    Role.L1: shadow_l1,
    Role.BLOBS: shadow_blobs,
    Role.DATA: shadow_data,
    Role.ENGINE: shadow_engine,
}
"""For each role the stand-in of its leading part; the same roles as `planning.FOLLOWED`."""
