"""The file that a divergence is kept in: one, with all that another machine needs to see it again.

gzip-compressed JSON; docs/shadow.md describes it. Nothing in it is executed: reading one from a stranger is safe.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import attrs

from kroma_core.api import Clock
from kroma_core.api.roles import Role
from kroma_core.codec.json_text import json_loads
from kroma_core.errors import CriticalError, DecodeError
from kroma_core.node.chain_choice import ChainFiles
from kroma_core.node.shadow.divergence import Cursor, Divergence, PartVersion, Place, fingerprint
from kroma_core.recording.compare import Difference
from kroma_core.recording.json_fields import Fields
from kroma_core.recording.problems import refuse

FORMAT: Final = "kroma-divergence/1"
SUFFIX: Final = ".divergence.json.gz"
MAX_JSON: Final = 1 << 30
"""Bytes of JSON that a bundle may hold: it is read whole."""
MOST: Final = 100
"""Bundles that a folder takes; a part that always differs must not fill the disk."""


@attrs.frozen(kw_only=True)
class Bundle:
    """A bundle as it was read. `found` is the time in ISO 8601, `made_by` the program that wrote it."""

    path: Path
    found: str
    made_by: str
    chain: ChainFiles
    divergence: Divergence


@attrs.frozen(kw_only=True)
class BundleWriter:
    """Writes bundles to a folder; `chain` is asked for the chain's files when one is written."""

    folder: Path
    chain: Callable[[], ChainFiles]
    made_by: str
    clock: Clock

    def write(self, divergence: Divergence) -> Path:
        """The file of a divergence, whole or not at all. One that was found before has the same name.

        Blocks: compression takes as long as the inputs are large. Raises `CriticalError` where it cannot be written.
        """
        path = self.folder / name_of(divergence)
        if not path.exists() and len(tuple(self.folder.glob(f"*{SUFFIX}"))) >= MOST:
            raise CriticalError(f"write {path}: {self.folder} has {MOST} bundles already; move them away")
        text = json.dumps(_object(divergence, self.chain(), self.made_by, self._now()), separators=(",", ":"))
        fresh = path.with_name(f"{path.name}.new")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(fresh, "wb") as file:
                file.write(gzip.compress(text.encode(), 6, mtime=0))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            raise CriticalError(f"write {path}: {error.strerror or error}") from error
        return path

    def _now(self) -> str:
        return datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def name_of(divergence: Divergence) -> str:
    """The file name: role, number of the block, the follower's kind, and a name for what it gave."""
    given = fingerprint({"at": divergence.cursor.hash.hex(), "output": divergence.follower_output})[:8]
    return f"{divergence.role}-{divergence.cursor.number}-{divergence.follower.kind}-{given}{SUFFIX}"


def read_bundle(path: Path) -> Bundle:
    """Read a bundle. Raises `RecordingError`, which names file, field, what was expected and what is there."""
    top = Fields.of(_json(path), file=path, part="")
    form = top.text("format")
    if form != FORMAT:
        raise refuse(path, "", "format", expected=FORMAT, got=form)
    chain = top.under("chain")
    role = _member(Role, top, "role")
    outputs = top.under("outputs")
    at = top.under("cursor")
    return Bundle(
        path=path,
        found=top.text("found"),
        made_by=top.text("made_by"),
        chain=ChainFiles(
            rollup=chain.under("rollup_config").object,
            l1=chain.under("l1_chain_config").object,
            genesis=chain.under("l2_genesis").object if "l2_genesis" in chain else None,
        ),
        divergence=Divergence(
            role=role,
            leader=_part(top.under("leader")),
            follower=_part(top.under("follower")),
            cursor=Cursor(place=_member(Place, at, "place"), number=at.number("number"), hash=at.data("hash", 32)),
            differences=tuple(
                _difference(Fields.of(item, file=path, part=f"differences[{index}]"))
                for index, item in enumerate(top.list("differences"))
            ),
            inputs=top.under("inputs").object,
            leader_output=outputs.under("leader").object,
            follower_output=outputs.under("follower").object,
        ),
    )


def _object(divergence: Divergence, chain: ChainFiles, made_by: str, found: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "made_by": made_by,
        "found": found,
        "role": divergence.role.value,
        "leader": attrs.asdict(divergence.leader),
        "follower": attrs.asdict(divergence.follower),
        "cursor": {
            "place": divergence.cursor.place.value,
            "number": divergence.cursor.number,
            "hash": "0x" + divergence.cursor.hash.hex(),
        },
        "differences": [
            {"field": one.field, "leader": one.expected, "follower": one.got} for one in divergence.differences
        ],
        "chain": {"rollup_config": chain.rollup, "l1_chain_config": chain.l1, "l2_genesis": chain.genesis},
        "inputs": divergence.inputs,
        "outputs": {"leader": divergence.leader_output, "follower": divergence.follower_output},
    }


def _json(path: Path) -> Any:
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise refuse(path, "", "content", expected="a readable file", got=error.strerror or error) from error
    unpacker = zlib.decompressobj(wbits=31)
    try:
        data = unpacker.decompress(packed, MAX_JSON + 1)
    except zlib.error as error:
        raise refuse(path, "", "content", expected="gzip-compressed JSON", got=error) from error
    if len(data) > MAX_JSON:
        raise refuse(path, "", "size", expected=f"at most {MAX_JSON} bytes of JSON", got="more")
    if not unpacker.eof:
        raise refuse(path, "", "content", expected="a whole file", got="one that is cut short")
    try:
        return json_loads(data)
    except DecodeError as error:
        raise refuse(path, "", "content", expected="JSON", got=error) from error


def _part(fields: Fields) -> PartVersion:
    return PartVersion(
        kind=fields.text("kind"), distribution=fields.text("distribution"), version=fields.text("version")
    )


def _difference(fields: Fields) -> Difference:
    return Difference(field=fields.text("field"), expected=fields.text("leader"), got=fields.text("follower"))


def _member(kind: Any, fields: Fields, key: str) -> Any:
    text = fields.text(key)
    for member in kind:
        if member.value == text:
            return member
    choices = ", ".join(member.value for member in kind)
    raise refuse(fields.file, fields.part, key, expected=f"one of {choices}", got=text)
