"""ZK-trie proofs: everything present and absent is proven, and nothing that was tampered with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.types import Hash32
from kroma_core.zktrie.accounts import account_of, word_of
from kroma_core.zktrie.faults import Fault, TrieFault
from kroma_core.zktrie.hashing import key_of
from kroma_core.zktrie.nodes import EMPTY_ROOT, ENCODED_EMPTY, Leaf, Parent, decode_node
from kroma_core.zktrie.poseidon_parameters import MODULUS
from kroma_core.zktrie.proof import MAGIC, is_zk_proof, proven
from kroma_core.zktrie.trie import NodeCache, prove, update
from tests.vectors.unit_files import hex_bytes
from tests.zktrie.tries import Storage, bare_leaves, slot

TRIE = Storage({at: at + 1 for at in range(12)})
ABOVE = MODULUS.to_bytes(32, "big")
CONTRACT_PROOFS = json.loads((Path(__file__).parent / "data" / "contract_proofs.json").read_text())["cases"]
"""What the tests of Kroma's contract ZKMerkleTrie.sol prove to it; the file names its origin."""


def fault_of(root: Hash32, at: int, proof: list[bytes] | tuple[bytes, ...]) -> Fault:
    with pytest.raises(TrieFault) as caught:
        proven(root, slot(at), proof)
    assert str(caught.value.fault) in str(caught.value)
    return caught.value.fault


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(0, 30), max_size=12))
def test_every_key_present_and_absent_is_proven(present: set[int]) -> None:
    trie = Storage({at: at + 1 for at in present})
    for at in range(0, 31, 2):
        assert proven(trie.root, slot(at), trie.prove(at)) == ((slot(at + 1),) if at in present else None)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_proof_with_a_changed_byte_proves_anything(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, 15))
    proof = list(TRIE.prove(at))
    number = data.draw(st.integers(0, len(proof) - 1))
    changed = bytearray(proof[number])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    proof[number] = bytes(changed)
    with pytest.raises(TrieFault):
        proven(TRIE.root, slot(at), proof)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 15), st.data())
def test_no_proof_with_nodes_left_out_doubled_or_swapped_proves_anything(at: int, data: st.DataObject) -> None:
    proof = list(TRIE.prove(at))
    number = data.draw(st.integers(0, len(proof) - 1))
    other = data.draw(st.integers(0, len(proof) - 1).filter(lambda found: found != number))
    swapped = proof.copy()
    swapped[number], swapped[other] = swapped[other], swapped[number]
    doubled = [*proof[:number], proof[number], *proof[number:]]
    for changed in (proof[:number] + proof[number + 1 :], doubled, swapped, proof[:number], proof[number + 1 :]):
        with pytest.raises(TrieFault):
            proven(TRIE.root, slot(at), changed)


def test_the_empty_trie_proves_absence_in_its_two_forms() -> None:
    assert prove(NodeCache({}), EMPTY_ROOT, key_of(slot(1))) == (ENCODED_EMPTY, MAGIC)
    assert proven(EMPTY_ROOT, slot(1), (ENCODED_EMPTY, MAGIC)) is None
    assert proven(EMPTY_ROOT, slot(1), ()) is None
    assert fault_of(EMPTY_ROOT, 1, (ENCODED_EMPTY, ENCODED_EMPTY, MAGIC)) is Fault.TOO_MANY_NODES


def test_absence_is_shown_by_an_empty_side_and_by_another_keys_leaf() -> None:
    kinds = set()
    for at in range(12, 60):
        proof = TRIE.prove(at)
        assert proven(TRIE.root, slot(at), proof) is None
        kinds.add(proof[-2][0])
    assert kinds == {1, 2}


def test_the_era_is_told_by_the_last_element() -> None:
    assert is_zk_proof(TRIE.prove(0))
    assert not is_zk_proof(TRIE.prove(0)[:-1])
    assert not is_zk_proof(())


def test_reasons_are_told_apart() -> None:
    proof = TRIE.prove(3)
    flipped = [*proof[:-2], bytes([*proof[-2][:60], proof[-2][60] ^ 1, *proof[-2][61:]]), MAGIC]
    assert fault_of(TRIE.root, 3, flipped) is Fault.WRONG_NODE
    assert fault_of(bytes(31) + b"\1", 3, proof) is Fault.WRONG_NODE
    assert fault_of(TRIE.root, 3, proof[1:]) is Fault.WRONG_NODE
    assert fault_of(TRIE.root, 3, (*proof[:-2], MAGIC)) is Fault.MISSING_NODE
    assert fault_of(TRIE.root, 3, (MAGIC,)) is Fault.MISSING_NODE
    assert fault_of(TRIE.root, 3, proof[:-1]) is Fault.NO_MAGIC
    assert fault_of(TRIE.root, 3, (*proof[:-1], MAGIC + b"I")) is Fault.NO_MAGIC
    assert fault_of(TRIE.root, 3, ()) is Fault.NO_MAGIC
    assert fault_of(TRIE.root, 3, (*proof[:-1], ENCODED_EMPTY, MAGIC)) is Fault.TOO_MANY_NODES
    assert fault_of(TRIE.root, 4, proof) is Fault.WRONG_NODE
    assert fault_of(ABOVE, 3, proof) is Fault.NOT_AN_ELEMENT


def test_a_path_of_more_than_248_nodes_is_refused_before_anything_is_hashed() -> None:
    parent = b"\0" + bytes(64)
    assert fault_of(TRIE.root, 0, [parent] * 249 + [MAGIC]) is Fault.TOO_DEEP
    assert fault_of(TRIE.root, 0, [parent] * 248 + [MAGIC]) is Fault.WRONG_NODE


def test_numbers_at_or_above_the_modulus_are_refused_in_every_place() -> None:
    leaf = TRIE.prove(3)[-2]
    account = b"\x01" + bytes(32) + b"\x04\x04\0\0"
    for raw in (
        b"\0" + ABOVE + bytes(32),
        b"\0" + bytes(32) + ABOVE,
        b"\x01" + ABOVE + leaf[33:],
        account + bytes(32) + ABOVE + bytes(64) + b"\0",
        account + bytes(96) + ABOVE + b"\0",
        account + ABOVE + bytes(96) + b"\0",
    ):
        assert fault_of(TRIE.root, 3, (raw, MAGIC)) is Fault.NOT_AN_ELEMENT


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"", Fault.MALFORMED),
        (b"\x03" + bytes(64), Fault.MALFORMED),
        (b"\x02\0", Fault.MALFORMED),
        (b"\0" + bytes(63), Fault.MALFORMED),
        (b"\0" + bytes(65), Fault.MALFORMED),
        (b"\x01" + bytes(20), Fault.NOT_CANONICAL),
        (b"\x01" + bytes(32) + b"\x01\x02\0\0" + bytes(33), Fault.NOT_CANONICAL),
        (b"\x01" + bytes(32) + b"\x02\x02\0\0" + bytes(65), Fault.NOT_CANONICAL),
        (b"\x01" + bytes(32) + b"\x05\x08\0\0" + bytes(161), Fault.NOT_CANONICAL),
        (b"\x01" + bytes(32) + b"\x01\x01\0\x01" + bytes(33), Fault.NOT_CANONICAL),
        (b"\x01" + bytes(32) + b"\x01\x01\0\0" + bytes(32), Fault.MALFORMED),
        (b"\x01" + bytes(32) + b"\x01\x01\0\0" + bytes(34), Fault.MALFORMED),
        (b"\x01" + bytes(32) + b"\x01\x01\0\0" + bytes(32) + b"\x14" + bytes(20), Fault.MALFORMED),
        (b"\x01" + bytes(32) + b"\x01\x01\0\0" + bytes(32) + b"\x20" + bytes(31), Fault.MALFORMED),
    ],
)
def test_a_node_in_another_form_is_refused(raw: bytes, fault: Fault) -> None:
    with pytest.raises(TrieFault) as caught:
        decode_node(raw)
    assert caught.value.fault is fault


def test_a_leaf_that_stands_on_another_path_is_refused() -> None:
    """A trie that nobody could have built: the leaf of slot 0 hangs on the wrong side of the root."""
    leaf = decode_node(TRIE.prove(0)[-2])
    assert isinstance(leaf, Leaf)
    asked = next(at for at in range(1, 50) if (key_of(slot(at)) ^ leaf.key) & 1)
    sides = (leaf.hash, EMPTY_ROOT) if leaf.key & 1 else (EMPTY_ROOT, leaf.hash)
    top = Parent(*sides)
    assert fault_of(top.hash, asked, (top.encode(), leaf.encode(), MAGIC)) is Fault.OTHER_PATH


def test_preimages_are_checked_although_no_hash_covers_them() -> None:
    proof = TRIE.prove(3)
    bare = decode_node(proof[-2])
    assert isinstance(bare, Leaf)
    for preimage, accepted in ((b"", True), (slot(3), True), (slot(4), False)):
        leaf = Leaf(bare.key, bare.words, preimage)
        changed = (*proof[:-2], leaf.encode(), MAGIC)
        if accepted:
            assert proven(TRIE.root, slot(3), changed) == (slot(4),)
        else:
            assert fault_of(TRIE.root, 3, changed) is Fault.OTHER_PREIMAGE


def test_the_key_that_was_asked_for_may_stand_where_a_preimage_is_not_known() -> None:
    """kroma-geth writes it there, into the key's own leaf and into another's."""
    for asked in (3, next(at for at in range(12, 60) if TRIE.prove(at)[-2][0] == 1)):
        proof = TRIE.prove(asked)
        found = decode_node(proof[-2])
        assert isinstance(found, Leaf)
        expected = proven(TRIE.root, slot(asked), proof)
        for preimage, accepted in ((key_of(slot(asked)), True), (key_of(slot(98)), False), (99, False)):
            leaf = Leaf(found.key, found.words, preimage.to_bytes(32, "big"))
            changed = (*proof[:-2], leaf.encode(), MAGIC)
            if accepted:
                assert proven(TRIE.root, slot(asked), changed) == expected
            else:
                assert fault_of(TRIE.root, asked, changed) is Fault.OTHER_PREIMAGE


@pytest.mark.parametrize("case", CONTRACT_PROOFS, ids=range(len(CONTRACT_PROOFS)))
def test_what_the_contract_on_l1_takes_is_proven_and_no_flipped_bit_of_it(case: dict[str, Any]) -> None:
    root, asked = hex_bytes(case["root"]), hex_bytes(case["slot"])
    proof = [hex_bytes(node) for node in case["proof"]]
    words = proven(root, asked, proof)
    assert (words == (hex_bytes(case["word"]),)) is case["included"]
    for number, node in enumerate(proof):
        for at in range(len(node)):
            changed = bytes([*node[:at], node[at] ^ 1 << at % 8, *node[at + 1 :]])
            with pytest.raises(TrieFault):
                proven(root, asked, [*proof[:number], changed, *proof[number + 1 :]])


def test_a_leaf_of_one_kind_is_not_taken_for_the_other() -> None:
    account = (bytes(32), bytes(32), bytes(32), bytes(32))
    for read, words in ((account_of, (slot(1),)), (word_of, account), (word_of, (bytes(32),))):
        with pytest.raises(TrieFault) as caught:
            read(words)  # type: ignore[operator]  # two readers
        assert caught.value.fault is Fault.NOT_CANONICAL
    with pytest.raises(TrieFault) as caught:
        account_of((b"\x01".rjust(24, b"\0") + bytes(8), *account[1:]))
    assert caught.value.fault is Fault.NOT_CANONICAL
    with pytest.raises(TrieFault) as caught:
        account_of((bytes(32), ABOVE, *account[2:]))
    assert caught.value.fault is Fault.NOT_AN_ELEMENT


def test_the_deepest_leaf_is_still_proven() -> None:
    """247 steps below the root, beside a leaf whose key differs in the last of them alone."""
    key = key_of(slot(5))
    own, other = Leaf(key, (slot(6),), slot(5)), bare_leaves([key ^ 1 << 246])[0]
    stored: dict[Hash32, bytes] = {}
    nodes = NodeCache(stored)
    root = update(nodes, EMPTY_ROOT, {own.key: own, other.key: other}, stored)
    proof = prove(nodes, root, key)
    assert len(proof) == 248 + 1
    assert proven(root, slot(5), proof) == (slot(6),)
