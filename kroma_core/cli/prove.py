"""`kroma prove`: a withdrawal, an account or storage of a recorded chain, proven in a file for others; and what the
prover of Kroma's ZK era is told of a block, for it to prove."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from kroma_core.api import BlockTraces, Capability, ExecutionEngine, Role
from kroma_core.chain.config import ChainConfig
from kroma_core.cli.progress import bar
from kroma_core.cli.replaying import replay_of
from kroma_core.cli.stopping import run_until_signal
from kroma_core.codec.hexadecimal import fixed, shown
from kroma_core.errors import ConfigError, DecodeError
from kroma_core.node.assemble import assemble
from kroma_core.node.plan import Plan, plan_replay
from kroma_core.node.proving import prove_account, prove_withdrawal, trace_for_prover
from kroma_core.node.registry import discover
from kroma_core.node.replay import Progress
from kroma_core.proofs.text import account_json, withdrawal_json
from kroma_core.recording import open_recording
from kroma_core.types import L2Number

_MOST_DIGITS = 18
"""Of a block's or an output's number: what fits into 64 bits."""

Prover = Callable[[ChainConfig, ExecutionEngine], Awaitable[dict[str, Any]]]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "prove",
        help="prove a withdrawal, an account or storage of a recorded chain",
        description="Derive and execute a recording and write a proof as JSON. `kroma verify-proof` checks it; it has "
        "all that a portal on L1 is told. The state may be a ZK trie or a Merkle-Patricia trie. `trace` writes what a "
        "prover takes instead.",
        epilog="exit code 1: there is nothing to prove",
    )
    kinds = command.add_subparsers(title="what to prove", metavar="WHAT", required=True)
    withdrawal = kinds.add_parser("withdrawal", help="that a withdrawal is part of an output")
    _common(withdrawal)
    withdrawal.add_argument("--tx", type=_of(32), required=True, metavar="HASH", help="the L2 transaction that made it")
    withdrawal.add_argument("--which", type=_number, metavar="N", help="of several in one transaction, from 0 on")
    withdrawal.add_argument(
        "--block", type=_number, metavar="N", help="the output of this L2 block, not of the transaction's own"
    )
    withdrawal.add_argument(
        "--output-index", type=_number, metavar="I", help="the output's index on L1: adds the call data for the portal"
    )
    withdrawal.set_defaults(run=_withdrawal)
    account = kinds.add_parser("account", help="what stands at an address, or that nothing does")
    _common(account)
    account.add_argument("--address", type=_of(20), required=True, metavar="A")
    account.add_argument(
        "--slot", type=_of(32), action="append", default=[], metavar="S", help="a slot of its storage, 32 bytes"
    )
    account.add_argument("--block", type=_number, required=True, metavar="N", help="the state after this L2 block")
    account.set_defaults(run=_account)
    trace = kinds.add_parser("trace", help="what kroma-prover takes to prove a block: its trace")
    _common(trace)
    trace.add_argument("--block", type=_number, required=True, metavar="N", help="an L2 block of Kroma's ZK era")
    trace.set_defaults(run=_trace)


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, metavar="FILE", help="a recording")
    command.add_argument("--out", type=Path, metavar="PROOF.json", help="where to write it; stdout without")
    command.add_argument("--profile", type=Path, metavar="PROFILE.toml", help="take engine and data sources from it")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise argparse.ArgumentTypeError(f"expected a number of at most {_MOST_DIGITS} digits, got {shown(text)}")
    return int(text)


def _of(size: int) -> Callable[[str], bytes]:
    def read(text: str) -> bytes:
        try:
            return fixed(text, size, "value")
        except DecodeError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def _withdrawal(arguments: argparse.Namespace) -> int:
    async def prove(chain: ChainConfig, engine: ExecutionEngine) -> dict[str, Any]:
        at = None if arguments.block is None else L2Number(arguments.block)
        proof = await prove_withdrawal(chain, engine, arguments.tx, which=arguments.which, at=at)
        return withdrawal_json(proof, arguments.output_index)

    return _run(arguments, prove)


def _account(arguments: argparse.Namespace) -> int:
    async def prove(_chain: ChainConfig, engine: ExecutionEngine) -> dict[str, Any]:
        number = L2Number(arguments.block)
        return account_json(await prove_account(engine, arguments.address, arguments.slot, number))

    return _run(arguments, prove)


def _trace(arguments: argparse.Namespace) -> int:
    async def prove(chain: ChainConfig, engine: ExecutionEngine) -> dict[str, Any]:
        return await trace_for_prover(chain, engine, cast(BlockTraces, engine), L2Number(arguments.block))

    return _run(arguments, prove, Capability.BLOCK_TRACES)


def _run(arguments: argparse.Namespace, prove: Prover, needed: Capability = Capability.EXECUTES) -> int:
    with tempfile.TemporaryDirectory(prefix="kroma-prove-") as scratch:
        plan = plan_replay(arguments.file, arguments.profile, discover(), os.environ, Path(scratch))
        if not plan.executes:
            raise ConfigError(f"{arguments.file}: a proof takes an engine that executes; this one plays recordings")
        for part in plan.of_role(Role.ENGINE):
            if needed not in part.installed.capabilities:
                raise ConfigError(f"{arguments.file}: engine {part.installed.offer.kind!r} lacks {needed.value}")
        content = run_until_signal(lambda: _proven(arguments.file, plan, prove))
    text = json.dumps(content, indent=2) + "\n"
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        arguments.out.write_text(text)
    return 0


async def _proven(path: Path, plan: Plan, prove: Prover) -> dict[str, Any]:
    with open_recording(path) as recording, bar(path.name, "L1 heads") as advance:

        def on_progress(progress: Progress) -> None:
            advance(progress.steps, progress.steps_in_all)

        async with assemble(plan) as parts:
            await replay_of(recording, plan, parts, expected=None, on_progress=on_progress).run()
            return await prove(plan.chain, parts.engine)
