"""`kroma decode`: batcher transactions, frames, channels and batches, and why something was dropped."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import attrs

from kroma_core.chain.builtin import builtin, builtin_names
from kroma_core.chain.config import RollupConfig
from kroma_core.chain.rollup_json import rollup_config_from_text
from kroma_core.chain.superchain import load_superchain
from kroma_core.cli.decode_text import account_json, account_text, static_json, static_text, total_text
from kroma_core.cli.decoded import DecodedInput, Numbering, Reassembly, decode_channel, decode_input
from kroma_core.cli.inbox_account import BlockAccount, InboxAccounts, ListeningSource
from kroma_core.cli.replaying import replay_of
from kroma_core.cli.stopping import run_until_signal
from kroma_core.codec.transactions import decode_transaction
from kroma_core.derive.span_batch import SpanTerms
from kroma_core.errors import ConfigError, DecodeError
from kroma_core.forks import OP_FORKS, Rules, Schedule
from kroma_core.node.assemble import assemble
from kroma_core.node.plan import Plan, plan_replay
from kroma_core.node.registry import discover
from kroma_core.recording import open_recording
from kroma_core.types import L1Number, Seconds, Timestamp

_END_OF_TIME = 2**63


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "decode",
        help="take batcher data apart: transactions, frames, channels, batches",
        description="Show what the batcher wrote. With a recording: for each L1 block the batcher's transactions and "
        "their frames, the channels that were read in it with sizes, compression and ratio, their batches with the L2 "
        "blocks that they hold, and everything that was dropped with the rule and the numbers compared; the recording "
        "is derived for it. With --tx or --frames: what the given data holds, without judging it.",
        epilog="HEX may be @FILE, a file with the hex digits. Several --tx and --frames are read in their order, so "
        "that a channel may span them.",
    )
    source = command.add_argument_group("what to decode")
    source.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a recording")
    source.add_argument("--tx", action=_Ordered, metavar="HEX", help="a raw L1 transaction of the batcher")
    source.add_argument("--frames", action=_Ordered, metavar="HEX", help="an input: version byte and frames")
    command.add_argument(
        "--chain",
        metavar="CHAIN",
        help=f"for --tx and --frames: a rollup.json or one of {', '.join(builtin_names())}; without it times are "
        "relative and L2 numbers unknown",
    )
    command.add_argument("--profile", type=Path, metavar="PROFILE.toml", help="with FILE: engine and data sources")
    command.add_argument("--all", action="store_true", help="with FILE: the L2 blocks derived in each L1 block, too")
    command.add_argument("--json", action="store_true", help="one JSON object an L1 block (or one in all)")
    command.set_defaults(run=run, given=[], parser=command)


class _Ordered(argparse.Action):
    """Keeps `--tx` and `--frames` in the order of the command line."""

    def __call__(self, parser, namespace, values, option_string=None):  # type: ignore[no-untyped-def]  # argparse's own
        namespace.given = [*namespace.given, (self.dest, values)]


def run(arguments: argparse.Namespace) -> int:
    if (arguments.file is None) == (not arguments.given):
        arguments.parser.error("name a recording, or give --tx or --frames")
    if arguments.file is None:
        return _decode_given(arguments)
    with open_recording(arguments.file) as recording:
        carries_chain = recording.expected is not None
    totals = _Totals()

    def show(account: BlockAccount) -> None:
        totals.add(account)
        print(json.dumps(account_json(account)) if arguments.json else account_text(account, blocks=arguments.all))

    with tempfile.TemporaryDirectory(prefix="kroma-decode-") as scratch:
        plan = plan_replay(
            arguments.file, arguments.profile, discover(), os.environ, Path(scratch), without_execution=carries_chain
        )
        accounts = InboxAccounts(plan.chain, show)
        run_until_signal(lambda: _derive(arguments.file, plan, accounts))
        accounts.finish()
    if not arguments.json:
        print(total_text(attrs.asdict(totals)))
    return 0


@attrs.define
class _Totals:
    transactions: int = 0
    frames: int = 0
    channels: int = 0
    batches: int = 0
    blocks: int = 0
    compressed: int = 0
    decompressed: int = 0
    dropped: int = 0

    def add(self, account: BlockAccount) -> None:
        inputs = [each for entry in account.transactions.values() for each in entry.inputs]
        self.transactions += len(account.transactions)
        self.frames += sum(len(each.frames) for each in inputs)
        self.channels += len(account.channels)
        self.batches += sum(len(channel.batches) for channel in account.channels)
        self.blocks += len(account.blocks)
        self.compressed += sum(channel.compressed for channel in account.channels)
        self.decompressed += sum(channel.decompressed for channel in account.channels)
        self.dropped += len(account.dropped)


async def _derive(path: Path, plan: Plan, accounts: InboxAccounts) -> None:
    with open_recording(path) as recording:
        async with assemble(plan, observers={"decode": accounts}) as parts:
            listening = attrs.evolve(parts, data=tuple(ListeningSource(source, accounts) for source in parts.data))
            await replay_of(recording, plan, listening, expected=None).run()


def _decode_given(arguments: argparse.Namespace) -> int:
    rules, numbering = _terms(arguments.chain)
    inputs: list[tuple[str, DecodedInput]] = []
    reassembly = Reassembly()
    for place, (option, text) in enumerate(arguments.given, 1):
        name = f"--{option} {place}" if len(arguments.given) > 1 else f"--{option}"
        data = _bytes_of(text, name)
        if option == "tx":
            name, data = _call_data(data, name)
        shown, frames = decode_input(data)
        inputs.append((name, shown))
        reassembly.add(frames, L1Number(0))
    channels = [decode_channel(channel, rules, numbering) for channel in reassembly.take_complete()]
    incomplete = reassembly.incomplete()
    if arguments.json:
        print(json.dumps(static_json(inputs, channels, incomplete)))
    else:
        print(static_text(inputs, channels, incomplete))
    return 1 if any(shown.problem for _, shown in inputs) else 0


def _terms(chain: str | None) -> tuple[Rules, Numbering]:
    """The newest rules of a chain, which read everything that older ones do."""
    if chain is None:
        schedule = Schedule(table=OP_FORKS, times=dict.fromkeys(OP_FORKS, Timestamp(0)), block_time=Seconds(1))
        return schedule.at(0), Numbering(terms=SpanTerms(chain_id=0, genesis_time=Timestamp(0), block_time=1))
    rollup = _rollup(chain)
    return rollup.schedule.at(_END_OF_TIME), Numbering.of(rollup)


def _rollup(chain: str) -> RollupConfig:
    """The rollup config of a built-in chain or a file; neither L1 nor genesis matter here."""
    path = Path(chain)
    if chain in builtin_names():
        return builtin(chain).rollup
    if not path.exists():
        raise ConfigError(f"--chain {chain}: neither a file nor a built-in chain ({', '.join(builtin_names())})")
    if path.suffix == ".toml":
        return load_superchain(path)
    return rollup_config_from_text(path.read_bytes(), source=chain)


def _bytes_of(text: str, name: str) -> bytes:
    if text.startswith("@"):
        text = Path(text[1:]).read_text()
    try:
        return bytes.fromhex(text.strip().removeprefix("0x"))
    except ValueError:
        raise ConfigError(f"{name}: expected hexadecimal digits, got {text[:40]!r}") from None


def _call_data(raw: bytes, name: str) -> tuple[str, bytes]:
    """The call data of a raw transaction; those with blobs have their data elsewhere."""
    try:
        transaction = decode_transaction(raw)
    except DecodeError as error:
        raise ConfigError(f"{name}: not an L1 transaction: {error}") from error
    if transaction.blob_hashes:
        hashes = ", ".join("0x" + blob.hex() for blob in transaction.blob_hashes)
        print(f"kroma: {name}: the data of a blob transaction is in its blobs: {hashes}", file=sys.stderr)
    return f"transaction 0x{transaction.hash.hex()}", transaction.data
