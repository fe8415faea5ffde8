"""Of whom the node asks what it tries again."""

from __future__ import annotations

from kroma_core.events import Asked, Retrying

_OF_ROLE = {"l1": Asked.L1, "engine": Asked.ENGINE, "blobs": Asked.DATA, "data": Asked.DATA}


def asked_of(event: Retrying) -> Asked:
    """Of whom it was asked: as core tells of its own attempts, and for those of parts by the part's role."""
    if event.asked is not Asked.OTHER:
        return event.asked
    return _OF_ROLE.get(event.part.partition(" ")[0], Asked.OTHER)
