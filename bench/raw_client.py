"""A client of `optimism_syncStatus` on raw sockets: what it does itself hardly counts."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 1 << 16
"""Bytes that are read at once."""
_BODY: Final = b'{"jsonrpc":"2.0","id":1,"method":"optimism_syncStatus","params":[]}'


def request(address: tuple[str, int]) -> bytes:
    head = "POST / HTTP/1.1\r\nhost: {}:{}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n"
    return head.format(*address, len(_BODY)).encode() + _BODY


def answered(received: bytes) -> bool:
    """Whether an answer is whole. Raises `ValueError` for one that is no sync status."""
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    lines = head.lower().split(b"\r\n")
    length = next((int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")), None)
    whole = body.endswith(b"0\r\n\r\n") if length is None else len(body) >= length
    if whole and b'"current_l1"' not in body:
        raise ValueError(f"not a sync status: {received[:200]!r}")
    return whole
