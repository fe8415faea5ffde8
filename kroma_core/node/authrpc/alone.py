"""A node that does not derive: its engine, served to the rollup node that drives it."""

from __future__ import annotations

import trio

from kroma_core.jsonrpc.background import BackgroundTasks
from kroma_core.node.assemble import EngineAlone
from kroma_core.node.authrpc.serve import EngineView, serve_authrpc
from kroma_core.node.plan import Plan


async def serve_engine(plan: Plan, alone: EngineAlone) -> None:
    """Serve what the plan's tables say until cancelled, or until the engine is broken."""
    async with BackgroundTasks() as nursery:
        if plan.servers.authrpc is not None:
            view = EngineView(engine=alone.engine, chain=plan.chain, data_dir=plan.data_dir, emit=alone.emit)
            await nursery.start(serve_authrpc, plan.servers.authrpc, view)
        await trio.sleep_forever()
