"""Which logs a filter means, and which tip stands at a share of a block's gas."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kroma_core.node.eth import fee_methods
from kroma_core.node.eth.blocks import KnownBlock
from kroma_core.node.eth.logs import query_of

TOPIC = b"\x11" * 32


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        ([None, "0x" + TOPIC.hex()], (frozenset(), frozenset([TOPIC]))),
        ([[None, "0x" + TOPIC.hex()]], (frozenset(),)),
        ([["0x" + TOPIC.hex()], []], (frozenset([TOPIC]), frozenset())),
    ],
    ids=["any at a place", "any or this", "nothing listed"],
)
def test_topics_that_may_be_any(topics: list[Any], expected: tuple[frozenset[bytes], ...]) -> None:
    assert query_of({"topics": topics}, 0).filter.topics == expected


def test_a_share_that_a_transaction_just_reaches_has_its_tip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fee_methods, "_tip", lambda tip, base_fee: tip)
    block = SimpleNamespace(header=SimpleNamespace(gas_used=40_000), base_fee=7, transactions=(5, 1))
    found = fee_methods._percentile_tips(cast(KnownBlock, block), (30_000, 10_000), (0, 25, 25.01, 100))
    assert found == [1, 1, 5, 5]
