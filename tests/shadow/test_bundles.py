"""The file of a divergence: whole or not at all, read again as it was, and refused with the place where it is wrong."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kroma_core.errors import CriticalError
from kroma_core.node.chain_choice import ChainFiles
from kroma_core.node.shadow import bundle as bundles
from kroma_core.node.shadow.bundle import BundleWriter, read_bundle
from kroma_core.recording import RecordingError
from tests.shadow.test_followers import divergence

FILES = ChainFiles(rollup={"l2_chain_id": 5}, l1={"chainId": 1}, genesis={"alloc": {}})


def writer(folder: Path) -> BundleWriter:
    return BundleWriter(folder=folder, chain=lambda: FILES, made_by="kroma/v1", clock=lambda: 1_700_000_000.0)


def test_a_bundle_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = writer(tmp_path / "new").write(divergence(7, "a"))
    found = read_bundle(path)
    assert found.divergence == divergence(7, "a")
    assert (found.chain, found.made_by, found.found) == (FILES, "kroma/v1", "2023-11-14T22:13:20Z")
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_same_divergence_has_the_same_name_and_another_one_has_not(tmp_path: Path) -> None:
    names = [writer(tmp_path).write(one).name for one in (divergence(7, "a"), divergence(7, "a"), divergence(8, "a"))]
    assert names[0] == names[1]
    assert names[0].startswith("engine-7-a-")
    assert names[2] != names[0]


def test_a_part_that_always_differs_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MOST", 3)
    for number in range(3):
        writer(tmp_path).write(divergence(number, "a"))
    with pytest.raises(CriticalError, match="has 3 bundles already"):
        writer(tmp_path).write(divergence(3, "a"))
    writer(tmp_path).write(divergence(2, "a"))


def altered(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    value = json.loads(gzip.decompress(path.read_bytes()))
    change(value)
    path.write_bytes(gzip.compress(json.dumps(value).encode()))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value.update(format="kroma-divergence/9"), "format: expected kroma-divergence/1, got"),
        (lambda value: value.pop("chain"), "chain: expected a value, got nothing"),
        (lambda value: value.update(role="kitchen"), "role: expected one of l1, blobs, data, engine,"),
        (lambda value: value["cursor"].update(hash="0x12"), "cursor, hash: expected 32 bytes, got 1 bytes"),
        (
            lambda value: value["outputs"].update(leader=5),
            "outputs.leader, value: expected a JSON object, got a number",
        ),
        (lambda value: value["differences"].append({}), r"differences\[1\], field: expected a value, got nothing"),
    ],
)
def test_what_is_wrong_in_a_bundle_is_named(tmp_path: Path, change: Callable[[Any], object], message: str) -> None:
    path = altered(writer(tmp_path).write(divergence(7, "a")), change)
    with pytest.raises(RecordingError, match=message):
        read_bundle(path)


def test_a_bundle_that_is_cut_short_or_none_is_refused(tmp_path: Path) -> None:
    path = writer(tmp_path).write(divergence(7, "a"))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RecordingError, match="expected a whole file, got one that is cut short"):
        read_bundle(path)
    path.write_text("{}")
    with pytest.raises(RecordingError, match="expected gzip-compressed JSON"):
        read_bundle(path)
