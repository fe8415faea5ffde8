"""What op-node's data source reads out of an L1 block: which transactions count, in what order, and their blobs."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import pytest
import trio
from kroma_da_blob.blob_data import BlobData
from kroma_derive_calldata.call_data import CallData
from kroma_l1_cassette.engine import recorded_engine
from kroma_l1_cassette.l1_source import CassetteL1

from kroma_core.api import Missing
from kroma_core.chain.load import chain_from_json
from kroma_core.chain.rollup_json import rollup_config_from_json
from kroma_core.codec.headers import EMPTY_ROOT, Header
from kroma_core.codec.kzg import BLOB_SIZE
from kroma_core.derive.inbox import authorised
from kroma_core.errors import CriticalError, KromaError, NotFound, ResetError, TemporaryError
from kroma_core.l1 import L1Block
from kroma_core.node.driver import Driver
from kroma_core.node.inbox_reader import read_inputs
from kroma_core.node.retry import RetryPolicy
from kroma_core.recording import Recording, open_recording
from kroma_core.types import Hash32, L1Ref
from tests.vectors.unit_files import OWN_VECTORS, hex_bytes, unit_cases

ERRORS: dict[str, type[KromaError]] = {
    "reset": ResetError,
    "temporary": TemporaryError,
    "critical": CriticalError,
}
BLOCK_PROBLEMS = ("failed to open blob data source", "failed to open calldata source")
"""Errors of fetching the L1 block itself: the driver fetches it before any data source is asked."""


class FileBlobs:
    """The blob source of a case; remembers what it was asked for."""

    def __init__(self, blobs: dict[Hash32, bytes], failure: str | None) -> None:
        self.stored = blobs
        self.failure = failure
        self.asked: list[Hash32] = []

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
        self.asked += versioned_hashes
        if self.failure == "temporary":
            raise TemporaryError("blob source: no answer")
        missing = tuple(one for one in versioned_hashes if one not in self.stored)
        if missing:
            return Missing(versioned_hashes=missing)
        return tuple(self.stored[one] for one in versioned_hashes)


def _block(time: int, transactions: Sequence[bytes]) -> L1Block:
    header = Header(
        parent_hash=bytes(32), coinbase=bytes(20), state_root=bytes(32), transactions_root=EMPTY_ROOT,
        receipts_root=EMPTY_ROOT, bloom=bytes(256), number=1, gas_limit=0, gas_used=0, timestamp=time, extra_data=b"",
        mix_hash=bytes(32),
    )  # fmt: skip
    return L1Block(hash=header.hash, header=header, transactions=tuple(transactions))


@unit_cases("op-units/data_source")
def test_data_sources(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    error = case.get("error", "")
    if any(text in error for text in BLOCK_PROBLEMS) and not case["transactions"]:
        _fetching_the_block_fails_as_the_driver_says(case["error_class"])
        return
    config = rollup_config_from_json(case["rollup_config"], source=case["name"])
    block = _block(case["l1_block_time"], [hex_bytes(raw) for raw in case["transactions"]])
    stored = {hex_bytes(name): hex_bytes(blob).ljust(BLOB_SIZE, b"\0") for name, blob in case["blobs"].items()}
    source = FileBlobs(stored, case.get("error_class"))
    transactions = authorised(block, config, hex_bytes(unit_file["batcher_address"]))
    rules = config.schedule.at(block.header.timestamp)
    read = functools.partial(read_inputs, (CallData(), BlobData([source])), block.ref, transactions, rules)
    if error:
        with pytest.raises(ERRORS[case["error_class"]]):
            trio.run(read)
    else:
        inputs = trio.run(read)
        assert [data for found in inputs for data in found] == [hex_bytes(data) for data in case["expected"]]
    requested = [hex_bytes(one) for one in case["requested_blob_hashes"]]
    assert list(dict.fromkeys(source.asked)) == list(dict.fromkeys(requested))


class WithoutBlocks(CassetteL1):
    """An L1 source that knows where the blocks are and cannot give them."""

    def __init__(self, recording: Recording, error: KromaError) -> None:
        super().__init__(recording)
        self.error = error

    async def block(self, block_hash: Hash32) -> L1Block:
        raise self.error


def _fetching_the_block_fails_as_the_driver_says(error_class: str) -> None:
    """Blocks are fetched before data sources are asked: a missing one is a reset, any other failure is tried again."""
    with open_recording(OWN_VECTORS / "op-chains" / "plain-bedrock.json.xz") as recording:
        config = chain_from_json(
            recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=recording.path.name
        )
        error = NotFound("not found") if error_class == "reset" else TemporaryError("rpc down")
        driver = Driver(
            config=config,
            l1=WithoutBlocks(recording, error),
            data=(),
            engine=recorded_engine(recording, config),
            emit=lambda event: None,
            policy=RetryPolicy(attempts=1),
            resets_without_progress=0,
        )
        if error_class == "reset":
            with pytest.raises(CriticalError, match=r"cannot go on: L1 block 0 .* is gone: not found"):
                trio.run(driver.follow)
        else:
            with pytest.raises(TemporaryError, match="rpc down"):
                trio.run(driver.follow)
