"""`kroma serve`: a recording as an L1, over HTTP."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import trio

from kroma_core.chain.config import ChainConfig
from kroma_core.cli import version
from kroma_core.cli.stopping import run_until_signal
from kroma_core.errors import ConfigError
from kroma_core.node.chain_choice import chain_of_recording
from kroma_core.node.l1_server.chain import RecordedChain
from kroma_core.node.l1_server.serving import RecordedL1Server, ServedL1
from kroma_core.recording import Recording, open_recording
from kroma_core.types import Address

PORT, BEACON_PORT = 8545, 5052


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "serve",
        help="serve a recording as an L1: JSON-RPC and beacon API",
        description="Serve the L1 of a recording over HTTP, so that any client can be tried on it. By default it "
        "stands at the end of its timeline; --step and --block-time begin at the first step and walk. Whoever may "
        "connect may also move it on, with the method kroma_step.",
        epilog="op-node needs --l1.trustrpc: it wants a proof of L1 state, and state is not recorded",
    )
    command.add_argument("file", type=Path, metavar="FILE", help="a recording, of either format")
    command.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s)")
    command.add_argument("--port", type=_port, default=PORT, metavar="P", help="JSON-RPC port (%(default)s; 0: any)")
    command.add_argument(
        "--beacon-port",
        type=_port,
        default=BEACON_PORT,
        metavar="Q",
        help="port of the beacon API (%(default)s; 0: any)",
    )
    walk = command.add_mutually_exclusive_group()
    walk.add_argument("--step", action="store_true", help="one step for each call of kroma_step, or Enter here")
    walk.add_argument("--block-time", type=_seconds, metavar="S", help="one step each S seconds")
    command.add_argument(
        "--unsafe-signer",
        type=_address,
        default=bytes(20),
        metavar="ADDRESS",
        help="the signer of unsafe blocks that the L1's SystemConfig is to name; recordings do not tell (none)",
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    with open_recording(arguments.file) as recording:
        problems: list[str] = []
        config = chain_of_recording(arguments.file, problems)
        if config is None or problems:
            raise ConfigError(*problems)
        run_until_signal(lambda: _serve(recording, config, arguments))
    return 0


async def _serve(recording: Recording, config: ChainConfig, arguments: argparse.Namespace) -> None:
    walking = arguments.step or arguments.block_time is not None
    server = RecordedL1Server(
        recording=recording,
        config=config,
        version=f"kroma/{version.number()}/recording",
        host=arguments.host,
        port=arguments.port,
        beacon_port=arguments.beacon_port,
        first_step=0 if walking else recording.step_count - 1,
        unsafe_signer=arguments.unsafe_signer,
    )
    async with trio.open_nursery() as nursery:

        async def serve(*, task_status: trio.TaskStatus[ServedL1]) -> None:
            await server.serve(task_status=task_status)

        served: ServedL1 = await nursery.start(serve)
        print(f"L1 {_url(served.rpc)}  beacon {_url(served.beacon)}", flush=True)
        nursery.start_soon(_tell, served.chain)
        if arguments.step:
            print("Enter, or a call of kroma_step, shows the next step", file=sys.stderr, flush=True)
            nursery.start_soon(_step_by_hand, served.chain)
        elif arguments.block_time is not None:
            nursery.start_soon(_step_by_clock, served.chain, arguments.block_time)


async def _tell(chain: RecordedChain) -> None:
    """Say where the walk stands, each time it moves."""
    while True:
        changed = chain.changed
        print(
            f"step {chain.position + 1} of {chain.steps}: L1 head {chain.heads.unsafe.id}", file=sys.stderr, flush=True
        )
        await changed.wait()


async def _step_by_hand(chain: RecordedChain) -> None:
    """A step for each line of stdin, until that ends."""
    while not chain.at_end:
        if not await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            return
        chain.move()


async def _step_by_clock(chain: RecordedChain, seconds: float) -> None:
    while not chain.at_end:
        await trio.sleep(seconds)
        chain.move()


def _url(address: tuple[str, int]) -> str:
    host, port = address
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, got {text}")
    return found


def _address(text: str) -> Address:
    try:
        found = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        found = b""
    if len(found) != 20:
        raise argparse.ArgumentTypeError(f"expected an address of 20 bytes, got {text}")
    return found
