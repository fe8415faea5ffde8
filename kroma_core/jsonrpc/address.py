"""A server as its URL names it, taken apart so that nothing of the URL that may be secret is ever printed.

Providers put API keys into user, password, path or query: a server's name is its scheme, host and port alone.
"""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import attrs

from kroma_core.errors import ConfigError

PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_HIDDEN = "***"
_SECRET = 6
"""Characters from which on a part of a URL may be a secret; shorter ones are words such as `v3`."""


@attrs.frozen(kw_only=True)
class ServerAddress:
    """Where a server is. `target` is path and query as they are sent, `authorization` the header that a user and a
    password in the URL stand for."""

    scheme: str
    host: str
    port: int
    target: str = attrs.field(repr=False, default="/")
    authorization: str | None = attrs.field(repr=False, default=None)

    @classmethod
    def parse(cls, url: str) -> ServerAddress:
        """The address in an http, https, ws or wss URL. Raises `ConfigError`, which does not repeat the URL."""
        try:
            parts = urlsplit(url.strip())
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ConfigError("URL of a server: expected scheme://host:port/path, got something else") from None
        scheme = parts.scheme.lower()
        if scheme not in PORTS:
            raise ConfigError(f"URL of a server: expected one of {', '.join(PORTS)}, got {_scheme_shown(url)}")
        if not host or any(character.isspace() for character in parts.netloc + parts.path):
            raise ConfigError(f"URL of a server: expected a host after {scheme}://")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(
            scheme=scheme, host=host, port=port or PORTS[scheme], target=target, authorization=_authorization(parts)
        )

    @property
    def name(self) -> str:
        """How messages and metrics call the server."""
        return f"{self.scheme}://{self._bracketed}:{self.port}"

    @property
    def url(self) -> str:
        """What to connect to: without user and password, with path and query. Not for messages."""
        return self.name + self.target

    @property
    def pushes(self) -> bool:
        """Whether the server can send unasked: over a WebSocket."""
        return self.scheme in ("ws", "wss")

    @property
    def encrypted(self) -> bool:
        return self.scheme in ("https", "wss")

    def censored(self, text: str) -> str:
        """A text that the server sent, fit for a message: one short line, without what the URL keeps secret."""
        for part in (self.target, *re.split("[/?&=]", self.target)):
            if len(part) >= _SECRET:
                text = text.replace(part, _HIDDEN)
        line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
        return line if len(line) <= 200 else line[:200] + "..."

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def _authorization(parts: SplitResult) -> str | None:
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _scheme_shown(url: str) -> str:
    scheme, separator, _ = url.strip().partition("://")
    return repr(scheme) if separator and scheme.isalnum() and len(scheme) <= 12 else "a URL without one of them"
