"""Everything a plugin implements or receives. Versioned by `API_VERSION`."""

from __future__ import annotations

from kroma_core.api.blobs import BlobSource, Missing
from kroma_core.api.data import DataPublisher, DataSource
from kroma_core.api.engine import (
    AccountProof,
    Applied,
    Building,
    ExecutionEngine,
    Gone,
    Inconsistent,
    Invalid,
    Sealed,
    Syncing,
    Valid,
)
from kroma_core.api.hooks import ENTRY_POINT_GROUP, hookimpl
from kroma_core.api.l1 import L1Source
from kroma_core.api.observer import Observer
from kroma_core.api.offers import AnyOffer, Clock, Offer, PluginContext
from kroma_core.api.proof import Proof, ProofSystem
from kroma_core.api.roles import API_VERSION, Capability, Role
from kroma_core.api.settings import InputFile, Port, RecordingFile, Secret
from kroma_core.api.transport import Message, MessageVerdict, Transport

__all__ = [
    "API_VERSION", "AccountProof", "AnyOffer", "Applied", "BlobSource", "Building", "Capability", "Clock",
    "DataPublisher", "DataSource", "ENTRY_POINT_GROUP", "ExecutionEngine", "Gone", "Inconsistent", "InputFile",
    "Invalid", "L1Source", "Message", "MessageVerdict", "Missing", "Observer", "Offer", "PluginContext", "Port",
    "Proof", "ProofSystem", "RecordingFile", "Role", "Sealed", "Secret", "Syncing", "Transport", "Valid", "hookimpl",
]  # fmt: skip
