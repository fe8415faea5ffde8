"""The measurement that needs op-geth runs, on a chain so short that its figures mean nothing."""

from __future__ import annotations

import trio

from bench.sync_op_geth import measure
from tests.peers.rollup import CHAINS


def test_the_sync_on_op_geth_is_measured_beside_op_node() -> None:
    first, *others = trio.run(measure, CHAINS / "timeouts-fjord.json.xz", 1)
    assert "timeouts-fjord (34 blocks)" in first.what
    assert first.ratio is not None
    assert [row.met is not None for row in others] == [False, False, True, False, True]
