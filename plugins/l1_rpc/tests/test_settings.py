"""Settings that cannot work are told before anything opens."""

from __future__ import annotations

from typing import Any

import pytest
from kroma_l1_rpc.offers import RpcSettings, problems_with

from kroma_core.api import Secret
from kroma_core.forks import Fork
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on

CHAIN = rollup_on(ScriptedL1(), forks=all_forks_until(Fork.ECOTONE))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"urls": ()}, "urls: expected at least one"),
        (
            {"urls": ("http://h", "ftp://h")},
            "urls: item 2: URL of a server: expected one of http, https, ws, wss, got 'ftp'",
        ),
        ({"urls": ("http://h",), "max_batch": 0}, "max_batch: expected more than 0, got 0"),
        ({"urls": ("http://h",), "patience": -1.0}, "patience: expected 0 or more, got -1.0"),
    ],
)
def test_a_wrong_setting_is_told(settings: dict[str, Any], problem: str) -> None:
    assert list(problems_with(RpcSettings(**settings), CHAIN)) == [problem]


def test_a_secret_url_is_checked_and_not_told() -> None:
    settings = RpcSettings(urls=(Secret("swordfish://hush"),))
    [problem] = problems_with(settings, CHAIN)
    assert "hush" not in problem + repr(settings)
    assert list(problems_with(RpcSettings(urls=(Secret("wss://h/swordfish"), "http://h")), CHAIN)) == []
