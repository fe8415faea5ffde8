"""Which protocols a part has to have, and whether it has their methods, as far as it shows without calling them."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from kroma_core.api.blobs import BlobSource
from kroma_core.api.block_traces import BlockTraces
from kroma_core.api.data import DataPublisher, DataSource
from kroma_core.api.engine import ExecutionEngine
from kroma_core.api.l1 import L1Source
from kroma_core.api.observer import Observer
from kroma_core.api.proof import ProofSystem
from kroma_core.api.queries import StateQueries, TxPool
from kroma_core.api.roles import Capability, Role
from kroma_core.api.transport import Transport

PROTOCOLS: Final[Mapping[Role, type]] = {
    Role.L1: L1Source,
    Role.BLOBS: BlobSource,
    Role.DATA: DataSource,
    Role.ENGINE: ExecutionEngine,
    Role.P2P: Transport,
    Role.PROOF: ProofSystem,
    Role.OBSERVE: Observer,
}
"""What every part of a role has."""
CLAIMED: Final[Mapping[Capability, type]] = {
    Capability.PUBLISHES: DataPublisher,
    Capability.STATE_QUERIES: StateQueries,
    Capability.TX_POOL: TxPool,
    Capability.BLOCK_TRACES: BlockTraces,
}
"""What a part has besides, where its offer claims it."""


def part_problems(part: object, role: Role, capabilities: Collection[Capability]) -> list[str]:
    """One sentence for each method that a part of that role, with these claims, lacks or has in another form."""
    found = shape_problems(part, PROTOCOLS[role])
    for capability, protocol in CLAIMED.items():
        if capability in capabilities:
            found += [f"{problem} (it claims {capability})" for problem in shape_problems(part, protocol)]
    return found


def shape_problems(part: object, protocol: type) -> list[str]:
    """One sentence for each method of `protocol` that `part` lacks, or has with other parameters."""
    return list(_problems(part, protocol))


def _problems(part: object, protocol: type) -> Iterator[str]:
    for name, wanted in vars(protocol).items():
        if name.startswith("_") or not inspect.isfunction(wanted):
            continue
        found = getattr(part, name, None)
        if found is None:
            yield f"{name}: missing"
            continue
        if not callable(found):
            yield f"{name}: expected a function, got {found!r}"
            continue
        if inspect.iscoroutinefunction(wanted) != inspect.iscoroutinefunction(found):
            yield f"{name}: expected {'an async' if inspect.iscoroutinefunction(wanted) else 'a plain'} function"
        arguments = [None] * (len(inspect.signature(wanted).parameters) - 1)
        try:
            inspect.signature(found).bind(*arguments)
        except TypeError as error:
            yield f"{name}: cannot be called with {len(arguments)} arguments: {error}"
        except ValueError:  # of what is not written in Python nothing can be said
            continue
