"""What `node_profile` shows of settings, and what it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from kroma_core.api.settings import Secret
from kroma_core.node.profile import LogFormat
from kroma_core.node.redaction import redacted


@attrs.frozen(kw_only=True)
class Inner:
    token: Secret
    names: tuple[str, ...] = ("a", "b")


@attrs.frozen(kw_only=True)
class Settings:
    inner: Inner
    path: Path = Path("/data/x")
    form: LogFormat = LogFormat.JSON
    data: bytes = b"\x01"
    limit: float | None = None


def test_secrets_are_hidden_wherever_they_stand() -> None:
    assert redacted(Settings(inner=Inner(token=Secret("hunter2")))) == {
        "inner": {"token": "***", "names": ["a", "b"]},
        "path": "/data/x",
        "form": "json",
        "data": "0x01",
        "limit": None,
    }


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("http://127.0.0.1:8545/", "http://127.0.0.1:8545"),
        ("https://mainnet.example/v3/key", "https://mainnet.example/***"),
        ("https://user:word@mainnet.example", "https://mainnet.example/***"),
        ("wss://[::1]:9/?key=1", "wss://[::1]:9/***"),
        ("https://host:bad", "***"),
        ("https://#key", "***"),
        ("https://mainnet.example#key", "https://mainnet.example/***"),
    ],
)
def test_of_a_url_no_more_is_shown_than_where_it_leads(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_values_of_types_that_nobody_thought_of_are_hidden() -> None:
    def anything() -> Any:
        return object()

    assert redacted(anything()) == "***"
