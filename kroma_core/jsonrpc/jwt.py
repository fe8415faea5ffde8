"""The shared secret of the authenticated Engine API, and the tokens made with it.

Spec: execution-apis, engine/authentication.md.
"""

from __future__ import annotations

import contextlib
import enum
import os
import secrets
from pathlib import Path
from typing import Any, Final

import attrs
import jwt

from kroma_core.errors import ConfigError, KromaError

SECRET_SIZE: Final = 32
LEEWAY: Final = 60
"""Seconds that a token's time of issue may lie before or after the receiver's clock."""

_ALGORITHM = "HS256"
_SCHEME = "bearer"
_MOST_CHARACTERS = 4096
"""Longest Authorization header that is looked at; a token of an Engine API client has about 100 characters."""


class Refusal(enum.StrEnum):
    """Why a token does not count."""

    MISSING = "missing token"
    MALFORMED = "malformed token"
    SIGNATURE = "wrong signature"
    STALE = "stale token"


class TokenRefused(KromaError):
    """A request is not authenticated. `detail` never repeats the token."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


@attrs.frozen(repr=False)
class JwtSecret:
    """A secret of 32 bytes, shared by a rollup node and its engine. Never printed."""

    _key: bytes = attrs.field(
        validator=attrs.validators.and_(attrs.validators.min_len(32), attrs.validators.max_len(32))
    )

    def __repr__(self) -> str:
        return "JwtSecret(***)"

    @classmethod
    def from_text(cls, text: str, source: str) -> JwtSecret:
        """The secret in 64 hexadecimal digits, with or without 0x, white space around. Raises `ConfigError`."""
        digits = text.strip()
        digits = digits[2:] if digits[:2] in ("0x", "0X") else digits
        if len(digits) != 2 * SECRET_SIZE:
            raise ConfigError(f"{source}: expected a JWT secret of 64 hexadecimal digits, got {len(digits)} characters")
        try:
            return cls(bytes.fromhex(digits))
        except ValueError:
            raise ConfigError(
                f"{source}: expected a JWT secret of 64 hexadecimal digits, got other characters"
            ) from None

    @classmethod
    def read(cls, path: Path) -> JwtSecret:
        """The secret in a file. Raises `ConfigError`, naming the file."""
        try:
            with path.open(encoding="utf-8") as file:
                text = file.read(1024)
        except OSError as error:
            raise ConfigError(f"{path}: the JWT secret cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:
            raise ConfigError(f"{path}: expected a JWT secret of 64 hexadecimal digits, got no text") from None
        return cls.from_text(text, str(path))

    @classmethod
    def read_or_make(cls, path: Path) -> JwtSecret:
        """The secret in a file; a new one, for its owner's eyes only, where there is no file. Raises `ConfigError`."""
        if not path.exists():
            try:
                _make(path)
            except OSError as error:
                raise ConfigError(f"{path}: the JWT secret cannot be made: {error.strerror}") from error
        return cls.read(path)

    def token(self, now: float) -> str:
        """A token issued at `now`, seconds since the Unix epoch; good for about `LEEWAY` seconds."""
        return jwt.encode({"iat": int(now)}, self._key, algorithm=_ALGORITHM)

    def check(self, authorization: str | None, now: float) -> None:
        """Let an Authorization header pass, or raise `TokenRefused`. `now`: seconds since the Unix epoch."""
        if not authorization:
            raise TokenRefused(Refusal.MISSING, "no Authorization header")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != _SCHEME or len(authorization) > _MOST_CHARACTERS:
            raise TokenRefused(Refusal.MALFORMED, "expected an Authorization header of the form 'Bearer TOKEN'")
        claims = self._claims(token.strip())
        issued = _time(claims.get("iat"))
        if issued is None:
            raise TokenRefused(Refusal.MALFORMED, "no time of issue (iat)")
        if abs(issued - now) > LEEWAY:
            raise TokenRefused(
                Refusal.STALE, f"issued {issued - now:+.0f} s from this clock, expected within {LEEWAY} s"
            )
        if "exp" in claims and not (_time(claims["exp"]) or 0) >= now:
            raise TokenRefused(Refusal.STALE, "expired")

    def _claims(self, token: str) -> dict[str, Any]:
        unchecked = {"verify_iat": False, "verify_exp": False, "verify_nbf": False, "verify_aud": False}
        try:
            return jwt.decode(token, self._key, algorithms=[_ALGORITHM], options=unchecked)  # type: ignore[arg-type]  # the library's own keys, in a dict
        except jwt.InvalidSignatureError:
            raise TokenRefused(Refusal.SIGNATURE, "the token was made with another secret") from None
        except (jwt.PyJWTError, UnicodeError) as error:
            raise TokenRefused(Refusal.MALFORMED, f"the token cannot be read ({type(error).__name__})") from None


def _time(value: object) -> float | None:
    """A claim that is a time; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**63:
        return None
    return value


def _make(path: Path) -> None:
    """Write a new secret, whole or not at all; one that another process has made meanwhile stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"0x{secrets.token_hex(SECRET_SIZE)}\n")
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
