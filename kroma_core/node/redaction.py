"""Settings for eyes that must not see secrets."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

import attrs

from kroma_core.api.settings import Secret
from kroma_core.codec.hexadecimal import to_data

HIDDEN = "***"


def redacted(value: Any) -> Any:
    """Settings as JSON, without secrets: of a URL no more than scheme, host and port is shown."""
    match value:
        case Secret():
            return HIDDEN
        case str() if "://" in value:
            return _without_path(value)
        case None | bool() | int() | float() | str():
            return value.value if isinstance(value, enum.Enum) else value
        case bytes():
            return to_data(value)
        case Mapping():
            return {str(redacted(key)): redacted(item) for key, item in value.items()}
        case PurePath():
            return str(value)
        case list() | tuple():
            return [redacted(item) for item in value]
        case set() | frozenset():
            return sorted((redacted(item) for item in value), key=str)
        case _ if attrs.has(type(value)):
            fields = attrs.fields(type(value))
            return {field.alias or field.name: redacted(getattr(value, field.name)) for field in fields}
        case _:
            return str(value.value) if isinstance(value, enum.Enum) else HIDDEN


def _without_path(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return HIDDEN
    if not host:
        return HIDDEN
    shown = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}" + (f":{port}" if port else "")
    more = parts.path not in ("", "/") or parts.query or parts.fragment or parts.username or parts.password
    return f"{shown}/{HIDDEN}" if more else shown
