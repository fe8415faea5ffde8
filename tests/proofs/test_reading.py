"""Proof files that hold, and that do not hold any more once anything in them is changed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from kroma_core.codec.headers import Header
from kroma_core.errors import DecodeError
from kroma_core.output import KromaOutput, Output
from kroma_core.proofs.reading import check_proof
from kroma_core.proofs.text import withdrawal_json
from kroma_core.zktrie.faults import Fault, TrieFault
from kroma_core.zktrie.poseidon_parameters import MODULUS
from kroma_core.zktrie.proof import MAGIC
from tests.proofs.samples import ALICE, FILES, OTHER_SLOT, PASSER, ZkWorld, file, merkle_patricia_withdrawal

ABSENT_KEYS = {name: ("address",) if name.startswith("no-account") else ("storage", 1, "key") for name in FILES}
"""The nodes that show that a slot is empty, or that there is no account, show it of every other on the same path."""
FLIPS = 6
"""Bytes that are flipped in each text, at random places."""


def texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the texts of a JSON value stand."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from texts(inner, (*path, key))


def refused(content: Any) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        check_proof(json.dumps(content))
    return caught.value


def test_what_holds_holds_for_its_root() -> None:
    for name, content in FILES.items():
        checked = check_proof(json.dumps(content))
        wanted = content["outputRoot"] if name.startswith("withdrawal") else content["block"]["hash"]
        assert "0x" + checked.root.hex() == wanted


@pytest.mark.parametrize("name", FILES)
def test_no_flipped_digit_of_any_text_is_accepted(name: str) -> None:
    dice = random.Random(name)
    for path in texts(FILES[name]):
        if path == ABSENT_KEYS[name]:
            continue
        for _ in range(FLIPS):
            content = file(name)
            inner = content
            for key in path[:-1]:
                inner = inner[key]
            old = inner[path[-1]]
            at = dice.randrange(2 if old.startswith("0x") and len(old) > 2 else 0, len(old))
            new = dice.choice([one for one in "0123456789abcdef" if one != old[at]])
            inner[path[-1]] = old[:at] + new + old[at + 1 :]
            refused(content)


@pytest.mark.parametrize("name", FILES)
def test_no_field_may_be_missing_or_added(name: str) -> None:
    for field in FILES[name]:
        content = file(name)
        del content[field]
        refused(content)
    content = file(name)
    content["more"] = 1
    assert "unknown field more" in str(refused(content))


@pytest.mark.parametrize("proof", ["accountProof", "storageProof"])
@pytest.mark.parametrize("name", ["withdrawal-zk", "withdrawal-mpt"])
def test_a_missing_surplus_or_moved_node_is_refused(name: str, proof: str) -> None:
    for at in range(len(FILES[name][proof])):
        content = file(name)
        node = content[proof].pop(at)
        refused(content)
        content[proof].insert(at, node)
        content[proof].insert(at, node)
        refused(content)
    content = file(name)
    content[proof].reverse()
    if len(content[proof]) > 1:
        refused(content)


def fault_of(proof: Any) -> Fault:
    with pytest.raises(TrieFault) as caught:
        proof.verified()
    return caught.value.fault


def test_each_thing_that_is_wrong_with_a_zk_proof_has_its_reason() -> None:
    world = ZkWorld()
    good = world.withdrawal()
    nodes = good.storage_proof
    assert isinstance(good.verified(), KromaOutput)

    def storage(*changed: bytes) -> Any:
        return attrs.evolve(good, storage_proof=changed)

    first = bytearray(nodes[0])
    first[40] ^= 1
    assert fault_of(storage(bytes(first), *nodes[1:])) in (Fault.WRONG_NODE, Fault.NOT_AN_ELEMENT)
    assert fault_of(storage(*nodes[:-2], MAGIC)) is Fault.MISSING_NODE
    assert fault_of(storage(*nodes[:-2], world.slot(OTHER_SLOT)[-2], MAGIC)) is Fault.WRONG_NODE
    assert fault_of(storage(*([nodes[0]] * 249), MAGIC)) is Fault.TOO_DEEP
    too_big = nodes[0][:1] + MODULUS.to_bytes(32, "big") + nodes[0][33:]
    assert fault_of(storage(too_big, *nodes[1:])) is Fault.NOT_AN_ELEMENT
    # A wrong magic makes it a proof of the other kind of trie.
    with pytest.raises(DecodeError, match="different kinds of trie"):
        storage(*nodes[:-1], MAGIC[:-1] + b"J").verified()


def test_the_leaf_of_another_account_is_refused() -> None:
    world = ZkWorld()
    with pytest.raises(DecodeError):
        attrs.evolve(world.withdrawal(), account_proof=world.account(ALICE)).verified()


@pytest.mark.parametrize("word", [2, 256, 2**255])
def test_only_a_word_of_one_proves_a_withdrawal(word: int) -> None:
    for proof in (ZkWorld(word).withdrawal(), merkle_patricia_withdrawal(word)):
        with pytest.raises(DecodeError, match="expected 1 in slot"):
            proof.verified()


def test_a_withdrawal_that_was_never_made_is_refused() -> None:
    world = ZkWorld()
    never = attrs.evolve(world.withdrawal().message, value=6)
    absent = attrs.evolve(world.withdrawal(), message=never, storage_proof=world.slot(never.slot))
    with pytest.raises(DecodeError, match="got 0"):
        absent.verified()


def test_the_form_of_the_output_goes_with_the_kind_of_trie() -> None:
    zk, merkle_patricia = ZkWorld().withdrawal(), merkle_patricia_withdrawal()
    assert isinstance(merkle_patricia.verified(), Output)
    assert len(merkle_patricia.verified().encode()) == 128
    assert len(zk.verified().encode()) == 160
    with pytest.raises(DecodeError, match="next block, got none"):
        attrs.evolve(zk, next_block_hash=None).verified()
    with pytest.raises(DecodeError, match="has no hash of the next block"):
        attrs.evolve(merkle_patricia, next_block_hash=bytes(32)).verified()


def test_another_contract_than_the_message_passer_proves_nothing() -> None:
    with pytest.raises(DecodeError, match="no chain's message passer"):
        attrs.evolve(ZkWorld().withdrawal(), message_passer=ALICE).verified()
    assert PASSER != ALICE


@pytest.mark.parametrize("index", [None, -1, True, 1.0, "3", 2**256])
def test_an_index_that_is_none_is_refused(index: Any) -> None:
    content = file("withdrawal-zk")
    content["outputIndex"] = index
    refused(content)


@pytest.mark.parametrize("value", [None, 5, "text", [5], {}, True])
@pytest.mark.parametrize("name", FILES)
def test_a_field_of_another_type_is_refused(name: str, value: Any) -> None:
    for field in FILES[name]:
        content = file(name)
        if content[field] != value:
            content[field] = value
            refused(content)


def test_a_header_of_another_block_is_refused() -> None:
    content = file("withdrawal-zk")
    header = Header.decode(bytes.fromhex(content["block"]["header"][2:]))
    content["block"]["header"] = "0x" + attrs.evolve(header, number=10).encode().hex()
    assert "block.number: expected 10, got 9" in str(refused(content))


def test_where_two_long_texts_differ_is_said() -> None:
    content = file("withdrawal-zk")
    call = content["proveWithdrawalTransaction"]
    content["proveWithdrawalTransaction"] = call[:200] + ("1" if call[200] == "0" else "0") + call[201:]
    assert "differ from character 200 on" in str(refused(content))


def test_a_file_without_an_index_has_no_call_data() -> None:
    content = withdrawal_json(ZkWorld().withdrawal())
    assert "proveWithdrawalTransaction" not in content
    check_proof(json.dumps(content))
