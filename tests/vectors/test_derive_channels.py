"""op-units channel, channel_bank, channel_assembler: which frames make up which channels, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kroma_core.derive.channel_assembler import ChannelAssembler
from kroma_core.derive.channel_bank import ChannelBank
from kroma_core.derive.channels import Channel, ChannelProblem
from kroma_core.events import Subject, Verdict
from kroma_core.types import L1Number
from tests.vectors.client_json import any_bytes, chain_config, frame, hex_bytes, numbered_l1, same_bytes
from tests.vectors.unit_files import unit_cases


@unit_cases("op-units/channel")
def test_channel_takes_the_frames_that_the_client_takes(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    channel = Channel(hex_bytes(case["id"]), L1Number(case["open_block"]), in_order=case["require_in_order"])
    for step in case["steps"]:
        problem = channel.add(frame(step["frame"]), L1Number(step["frame"]["l1_number"]))
        assert (problem is None) == (step["error"] is None), step["error"]
        assert channel.size == int(step["size"])
        assert channel.is_ready == step["is_ready"]
        assert channel.last_origin == step["highest_block"]
    expected = case["expected"]
    assert channel.size == int(expected["size"])
    assert channel.is_ready == expected["is_ready"]
    if channel.is_ready:
        assert channel.content().data == any_bytes(expected["data"])


@unit_cases("op-units/channel_bank")
def test_channel_bank_gives_the_channels_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    _assert_channels(ChannelBank, case)


@unit_cases("op-units/channel_assembler")
def test_channel_assembler_gives_the_channels_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    _assert_channels(ChannelAssembler, case)


def _assert_channels(
    stage: Callable[[int, Callable[[Verdict], None]], ChannelBank | ChannelAssembler], case: dict[str, Any]
) -> None:
    rollup = chain_config(case["rollup_config"]).rollup
    verdicts: list[Verdict] = []
    channels = stage(rollup.channel_timeout, verdicts.append)
    found: list[tuple[int, bytes]] = []
    for block in case["l1_blocks"]:
        origin, rules = numbered_l1(block), rollup.schedule.at(block["time"])
        frames = [frame(given) for given in block["frames"] or ()]
        while True:
            while channel := channels.read(origin, rules):
                found.append((origin.number, channel.data))
            if not frames:
                break
            channels.ingest(frames.pop(0), origin, rules)
    wanted = case["expected"] or ()
    assert [number for number, _ in found] == [expected["at_l1"] for expected in wanted]
    for (_, data), expected in zip(found, wanted, strict=True):
        assert same_bytes(data, expected["channel_data"])
    if stage is ChannelBank:
        assert (case["timed_out_heads_at_l1"] or []) == [
            verdict.origin.number
            for verdict in verdicts
            if verdict.subject is Subject.CHANNEL and verdict.reason is ChannelProblem.TIMED_OUT and verdict.origin
        ]
