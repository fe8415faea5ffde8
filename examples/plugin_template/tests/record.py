"""Writes deflated.krec: a recording whose batch is carried the way of `deflated-data`."""

from __future__ import annotations

from pathlib import Path

from deflated_data.part import DeflatedData

from kroma_core.testing.carried_recording import record_carried

record_carried(Path("deflated.krec"), DeflatedData(1_000_000).encode)
