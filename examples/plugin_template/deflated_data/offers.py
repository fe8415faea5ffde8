"""What a profile may name: `deflated-data` as data source.

This module is loaded to list what is installed: import nothing heavy here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs

from kroma_core.api import Capability, DataSource, Offer, PluginContext, hookimpl


@attrs.frozen(kw_only=True)
class DeflatedSettings:
    """What a profile may say about it."""

    largest: int = 1_000_000
    """Bytes that one transaction may inflate to; what is larger is no data."""


@asynccontextmanager
async def open_part(settings: DeflatedSettings, context: PluginContext) -> AsyncIterator[DataSource]:
    from deflated_data.part import DeflatedData

    yield DeflatedData(settings.largest)


@hookimpl
def provide_data_sources() -> Sequence[Offer[DataSource]]:
    return [
        Offer(
            kind="deflated-data",
            config=DeflatedSettings,
            open=open_part,
            summary="batcher data in call data, deflated",
            capabilities=frozenset({Capability.PUBLISHES}),
            api=1,
        )
    ]
