"""Everything a plugin implements or receives. Versioned by `API_VERSION`."""

from __future__ import annotations

from kroma_core.api.blobs import BlobSource, Missing
from kroma_core.api.block_traces import (
    BlockTrace,
    BlockTraceRequest,
    BlockTraces,
    NoTrace,
    ProverStep,
    ProverTransaction,
    SeenAccount,
    StepWitness,
)
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
from kroma_core.api.inspection import Facts
from kroma_core.api.l1 import L1Source
from kroma_core.api.observer import Observer
from kroma_core.api.offers import AnyOffer, Clock, Offer, PluginContext
from kroma_core.api.proof import Proof, ProofSystem
from kroma_core.api.queries import (
    AccountOverride,
    AccountState,
    BlockOverride,
    CallFailure,
    CallOutcome,
    MessageCall,
    PoolArrivals,
    PoolContent,
    Pooled,
    Ran,
    Refusal,
    Refused,
    StateQueries,
    Supposition,
    Trace,
    TracedCall,
    TracedLog,
    TracedStep,
    TraceRequest,
    TransactionPlace,
    TxPool,
)
from kroma_core.api.roles import API_VERSION, Capability, Role
from kroma_core.api.settings import InputFile, Port, RecordingFile, Secret
from kroma_core.api.transport import Message, MessageVerdict, Transport

__all__ = [
    "API_VERSION", "AccountOverride", "AccountProof", "AccountState", "AnyOffer", "Applied", "BlobSource",
    "BlockOverride", "BlockTrace", "BlockTraceRequest", "BlockTraces", "Building", "CallFailure", "CallOutcome",
    "Capability", "Clock", "DataPublisher", "DataSource", "ENTRY_POINT_GROUP", "ExecutionEngine", "Facts", "Gone",
    "Inconsistent", "InputFile", "Invalid", "L1Source", "Message", "MessageCall", "MessageVerdict", "Missing",
    "NoTrace", "Observer", "Offer", "PluginContext", "PoolArrivals", "PoolContent", "Pooled", "Port", "Proof",
    "ProofSystem", "ProverStep", "ProverTransaction", "Ran", "RecordingFile", "Refusal", "Refused", "Role", "Sealed",
    "Secret", "SeenAccount", "StateQueries", "StepWitness", "Supposition", "Syncing", "Trace", "TraceRequest",
    "TracedCall", "TracedLog", "TracedStep", "TransactionPlace", "Transport", "TxPool", "Valid", "hookimpl",
]  # fmt: skip
