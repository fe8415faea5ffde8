"""Loaded with `pytest -p`: makes this interpreter look as if core were installed alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import metadata
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from kroma_core.api import ENTRY_POINT_GROUP

_installed = metadata.entry_points


def _without_plugins(**selection: Any) -> metadata.EntryPoints:
    if selection.get("group") == ENTRY_POINT_GROUP:
        return metadata.EntryPoints(())
    return _installed(**selection)


class NoPlugins(MetaPathFinder):
    """Refuses to import any plugin's package."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package = fullname.partition(".")[0]
        if package.startswith("kroma_") and package != "kroma_core":
            raise ModuleNotFoundError(f"no plugin is installed here, and so no {fullname}", name=fullname)
        return None


metadata.entry_points = _without_plugins  # type: ignore[assignment]  # overloads are not needed here
sys.meta_path.insert(0, NoPlugins())
