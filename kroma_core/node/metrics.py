"""Figures for Prometheus: counted from events, and read from the node's status when they are asked for.

Names and labels are op-node's, prefix `op_node_default_`, where the meaning is the same, so that existing dashboards
and alerts work; what is ours alone begins with `kroma_`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import attrs
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from kroma_core.api import Clock
from kroma_core.events import (
    BlockDerived,
    ChannelRead,
    Diverged,
    Event,
    FollowerAgreed,
    FollowerAttached,
    FollowerBehind,
    FollowerDetached,
    HeadsMoved,
    L1HeadsChanged,
    L1Reorganised,
    L1Traversed,
    Outcome,
    PartDetached,
    PipelineReset,
    RequestAnswered,
    RequestServed,
    Retrying,
    SourceDistrusted,
    StateMigrating,
    Subject,
    UnsafePayload,
    Verdict,
)
from kroma_core.status import SyncStatus
from kroma_core.types import BlockId, L1Ref, L2Ref

OP_NODE = "op_node_default"
OWN = "kroma"

_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_REORG_DEPTHS = (*(depth + 0.5 for depth in range(11)), 20.5, 50.5, 100.5)


class NodeMetrics:
    """An observer that counts, and the page that Prometheus reads.

    `status` gives the node's heads once there is a node (`attach`); `clock` dates the first sight of each head.
    """

    def __init__(self, *, version: str, clock: Clock) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which no client in the field has
        self.registry = CollectorRegistry()
        self._clock = clock
        self._refs = _References(clock)
        self.registry.register(self._refs)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._gauge("info", "Version of the node", ["version"]).labels(version).set(1)
        self._up = self._gauge("up", "1 once the node has started")
        self._idle = self._gauge("derivation_idle", "1 while nothing more can be derived from the L1 that is there")
        self._resets = self._event("pipeline_resets", "Derivation began anew")
        self._derivation_errors = self._event("derivation_errors", "Derivation met a failure and tried again")
        self._unsafe_payloads = self._event("unsafe_payloads", "Blocks that came before any L1 data confirmed them")
        self._batches = self._counter("derived_batches_total", "Batches that became blocks", ["type"])
        self._last_batch = self._gauge("last_derived_batches_unix", "When a batch last became blocks", ["type"])
        # op-node's name lacks the ending that the library gives to every counter, so it is a gauge that only grows.
        self._channel_bytes = self._gauge("channel_input_bytes", "Compressed bytes of the channels that were read")
        self._head_channel = self._event("head_channel", "Channels that were complete and were read")
        self._frames = self._event("frame_added", "Frames that a channel took")
        self._timeouts = self._event("channel_timeout", "Channels that were not complete in time")
        self._reorgs = Histogram(
            f"{OP_NODE}_l1_reorg_depth", "Blocks given up in L1 reorgs", buckets=_REORG_DEPTHS, registry=self.registry
        )
        self._queue = self._gauge("unsafe_payloads_buffer_len", "Blocks in the queue of unsafe payloads")
        self._l1_seconds = self._seconds("l1_request_seconds", "Time that L1 took to answer", ["request"])
        self._asked = self._counter("rpc_client_requests_total", "Calls to other servers", ["rpc", "method"])
        self._asked_seconds = self._seconds(
            "rpc_client_request_duration_seconds", "Time that other servers took", ["rpc", "method"]
        )
        self._answers = self._counter(
            "rpc_client_responses_total", "Answers of other servers", ["rpc", "method", "error"]
        )
        self._served = self._counter("rpc_server_requests_total", "Calls to this node", ["rpc", "method"])
        self._served_seconds = self._seconds(
            "rpc_server_request_duration_seconds", "Time that this node took to answer", ["rpc", "method"]
        )
        self._responses = self._counter(
            "rpc_server_responses_total", "Answers of this node", ["rpc", "method", "error"]
        )
        self._verdicts = self._own_counter("verdicts", "Verdicts of derivation", ["subject", "outcome", "reason"])
        self._blocks = self._own_counter("derived_blocks", "L2 blocks derived", ["how"])
        self._transactions = self._own_counter("derived_transactions", "Transactions in derived L2 blocks")
        self._gas = self._own_counter("derived_gas", "Gas used by derived L2 blocks")
        self._retries = self._own_counter("retries", "Calls of a part that were tried again", ["part"])
        self._server_requests = self._own_counter(
            "server_requests", "Calls of a part by server", ["part", "server", "outcome"]
        )
        self._distrusted = self._own_counter(
            "servers_distrusted", "Times a server lagged or contradicted itself", ["part", "server"]
        )
        self._migrating = self._own_gauge("state_migrating", "1 while the state is brought into another kind of trie")
        self._migrated = self._own_gauge("state_migrated_accounts", "Accounts of that state that are done")
        self._detached = self._own_counter("parts_detached", "Parts that failed and are no longer asked", ["part"])
        self._agreed = self._own_counter("shadow_agreed", "Steps in which a follower gave the same", ["part"])
        self._diverged = self._own_counter("shadow_diverged", "Steps in which a follower gave something else", ["part"])
        self._passed = self._own_counter("shadow_passed_over", "Steps that a follower was not compared in", ["part"])
        self._attached = self._own_gauge("shadow_attached", "1 while a follower is compared", ["part"])
        self._waiting = self._own_gauge("shadow_waiting", "Steps that wait for a follower", ["part"])

    def attach(self, status: Callable[[], SyncStatus], *, l1_confirmations: int = 0) -> None:
        """The node has started: its heads are read from `status` from now on.

        It reads L1 blocks that have so many `l1_confirmations`.
        """
        self._refs.status = status
        self._idle.set_function(lambda: _is_idle(status(), l1_confirmations))
        self._up.set(1)

    def page(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self.registry)

    def on_event(self, event: Event) -> None:
        match event:
            case Verdict():
                self._verdict(event)
            case BlockDerived():
                self._blocks.labels("confirmed" if event.consolidated else "executed").inc()
                self._transactions.inc(event.transactions)
                self._gas.inc(event.gas_used)
                self._batches.labels(event.batch).inc()
                self._last_batch.labels(event.batch).set(self._clock())
            case HeadsMoved():
                self._refs.see("l2_unsafe", event.unsafe)
                self._refs.see("l2_safe", event.safe)
                self._refs.see("l2_finalized", event.finalized)
            case L1Traversed(block=block):
                self._refs.see("l1_derived", block.id)
            case L1HeadsChanged(heads=heads):
                for name, ref in (("head", heads.unsafe), ("safe", heads.safe), ("finalized", heads.finalized)):
                    if ref is not None:
                        self._refs.see(f"l1_{name}", ref.id)
            case ChannelRead():
                self._channel_bytes.inc(event.compressed)
                self._happened(self._head_channel)
            case PipelineReset():
                self._happened(self._resets)
            case L1Reorganised():
                self._reorgs.observe(event.depth)
            case UnsafePayload():
                self._happened(self._unsafe_payloads)
                self._queue.set(event.queued)
            case Retrying():
                self._retries.labels(event.part).inc()
                if event.part == "driver":
                    self._happened(self._derivation_errors)
            case RequestAnswered():
                self._request(event)
            case RequestServed():
                self._served.labels(event.server, event.method).inc()
                self._served_seconds.labels(event.server, event.method).observe(event.seconds)
                self._responses.labels(event.server, event.method, _error(event.outcome)).inc()
            case SourceDistrusted():
                self._distrusted.labels(event.part, event.server).inc()
            case StateMigrating():
                self._migrating.set(not event.complete)
                self._migrated.set(event.accounts)
            case PartDetached():
                self._detached.labels(event.part).inc()
            case FollowerAttached(part=part) | FollowerDetached(part=part):
                self._attached.labels(part).set(isinstance(event, FollowerAttached))
                for counter in (self._agreed, self._diverged, self._passed):
                    counter.labels(part)  # from 0 on
            case FollowerAgreed(part=part, waiting=waiting):
                self._agreed.labels(part).inc()
                self._waiting.labels(part).set(waiting)
            case FollowerBehind(part=part, waiting=waiting, dropped=dropped):
                self._passed.labels(part).inc(dropped)
                self._waiting.labels(part).set(waiting)
            case Diverged(part=part):
                self._diverged.labels(part).inc()
            case _:
                pass

    def _verdict(self, verdict: Verdict) -> None:
        self._verdicts.labels(verdict.subject.value, verdict.outcome.value, verdict.reason.name.lower()).inc()
        if verdict.subject is Subject.FRAME and verdict.outcome is Outcome.ACCEPTED:
            self._happened(self._frames)
        elif verdict.subject is Subject.CHANNEL and verdict.reason.name == "TIMED_OUT":
            self._happened(self._timeouts)

    def _request(self, event: RequestAnswered) -> None:
        self._asked.labels(event.part, event.method).inc(event.count)
        self._asked_seconds.labels(event.part, event.method).observe(event.seconds)
        self._answers.labels(event.part, event.method, _error(event.outcome)).inc(event.count)
        self._server_requests.labels(event.part, event.server, event.outcome).inc(event.count)
        if event.part == "l1" or event.part.startswith("l1 "):
            self._l1_seconds.labels(event.method).observe(event.seconds)

    def _happened(self, counted: tuple[Counter, Gauge]) -> None:
        total, last = counted
        total.inc()
        last.set(self._clock())

    def _event(self, name: str, text: str) -> tuple[Counter, Gauge]:
        return self._counter(f"{name}_total", text), self._gauge(f"last_{name}_unix", f"When last: {text}")

    def _counter(self, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
        return Counter(f"{OP_NODE}_{name}", text, tuple(labels), registry=self.registry)

    def _own_counter(self, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
        return Counter(f"{OWN}_{name}", text, tuple(labels), registry=self.registry)

    def _gauge(self, name: str, text: str, labels: Iterable[str] = ()) -> Gauge:
        return Gauge(f"{OP_NODE}_{name}", text, tuple(labels), registry=self.registry)

    def _own_gauge(self, name: str, text: str, labels: Iterable[str] = ()) -> Gauge:
        return Gauge(f"{OWN}_{name}", text, tuple(labels), registry=self.registry)

    def _seconds(self, name: str, text: str, labels: Iterable[str]) -> Histogram:
        return Histogram(f"{OP_NODE}_{name}", text, tuple(labels), buckets=_REQUEST_SECONDS, registry=self.registry)


def _is_idle(status: SyncStatus, l1_confirmations: int) -> bool:
    current, head = status.current_l1, status.head_l1
    return current is not None and head is not None and current.number >= head.number - l1_confirmations


def _error(outcome: str) -> str:
    """op-node's label of an answer without an error is Go's way to write nothing."""
    return "<nil>" if outcome == "ok" else outcome


@attrs.define(eq=False)
class _References(Collector):
    """The heads, read when they are asked for; `see` notes when each block was first seen as a head."""

    clock: Clock
    status: Callable[[], SyncStatus] | None = None
    _seen: dict[str, tuple[BlockId, float]] = attrs.field(factory=dict)

    def see(self, name: str, block: BlockId) -> None:
        known = self._seen.get(name)
        if known is None or known[0].hash != block.hash:
            self._seen[name] = (block, self.clock())

    def describe(self) -> Iterable[Metric]:
        return self._families()

    def collect(self) -> Iterator[Metric]:
        families = self._families()
        if self.status is not None:
            for layer, name, ref in _heads(self.status()):
                self._add(families, layer, name, ref)
        yield from families

    def _families(self) -> tuple[GaugeMetricFamily, ...]:
        labels = ("layer", "type")
        texts = {
            "number": "Numbers of the heads",
            "time": "Times of the heads",
            "hash": "First eight bytes of the heads' hashes, as a number",
            "latency": "Time of a head minus the time at which it was first seen, in seconds",
        }
        families = [GaugeMetricFamily(f"{OP_NODE}_refs_{key}", text, labels=labels) for key, text in texts.items()]
        families.append(GaugeMetricFamily(f"{OP_NODE}_refs_seqnr", "Sequence numbers of L2 heads", labels=("type",)))
        return tuple(families)

    def _add(self, families: tuple[GaugeMetricFamily, ...], layer: str, name: str, ref: L1Ref | L2Ref) -> None:
        number, time, block_hash, latency, sequence_number = families
        labels = (layer, name)
        self.see(name, ref.id)
        number.add_metric(labels, ref.number)
        time.add_metric(labels, ref.timestamp)
        block_hash.add_metric(labels, _hash_number(ref.hash))
        latency.add_metric(labels, ref.timestamp - self._seen[name][1])
        if isinstance(ref, L2Ref):
            origin = ("l1_origin", name)
            number.add_metric(origin, ref.l1_origin.number)
            block_hash.add_metric(origin, _hash_number(ref.l1_origin.hash))
            sequence_number.add_metric((name,), ref.sequence_number)


def _heads(status: SyncStatus) -> Iterator[tuple[str, str, L1Ref | L2Ref]]:
    l1 = {
        "l1_head": status.head_l1,
        "l1_safe": status.safe_l1,
        "l1_finalized": status.finalized_l1,
        "l1_derived": status.current_l1,
    }
    for name, ref in l1.items():
        if ref is not None:
            yield "l1", name, ref
    heads = status.heads
    if heads is not None:
        yield "l2", "l2_unsafe", heads.unsafe
        yield "l2", "l2_local_safe", heads.local_safe
        yield "l2", "l2_pending_safe", heads.pending_safe
        yield "l2", "l2_safe", heads.safe
        yield "l2", "l2_finalized", heads.finalized


def _hash_number(block_hash: bytes) -> float:
    return float(int.from_bytes(block_hash[:8], "little"))
