"""Blocks, transactions and receipts as `eth_*` methods answer them, brought back into their consensus encodings.

What a server answers is believed only after its hash or root was compared, so numbers with leading zeros pass here, and
what is wrong shows there. Every malformed field raises `DecodeError`.
Spec: execution-apis, "eth"; exec-engine.md, "JSON-RPC" for deposits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kroma_core.codec.deposits import DepositTransaction
from kroma_core.codec.headers import Header
from kroma_core.codec.hexadecimal import data, fixed, shown
from kroma_core.codec.receipts import Log, Receipt
from kroma_core.codec.rlp import encode_bytes, encode_int, encode_list
from kroma_core.codec.transactions import ACCESS_LIST, BLOB, DEPOSIT, DYNAMIC_FEE, LEGACY, SET_CODE
from kroma_core.errors import DecodeError

JsonObject = Mapping[str, Any]


def header_from_json(block: JsonObject) -> Header:
    """The header in a block of `eth_getBlockBy*`. Raises `DecodeError`."""
    return Header(
        parent_hash=fixed(block.get("parentHash"), 32, "block parentHash"),
        uncle_hash=fixed(block.get("sha3Uncles"), 32, "block sha3Uncles"),
        coinbase=fixed(block.get("miner"), 20, "block miner"),
        state_root=fixed(block.get("stateRoot"), 32, "block stateRoot"),
        transactions_root=fixed(block.get("transactionsRoot"), 32, "block transactionsRoot"),
        receipts_root=fixed(block.get("receiptsRoot"), 32, "block receiptsRoot"),
        bloom=fixed(block.get("logsBloom"), 256, "block logsBloom"),
        difficulty=_number(block, "difficulty"),
        number=_number(block, "number"),
        gas_limit=_number(block, "gasLimit"),
        gas_used=_number(block, "gasUsed"),
        timestamp=_number(block, "timestamp"),
        extra_data=data(block.get("extraData"), "block extraData"),
        mix_hash=fixed(block.get("mixHash"), 32, "block mixHash"),
        nonce=fixed(block.get("nonce"), 8, "block nonce"),
        base_fee=_optional_number(block, "baseFeePerGas"),
        withdrawals_root=_optional_hash(block, "withdrawalsRoot"),
        blob_gas_used=_optional_number(block, "blobGasUsed"),
        excess_blob_gas=_optional_number(block, "excessBlobGas"),
        parent_beacon_root=_optional_hash(block, "parentBeaconBlockRoot"),
        requests_hash=_optional_hash(block, "requestsHash"),
    )


def transaction_type(found: JsonObject) -> int:
    """The type of a transaction; one without is legacy. Raises `DecodeError`."""
    return _number(found, "type") if "type" in found else LEGACY


def transactions_from_json(block: JsonObject) -> tuple[bytes, ...]:
    """Consensus encodings of the transactions of a block that was asked for in full. Raises `DecodeError`."""
    return tuple([transaction_from_json(item) for item in _list(block, "transactions")])


def transaction_from_json(found: JsonObject) -> bytes:
    """Consensus encoding of a transaction; of a blob transaction without its sidecar. Raises `DecodeError`.

    A deposit has seven fields where the object has no `isSystemTx` (Kroma's ZK-trie era), eight otherwise.
    """
    if not isinstance(found, Mapping):
        raise DecodeError(f"transaction: expected an object, got {type(found).__name__}")
    kind = transaction_type(found)
    if kind == DEPOSIT:
        return _deposit(found)
    fields = _FIELDS.get(kind)
    if fields is None:
        raise DecodeError(f"transaction: unknown type 0x{kind:x}")
    encoded = encode_list([field(found) for field in fields])
    return bytes((kind,)) + encoded if kind else encoded


def receipt_from_json(found: JsonObject) -> Receipt:
    """A receipt of `eth_getBlockReceipts` or `eth_getTransactionReceipt`. Raises `DecodeError`."""
    if not isinstance(found, Mapping):
        raise DecodeError(f"receipt: expected an object, got {type(found).__name__}")
    post_state = None if found.get("root") is None else fixed(found["root"], 32, "receipt root")
    return Receipt(
        type=_number(found, "type") if "type" in found else LEGACY,
        status=_number(found, "status") if post_state is None else 0,
        cumulative_gas_used=_number(found, "cumulativeGasUsed"),
        bloom=fixed(found.get("logsBloom"), 256, "receipt logsBloom"),
        logs=tuple([_log(item) for item in _list(found, "logs")]),
        deposit_nonce=_optional_number(found, "depositNonce"),
        deposit_version=_optional_number(found, "depositReceiptVersion"),
        post_state=post_state,
    )


def _log(found: Any) -> Log:
    if not isinstance(found, Mapping):
        raise DecodeError(f"log: expected an object, got {type(found).__name__}")
    return Log(
        fixed(found.get("address"), 20, "log address"),
        tuple([fixed(topic, 32, "log topic") for topic in _list(found, "topics")]),
        data(found.get("data"), "log data"),
    )


def _deposit(found: JsonObject) -> bytes:
    is_system = found.get("isSystemTx")
    to = found.get("to")
    deposit = DepositTransaction(
        source_hash=fixed(found.get("sourceHash"), 32, "deposit sourceHash"),
        sender=fixed(found.get("from"), 20, "deposit from"),
        to=None if to is None else fixed(to, 20, "deposit to"),
        mint=_optional_number(found, "mint") or 0,
        value=_number(found, "value"),
        gas=_number(found, "gas"),
        is_system=is_system is True,
        data=data(found.get("input"), "deposit input"),
    )
    return deposit.encode_legacy() if is_system is None else deposit.encode()


def _number(found: JsonObject, key: str) -> int:
    value = found.get(key)
    if isinstance(value, str) and value[:2] == "0x" and 2 < len(value) <= 258 and value[2:].isalnum():
        try:
            return int(value, 16)
        except ValueError:
            pass
    raise DecodeError(f"{key}: expected a hexadecimal number of at most 1024 bits, got {shown(value)}")


def _optional_number(found: JsonObject, key: str) -> int | None:
    return None if found.get(key) is None else _number(found, key)


def _optional_hash(found: JsonObject, key: str) -> bytes | None:
    return None if found.get(key) is None else fixed(found[key], 32, key)


def _list(found: JsonObject, key: str) -> list[Any]:
    value = found.get(key)
    if not isinstance(value, list):
        raise DecodeError(f"{key}: expected a list, got {type(value).__name__}")
    return value


_Field = Callable[[JsonObject], bytes]


def _integer(key: str) -> _Field:
    return lambda found: encode_int(_number(found, key))


def _receiver(found: JsonObject) -> bytes:
    return b"\x80" if found.get("to") is None else b"\x94" + fixed(found["to"], 20, "transaction to")


def _input(found: JsonObject) -> bytes:
    return encode_bytes(data(found.get("input"), "transaction input"))


def _parity(found: JsonObject) -> bytes:
    return encode_int(_number(found, "yParity" if found.get("yParity") is not None else "v"))


def _access_list(found: JsonObject) -> bytes:
    return encode_list([_access(entry) for entry in _list(found, "accessList")])


def _access(entry: Any) -> bytes:
    if not isinstance(entry, Mapping):
        raise DecodeError(f"access list: expected an object, got {type(entry).__name__}")
    keys = [b"\xa0" + fixed(key, 32, "access list key") for key in _list(entry, "storageKeys")]
    return encode_list([b"\x94" + fixed(entry.get("address"), 20, "access list address"), encode_list(keys)])


def _blob_hashes(found: JsonObject) -> bytes:
    return encode_list([b"\xa0" + fixed(item, 32, "blob hash") for item in _list(found, "blobVersionedHashes")])


def _authorizations(found: JsonObject) -> bytes:
    return encode_list([_authorization(item) for item in _list(found, "authorizationList")])


def _authorization(item: Any) -> bytes:
    if not isinstance(item, Mapping):
        raise DecodeError(f"authorization: expected an object, got {type(item).__name__}")
    return encode_list(
        [
            encode_int(_number(item, "chainId")),
            b"\x94" + fixed(item.get("address"), 20, "authorization address"),
            encode_int(_number(item, "nonce")),
            _parity(item),
            encode_int(_number(item, "r")),
            encode_int(_number(item, "s")),
        ]
    )


_CALL = (_integer("gas"), _receiver, _integer("value"), _input)
_SIGNATURE = (_integer("r"), _integer("s"))
_PRICE = (_integer("gasPrice"),)
_FEES = (_integer("maxPriorityFeePerGas"), _integer("maxFeePerGas"))
_BEGIN = (_integer("chainId"), _integer("nonce"))
_BLOBS = (_integer("maxFeePerBlobGas"), _blob_hashes)

_FIELDS: Mapping[int, tuple[_Field, ...]] = {
    LEGACY: (_integer("nonce"), *_PRICE, *_CALL, _integer("v"), *_SIGNATURE),
    ACCESS_LIST: (*_BEGIN, *_PRICE, *_CALL, _access_list, _parity, *_SIGNATURE),
    DYNAMIC_FEE: (*_BEGIN, *_FEES, *_CALL, _access_list, _parity, *_SIGNATURE),
    BLOB: (*_BEGIN, *_FEES, *_CALL, _access_list, *_BLOBS, _parity, *_SIGNATURE),
    SET_CODE: (*_BEGIN, *_FEES, *_CALL, _access_list, _authorizations, _parity, *_SIGNATURE),
}
"""What a signed transaction's list holds, by type."""

JSON_TRANSACTION_TYPES = frozenset(_FIELDS) | {DEPOSIT}
"""The types that `transaction_from_json` knows."""
