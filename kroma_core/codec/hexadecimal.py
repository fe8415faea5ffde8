"""Hexadecimal text of JSON-RPC: quantities (shortest form) and data (whole bytes), both with 0x.

`what` names the field in the error. Spec: execution-apis, "Encoding".
"""

from __future__ import annotations

import re

from kroma_core.errors import DecodeError

_QUANTITY = re.compile(r"0[xX](0|[1-9a-fA-F][0-9a-fA-F]*)", re.ASCII)


def quantity(value: object, what: str, bits: int = 64) -> int:
    """A non-negative integer of at most `bits` bits, without leading zeros."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise DecodeError(f"{what}: expected a hexadecimal quantity, got {shown(value)}")
    if len(value) - 2 > (bits + 3) // 4:
        raise DecodeError(f"{what}: expected at most {bits} bits, got {shown(value)}")
    number = int(value, 16)
    if number.bit_length() > bits:
        raise DecodeError(f"{what}: expected at most {bits} bits, got {shown(value)}")
    return number


def data(value: object, what: str) -> bytes:
    """Bytes of any number."""
    if isinstance(value, str) and value[:2] in ("0x", "0X"):
        try:
            found = bytes.fromhex(value[2:])
        except ValueError:
            pass
        else:
            if 2 * len(found) == len(value) - 2:  # fromhex skips white space
                return found
    raise DecodeError(f"{what}: expected bytes in hexadecimal, got {shown(value)}")


def fixed(value: object, size: int, what: str) -> bytes:
    """Exactly `size` bytes."""
    found = data(value, what)
    if len(found) != size:
        raise DecodeError(f"{what}: expected {size} bytes, got {len(found)}")
    return found


def data_list(value: object, what: str) -> tuple[bytes, ...]:
    """A list of bytes, such as raw transactions."""
    if not isinstance(value, list):
        raise DecodeError(f"{what}: expected a list, got {shown(value)}")
    return tuple([data(item, what) for item in value])


def to_quantity(number: int) -> str:
    return hex(number)


def to_data(value: bytes) -> str:
    return "0x" + value.hex()


def shown(value: object) -> str:
    """A JSON value for an error message: short, whatever the value is."""
    if isinstance(value, str):
        return repr(value) if len(value) <= 80 else f"{value[:60]!r}... ({len(value)} characters)"
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and value.bit_length() <= 256):
        return repr(value)
    return f"a value of type {type(value).__name__}"
