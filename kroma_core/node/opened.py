"""A part that has just been opened: whether it has what its role and its offer's claims ask for."""

from __future__ import annotations

from typing import TypeVar

from kroma_core.api.shape import part_problems
from kroma_core.errors import ConfigError
from kroma_core.node.registry import InstalledOffer

T = TypeVar("T")


def well_formed(part: T, installed: InstalledOffer) -> T:
    """The part. Raises `ConfigError` with every method that it lacks, or that cannot be called as the node calls it."""
    problems = part_problems(part, installed.role, installed.capabilities)
    if problems:
        raise ConfigError(*problems)
    return part
