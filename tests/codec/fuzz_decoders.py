"""Fuzz targets of the codecs: mutated samples into each decoder; anything raised but `DecodeError` is a find.

    python -m tests.codec.fuzz_decoders [--runs 1000000] [--seed 1] [TARGET ...]

The default suite runs a short round (`test_fuzz_decoders.py`). What a decoder accepts must come back from its encoder.
"""

from __future__ import annotations

import argparse
import random
import struct
import time
from collections.abc import Callable

import attrs

from kroma_core.codec import rlp
from kroma_core.codec.deposits import decode_deposit
from kroma_core.codec.headers import Header
from kroma_core.codec.receipts import Receipt
from kroma_core.codec.ssz_payload import decode_payload, encode_payload
from kroma_core.codec.transactions import decode_transaction, inbox_fields
from kroma_core.errors import DecodeError
from kroma_core.output import decode_output, decode_super_output
from tests.codec.test_deposits import DEPOSIT
from tests.codec.test_headers import FULL, MAINNET_GENESIS
from tests.codec.test_payloads import LAYOUTS
from tests.codec.test_receipts import DEPOSIT as DEPOSIT_RECEIPT
from tests.codec.test_transactions import ALL as TRANSACTIONS


@attrs.frozen
class Target:
    """A decoder: raises `DecodeError`, or returns what must equal its input (None: nothing to compare)."""

    run: Callable[[bytes], bytes | None]
    samples: tuple[bytes, ...]


def _rlp(data: bytes) -> bytes:
    return rlp.encode(rlp.decode(data))


def _split(data: bytes) -> bytes:
    return rlp.encode_list(rlp.split_list(data))


def _transaction(data: bytes) -> bytes:
    transaction = decode_transaction(data)
    try:
        transaction.signing_hash  # noqa: B018  # reads the raw bytes by the decoded sizes
        if hash(data) % 64 == 0:
            transaction.sender  # noqa: B018  # slow, so now and then
    except DecodeError:
        pass
    return transaction.raw


def _inbox(data: bytes) -> None:
    inbox_fields(data)


def _ssz(layout: int) -> Callable[[bytes], bytes | None]:
    def run(data: bytes) -> None:
        encode_payload(decode_payload(data, layout))  # offsets may be odd, so the bytes need not be the same

    return run


_RECEIPTS = (
    DEPOSIT_RECEIPT.encode(),
    b"\x02" + DEPOSIT_RECEIPT.encode()[1:],
    attrs.evolve(DEPOSIT_RECEIPT, type=0).encode(),
)

TARGETS: dict[str, Target] = {
    "rlp": Target(_rlp, (FULL.encode(), *TRANSACTIONS[:3], b"\xc7\xc0\xc1\xc0\xc3\xc0\xc1\xc0")),
    "rlp-split": Target(_split, (FULL.encode(), TRANSACTIONS[0], TRANSACTIONS[3][1:])),
    "header": Target(lambda data: Header.decode(data).encode(), (FULL.encode(), MAINNET_GENESIS.encode())),
    "transaction": Target(_transaction, tuple(TRANSACTIONS)),
    "inbox-fields": Target(_inbox, (*TRANSACTIONS, DEPOSIT.encode())),
    "deposit": Target(lambda data: decode_deposit(data).encode(), (DEPOSIT.encode(),)),
    "deposit-legacy": Target(
        lambda data: decode_deposit(data, legacy=True).encode_legacy(), (DEPOSIT.encode_legacy(),)
    ),
    "receipt": Target(lambda data: Receipt.decode(data).encode_stored(), _RECEIPTS),
    **{f"ssz-{layout}": Target(_ssz(layout), (encode_payload(payload),)) for layout, payload in LAYOUTS.items()},
    "output": Target(lambda data: decode_output(data).encode(), (bytes(128),)),
    "super-output": Target(lambda data: decode_super_output(data).encode(), (b"\x01" + bytes(136),)),
}

_FINDS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
_BOUNDARIES = (0x00, 0x01, 0x7F, 0x80, 0x81, 0xB7, 0xB8, 0xBF, 0xC0, 0xC1, 0xF7, 0xF8, 0xFF)


def mutated(sample: bytes, chance: random.Random) -> bytes:
    """`sample` with a few bytes changed, taken out, repeated or added; now and then bytes of no origin."""
    if chance.random() < 0.02:
        return chance.randbytes(chance.randrange(64))
    data = bytearray(sample)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0:
                del data[at:]
            case 1:
                del data[at : at + chance.randrange(1, 5)]
            case 2:
                data[at:at] = data[at : at + chance.randrange(1, 40)]
            case 3:
                data.insert(at, chance.choice(_BOUNDARIES))
            case _ if at < len(data):
                data[at] = chance.choice(_BOUNDARIES) if chance.random() < 0.5 else chance.randrange(256)
    return bytes(data)


def fuzz(name: str, runs: int, seed: int) -> int:
    """Runs a target; returns how many inputs it accepted. Raises what the decoder should not have raised."""
    target = TARGETS[name]
    chance = random.Random(f"{name} {seed}")
    accepted = 0
    for _ in range(runs):
        data = mutated(chance.choice(target.samples), chance)
        try:
            again = target.run(data)
        except DecodeError:
            continue
        except _FINDS as error:
            raise AssertionError(f"{name}: {data.hex()}") from error
        if again is not None and again != data:
            raise AssertionError(f"{name}: {data.hex()} was accepted and came back as {again.hex()}")
        accepted += 1
    return accepted


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz the decoders of kroma_core.codec.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"default: all of {', '.join(TARGETS)}")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    for name in chosen.targets or TARGETS:
        started = time.perf_counter()
        accepted = fuzz(name, chosen.runs, chosen.seed)
        print(f"{name}: {chosen.runs} inputs, {accepted} accepted, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
