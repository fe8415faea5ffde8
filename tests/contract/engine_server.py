"""The Engine API of this project in front of the embedded engine, as another rollup node reaches it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trio

from kroma_core.api import Port
from kroma_core.chain.config import ChainConfig
from kroma_core.node.authrpc.serve import serve_authrpc
from kroma_core.node.eth.serve import EthView
from kroma_core.node.profile import AuthRpcTable
from kroma_core.node.view import EngineView

SECRET = bytes(range(32)).hex()


@asynccontextmanager
async def served(engine: Any, chain: ChainConfig) -> AsyncIterator[str]:
    """The URL of an Engine API with the secret `SECRET`, on a free port; `engine` answers state queries too."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        table = AuthRpcTable(port=Port(0), jwt_secret=written_secret(folder))
        view = EngineView(
            name="test",
            chain=chain,
            data_dir=folder,
            engine=engine,
            clock=time.time,
            emit=lambda event: None,
            set_log_level=lambda level: None,
        )
        eth = EthView(engine=engine, queries=engine, pool=engine, chain=chain, emit=view.emit)
        async with trio.open_nursery() as nursery:
            host, port = await nursery.start(partial(serve_authrpc, table, view, eth=eth))
            yield f"http://{host}:{port}"
            nursery.cancel_scope.cancel()


def written_secret(folder: Path) -> Path:
    """The file with the secret of `served`."""
    path = folder / "jwt.txt"
    path.write_text(SECRET)
    return path
