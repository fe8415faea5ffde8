"""Both sides of a recorded L1 on their ports, and the walk through its timeline."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
import trio

from kroma_core.chain.config import ChainConfig
from kroma_core.events import Event
from kroma_core.jsonrpc.limits import MIB, Limits
from kroma_core.jsonrpc.processing import ignore
from kroma_core.jsonrpc.server import Address, HttpServer, serve_http
from kroma_core.node.l1_server.beacon import BeaconApi
from kroma_core.node.l1_server.blocks import RecordedBlocks
from kroma_core.node.l1_server.chain import RecordedChain
from kroma_core.node.l1_server.execution import ExecutionRpc
from kroma_core.recording import Recording
from kroma_core.types import Address as ContractAddress

ANY_HOST = frozenset({"*"})
"""What is served is no secret, and nothing can be changed but the step: it may be addressed by any name."""
LIMITS = Limits(response=256 * MIB)
"""A recording is served to whoever tries a client on it: as large as its blocks are."""


@attrs.frozen(kw_only=True)
class ServedL1:
    """Where a recorded L1 is served, and what is seen of it."""

    rpc: Address
    beacon: Address
    chain: RecordedChain


@attrs.frozen(kw_only=True)
class RecordedL1Server:
    """What to serve and where. `port` and `beacon_port` 0 take any free port; `first_step` is shown at the start."""

    recording: Recording
    config: ChainConfig
    version: str
    host: str = "127.0.0.1"
    port: int = 0
    beacon_port: int = 0
    first_step: int = 0
    unsafe_signer: ContractAddress = bytes(20)
    emit: Callable[[Event], None] = ignore

    async def serve(self, *, task_status: trio.TaskStatus[ServedL1] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. Raises `ConfigError` where a port cannot be had, `RecordingError` for damage."""
        chain = RecordedChain(self.recording, step=self.first_step)
        blocks = RecordedBlocks(chain, self.config)
        execution = ExecutionRpc(
            chain=chain, blocks=blocks, config=self.config, version=self.version, unsafe_signer=self.unsafe_signer
        )
        beacon = BeaconApi(chain=chain, blocks=blocks, config=self.config, version=self.version)
        servers = (
            HttpServer(
                table="serve",
                methods=execution.methods(),
                websocket=True,
                hosts=ANY_HOST,
                limits=LIMITS,
                emit=self.emit,
            ),
            HttpServer(table="serve", routes=beacon.routes(), hosts=ANY_HOST, limits=LIMITS, emit=self.emit),
        )
        async with trio.open_nursery() as nursery:
            found: list[Address] = []
            for server, port in zip(servers, (self.port, self.beacon_port), strict=True):
                found.append(await nursery.start(_serving(server, self.host, port)))
            task_status.started(ServedL1(rpc=found[0], beacon=found[1], chain=chain))


def _serving(server: HttpServer, host: str, port: int) -> Callable[..., Awaitable[None]]:
    async def serve(*, task_status: trio.TaskStatus[Address]) -> None:
        await serve_http(server, host=host, port=port, task_status=task_status)

    return serve
