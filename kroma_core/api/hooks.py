"""All hooks of a plugin. One function per role, each returning the offers of this distribution.

They are called once at start, synchronously, never on the data path, and must import nothing heavy.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from kroma_core.api.blobs import BlobSource
from kroma_core.api.data import DataSource
from kroma_core.api.engine import ExecutionEngine
from kroma_core.api.l1 import L1Source
from kroma_core.api.observer import Observer
from kroma_core.api.offers import Offer
from kroma_core.api.proof import ProofSystem
from kroma_core.api.roles import Role
from kroma_core.api.transport import Transport

PROJECT = "kroma"
ENTRY_POINT_GROUP = "kroma.plugins"

HOOK_OF_ROLE: dict[Role, str] = {
    Role.L1: "provide_l1_sources",
    Role.BLOBS: "provide_blob_sources",
    Role.DATA: "provide_data_sources",
    Role.ENGINE: "provide_engines",
    Role.P2P: "provide_transports",
    Role.PROOF: "provide_proof_systems",
    Role.OBSERVE: "provide_observers",
}

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def provide_l1_sources() -> Sequence[Offer[L1Source]]:  # type: ignore[empty-body]  # pluggy specifications have no body
    """Offers for role `l1`."""


@hookspec
def provide_blob_sources() -> Sequence[Offer[BlobSource]]:  # type: ignore[empty-body]  # pluggy specifications have no body
    """Offers for role `blobs`."""


@hookspec
def provide_data_sources() -> Sequence[Offer[DataSource]]:  # type: ignore[empty-body]  # pluggy specifications have no body
    """Offers for role `data`."""


@hookspec
def provide_engines() -> Sequence[Offer[ExecutionEngine]]:  # type: ignore[empty-body]  # pluggy specifications have no body
    """Offers for role `engine`."""


@hookspec
def provide_transports() -> Sequence[Offer[Transport]]:  # type: ignore[empty-body]  # pluggy specifications have no body
    """Offers for role `p2p` (provisional)."""


@hookspec
def provide_proof_systems() -> Sequence[Offer[ProofSystem]]:  # type: ignore[empty-body]  # pluggy specifications have no body
    """Offers for role `proof` (provisional)."""


@hookspec
def provide_observers() -> Sequence[Offer[Observer]]:  # type: ignore[empty-body]  # pluggy specifications have no body
    """Offers for role `observe`."""
