"""Async tests run in trio, on a clock that jumps ahead whenever everybody waits."""

from __future__ import annotations

from tests.actions.conftest import pytest_pyfunc_call as pytest_pyfunc_call
