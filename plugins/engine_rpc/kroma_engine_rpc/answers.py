"""What an engine answers, as values: statuses of payloads, and errors by what they mean for the node.

Spec: execution-apis, engine/paris.md, "PayloadStatusV1", "Errors"; exec-engine.md, "Engine API".
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

import attrs

from kroma_core.api import Invalid, Syncing, Valid
from kroma_core.codec.deposits import decode_deposit, is_deposit
from kroma_core.codec.hexadecimal import data, fixed, shown
from kroma_core.codec.transactions import BLOB, decode_transaction
from kroma_core.errors import CriticalError, DecodeError, KromaError, TemporaryError
from kroma_core.forks import Rules
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.l2 import Payload, PayloadAttributes
from kroma_core.types import Hash32

_LONGEST = 500


class Status(enum.StrEnum):
    """What an engine says of a payload, or of a head."""

    VALID = "VALID"
    INVALID = "INVALID"
    INVALID_BLOCK_HASH = "INVALID_BLOCK_HASH"
    SYNCING = "SYNCING"
    ACCEPTED = "ACCEPTED"
    """Stored, not executed: the state of its parent is missing."""


@attrs.frozen(kw_only=True)
class PayloadStatus:
    """A status, the last good ancestor where the engine names one, and its own words."""

    status: Status
    latest_valid: Hash32 | None = None
    text: str = ""

    @classmethod
    def from_json(cls, found: object) -> PayloadStatus:
        """Raises `DecodeError`."""
        if not isinstance(found, Mapping):
            raise DecodeError(f"payload status: expected an object, got {shown(found)}")
        status = found.get("status")
        if status not in tuple(Status):
            raise DecodeError(f"payload status: expected one of {', '.join(Status)}, got {shown(status)}")
        latest = found.get("latestValidHash")
        error = found.get("validationError")
        return cls(
            status=Status(status),
            latest_valid=None if latest is None else fixed(latest, 32, "payload status latestValidHash"),
            text=error[:_LONGEST] if isinstance(error, str) else "",
        )

    @property
    def verdict(self) -> Valid | Invalid | Syncing:
        """What the status of a payload means for the block."""
        match self.status:
            case Status.VALID:
                return Valid()
            case Status.SYNCING | Status.ACCEPTED:
                return Syncing()
            case _:
                return Invalid(reason=self.text or f"the engine says {self.status}", latest_valid=self.latest_valid)


@attrs.frozen(kw_only=True)
class ForkchoiceAnswer:
    """What an engine says to heads, and the name of the block that it has begun, where one was asked for."""

    status: PayloadStatus
    payload_id: bytes | None = None

    @classmethod
    def from_json(cls, found: object) -> ForkchoiceAnswer:
        """Raises `DecodeError`."""
        if not isinstance(found, Mapping):
            raise DecodeError(f"forkchoice answer: expected an object, got {shown(found)}")
        name = found.get("payloadId")
        return cls(
            status=PayloadStatus.from_json(found.get("payloadStatus")),
            payload_id=None if name is None else data(name, "forkchoice answer payloadId"),
        )


def said(error: RpcError) -> str:
    """An error object in words; engines put the reason into its data."""
    detail = error.data.get("err") if isinstance(error.data, Mapping) else error.data
    return f"{error}: {detail[:_LONGEST]}" if isinstance(detail, str) and detail else str(error)


def severity(error: RpcError, what: str) -> KromaError:
    """What an error object means that is no verdict on a block: raise it.

    An engine that refuses the form of a call has other fork times than this node, or lacks the method: no trying again
    heals that. Everything else may pass.
    """
    text = f"{what}: {said(error)}"
    if error.code in (Code.UNSUPPORTED_FORK, Code.INVALID_PARAMS):
        return CriticalError(f"{text}; does the engine have the fork times of the rollup config? `kroma check --live`")
    if error.code == Code.METHOD_NOT_FOUND:
        return CriticalError(f"{text}; the engine is too old for this chain's forks, or `url` is not its engine port")
    return TemporaryError(text)


def unreadable_transaction(transactions: Iterable[bytes], rules: Rules) -> str | None:
    """The first transaction that no L2 block can hold because of its form alone, in words.

    Some engines answer such attributes with an error like any other, or fail while reading them: without this, the node
    would try again for ever.
    """
    for index, raw in enumerate(transactions):
        try:
            if is_deposit(raw):
                decode_deposit(raw, legacy=rules.legacy_deposits)
            elif decode_transaction(raw).type == BLOB:
                return f"transaction {index} is a blob transaction"
        except DecodeError as error:
            return f"transaction {index} cannot be read: {error}"
    return None


def form_problem(payload: Payload, rules: Rules) -> str | None:
    """Where a payload has not the fields that its block's rules say; None when it has."""
    blobs = rules.parent_beacon_root
    for name, present, expected in (
        ("withdrawals", payload.withdrawals, rules.withdrawals),
        ("parentBeaconBlockRoot", payload.parent_beacon_root is not None, blobs),
        ("blobGasUsed", payload.blob_gas_used is not None, blobs),
        ("excessBlobGas", payload.excess_blob_gas is not None, blobs),
        ("withdrawalsRoot", payload.withdrawals_root is not None, rules.withdrawals_root_is_storage_root),
    ):
        if present is not expected:
            return f"block {payload.number}: {name} is {'there' if present else 'missing'}"
    if payload.withdrawal_list:
        return f"block {payload.number}: expected no withdrawals, got {len(payload.withdrawal_list)}"
    return None


def left_out(attributes: PayloadAttributes, payload: Payload) -> int | None:
    """The first forced transaction that a block lacks, where its transactions are some of the forced, in their order.

    op-reth leaves out transactions that cannot be executed, where op-geth refuses to build.
    """
    forced = iter(enumerate(attributes.transactions))
    missing: int | None = None
    for raw in payload.transactions:
        for index, wanted in forced:
            if wanted == raw:
                break
            missing = index if missing is None else missing
        else:
            return None  # holds something that was not forced
    rest = next(forced, None)
    return rest[0] if missing is None and rest is not None else missing
