"""A proof file checked: what it holds is verified, everything else in it computed again and compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from kroma_core.codec.headers import Header
from kroma_core.codec.hexadecimal import data, data_list, fixed, quantity, shown
from kroma_core.codec.json_text import json_loads
from kroma_core.codec.passed_messages import PassedMessage
from kroma_core.errors import DecodeError
from kroma_core.proofs.account import AccountStateProof, SlotProof
from kroma_core.proofs.text import FORMAT, account_json, withdrawal_json
from kroma_core.proofs.withdrawal import WithdrawalProof
from kroma_core.types import Hash32

_MOST_INDEX = 2**256
_SEEN = 40
"""Where two long texts differ beyond so many characters, the message says where."""


@attrs.frozen(kw_only=True)
class CheckedProof:
    """A proof that holds. `root` is what it holds for: an output root, or the block's hash for an account."""

    proof: WithdrawalProof | AccountStateProof
    root: Hash32


def check_proof(text: str | bytes) -> CheckedProof:
    """The proof in a file. Raises `DecodeError` with the reason where the proof, or any field beside it, is wrong."""
    content = _object(json_loads(text), "proof file")
    if content.get("format") != FORMAT:
        raise DecodeError(f"proof file: expected format {FORMAT!r}, got {shown(content.get('format'))}")
    match content.get("kind"):
        case "withdrawal":
            withdrawal = _withdrawal(content)
            _compare(withdrawal_json(withdrawal, _index(content)), content, "")
            return CheckedProof(proof=withdrawal, root=withdrawal.verified().root)
        case "account":
            account = _account(content)
            _compare(account_json(account), content, "")
            return CheckedProof(proof=account, root=account.header.hash)
        case kind:
            raise DecodeError(f"proof file: expected kind 'withdrawal' or 'account', got {shown(kind)}")


def _withdrawal(content: Mapping[str, Any]) -> WithdrawalProof:
    message = _object(content.get("withdrawal"), "withdrawal")
    output = _object(content.get("output"), "output")
    following = output.get("nextBlockHash")
    return WithdrawalProof(
        message=PassedMessage(
            nonce=quantity(message.get("nonce"), "withdrawal.nonce", 256),
            sender=fixed(message.get("sender"), 20, "withdrawal.sender"),
            target=fixed(message.get("target"), 20, "withdrawal.target"),
            value=quantity(message.get("value"), "withdrawal.value", 256),
            gas_limit=quantity(message.get("gasLimit"), "withdrawal.gasLimit", 256),
            data=data(message.get("data"), "withdrawal.data"),
        ),
        message_passer=fixed(content.get("messagePasser"), 20, "messagePasser"),
        header=_header(content),
        next_block_hash=None if following is None else fixed(following, 32, "output.nextBlockHash"),
        account_proof=data_list(content.get("accountProof"), "accountProof"),
        storage_proof=data_list(content.get("storageProof"), "storageProof"),
    )


def _account(content: Mapping[str, Any]) -> AccountStateProof:
    slots = content.get("storage")
    if not isinstance(slots, list):
        raise DecodeError(f"storage: expected a list, got {shown(slots)}")
    entries = [_object(entry, f"storage[{at}]") for at, entry in enumerate(slots)]
    return AccountStateProof(
        address=fixed(content.get("address"), 20, "address"),
        header=_header(content),
        account_proof=data_list(content.get("accountProof"), "accountProof"),
        slots=tuple(
            [
                SlotProof(
                    slot=fixed(entry.get("key"), 32, f"storage[{at}].key"),
                    nodes=data_list(entry.get("proof"), f"storage[{at}].proof"),
                )
                for at, entry in enumerate(entries)
            ]
        ),
    )


def _header(content: Mapping[str, Any]) -> Header:
    return Header.decode(data(_object(content.get("block"), "block").get("header"), "block.header"))


def _index(content: Mapping[str, Any]) -> int | None:
    if "outputIndex" not in content and "proveWithdrawalTransaction" not in content:
        return None
    index = content.get("outputIndex")
    if type(index) is not int or not 0 <= index < _MOST_INDEX:
        raise DecodeError(f"outputIndex: expected the index of an output, got {shown(index)}")
    return index


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DecodeError(f"{what}: expected an object, got {shown(value)}")
    return value


def _compare(computed: object, given: object, where: str) -> None:
    """Raises `DecodeError` that names the first field in which a file differs from what its proof gives."""
    if isinstance(computed, dict) and isinstance(given, dict):
        for name in [*computed, *(name for name in given if name not in computed)]:
            field = f"{where}.{name}" if where else name
            if name not in computed:
                raise DecodeError(f"proof file: unknown field {field}")
            if name not in given:
                raise DecodeError(f"proof file: {field} is missing")
            _compare(computed[name], given[name], field)
    elif isinstance(computed, list) and isinstance(given, list) and len(computed) == len(given):
        for at, (one, other) in enumerate(zip(computed, given, strict=True)):
            _compare(one, other, f"{where}[{at}]")
    elif isinstance(computed, str) and isinstance(given, str) and computed != given:
        pairs = enumerate(zip(computed, given, strict=False))
        at = next((at for at, (one, other) in pairs if one != other), min(len(computed), len(given)))
        place = f" (they differ from character {at} on)" if at > _SEEN else ""
        raise DecodeError(f"{where}: expected {shown(computed)}, got {shown(given)}{place}")
    elif type(computed) is not type(given) or computed != given:
        raise DecodeError(f"{where}: expected {shown(computed)}, got {shown(given)}")
