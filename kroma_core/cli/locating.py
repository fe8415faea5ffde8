"""The L2 block of a transaction: from a node that runs, by its own servers; from one that does not, by its engine."""

from __future__ import annotations

import sys

import attrs

from kroma_core.api import Capability, Role
from kroma_core.cli.stopping import run_until_signal
from kroma_core.errors import ConfigError, KromaError, TemporaryError
from kroma_core.jsonrpc.client import open_client
from kroma_core.jsonrpc.errors import RpcError
from kroma_core.node.assemble import assemble_engine
from kroma_core.node.plan import Plan
from kroma_core.types import Hash32

_SECONDS = 10.0


def located(plan: Plan, transaction: Hash32) -> int | None:
    """None where nobody who could be asked knows it; on stderr, who could not be asked."""
    return run_until_signal(lambda: _located(plan, transaction))


async def _located(plan: Plan, transaction: Hash32) -> int | None:
    name, answered = "0x" + transaction.hex(), False
    for table, method in (("rpc", "node_explainTransaction"), ("eth", "eth_getTransactionByHash")):
        server = getattr(plan.servers, table)
        if server is None:
            continue
        url = f"http://{_reachable(server.host)}:{int(server.port)}"
        try:
            async with open_client(url, part=f"explain [{table}]", timeout=_SECONDS) as client:
                found = await client.call(method, name)
        except TemporaryError:
            continue  # it does not run
        except RpcError:
            answered = True
            continue
        answered = True
        number = _number(found)
        if number is not None:
            return number
    return None if answered else await _of_engine(plan, transaction)


def _number(answer: object) -> int | None:
    """The block that an answer names."""
    match answer:
        case {"layer": "L2", "number": int(number)}:
            return number
        case {"blockNumber": str(number)}:
            return int(number, 16)
        case _:
            return None


async def _of_engine(plan: Plan, transaction: Hash32) -> int | None:
    """From the engine itself, which nobody else may have open."""
    engines = [part for part in plan.of_role(Role.ENGINE) if Capability.STATE_QUERIES in part.installed.capabilities]
    if not engines:
        _not_asked("its engine answers no questions about L2 transactions")
        return None
    alone = attrs.evolve(plan, parts=tuple(attrs.evolve(part, shadows=()) for part in engines))
    try:
        async with assemble_engine(alone) as opened:
            place = await opened.engine.locate(transaction)  # type: ignore[attr-defined]  # it has STATE_QUERIES
    except ConfigError as error:
        _not_asked(f"{error}, and neither [rpc] nor [eth] of it answers")
        return None
    except KromaError as error:
        _not_asked(str(error))
        return None
    return None if place is None else int(place.number)


def _not_asked(why: str) -> None:
    print(f"kroma: L2 transactions are not looked for: {why}", file=sys.stderr)


def _reachable(host: str) -> str:
    """An address at which a server that listens on `host` can be asked from here."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
    found = everywhere.get(host, host)
    return f"[{found}]" if ":" in found else found
