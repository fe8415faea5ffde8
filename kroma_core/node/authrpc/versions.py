"""Which version of a method is for which block, and what each version's arguments must and must not have.

The boundaries are those of the L1 upgrades that a block's rules contain, and so are the codes: op-geth answers a field
that the version lacks with invalid parameters in some methods and with invalid attributes in others.
Spec: execution-apis, engine/shanghai.md, cancun.md, prague.md, osaka.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from kroma_core.codec.attributes import EngineAttributes
from kroma_core.forks import EvmRules, Rules
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.node.authrpc.arguments import PayloadCall

_MESSAGES: Mapping[Code, str] = {
    Code.INVALID_PARAMS: "Invalid parameters",
    Code.INVALID_PAYLOAD_ATTRIBUTES: "Invalid payload attributes",
    Code.INVALID_FORKCHOICE_STATE: "Invalid forkchoice state",
    Code.UNKNOWN_PAYLOAD: "Unknown payload",
    Code.UNSUPPORTED_FORK: "Unsupported fork",
    Code.TOO_LARGE_REQUEST: "Too large request",
    Code.SERVER_ERROR: "Server error",
}

_PAYLOADS: Final[Mapping[int, tuple[frozenset[EvmRules], frozenset[int]]]] = {
    1: (frozenset(EvmRules), frozenset({1})),
    2: (frozenset({EvmRules.LONDON, EvmRules.SHANGHAI}), frozenset({1, 2})),
    3: (frozenset({EvmRules.CANCUN}), frozenset({3})),
    4: (frozenset({EvmRules.PRAGUE}), frozenset({3})),
    5: (frozenset({EvmRules.OSAKA}), frozenset({3})),
}
"""By version of `engine_getPayload`: the blocks it gives, and the versions of the forkchoice calls that began them."""


def refusal(code: Code, reason: str | None = None) -> RpcError:
    """An error as op-geth forms it: the code's own message, the reason beside it."""
    return RpcError(code, _MESSAGES[code], None if reason is None else {"err": reason})


def check_attributes(version: int, attributes: EngineAttributes, rules: Rules) -> None:
    """Whether `engine_forkchoiceUpdated` of `version` may come with these attributes. Raises `RpcError`."""
    withdrawals, root = attributes.withdrawals is not None, attributes.parent_beacon_root is not None
    match version:
        case 1:
            if withdrawals or root:
                raise refusal(Code.INVALID_PARAMS, "version 1 has neither withdrawals nor a parent beacon block root")
            if rules.evm > EvmRules.SHANGHAI:
                raise refusal(Code.INVALID_PARAMS, "version 1 is not for blocks of this time")
        case 2:
            if root:
                raise refusal(Code.INVALID_PAYLOAD_ATTRIBUTES, "version 2 has no parent beacon block root")
            if rules.evm is EvmRules.LONDON and withdrawals:
                raise refusal(Code.INVALID_PAYLOAD_ATTRIBUTES, "blocks of this time have no withdrawals")
            if rules.evm is EvmRules.SHANGHAI and not withdrawals:
                raise refusal(Code.INVALID_PAYLOAD_ATTRIBUTES, "withdrawals are missing")
            if rules.evm > EvmRules.SHANGHAI:
                raise refusal(Code.UNSUPPORTED_FORK, "version 2 is not for blocks of this time")
        case _:
            if not withdrawals:
                raise refusal(Code.INVALID_PAYLOAD_ATTRIBUTES, "withdrawals are missing")
            if not root:
                raise refusal(Code.INVALID_PAYLOAD_ATTRIBUTES, "the parent beacon block root is missing")
            if rules.evm < EvmRules.CANCUN:
                raise refusal(Code.UNSUPPORTED_FORK, "version 3 is not for blocks of this time")


def check_payload(version: int, call: PayloadCall, rules: Rules) -> None:
    """Whether `engine_newPayload` of `version` may bring this payload. Raises `RpcError`."""
    found = call.payload
    match version:
        case 1:
            wrong = "version 1 has no withdrawals" if found.withdrawals else None
        case 2:
            wrong = _wrong_in_version_2(call, rules)
        case _:
            missing = [
                name
                for name, absent in (
                    ("withdrawals", not found.withdrawals),
                    ("excessBlobGas", found.excess_blob_gas is None),
                    ("blobGasUsed", found.blob_gas_used is None),
                    ("versioned hashes", call.versioned_hashes is None),
                    ("the parent beacon block root", found.parent_beacon_root is None),
                    ("execution requests", version >= 4 and call.requests is None),
                )
                if absent
            ]
            wrong = f"missing: {missing[0]}" if missing else None
    if wrong is not None:
        raise refusal(Code.INVALID_PARAMS, wrong)
    if (version == 3 and rules.evm is not EvmRules.CANCUN) or (version >= 4 and rules.evm < EvmRules.PRAGUE):
        raise refusal(Code.UNSUPPORTED_FORK, f"version {version} is not for blocks of this time")
    if version >= 4:
        _check_requests(call.requests or ())


def check_building(version: int, payload_id: bytes) -> None:
    """Whether `engine_getPayload` of `version` may ask for a building that was begun under this id."""
    if payload_id[0] not in _PAYLOADS[version][1]:
        raise refusal(Code.UNSUPPORTED_FORK)


def check_built(version: int, rules: Rules) -> None:
    """Whether `engine_getPayload` of `version` gives blocks of these rules."""
    if rules.evm not in _PAYLOADS[version][0]:
        raise refusal(Code.UNSUPPORTED_FORK)


def _wrong_in_version_2(call: PayloadCall, rules: Rules) -> str | None:
    found = call.payload
    if rules.evm > EvmRules.SHANGHAI:
        return "version 2 is not for blocks of this time"
    if found.withdrawals != rules.withdrawals:
        return f"withdrawals are {'missing' if rules.withdrawals else 'not part of blocks of this time'}"
    if found.excess_blob_gas is not None or found.blob_gas_used is not None:
        return "blocks of this time have no blob gas"
    return None


def _check_requests(requests: Sequence[bytes]) -> None:
    """Execution requests come in ascending order of type, none of them empty. Spec: EIP-7685."""
    last = -1
    for index, request in enumerate(requests):
        if len(request) < 2:
            raise refusal(Code.INVALID_PARAMS, f"execution request {index} is empty")
        if request[0] <= last:
            raise refusal(Code.INVALID_PARAMS, f"execution request {index} has type {request[0]}, after {last}")
        last = request[0]
