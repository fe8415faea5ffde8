"""The measurement of the ZK trie runs, on inputs so small that its figures mean nothing."""

from __future__ import annotations

from bench import zktrie


def test_hashes_and_roots_are_measured_without_the_other_side() -> None:
    rows = zktrie.measure(hashes=3, accounts=5, passes=1, with_go=False)
    assert [row.other for row in rows] == ["not asked for", "", *["not asked for"] * 3, "", "", "", ""]
    assert [row.met is not None for row in rows] == [False, False, False, False, True, False, True, False, False]
    assert all(float(row.ours) >= 0 for row in rows)
