"""What a profile may name: `faulty` as engine, on top of another engine.

This module is loaded to list what is installed: import nothing heavy here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs

from kroma_core.api import Capability, ExecutionEngine, InputFile, Offer, PluginContext, Role, hookimpl
from kroma_core.chain.config import ChainConfig


@attrs.frozen(kw_only=True)
class FaultSettings:
    """What a profile may say about it, beside the engine that it stands on (`[engine.wraps]`)."""

    script: InputFile | None = None
    """The script, TOML or (by its name) JSON; without one every call passes."""
    seed: int | None = None
    """In place of the script's seed."""


def check_script(settings: FaultSettings, chain: ChainConfig) -> Sequence[str]:
    """What is wrong with the script, for `kroma check`."""
    from kroma_core.errors import ConfigError
    from kroma_engine_faults.script import read_script

    try:
        read_script(settings.script, settings.seed)
    except ConfigError as error:
        return error.problems
    return ()


@asynccontextmanager
async def open_faulty(
    settings: FaultSettings, context: PluginContext, *, engine: ExecutionEngine
) -> AsyncIterator[ExecutionEngine]:
    from kroma_engine_faults.engine import FaultyEngine
    from kroma_engine_faults.script import read_script

    yield FaultyEngine(engine, read_script(settings.script, settings.seed), context.emit)


@hookimpl
def provide_engines() -> Sequence[Offer[ExecutionEngine]]:
    return [
        Offer(
            kind="faulty",
            config=FaultSettings,
            open=open_faulty,
            check=check_script,
            summary="another engine, with faults by a script: to try how a node meets them",
            requires=(Role.ENGINE,),
            capabilities=frozenset(
                {
                    Capability.EXECUTES,
                    Capability.STATE_QUERIES,
                    Capability.PROOFS,
                    Capability.TX_POOL,
                    Capability.BLOCK_TRACES,
                }
            ),
        )
    ]
