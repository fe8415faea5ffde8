"""The measurement of L1 blocks over JSON-RPC runs, on inputs so small that its figures mean nothing."""

from __future__ import annotations

from bench import l1_rpc


def test_l1_blocks_are_verified_and_derived_from_servers_in_processes_of_their_own() -> None:
    clock, processor, derived = l1_rpc.measure(blocks=3, chain=40)
    assert "verified with receipts" in clock.what
    assert clock.met is not None
    assert float(processor.ours) > 0
    assert float(derived.ours) > 0
