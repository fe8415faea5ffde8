"""`admin_`: methods that change what the node does. Off unless the profile asks for them.

A node without a sequencer answers what op-node answers without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kroma_core.codec.hexadecimal import fixed, shown, to_data
from kroma_core.codec.payloads import block_hash_of, envelope_from_json
from kroma_core.errors import DecodeError
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.jsonrpc.methods import Handler
from kroma_core.node.profile import LogLevel
from kroma_core.node.view import NodeView

LOG_LEVELS: Mapping[str, LogLevel] = {
    "trace": LogLevel.DEBUG,
    "trce": LogLevel.DEBUG,
    "debug": LogLevel.DEBUG,
    "dbug": LogLevel.DEBUG,
    "info": LogLevel.INFO,
    "warn": LogLevel.WARNING,
    "warning": LogLevel.WARNING,
    "error": LogLevel.ERROR,
    "eror": LogLevel.ERROR,
    "crit": LogLevel.ERROR,
}
"""op-node's names of levels, and ours."""


def admin_methods(view: NodeView) -> Mapping[str, Handler]:
    """The methods by name, without their namespace."""

    async def reset_derivation_pipeline() -> None:
        view.driver.request_reset("asked for by admin_resetDerivationPipeline")

    async def post_unsafe_payload(envelope: object) -> None:
        if not isinstance(envelope, Mapping):
            raise DecodeError(f"envelope: expected an object, got {shown(envelope)}")
        payload = envelope_from_json(envelope)
        actual = block_hash_of(payload)
        if actual != payload.hash:
            message = f"payload of L2 block {payload.number}: bad block hash {to_data(payload.hash)}, its fields give "
            raise RpcError(Code.SERVER_ERROR, message + to_data(actual))
        await view.driver.submit_unsafe(payload, "admin")

    async def set_log_level(level: object) -> None:
        found = LOG_LEVELS.get(level.lower()) if isinstance(level, str) else None
        if found is None:
            raise DecodeError(f"log level: expected one of {', '.join(LOG_LEVELS)}, got {shown(level)}")
        view.set_log_level(found)

    async def start_sequencer(unsafe_head: object) -> Any:
        fixed(unsafe_head, 32, "hash of the unsafe head")
        raise _no_sequencer()

    async def stop_sequencer() -> Any:
        raise _no_sequencer()

    async def sequencer_active() -> bool:
        return False

    async def override_leader() -> Any:
        raise _no_sequencer()

    async def conductor_enabled() -> bool:
        return False

    async def set_recover_mode(mode: object) -> None:
        if not isinstance(mode, bool):
            raise DecodeError(f"recover mode: expected true or false, got {shown(mode)}")

    return {
        "resetDerivationPipeline": reset_derivation_pipeline,
        "postUnsafePayload": post_unsafe_payload,
        "setLogLevel": set_log_level,
        "startSequencer": start_sequencer,
        "stopSequencer": stop_sequencer,
        "sequencerActive": sequencer_active,
        "overrideLeader": override_leader,
        "conductorEnabled": conductor_enabled,
        "setRecoverMode": set_recover_mode,
    }


def _no_sequencer() -> RpcError:
    return RpcError(Code.SERVER_ERROR, "sequencer is not enabled")
