"""What a server takes from its clients, and how long it waits for them."""

from __future__ import annotations

import attrs

MIB = 1 << 20


@attrs.frozen(kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds. The defaults follow geth's, so that its users' clients work unchanged."""

    body: int = 5 * MIB
    """The largest request, and the largest WebSocket message."""
    response: int = 25 * MIB
    """The largest answer, of a whole batch too; what would come after it is refused."""
    batch: int = 1000
    """Calls in a batch."""
    depth: int = 64
    """Levels of lists and objects in a request."""
    header: int = 16 * 1024
    """Request line and headers."""
    concurrent: int = 64
    """Requests (a batch is one) that are worked on at the same time; others wait."""
    connections: int = 512
    """Open connections; one more takes the place of the one whose request, or its rest, has been awaited longest."""
    request_seconds: float = 30
    """Time for the answer to a request, or to a whole batch."""
    idle_seconds: float = 120
    """How long a connection may lie open without a request."""
    receive_seconds: float = 20
    """Time for a request to arrive, once it has begun; headers and body each."""
    send_seconds: float = 30
    """Time for a client to take an answer."""
    unsent: int = 32 * MIB
    """What may wait for a WebSocket client that reads slowly; with more the connection is closed."""
    held: int = 256 * MIB
    """What incomplete requests and untaken answers of all connections may hold; with more, those that hold most end."""


DEFAULT = Limits()
