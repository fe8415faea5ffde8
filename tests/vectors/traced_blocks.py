"""A block of the ZK era as far as its trace tells it: enough of the parent's state to execute it once more.

What the state holds is taken from the proofs, code from where the trace has it; code that it does not have is put
together from the instructions that ran. So a trace made from this state equals the one it came from only if the
execution, and the choice of what is told and proven, are those of the client.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import attrs
import orjson
from kroma_engine_pyevm.environment import BlockEnvironment
from kroma_engine_pyevm.execution import BlockExecution
from kroma_engine_pyevm.failures import opcode_name
from kroma_engine_pyevm.state import WorldState
from kroma_engine_pyevm.state_tries import StoredAccount, ZkState

from kroma_core.api import BlockTrace
from kroma_core.chain.fees import call_data_gas
from kroma_core.codec.deposits import DepositTransaction
from kroma_core.codec.headers import Header
from kroma_core.codec.keccak import EMPTY_HASH, keccak256
from kroma_core.codec.rlp import encode
from kroma_core.codec.rpc_blocks import header_from_json
from kroma_core.codec.transactions import ACCESS_LIST, DEPOSIT, LEGACY
from kroma_core.errors import CriticalError
from kroma_core.forks import Fork, Rules
from kroma_core.node.eth.block_trace_shapes import block_trace_json
from kroma_core.node.eth.blocks import KnownBlock, KnownTransaction
from kroma_core.types import Address, Gas, Hash32, L2Number, Timestamp, Wei
from kroma_core.zktrie.hashing import key_of
from kroma_core.zktrie.nodes import EMPTY_ROOT, Leaf, decode_node
from kroma_core.zktrie.trie import NodeCache
from tests.vectors.unit_files import hex_bytes

Json = dict[str, Any]
_OPCODES = {opcode_name(opcode): opcode for opcode in range(256)}


@attrs.frozen(kw_only=True)
class TracedBlock:
    """A block and what is known of the state before it."""

    header: Header
    hash: Hash32
    transactions: tuple[bytes, ...]
    execution: BlockExecution


def traced_block(trace: Json, rules: Rules) -> TracedBlock:
    header = header_from_json(trace["header"])
    environment = BlockEnvironment(
        chain_id=trace["chainID"],
        number=L2Number(header.number),
        timestamp=Timestamp(header.timestamp),
        coinbase=header.coinbase,
        gas_limit=Gas(header.gas_limit),
        base_fee=Wei(header.base_fee or 0),
        prev_randao=header.mix_hash,
        rules=rules,
        block_hash=_block_hashes(trace).__getitem__,
    )
    before = hex_bytes(trace["storageTrace"]["rootBefore"])
    state = WorldState(_ToldState(trace), before, _codes(trace).__getitem__)
    return TracedBlock(
        header=header,
        hash=hex_bytes(trace["header"]["hash"]),
        transactions=tuple([_raw(transaction) for transaction in trace["transactions"]]),
        execution=BlockExecution(state, environment),
    )


def _block_hashes(trace: Json) -> dict[int, Hash32]:
    """Hashes of ancestors by number: those that instructions asked for, as they stand on the stack after it."""
    number = int(trace["header"]["number"], 16)
    found = {number - 1: hex_bytes(trace["header"]["parentHash"])}
    for result in trace["executionResults"]:
        for step, following in itertools.pairwise(result["structLogs"]):
            if step["op"] == "BLOCKHASH" and following["depth"] == step["depth"]:
                found[int(step["stack"][-1], 16)] = int(following["stack"][-1], 16).to_bytes(32, "big")
    return found


def newest_fork(trace: Json) -> Fork:
    """The upgrade whose rules an engine executes the block by, as its header shows."""
    if trace["header"].get("parentBeaconBlockRoot") is not None:
        return Fork.ECOTONE
    return Fork.CANYON if trace["header"].get("withdrawalsRoot") is not None else Fork.REGOLITH


class _ToldState(ZkState):
    """The trie that the proofs are of. Accounts that are read without proof are as the trace first saw them."""

    def __init__(self, trace: Json) -> None:
        storage = trace["storageTrace"]
        nodes: dict[Hash32, bytes] = {}
        lists = list(storage["proofs"].values())
        lists += [proof for slots in storage.get("storageProofs", {}).values() for proof in slots.values()]
        for proof in lists:
            for text in proof[:-1]:
                node = decode_node(hex_bytes(text))
                if node is not None:
                    nodes[node.hash] = node.encode()
        super().__init__(NodeCache(nodes))
        self._fee_words = _fee_words(trace)
        self._seen: dict[Address, Json] = {}
        for account in _accounts(trace["executionResults"]):
            self._seen.setdefault(hex_bytes(account["address"]), account)

    def account(self, root: Hash32, address: Address) -> StoredAccount | None:
        try:
            return super().account(root, address)
        except CriticalError:
            seen = self._seen[address]
        code_hash = hex_bytes(seen["codeHash"])
        if not any(code_hash):
            return None
        return StoredAccount(seen["nonce"], int(seen["balance"], 16), EMPTY_ROOT, code_hash)

    def word(self, storage_root: Hash32, slot: int) -> int:
        """Only of the L1 attributes are words read that no instruction touched; balances would tell a wrong one."""
        try:
            return super().word(storage_root, slot)
        except CriticalError:
            return self._fee_words.get(slot, 0)


def _fee_words(trace: Json) -> dict[int, int]:
    """Base fee, overhead and scalar that give the L1 fees which senders paid, by slot.

    Where the L1 attributes failed, these words are those of an earlier block, and nothing proves them.
    """
    paid: list[tuple[int, int]] = []
    for transaction, result in zip(trace["transactions"], trace["executionResults"], strict=True):
        if transaction["type"] != DEPOSIT:
            sent = 0 if result["failed"] or transaction["to"] == transaction["from"] else _number(transaction, "value")
            before, after = (int(account["balance"], 16) for account in (result["from"], result["accountAfter"][0]))
            fee = before - after - sent - result["gas"] * _number(transaction, "gasPrice")
            paid.append((call_data_gas(_raw(transaction)), fee))
    if not trace["executionResults"][0]["failed"] or not paid:
        return {}
    (gas, fee), (other_gas, other_fee) = min(paid), max(paid)
    overhead = round(Fraction(fee * other_gas - other_fee * gas, other_fee - fee)) if gas != other_gas else 0
    price = max(-(-fee * 10**6 // (gas + overhead)) for gas, fee in paid)
    return {1: price, 5: overhead, 6: 1}


def _accounts(value: Any) -> Iterator[Json]:
    """Every account that is shown, in the order of the file."""
    if isinstance(value, dict):
        if "address" in value and "codeHash" in value:
            yield value
        for inner in value.values():
            yield from _accounts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _accounts(inner)


def _codes(trace: Json) -> dict[Hash32, bytes]:
    found = {EMPTY_HASH: b""}
    for transaction, result in zip(trace["transactions"], trace["executionResults"], strict=True):
        shown = [code for step in result["structLogs"] for code in step.get("extraData", {}).get("codeList", ())]
        if not transaction["isCreate"]:
            shown.append(result.get("byteCode", "0x"))
        found |= {keccak256(hex_bytes(code)): hex_bytes(code) for code in shown}
    ran: dict[Hash32, dict[int, int]] = {}
    for result in trace["executionResults"]:
        if "to" in result and hex_bytes(result["to"]["codeHash"]) not in found:
            ran.setdefault(hex_bytes(result["to"]["codeHash"]), {}).update(_code_that_ran(result["structLogs"]))
    for code_hash, code in ran.items():
        found[code_hash] = bytes([code.get(position, 0) for position in range(max(code, default=-1) + 1)])
    return found


def _code_that_ran(steps: list[Json]) -> dict[int, int]:
    """Bytes of the outermost frame's code by position, as far as it was executed; the rest passes for STOP."""
    outer = [step for step in steps if step["depth"] == 1]
    code: dict[int, int] = {}
    for place, step in enumerate(outer):
        opcode = _OPCODES[step["op"]]
        code[step["pc"]] = opcode
        if 0x60 <= opcode <= 0x7F and place + 1 < len(outer):
            pushed = int(outer[place + 1]["stack"][-1], 16).to_bytes(opcode - 0x5F, "big")
            code |= {step["pc"] + 1 + index: byte for index, byte in enumerate(pushed)}
    return code


def _raw(transaction: Json) -> bytes:
    """A transaction's consensus encoding; its hash says whether it is the right one."""
    kind = transaction["type"]
    to = b"" if transaction["to"] is None else hex_bytes(transaction["to"])
    data = hex_bytes(transaction["data"])
    if kind == DEPOSIT:
        raw = DepositTransaction(
            source_hash=hex_bytes(transaction["sourceHash"]),
            sender=hex_bytes(transaction["from"]),
            to=to or None,
            mint=_number(transaction, "mint"),
            value=_number(transaction, "value"),
            gas=Gas(transaction["gas"]),
            data=data,
        ).encode_legacy()
    else:
        if kind <= ACCESS_LIST:
            fees = [_number(transaction, "gasPrice")]
        else:
            fees = [_number(transaction, "maxPriorityFeePerGas"), _number(transaction, "maxFeePerGas")]
        items: list[Any] = [transaction["nonce"], *fees, transaction["gas"], to, _number(transaction, "value"), data]
        if kind != LEGACY:
            listed = [
                [hex_bytes(entry["address"]), [hex_bytes(key) for key in entry["storageKeys"]]]
                for entry in transaction["accessList"]
            ]
            items = [_number(transaction, "chainId"), *items, listed]
        items += [_number(transaction, key) for key in "vrs"]
        raw = (b"" if kind == LEGACY else bytes((kind,))) + encode(_bytes(items))
    assert keccak256(raw) == hex_bytes(transaction["txHash"])
    return raw


def _number(transaction: Json, key: str) -> int:
    return int(transaction[key] or "0x0", 16)


def _bytes(item: Any) -> Any:
    if isinstance(item, list):
        return [_bytes(inner) for inner in item]
    return item.to_bytes((item.bit_length() + 7) // 8, "big") if isinstance(item, int) else item


def known_block(block_hash: Hash32, header: Header, transactions: Sequence[bytes], rules: Rules) -> KnownBlock:
    """A block as the JSON-RPC has it."""
    decoded = tuple([KnownTransaction.decode(raw, rules) for raw in transactions])
    return KnownBlock(hash=block_hash, header=header, transactions=decoded)


def shown(trace: BlockTrace, block: KnownBlock, chain_id: int) -> Json:
    """The trace as who asked for it reads it."""
    found: Json = orjson.loads(orjson.dumps(block_trace_json(trace, block, chain_id)))
    return found


def with_known_preimages(expected: Json, made: Json) -> Json:
    """The expected trace with the preimages of the one made, in leaves whose preimages the client did not know.

    It writes there what it was asked for. A leaf's hash does not cover its preimage.
    """
    storage = copy.deepcopy(expected["storageTrace"])
    own = made["storageTrace"]
    pairs = [(nodes, own["proofs"].get(name, ())) for name, nodes in storage["proofs"].items()]
    for name, slots in storage.get("storageProofs", {}).items():
        others = own.get("storageProofs", {}).get(name, {})
        pairs += [(nodes, others.get(slot, ())) for slot, nodes in slots.items()]
    for nodes, others in pairs:
        for place, (text, other) in enumerate(zip(nodes[:-1], others, strict=False)):
            leaf, known = decode_node(hex_bytes(text)), decode_node(hex_bytes(other))
            if isinstance(leaf, Leaf) and isinstance(known, Leaf) and key_of(leaf.preimage) != leaf.key:
                nodes[place] = other if (leaf.key, leaf.words) == (known.key, known.words) else text
    return {**expected, "storageTrace": storage}


def differences(made: Any, expected: Any, place: str = "trace") -> list[str]:
    """Where two JSON values differ, by path: a failed comparison of megabytes says nothing."""
    if isinstance(made, dict) and isinstance(expected, dict):
        keys = [f"{place}: {key} is only in one" for key in sorted(made.keys() ^ expected.keys())]
        return keys + [
            line
            for key in made.keys() & expected.keys()
            for line in differences(made[key], expected[key], f"{place}.{key}")
        ]
    if isinstance(made, list) and isinstance(expected, list):
        sizes = [] if len(made) == len(expected) else [f"{place}: {len(made)} items, expected {len(expected)}"]
        pairs = enumerate(zip(made, expected, strict=False))
        return sizes + [line for index, pair in pairs for line in differences(*pair, f"{place}[{index}]")]
    return [] if type(made) is type(expected) and made == expected else [f"{place}: {made!r}, expected {expected!r}"]
