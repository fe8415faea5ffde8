"""The shared secret of the Engine API: its file, its tokens, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from kroma_core.errors import ConfigError
from kroma_core.jsonrpc.jwt import JwtSecret, Refusal, TokenRefused

KEY = bytes(range(32))
NOW = 1_700_000_000.5


def part(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def token(claims: Any, *, key: bytes = KEY, header: Any = None, digest: str = "sha256") -> str:
    """A token by RFC 7515, made without the library that the code under test uses."""
    head = part(json.dumps(header or {"alg": "HS256", "typ": "JWT"}).encode())
    body = head + b"." + part(json.dumps(claims).encode())
    return (body + b"." + part(hmac.new(key, body, digest).digest())).decode()


def secret() -> JwtSecret:
    return JwtSecret.from_text(KEY.hex(), "here")


def refusal(authorization: str | None, now: float = NOW) -> Refusal:
    with pytest.raises(TokenRefused) as refused:
        secret().check(authorization, now)
    return refused.value.reason


@pytest.mark.parametrize("form", ["{}", "0x{}", "{}\n", "0x{}\r\n", "  0X{}  \n"])
def test_a_secret_file_is_hexadecimal_with_or_without_prefix_and_newline(tmp_path: Path, form: str) -> None:
    path = tmp_path / "jwt.hex"
    path.write_text(form.format(KEY.hex()))
    JwtSecret.read(path).check(f"Bearer {token({'iat': int(NOW)})}", NOW)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "got 0 characters"),
        (KEY.hex().encode()[:-2], "got 62 characters"),
        (KEY.hex().encode() + b"00", "got 66 characters"),
        (b"g" * 64, "got other characters"),
        (b"\xff\xfe", "got no text"),
    ],
)
def test_what_is_no_secret_is_refused_by_the_name_of_its_file(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "jwt.hex"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        JwtSecret.read_or_make(path)
    assert str(path) in str(refused.value)
    assert complaint in str(refused.value)


def test_a_missing_secret_is_made_for_its_owner_alone_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "node" / "jwt.hex"
    made = JwtSecret.read_or_make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["jwt.hex"]
    assert JwtSecret.read_or_make(path) == JwtSecret.read(path) == made
    assert made != JwtSecret.read_or_make(tmp_path / "another.hex")


def test_a_secret_that_has_to_be_there_is_missed_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"jwt\.hex: the JWT secret cannot be read: No such file"):
        JwtSecret.read(tmp_path / "jwt.hex")


def test_a_secret_that_cannot_be_made_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/jwt\.hex: the JWT secret cannot be made"):
        JwtSecret.read_or_make(tmp_path / "file" / "jwt.hex")


def test_a_secret_is_never_printed() -> None:
    assert KEY.hex() not in repr(secret())
    assert str(secret()) == "JwtSecret(***)"


def test_a_token_is_signed_with_hmac_sha256_and_carries_its_time() -> None:
    head, body, signature = secret().token(NOW).split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "HS256", "typ": "JWT"}
    assert json.loads(base64.urlsafe_b64decode(body + "==")) == {"iat": int(NOW)}
    expected = part(hmac.new(KEY, f"{head}.{body}".encode(), hashlib.sha256).digest())
    assert signature.encode() == expected


@pytest.mark.parametrize("offset", [-60, -1, 0, 1, 59])
def test_a_token_issued_within_a_minute_passes(offset: int) -> None:
    secret().check(f"Bearer {token({'iat': NOW + offset})}", NOW)
    secret().check(f"bearer {token({'iat': NOW + offset, 'id': 'op-node', 'clv': 'v1'})}", NOW)


@pytest.mark.parametrize("offset", [-3600, -61, 61, 10**9])
def test_a_token_issued_longer_ago_or_later_than_a_minute_is_stale(offset: int) -> None:
    assert refusal(f"Bearer {token({'iat': NOW + offset})}") is Refusal.STALE


def test_a_token_past_its_expiry_is_stale() -> None:
    assert refusal(f"Bearer {token({'iat': NOW, 'exp': NOW - 1})}") is Refusal.STALE
    secret().check(f"Bearer {token({'iat': NOW, 'exp': NOW + 1})}", NOW)


def test_a_request_without_a_token_is_refused() -> None:
    assert refusal(None) is Refusal.MISSING
    assert refusal("") is Refusal.MISSING


def test_a_token_of_another_secret_has_a_wrong_signature() -> None:
    assert refusal(f"Bearer {token({'iat': NOW}, key=bytes(32))}") is Refusal.SIGNATURE


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic dXNlcjpwYXNz",
        "Bearer",
        "Bearer ",
        "Bearer not.a.token",
        "Bearer \ud800",
        f"Bearer {'a' * 100_000}",
        f"Bearer {token({})}",
        f"Bearer {token({'iat': None})}",
        f"Bearer {token({'iat': str(int(NOW))})}",
        f"Bearer {token({'iat': True})}",
        f"Bearer {token([])}",
        f"Bearer {token({'iat': NOW}, header={'alg': 'none'})}",
        f"Bearer {token({'iat': NOW}, header={'alg': 'HS512'}, digest='sha512')}",
    ],
)
def test_what_is_no_token_of_this_kind_is_malformed(authorization: str) -> None:
    assert refusal(authorization) is Refusal.MALFORMED


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_time_that_is_no_number_is_refused(number: str) -> None:
    body = part(b'{"alg":"HS256"}') + b"." + part(b'{"iat": %b}' % number.encode())
    signed = (body + b"." + part(hmac.new(KEY, body, "sha256").digest())).decode()
    assert refusal(f"Bearer {signed}") is Refusal.MALFORMED


def test_a_refusal_does_not_repeat_the_token() -> None:
    good = token({"iat": NOW}, key=bytes(32))
    with pytest.raises(TokenRefused) as refused:
        secret().check(f"Bearer {good}", NOW)
    assert good not in str(refused.value)
