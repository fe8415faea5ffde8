"""Checking a whole recording: everything that a hash covers, links, heads, and the expected chain against itself.

One pass, one block at a time; it goes on after a problem and tells them all.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TypeVar

from kroma_core.chain.genesis_json import genesis_from_json, genesis_header, genesis_state
from kroma_core.chain.l1_config import l1_config_from_json
from kroma_core.chain.rollup_json import rollup_config_from_json
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.payloads import block_hash_of
from kroma_core.codec.receipts import Receipt
from kroma_core.codec.trie_root import ordered_root
from kroma_core.errors import ConfigError, DecodeError, NotFound
from kroma_core.recording.problems import Problem, RecordingError, l1_block_name, l2_block_name, shown
from kroma_core.recording.reader import Expected, Recording
from kroma_core.recording.stored import StoredRecording
from kroma_core.recording.values import ExpectedBlock, ExpectedOutput
from kroma_core.recording.verified import VerifiedReader
from kroma_core.types import BlockId, L2Ref

T = TypeVar("T")


def verify(recording: Recording, *, with_expected: bool = True) -> Iterator[Problem]:
    """Every contradiction in a recording. Nothing comes of a good one.

    Without `with_expected` the expected chain is left out: a replay compares that with what it computes.
    """
    check = _Check(recording)
    if isinstance(recording, StoredRecording):
        damage = list(recording.damage())
        yield from damage
        if any(problem.part == "file" for problem in damage):
            return
    yield from check.configuration()
    yield from check.l1_blocks()
    yield from check.blobs()
    yield from check.timeline()
    if with_expected and recording.expected is not None:
        yield from check.expected_chain(recording.expected)
        yield from check.expected_steps(recording.expected)


class _Check:
    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.reader = VerifiedReader(recording)
        self.failed: list[Problem] = []

    def problem(self, part: str, field: str, expected: object, got: object) -> Problem:
        path = self.recording.path
        return Problem(file=path, part=part, field=field, expected=shown(expected), got=shown(got))

    def configuration(self) -> Iterator[Problem]:
        """What the three configuration objects say; the genesis against its hash."""
        recording, source = self.recording, str(self.recording.path)
        try:
            rollup = rollup_config_from_json(recording.rollup_config, source=source)
            if recording.l1_chain_config is not None:
                l1_config_from_json(recording.l1_chain_config, source=source)
            if recording.l2_genesis is None:
                return
            genesis = genesis_from_json(recording.l2_genesis, source=source)
            rules = rollup.schedule.at(genesis.timestamp)
            got = genesis_header(genesis, genesis_state(genesis, rules), rules).hash
        except ConfigError as error:
            for found in error.problems:
                yield self.problem("configuration", "value", "what the formats of op-node and geth allow", found)
            return
        if got != rollup.genesis.l2.hash:
            yield self.problem("l2_genesis", "block hash", rollup.genesis.l2.hash, got)

    def l1_blocks(self) -> Iterator[Problem]:
        lowest = self.recording.span()[0]
        for link in self.recording.links():
            part = l1_block_name(link.number, link.hash)
            block = self.tried(self.reader.block, link.hash)
            receipts = self.tried(self.reader.receipts, link.hash)
            yield from self.told()
            if block is not None and receipts is not None and len(receipts) != len(block.transactions):
                yield self.problem(part, "receipts", len(block.transactions), len(receipts))
            if link.number == lowest:
                continue
            parent = self.recording.link(link.parent_hash)
            if parent is None:
                name = l1_block_name(link.number - 1, link.parent_hash)
                yield self.problem(name, "block", "in the recording", "missing")
            elif parent.number != link.number - 1:
                yield self.problem(part, "parent's number", link.number - 1, parent.number)

    def blobs(self) -> Iterator[Problem]:
        for versioned_hash in self.recording.blob_hashes():
            found = self.tried(self.reader.blob, versioned_hash)
            if found is None and not self.failed:
                yield self.problem(f"blob 0x{versioned_hash.hex()}", "blob", "in the recording", "missing")
            yield from self.told()

    def timeline(self) -> Iterator[Problem]:
        for index in range(self.recording.step_count):
            self.tried(self.reader.heads, index)
            yield from self.told()

    def expected_chain(self, expected: Expected) -> Iterator[Problem]:
        genesis = self._genesis()
        if genesis is None:
            return
        parent: ExpectedBlock | None = None
        for number in range(genesis.number + 1, genesis.number + 1 + expected.block_count):
            block = self.tried(expected.block, number)
            yield from self.told()
            if block is None:
                parent = None
                yield self.problem(l2_block_name(number), "block", "in the recording", "missing or unreadable")
                continue
            part = l2_block_name(number)
            above = genesis.hash if number == genesis.number + 1 else None if parent is None else parent.hash
            if above is not None and block.payload.parent_hash != above:
                yield self.problem(part, "payload.parentHash", above, block.payload.parent_hash)
            for field, wanted, got in block_contradictions(block):
                yield self.problem(part, field, wanted, got)
            for name, l1_block in (("derived_from", block.derived_from), ("l1_origin", block.l1_origin)):
                link = self.recording.link(l1_block.hash)
                if link is None or link.number != l1_block.number:
                    yield self.problem(part, name, "a recorded L1 block", l1_block)
            output = self.tried(expected.output, number)
            yield from self.told()
            if output is not None:
                following = self.tried(expected.block, number + 1)
                yield from self.told()
                for field, wanted, got in output_contradictions(output, block, following):
                    yield self.problem(f"expected output {number}", field, wanted, got)
            parent = block

    def expected_steps(self, expected: Expected) -> Iterator[Problem]:
        for index in range(self.recording.step_count):
            part = f"expected safe_after[{index}]"
            safe = self.tried(expected.safe_after, index)
            step = self.tried(self.recording.step, index)
            yield from self.told()
            if step is None:
                continue
            if safe is None:
                yield self.problem(part, "value", "one for each timeline step", "nothing")
                continue
            if safe.l1_head != step.unsafe:
                yield self.problem(part, "l1_head", step.unsafe, safe.l1_head)
            if safe.derived_l1 is not None:
                link = self.recording.link(safe.derived_l1.hash)
                if link is None or link.number != safe.derived_l1.number:
                    yield self.problem(part, "derived_l1", "a recorded L1 block", safe.derived_l1)

    def tried(self, call: Callable[..., T], *arguments: object) -> T | None:
        """The result; None where it fails, with the reason kept for `told`."""
        try:
            return call(*arguments)
        except RecordingError as error:
            if error.problem not in self.failed:
                self.failed.append(error.problem)
        except NotFound as error:
            self.failed.append(self.problem("file", "block", "in the recording", error))
        return None

    def told(self) -> Iterator[Problem]:
        """What failed since the last time."""
        failed, self.failed = self.failed, []
        yield from failed

    def _genesis(self) -> BlockId | None:
        """L2 genesis as the rollup config names it; None where that is unreadable, which has been told."""
        try:
            return rollup_config_from_json(self.recording.rollup_config, source="").genesis.l2
        except ConfigError:
            return None


Contradiction = tuple[str, object, object]
"""Field, what it should be, what it is."""


def block_contradictions(block: ExpectedBlock) -> Iterator[Contradiction]:
    """Where the fields of an expected block do not agree with each other."""
    payload, attributes = block.payload, block.attributes
    for field, wanted, got in (
        ("hash", block_hash_of(payload), block.hash),
        ("payload.blockHash", block.hash, payload.hash),
        ("payload.blockNumber", block.number, payload.number),
        ("payload.receiptsRoot", ordered_root(block.receipts), payload.receipts_root),
        ("payload.timestamp", attributes.timestamp, payload.timestamp),
        ("payload.prevRandao", attributes.prev_randao, payload.prev_randao),
        ("payload.feeRecipient", attributes.fee_recipient, payload.fee_recipient),
        ("payload.gasLimit", attributes.gas_limit, payload.gas_limit),
        ("payload.parentBeaconBlockRoot", attributes.parent_beacon_root, payload.parent_beacon_root),
        ("payload.withdrawals", attributes.withdrawals, payload.withdrawals),
        ("attributes.noTxPool", True, attributes.no_tx_pool),
        ("payload.transactions", attributes.transactions, payload.transactions),
    ):
        if wanted != got:
            yield field, wanted, got
    if block.header is not None and keccak256(block.header) != block.hash:
        yield "header", block.hash, keccak256(block.header)
    yield from _receipt_contradictions(block)


def _receipt_contradictions(block: ExpectedBlock) -> Iterator[Contradiction]:
    if len(block.receipts) != len(block.payload.transactions):
        yield "receipts", len(block.payload.transactions), len(block.receipts)
        return
    try:
        receipts = [Receipt.decode(raw) for raw in block.receipts]
        network = None if block.network_receipts is None else [Receipt.decode(raw) for raw in block.network_receipts]
    except DecodeError as error:
        yield "receipts", "decodable receipts", error
        return
    totals = [0, *(receipt.cumulative_gas_used for receipt in receipts)]
    if totals[-1] != block.payload.gas_used:
        yield "payload.gasUsed", totals[-1], block.payload.gas_used
    gas_used = tuple(after - before for before, after in itertools.pairwise(totals))
    if block.gas_used is not None and block.gas_used != gas_used:
        yield "gas_used", gas_used, block.gas_used
    if network is not None and block.network_receipts is not None:
        same = tuple(receipt.encode() for receipt in network)
        if same != block.receipts or tuple(receipt.encode_stored() for receipt in network) != block.network_receipts:
            yield "receipts_marshal_binary", "the same receipts, with the nonces of deposits", "others"


def output_contradictions(
    output: ExpectedOutput, block: ExpectedBlock, following: ExpectedBlock | None
) -> Iterator[Contradiction]:
    """Where an expected output does not agree with its block, the one after it, and its own root.

    An output whose next block is all zero does not need it.
    """
    for field, wanted, got in (
        ("version", bytes(32), output.version),
        ("number", block.number, output.number),
        ("stateRoot", block.payload.state_root, output.state_root),
        ("blockRef", block.ref, output.block),
    ):
        if wanted != got:
            yield field, wanted, got
    preimage = bytes(32) + output.state_root + output.withdrawal_storage_root + block.hash
    if output.next_block is not None and not _is_zero(output.next_block):
        preimage += output.next_block.hash
        if following is not None and following.ref != output.next_block:
            yield "nextBlockRef", following.ref, output.next_block
    if (root := keccak256(preimage)) != output.output_root:
        yield "outputRoot", root, output.output_root


def _is_zero(ref: L2Ref) -> bool:
    numbers = (ref.number, ref.timestamp, ref.sequence_number, ref.l1_origin.number)
    return not any(numbers) and not any(ref.hash + ref.parent_hash + ref.l1_origin.hash)
