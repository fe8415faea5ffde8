"""What stands on L1 in place of the data: which content is meant, and how large it is.

37 bytes: 0xd1, the content's size in bytes (4, big-endian), its keccak-256 (32). The content is one input of derivation
as it would stand in call data, its version byte included. The size is there so that a reader knows from L1 alone
whether the content is too large to be read, before anybody sends it a byte.
"""

from __future__ import annotations

from typing import Final

import attrs

from kroma_core.codec.keccak import keccak256

VERSION: Final = 0xD1
LENGTH: Final = 37
LARGEST_SIZE: Final = (1 << 32) - 1


@attrs.frozen(kw_only=True)
class Commitment:
    """Names one content."""

    size: int
    hash: bytes

    @classmethod
    def to(cls, content: bytes) -> Commitment:
        return cls(size=len(content), hash=keccak256(content))

    @classmethod
    def decode(cls, data: bytes) -> Commitment | None:
        """The commitment in call data, or None where that is something else."""
        if len(data) != LENGTH or data[0] != VERSION:
            return None
        return cls(size=int.from_bytes(data[1:5], "big"), hash=data[5:])

    def encode(self) -> bytes:
        return bytes((VERSION,)) + self.size.to_bytes(4, "big") + self.hash

    @property
    def name(self) -> str:
        """Name of the file or object with the content."""
        return self.hash.hex()

    def problem_of(self, content: bytes) -> str | None:
        """Why this content is not the one that is meant; None when it is."""
        if len(content) != self.size:
            return f"expected {self.size} bytes, got {len(content)}"
        found = keccak256(content)
        if found != self.hash:
            return f"expected content with keccak 0x{self.name}, got 0x{found.hex()}"
        return None
