"""`node_explain`: the answers of `kroma explain`, from the running node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trio

from kroma_core.api import Capability, Role
from kroma_core.codec.hexadecimal import fixed, quantity
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.jsonrpc.methods import Handler
from kroma_core.node.explain.answer import Answer
from kroma_core.node.explain.history import explain_block, explain_l1, explain_transaction, in_block
from kroma_core.node.explain.recorder import VerdictRecorder
from kroma_core.node.explain.situation import Situation
from kroma_core.node.explain.stall import Surroundings, stall
from kroma_core.node.plan import Plan
from kroma_core.node.profile import SyncMode
from kroma_core.node.view import NodeView


def explain_methods(view: NodeView, plan: Plan, recorder: VerdictRecorder | None) -> Mapping[str, Handler]:
    """The methods by name, without their namespace. Without a recorder they say that nothing is kept."""

    async def asked(question: Callable[[Situation, Surroundings], Answer]) -> Any:
        if recorder is None:
            raise RpcError(Code.SERVER_ERROR, "nothing is kept: the profile says keep = false in [explain]")
        async with recorder.reading() as store:
            if store is None:
                raise RpcError(Code.SERVER_ERROR, "nothing is kept: the verdict store could not be written")
            situation = Situation(store, view.chain, plan.node.l1_confirmations)
            syncs = plan.node.sync_mode is SyncMode.EXECUTION_LAYER
            around = Surroundings(now=view.clock(), running=True, engine_syncs=syncs)
            return (await trio.to_thread.run_sync(question, situation, around)).as_json()

    async def explain_stall() -> Any:
        return await asked(stall)

    async def explain_the_block(number: object) -> Any:
        wanted = quantity(number, "block number")
        return await asked(lambda situation, around: explain_block(situation, wanted, around))

    async def explain_l1_block(number: object) -> Any:
        wanted = quantity(number, "L1 block number")
        return await asked(lambda situation, around: explain_l1(situation, wanted))

    async def explain_the_transaction(transaction: object) -> Any:
        wanted = fixed(transaction, 32, "transaction hash")
        located = await _located(view, plan, wanted)
        if located is not None:
            number = located
            return await asked(lambda situation, around: in_block(situation, wanted, number, around))
        return await asked(lambda situation, around: explain_transaction(situation, wanted))

    return {
        "explainStall": explain_stall,
        "explainBlock": explain_the_block,
        "explainL1Block": explain_l1_block,
        "explainTransaction": explain_the_transaction,
    }


async def _located(view: NodeView, plan: Plan, transaction: bytes) -> int | None:
    """The L2 block of a transaction, from an engine that can tell."""
    able = any(Capability.STATE_QUERIES in part.installed.capabilities for part in plan.of_role(Role.ENGINE))
    locate: Callable[[bytes], Awaitable[Any]] | None = getattr(view.engine, "locate", None) if able else None
    if locate is None:
        return None
    place = await locate(transaction)
    if place is None:
        return None
    return int(place.number)
