"""Payloads in SSZ, as peers gossip and serve them: four layouts, by what the block's header holds.

Layouts 1 and 2 are the bare payload; 3 and 4 are the envelope, which begins with the parent beacon root.
Spec: rollup-node-p2p.md, "Block gossip"; consensus-specs, "ExecutionPayload"; isthmus/p2p.md.
"""

from __future__ import annotations

import struct
from typing import Final

from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.errors import DecodeError
from kroma_core.l2 import Payload, Withdrawal
from kroma_core.types import Gas, Hash32, L2Number, Timestamp, Wei

_MAX_EXTRA_DATA: Final = 32
_MAX_TRANSACTIONS: Final = 2**20
_MAX_WITHDRAWALS: Final = 16

_FIRST = struct.Struct("<32s20s32s32s256s32sQQQQI32s32sI")
"""Fields of every layout, with the offsets of the extra data and of the transactions."""
_WITHDRAWALS_OFFSET = struct.Struct("<I")
_BLOB_GAS = struct.Struct("<QQ")
_WITHDRAWAL = struct.Struct("<QQ20sQ")

_FIXED_SIZE: Final = {
    1: _FIRST.size,
    2: _FIRST.size + 4,
    3: _FIRST.size + 4 + 16,
    4: _FIRST.size + 4 + 16 + 32,
}
"""Size of the part before the extra data, by layout."""


def layout_of(payload: Payload) -> int:
    """The layout that `payload` is written in.

    The fourth only where the withdrawals root is not that of an empty list: what else has one is read as the third.
    """
    if payload.withdrawals_root is not None and payload.withdrawals_root != EMPTY_ROOT:
        return 4
    if payload.blob_gas_used is not None and payload.excess_blob_gas is not None:
        return 3
    return 2 if payload.withdrawals else 1


def encode_payload(payload: Payload) -> bytes:
    """SSZ of a payload; with its parent beacon root in front where it has one.

    Raises `ValueError` where its fields are those of no block: a later layout's without an earlier's.
    """
    layout = layout_of(payload)
    if layout > 1 and not payload.withdrawals:
        raise ValueError(f"payload of layout {layout} has no withdrawals list")
    fixed = _FIXED_SIZE[layout]
    extra = payload.extra_data
    transactions = _encode_transactions(payload.transactions)
    parts = [
        b"" if payload.parent_beacon_root is None else payload.parent_beacon_root,
        _FIRST.pack(
            payload.parent_hash,
            payload.fee_recipient,
            payload.state_root,
            payload.receipts_root,
            payload.logs_bloom,
            payload.prev_randao,
            payload.number,
            payload.gas_limit,
            payload.gas_used,
            payload.timestamp,
            fixed,
            payload.base_fee.to_bytes(32, "little"),
            payload.hash,
            fixed + len(extra),
        ),
    ]
    if layout >= 2:
        parts.append(_WITHDRAWALS_OFFSET.pack(fixed + len(extra) + len(transactions)))
    if layout >= 3:
        if payload.blob_gas_used is None or payload.excess_blob_gas is None:
            raise ValueError("payload with a withdrawals root has no blob gas fields")
        parts.append(_BLOB_GAS.pack(payload.blob_gas_used, payload.excess_blob_gas))
    if layout >= 4 and payload.withdrawals_root is not None:
        parts.append(payload.withdrawals_root)
    parts += [extra, transactions]
    if layout >= 2:
        parts += [
            _WITHDRAWAL.pack(one.index, one.validator_index, one.address, one.amount) for one in payload.withdrawal_list
        ]
    return b"".join(parts)


def decode_payload(data: bytes, layout: int) -> Payload:
    """A payload from SSZ of the layout that its topic or version says, 1 to 4. Raises `DecodeError`."""
    if layout not in _FIXED_SIZE:
        raise DecodeError(f"payload SSZ: expected layout 1 to 4, got {layout}")
    parent_beacon_root: Hash32 | None = None
    if layout >= 3:
        if len(data) < 32:
            raise DecodeError(f"envelope SSZ: expected 32 bytes of parent beacon root, got {len(data)}")
        parent_beacon_root, data = data[:32], data[32:]
    fixed, size = _FIXED_SIZE[layout], len(data)
    if size < fixed:
        raise DecodeError(f"payload SSZ of layout {layout}: expected at least {fixed} bytes, got {size}")
    first = _FIRST.unpack_from(data)
    extra_at, transactions_at, withdrawals_at = first[10], first[13], size
    if extra_at != fixed:
        raise DecodeError(f"payload SSZ: expected the extra data at {fixed}, got {extra_at}")
    if layout >= 2:
        (withdrawals_at,) = _WITHDRAWALS_OFFSET.unpack_from(data, _FIRST.size)
    if not extra_at <= transactions_at <= withdrawals_at <= size:
        raise DecodeError(
            f"payload SSZ: parts at {extra_at}, {transactions_at}, {withdrawals_at} of {size} bytes are out of order"
        )
    if transactions_at - extra_at > _MAX_EXTRA_DATA:
        raise DecodeError(f"payload SSZ: expected at most 32 bytes of extra data, got {transactions_at - extra_at}")
    blob_gas_used, excess_blob_gas = _BLOB_GAS.unpack_from(data, _FIRST.size + 4) if layout >= 3 else (None, None)
    return Payload(
        hash=first[12],
        parent_hash=first[0],
        number=L2Number(first[6]),
        timestamp=Timestamp(first[9]),
        fee_recipient=first[1],
        state_root=first[2],
        receipts_root=first[3],
        logs_bloom=first[4],
        prev_randao=first[5],
        gas_limit=Gas(first[7]),
        gas_used=Gas(first[8]),
        extra_data=data[extra_at:transactions_at],
        base_fee=Wei(int.from_bytes(first[11], "little")),
        transactions=_decode_transactions(data[transactions_at:withdrawals_at]),
        withdrawals=layout >= 2,
        withdrawal_list=_decode_withdrawals(data[withdrawals_at:]),
        withdrawals_root=data[fixed - 32 : fixed] if layout >= 4 else None,
        blob_gas_used=blob_gas_used,
        excess_blob_gas=excess_blob_gas,
        parent_beacon_root=parent_beacon_root,
    )


def _encode_transactions(transactions: tuple[bytes, ...]) -> bytes:
    offset = 4 * len(transactions)
    offsets = []
    for raw in transactions:
        offsets.append(offset)
        offset += len(raw)
    return struct.pack(f"<{len(offsets)}I", *offsets) + b"".join(transactions)


def _decode_transactions(data: bytes) -> tuple[bytes, ...]:
    """A list of byte lists: the offset of each, then their contents. The first offset tells how many there are."""
    size = len(data)
    if size == 0:
        return ()
    if size < 4:
        raise DecodeError(f"transactions SSZ: {size} bytes hold no offset")
    first = int.from_bytes(data[:4], "little")
    if first % 4 or first > size or first > 4 * _MAX_TRANSACTIONS:
        raise DecodeError(f"transactions SSZ: first offset {first} is not possible in {size} bytes")
    if first == 0:
        raise DecodeError(f"transactions SSZ: {size} bytes belong to no transaction")
    offsets = struct.unpack_from(f"<{first // 4}I", data)
    ends = (*offsets[1:], size)
    for index, (start, end) in enumerate(zip(offsets, ends, strict=True)):
        if not start <= end <= size:
            raise DecodeError(f"transactions SSZ: transaction {index} from {start} to {end} of {size} bytes")
    return tuple([data[start:end] for start, end in zip(offsets, ends, strict=True)])


def _decode_withdrawals(data: bytes) -> tuple[Withdrawal, ...]:
    count, rest = divmod(len(data), _WITHDRAWAL.size)
    if rest or count > _MAX_WITHDRAWALS:
        raise DecodeError(f"withdrawals SSZ: {len(data)} bytes are no list of at most {_MAX_WITHDRAWALS} withdrawals")
    return tuple(
        [
            Withdrawal(index=index, validator_index=validator_index, address=address, amount=amount)
            for index, validator_index, address, amount in _WITHDRAWAL.iter_unpack(data)
        ]
    )
