"""An object store in an HTTP server of the standard library, in a thread of its own: what the tests publish to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import attrs


@attrs.define
class Objects:
    """What is stored, by path, and what the server does wrong."""

    stored: dict[str, bytes] = attrs.field(factory=dict)
    asked: list[str] = attrs.field(factory=list)
    """Method and path of every request."""
    tokens: set[str] = attrs.field(factory=set)
    refuse_puts: int = 0
    """So many uploads are answered with status 503."""
    url: str = ""


@contextmanager
def bucket() -> Iterator[Objects]:
    """A bucket on loopback."""
    objects = Objects()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._note()
            found = objects.stored.get(self.path)
            self._answer(404 if found is None else 200, found or b"no such object")

        def do_PUT(self) -> None:
            self._note()
            content = self.rfile.read(int(self.headers["content-length"]))
            if objects.refuse_puts:
                objects.refuse_puts -= 1
                self._answer(503, b"slow down")
                return
            objects.stored[self.path] = content
            self._answer(200, b"")

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: the tests look at `asked`."""

        def _note(self) -> None:
            objects.asked.append(f"{self.command} {self.path}")
            objects.tokens.add(self.headers.get("authorization", ""))

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    objects.url = f"http://127.0.0.1:{server.server_address[1]}/chain"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield objects
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
