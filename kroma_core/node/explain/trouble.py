"""Of whom the node asks what it tries again."""

from __future__ import annotations

import enum
import re

from kroma_core.events import Retrying


class Asked(enum.StrEnum):
    """The part that did not answer, or what derivation itself cannot get done."""

    L1 = "l1"
    L1_HEADS = "l1 heads"
    DATA = "data"
    ENGINE = "engine"
    UNSAFE = "unsafe"
    DERIVATION = "derivation"
    OTHER = "other"


_ASKED = (
    (re.compile(r"follow L1"), Asked.L1_HEADS),
    (re.compile(r"read batcher data"), Asked.DATA),
    (re.compile(r"find L1|fetch L1|fetch receipts|find the L1 head"), Asked.L1),
    (re.compile(r"insert unsafe"), Asked.UNSAFE),
    (re.compile(r"derive$"), Asked.DERIVATION),
    (re.compile(r"read L2|read the engine|tell the engine|include a block|drop the rest|finalise"), Asked.ENGINE),
)


def asked_of(event: Retrying) -> Asked:
    """Of whom it was asked: the driver's attempts by what they are, those of parts by the part's role."""
    for pattern, asked in _ASKED:
        if pattern.match(event.what):
            return asked
    role = event.part.split()[0] if event.part else ""
    return {"l1": Asked.L1, "engine": Asked.ENGINE, "blobs": Asked.DATA, "data": Asked.DATA}.get(role, Asked.OTHER)
