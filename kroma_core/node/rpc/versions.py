"""What this program calls itself towards others."""

from __future__ import annotations

from importlib import metadata


def software() -> str:
    """Name and version."""
    return f"kroma/v{metadata.version('kroma-core')}"
