"""Proof systems keep the contract of their role: the tests' own small one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kroma_core.testing.proof import ProofSystemSuite
from kroma_core.testing.proof_statements import Statement
from tests.contract.preimages import Preimages, statements


class TestPreimages(ProofSystemSuite):
    deterministic = True

    @asynccontextmanager
    async def open_system(self, folder: Path) -> AsyncIterator[Any]:
        yield Preimages()

    def statements(self) -> Sequence[Statement]:
        return statements()
