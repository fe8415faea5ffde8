"""Poseidon, and the ZK trie's hashes, nodes, roots and proofs, against kroma-geth and its zktrie module."""

from __future__ import annotations

from typing import Any

import pytest

from kroma_core.errors import DecodeError
from kroma_core.types import Hash32
from kroma_core.zktrie.accounts import Account, account_leaf, account_of, state_root, storage_leaf, word_of
from kroma_core.zktrie.hashing import hash_elements, key_of, value_hash
from kroma_core.zktrie.nodes import EMPTY_ROOT, Leaf, Parent, decode_node
from kroma_core.zktrie.poseidon import poseidon
from kroma_core.zktrie.proof import proven
from kroma_core.zktrie.trie import NodeCache, prove, update
from tests.vectors.unit_files import hex_bytes, unit_cases


def number(text: str) -> int:
    return int(text, 16)


def word(value: int) -> Hash32:
    return value.to_bytes(32, "big")


@unit_cases("kroma-units/poseidon")
def test_poseidon_hashes_as_the_client_does(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    inputs = [number(text) for text in case["inputs"]]
    if "error" in case:
        with pytest.raises(DecodeError):
            poseidon(inputs)
    else:
        assert poseidon(inputs) == number(case["hash"])


@unit_cases("kroma-units/zk_hashes")
def test_keys_and_values_are_hashed_as_by_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    match case["op"]:
        case "secure_key":
            found = key_of(hex_bytes(case["key"]))
        case "hash_elems":
            found = hash_elements([number(text) for text in case["inputs"]])
        case "value_hash":
            found = value_hash(case["flags"], [hex_bytes(text) for text in case["inputs"]])
        case other:
            pytest.fail(f"unknown op {other}")
    assert found == number(case["hash"])


@unit_cases("kroma-units/zk_nodes")
def test_nodes_are_those_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    raw = hex_bytes(case["node"])
    decoded = decode_node(raw)
    match case["kind"]:
        case "empty":
            assert decoded is None
            assert hex_bytes(case["node_hash"]) == EMPTY_ROOT
            return
        case "parent":
            made: Leaf | Parent | None = Parent(hex_bytes(case["left"]), hex_bytes(case["right"]))
        case "account":
            made = account_leaf(hex_bytes(case["address"]), account_from(case))
            assert isinstance(decoded, Leaf)
            assert account_of(decoded.words) == account_from(case)
        case "storage":
            made = storage_leaf(hex_bytes(case["key"]), number(case["value"]))
            assert isinstance(decoded, Leaf)
            assert word_of(decoded.words) == number(case["value"])
        case other:
            pytest.fail(f"unknown kind {other}")
    assert made is not None
    assert decoded is not None
    assert made.encode() == decoded.encode() == raw
    assert made.hash == decoded.hash == hex_bytes(case["node_hash"])
    if isinstance(made, Leaf):
        assert made.key == number(case["key_hash"])
        assert value_hash(case["flags"], made.words) == number(case["value_hash"])
        assert Leaf(made.key, made.words).encode() == hex_bytes(case["node_canonical"])
        assert decode_node(hex_bytes(case["node_canonical"])) is not None


@unit_cases("kroma-units/zktrie_accounts")
def test_account_tries_have_the_roots_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    stored: dict[Hash32, bytes] = {}
    root = EMPTY_ROOT
    accounts: dict[bytes, Account] = {}
    for step in case["ops"]:
        address = hex_bytes(step["address"])
        if step["op"] == "put":
            accounts[address] = account_from(step)
        else:
            accounts.pop(address, None)
        leaf = account_leaf(address, accounts[address]) if address in accounts else None
        root = update(NodeCache(stored), root, {key_of(address): leaf}, stored)
        assert root == hex_bytes(step["root"])
    assert state_root(accounts) == root


@unit_cases("kroma-units/zktrie_storage")
def test_storage_tries_have_the_roots_and_proofs_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    stored: dict[Hash32, bytes] = {}
    nodes = NodeCache(stored)
    root = EMPTY_ROOT
    changes: dict[int, Leaf | None] = {}
    for step in case["ops"]:
        slot = hex_bytes(step["key"])
        changes[key_of(slot)] = put(slot, hex_bytes(step["value"])) if step["op"] == "put" else None
        if "root" in step:
            root = update(nodes, root, changes, stored)
            changes = {}
            assert root == hex_bytes(step["root"])
    root = update(nodes, root, changes, stored)
    for given in case["proofs"]:
        slot, proof = hex_bytes(given["key"]), [hex_bytes(text) for text in given["proof"]]
        if "error" in given:
            with pytest.raises(DecodeError):
                proven(hex_bytes(given["root"]), slot, proof)
            continue
        words = proven(hex_bytes(given["root"]), slot, proof)
        value = None if given["value"] is None else hex_bytes(given["value"])
        assert words == (None if value is None else (value,))
        if hex_bytes(given["root"]) == root:
            assert list(prove(nodes, root, key_of(slot))) == proof


def put(slot: Hash32, value: Hash32) -> Leaf:
    """The client's trie holds a word of zero, too, where it is put; its state deletes the slot instead."""
    return storage_leaf(slot, int.from_bytes(value, "big")) or Leaf(key_of(slot), (value,), slot)


def account_from(fields: dict[str, Any]) -> Account:
    return Account(
        nonce=fields["nonce"],
        balance=number(fields["balance"]),
        code_hash=hex_bytes(fields["codeHash"]),
        storage_root=hex_bytes(fields["storageRoot"]),
    )
