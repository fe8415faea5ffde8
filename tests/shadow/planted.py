"""A distribution of engines with planted faults, for the Python path: each is the embedded engine but for one rule.

What is changed is changed for the whole process, so they serve as followers, which have processes of their own.
"""

from __future__ import annotations

from pathlib import Path

OFFERS = '''
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from kroma_core.api import Offer, Role, hookimpl


@attrs.frozen(kw_only=True)
class Settings:
    """Nothing to set."""


@asynccontextmanager
async def _right(context):
    from kroma_engine_pyevm.engine import PyEvmEngine
    from kroma_engine_pyevm.store import MemoryStore

    yield PyEvmEngine(context.chain, MemoryStore())


@asynccontextmanager
async def open_right(settings, context):
    async with _right(context) as engine:
        yield engine


@asynccontextmanager
async def open_fees(settings, context):
    """The L1 fee is a wei too high."""
    from kroma_engine_pyevm import signed

    charged = signed.l1_fee

    def dearer(*arguments, **named):
        found = charged(*arguments, **named)
        return attrs.evolve(found, fee=found.fee + 1)

    signed.l1_fee = dearer
    async with _right(context) as engine:
        yield engine


@asynccontextmanager
async def open_prices(settings, context):
    """Precompile 4 (identity) costs one gas more."""
    from kroma_engine_pyevm import machines

    made = machines.precompiles_of

    def dearer(evm, rules):
        found = dict(made(evm, rules))
        address = (4).to_bytes(20, "big")
        right = found[address]
        found[address] = attrs.evolve(right, gas=lambda data: right.gas(data) + 1)
        return found

    machines.precompiles_of = dearer
    machines._machine.cache_clear()
    async with _right(context) as engine:
        yield engine


@asynccontextmanager
async def open_never(settings, context):
    """Does not open."""
    raise RuntimeError("out of order")
    yield


@asynccontextmanager
async def open_dies(settings, context):
    """Its process is killed at the third block, once."""
    from kroma_engine_pyevm.engine import PyEvmEngine

    mark, seal = context.data_dir / "died", PyEvmEngine.seal

    async def deadly(self, building):
        sealed = await seal(self, building)
        if sealed.payload.number == 3 and not mark.exists():
            mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        return sealed

    PyEvmEngine.seal = deadly
    async with _right(context) as engine:
        yield engine


@hookimpl
def provide_engines():
    kinds = {
        "right": open_right,
        "fees": open_fees,
        "prices": open_prices,
        "never": open_never,
        "dies": open_dies,
    }
    return [Offer(kind=kind, config=Settings, open=open) for kind, open in kinds.items()]
'''


def plant(folder: Path) -> Path:
    """Write the distribution into a folder, which is to be put on the Python path; the folder."""
    package = folder / "kroma_planted"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "offers.py").write_text(OFFERS)
    about = folder / "kroma_planted-1.5.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: kroma-planted\nVersion: 1.5\n")
    (about / "entry_points.txt").write_text("[kroma.plugins]\nplanted = kroma_planted.offers\n")
    return folder
