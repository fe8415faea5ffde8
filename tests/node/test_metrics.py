"""What Prometheus reads: op-node's names and labels, with what happened in them."""

from __future__ import annotations

import enum

import httpx
import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from kroma_core.api import Port
from kroma_core.errors import ConfigError
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
from kroma_core.l1 import L1Heads
from kroma_core.l2 import Heads
from kroma_core.node.metrics import NodeMetrics
from kroma_core.node.metrics_server import serve_metrics
from kroma_core.node.profile import MetricsTable
from kroma_core.status import SyncStatus
from kroma_core.types import BlockId, L1Number, L1Ref, L2Number, L2Ref, Timestamp

OP_NODE = [
    "info",
    "up",
    "refs_number",
    "refs_time",
    "refs_hash",
    "refs_latency",
    "refs_seqnr",
    "pipeline_resets_total",
    "unsafe_payloads_total",
    "derivation_errors_total",
    "derived_batches_total",
    "derivation_idle",
    "channel_input_bytes",
    "unsafe_payloads_buffer_len",
    "l1_reorg_depth_bucket",
    "l1_request_seconds_bucket",
    "rpc_client_requests_total",
    "rpc_server_requests_total",
    "rpc_client_request_duration_seconds_bucket",
    "rpc_server_request_duration_seconds_bucket",
    "last_pipeline_resets_unix",
]
"""Series of op-node v1.19.6 that this node has, by its own page of figures."""


class Reason(enum.StrEnum):
    TIMED_OUT = "the channel was not complete in time"


def l1_ref(number: int) -> L1Ref:
    return L1Ref(
        hash=bytes([number]) * 32, number=L1Number(number), parent_hash=bytes(32), timestamp=Timestamp(1000 + number)
    )


def l2_ref(number: int) -> L2Ref:
    return L2Ref(
        hash=bytes([100 + number]) * 32,
        number=L2Number(number),
        parent_hash=bytes(32),
        timestamp=Timestamp(2000 + number),
        l1_origin=l1_ref(7).id,
        sequence_number=3,
    )


BLOCK = BlockId(b"\x01" * 32, 1)
EVENTS: tuple[Event, ...] = (
    BlockDerived(block=l2_ref(1), derived_from=BLOCK, batch="span", transactions=4, gas_used=90, consolidated=False),
    HeadsMoved(unsafe=BLOCK, safe=BLOCK, finalized=BLOCK, derived_l1=BLOCK),
    L1HeadsChanged(heads=L1Heads(unsafe=l1_ref(9))),
    ChannelRead(
        channel_id=bytes(16), frames=2, compressed=700, decompressed=900, compression="zlib", batches=1, opened=1
    ),
    PipelineReset(reason="start", safe=BLOCK, l1_start=BLOCK),
    L1Reorganised(depth=5, old=BLOCK, new=BLOCK),
    UnsafePayload(block=BLOCK, source="rpc", outcome="queued", queued=6),
    Retrying(part="driver", what="derive", error="x", attempt=1, delay=1.0),
    RequestAnswered(part="l1", server="http://127.0.0.1:1", method="eth_chainId", seconds=0.03, outcome="ok", count=2),
    RequestServed(server="rpc", method="optimism_syncStatus", seconds=0.002, outcome="rpc_-32602"),
    SourceDistrusted(part="l1", server="http://127.0.0.1:1", reason="lagged", seconds=30.0),
    PartDetached(part="observe 'x'", error="boom"),
    FollowerAttached(part="a"),
    FollowerAgreed(part="a", at="L2 block 1", compared=1, waiting=3),
    FollowerBehind(part="b", at="L2 block 1", waiting=2, dropped=256, reason="slow"),
    Diverged(leader="l", part="b", at="L2 block 2", fields=(), bundle="f", verdict="v"),
    FollowerDetached(part="b", reason="parted", delay=None),
    StateMigrating(part="engine", block=9, accounts=128, complete=False),
    Verdict(
        subject=Subject.CHANNEL,
        name="c",
        outcome=Outcome.DROPPED,
        reason=Reason.TIMED_OUT,
        rule='derivation.md, "Channel Bank"',
    ),
)


def figures(metrics: NodeMetrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample of the page by name and label values, these in the order of the labels' names."""
    families = text_string_to_metric_families(metrics.page().decode())
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def counted(*events: Event) -> dict[tuple[str, tuple[str, ...]], float]:
    metrics = NodeMetrics(version="1.2.3", clock=lambda: 5000.0)
    for event in events:
        metrics.on_event(event)
    return figures(metrics)


@pytest.mark.parametrize("name", OP_NODE)
def test_a_series_that_dashboards_of_op_node_ask_for_is_there(name: str) -> None:
    metrics = NodeMetrics(version="1.2.3", clock=lambda: 5000.0)
    metrics.attach(lambda: SyncStatus(head_l1=l1_ref(9), heads=Heads.all_at(l2_ref(4))))
    for event in EVENTS:
        metrics.on_event(event)
    assert f"op_node_default_{name}" in {found for found, _ in figures(metrics)}


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("op_node_default_derived_batches_total", ("span",), 1),
        ("op_node_default_channel_input_bytes", (), 700),
        ("op_node_default_pipeline_resets_total", (), 1),
        ("op_node_default_last_pipeline_resets_unix", (), 5000),
        ("op_node_default_l1_reorg_depth_bucket", ("5.5",), 1),
        ("op_node_default_l1_reorg_depth_bucket", ("4.5",), 0),
        ("op_node_default_unsafe_payloads_buffer_len", (), 6),
        ("op_node_default_derivation_errors_total", (), 1),
        ("op_node_default_rpc_client_requests_total", ("eth_chainId", "l1"), 2),
        ("op_node_default_rpc_server_responses_total", ("rpc_-32602", "optimism_syncStatus", "rpc"), 1),
        ("op_node_default_l1_request_seconds_count", ("eth_chainId",), 1),
        ("op_node_default_channel_timeout_total", (), 1),
        ("kroma_derived_transactions_total", (), 4),
        ("kroma_derived_gas_total", (), 90),
        ("kroma_servers_distrusted_total", ("l1", "http://127.0.0.1:1"), 1),
        ("kroma_parts_detached_total", ("observe 'x'",), 1),
        ("kroma_shadow_attached", ("a",), 1),
        ("kroma_shadow_attached", ("b",), 0),
        ("kroma_shadow_agreed_total", ("a",), 1),
        ("kroma_shadow_waiting", ("a",), 3),
        ("kroma_shadow_passed_over_total", ("b",), 256),
        ("kroma_shadow_diverged_total", ("b",), 1),
        ("kroma_state_migrating", (), 1),
        ("kroma_state_migrated_accounts", (), 128),
        ("kroma_verdicts_total", ("dropped", "timed_out", "channel"), 1),
    ],
)
def test_an_event_is_counted_where_it_belongs(name: str, labels: tuple[str, ...], expected: float) -> None:
    assert counted(*EVENTS)[name, labels] == expected


def test_heads_are_read_from_the_status_with_the_labels_of_op_node() -> None:
    metrics = NodeMetrics(version="1.2.3", clock=lambda: 5000.0)
    metrics.attach(lambda: SyncStatus(head_l1=l1_ref(9), current_l1=l1_ref(8), heads=Heads.all_at(l2_ref(4))))
    found = figures(metrics)
    assert found["op_node_default_refs_number", ("l1", "l1_head")] == 9
    assert found["op_node_default_refs_number", ("l1", "l1_derived")] == 8
    assert found["op_node_default_refs_number", ("l2", "l2_pending_safe")] == 4
    assert found["op_node_default_refs_number", ("l1_origin", "l2_safe")] == 7
    assert found["op_node_default_refs_time", ("l2", "l2_finalized")] == 2004
    assert found["op_node_default_refs_seqnr", ("l2_unsafe",)] == 3
    assert found["op_node_default_refs_hash", ("l1", "l1_head")] == float(0x0909090909090909)
    assert ("op_node_default_refs_number", ("l1", "l1_safe")) not in found


def test_the_latency_of_a_head_is_that_of_its_first_sight() -> None:
    now = 5000.0
    metrics = NodeMetrics(version="1.2.3", clock=lambda: now)
    metrics.on_event(L1HeadsChanged(heads=L1Heads(unsafe=l1_ref(9))))
    metrics.attach(lambda: SyncStatus(head_l1=l1_ref(9)))
    now = 6000.0
    assert figures(metrics)["op_node_default_refs_latency", ("l1", "l1_head")] == 1009 - 5000


@pytest.mark.parametrize(
    ("derived", "confirmations", "expected"), [(9, 0, 1), (8, 0, 0), (8, 1, 1), (6, 1, 0), (None, 0, 0)]
)
def test_derivation_is_idle_once_it_has_read_all_of_l1_that_it_may(
    derived: int | None, confirmations: int, expected: int
) -> None:
    current = None if derived is None else l1_ref(derived)
    metrics = NodeMetrics(version="1.2.3", clock=lambda: 5000.0)
    metrics.attach(lambda: SyncStatus(head_l1=l1_ref(9), current_l1=current), l1_confirmations=confirmations)
    assert figures(metrics)["op_node_default_derivation_idle", ()] == expected


def test_a_node_is_up_once_it_has_heads_to_tell() -> None:
    metrics = NodeMetrics(version="1.2.3", clock=lambda: 5000.0)
    assert figures(metrics)["op_node_default_up", ()] == 0
    metrics.attach(SyncStatus)
    assert figures(metrics)["op_node_default_up", ()] == 1
    assert figures(metrics)["op_node_default_info", ("1.2.3",)] == 1


async def _fetched(metrics: NodeMetrics, path: str) -> httpx.Response:
    async with trio.open_nursery() as nursery:
        _, port = await nursery.start(serve_metrics, MetricsTable(port=Port(0)), metrics)
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{port}{path}")
        nursery.cancel_scope.cancel()
    return answer


def test_prometheus_reads_the_page_over_http() -> None:
    metrics = NodeMetrics(version="1.2.3", clock=lambda: 5000.0)
    answer = trio.run(_fetched, metrics, "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'op_node_default_info{version="1.2.3"} 1.0' in answer.text


def test_nothing_else_is_served_beside_the_figures() -> None:
    metrics = NodeMetrics(version="1.2.3", clock=lambda: 5000.0)
    assert trio.run(_fetched, metrics, "/other").status_code == 404


def test_a_metrics_port_in_use_is_named() -> None:
    async def twice() -> None:
        metrics = NodeMetrics(version="1.2.3", clock=lambda: 5000.0)
        async with trio.open_nursery() as nursery:
            _, port = await nursery.start(serve_metrics, MetricsTable(port=Port(0)), metrics)
            with pytest.raises(ConfigError, match=rf"\[metrics\] port: cannot listen on 127.0.0.1:{port}"):
                await serve_metrics(MetricsTable(port=Port(port)), metrics)
            nursery.cancel_scope.cancel()

    trio.run(twice)
