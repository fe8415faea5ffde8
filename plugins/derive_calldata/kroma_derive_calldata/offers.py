"""What a profile may name: `calldata` as data source."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs

from kroma_core.api import Capability, DataSource, Offer, PluginContext, hookimpl


@attrs.frozen(kw_only=True)
class CallDataSettings:
    """Batcher data in call data; nothing to set."""


@asynccontextmanager
async def open_call_data(settings: CallDataSettings, context: PluginContext) -> AsyncIterator[DataSource]:
    from kroma_derive_calldata.call_data import CallData

    yield CallData()


@hookimpl
def provide_data_sources() -> Sequence[Offer[DataSource]]:
    return [
        Offer(
            kind="calldata",
            config=CallDataSettings,
            open=open_call_data,
            summary="batcher data in the call data of L1 transactions",
            capabilities=frozenset({Capability.PUBLISHES}),
        )
    ]
