"""Whatever a server sends, it is a verified block or a contradiction, and nothing else is raised."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from kroma_l1_rpc.verification import Contradiction, verified_block, verified_header, verified_receipts

from kroma_core.codec.receipts import Receipt
from kroma_core.l1 import L1Block
from kroma_core.testing.rpc_json import block_json, receipt_json
from kroma_core.testing.scripted_blocks import Mineable
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.wallet import Wallet

ODD: list[Any] = [
    None, "", "0x", "0x0", "0xzz", "0x_1", "-0x1", 0, -1, True, 1.5, 10**30, [], {}, [[]], [None], "0x" + "f" * 3000,
    "0x" + "0" * 64, {"a": 1}, "latest", "0x100", "0xffffffffffffffffff",
]  # fmt: skip
NAMES: list[Any] = ["type", "isSystemTx", "root", "accessList", "depositNonce", "yParity", "slotNumber"]


def sample() -> tuple[ScriptedL1, L1Block]:
    l1 = ScriptedL1()
    alice = Wallet.named("alice")
    code = alice.authorization(chain_id=900, address=b"\1" * 20, nonce=0)
    kinds: list[Mineable] = [
        alice.legacy(chain_id=900, nonce=0, to=b"\1" * 20),
        alice.access_list(chain_id=900, nonce=1, to=b"\1" * 20, data=b"", access_list=[[b"\2" * 20, [b"\3" * 32]]]),
        l1.batcher_tx(b"\0hello"),
        alice.blob(chain_id=900, nonce=2, to=b"\1" * 20, blob_hashes=[b"\1" * 32]),
        alice.set_code(chain_id=900, nonce=3, to=b"\1" * 20, authorizations=[code]),
        l1.deposit(sender=b"\4" * 20, to=None, mint=5),
    ]
    return l1, l1.mine(kinds)


def shown() -> tuple[L1Block, dict[str, Any], list[dict[str, Any]]]:
    l1, block = sample()
    content = l1.content(block.hash)
    receipts = [
        receipt_json(Receipt.decode(raw), content.transactions[place], block.hash, block.header.number, place)
        for place, raw in enumerate(content.receipts)
    ]
    return block, block_json(block.header, block.hash, block.transactions, full=True), receipts


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def altered(value: Any, chance: random.Random) -> Any:
    """The value with something else in one place."""
    found = copy.deepcopy(value)
    *way, last = chance.choice(list(places(found)))
    target = found
    for key in way:
        target = target[key]
    match chance.randrange(4):
        case 0 if isinstance(target, dict):
            target[chance.choice(NAMES)] = chance.choice(ODD)
        case 1:
            del target[last]
        case _:
            target[last] = chance.choice(ODD)
    return found


def test_a_true_block_of_all_types_passes() -> None:
    block, block_shown, receipts = shown()
    block_hash, header = verified_header(block_shown, block.hash)
    assert (block_hash, header) == (block.hash, block.header)
    assert verified_block(block_shown, block_hash, header) == block
    assert len(verified_receipts(receipts, block)) == 6


@pytest.mark.parametrize("seed", range(20))
def test_an_altered_block_is_the_true_one_or_a_contradiction(seed: int) -> None:
    block, block_shown, _ = shown()
    chance, longest = random.Random(seed), 0
    for _ in range(60):
        found = altered(block_shown, chance)
        try:
            block_hash, header = verified_header(found, block.hash)
            verified = verified_block(found, block_hash, header)
        except Contradiction as error:
            longest = max(longest, len(str(error)))
        else:
            assert verified == block
    assert 0 < longest < 1500


@pytest.mark.parametrize("seed", range(20))
def test_altered_receipts_are_the_true_ones_or_a_contradiction(seed: int) -> None:
    block, _, receipts = shown()
    truth = verified_receipts(receipts, block)
    chance, longest = random.Random(seed), 0
    for _ in range(60):
        try:
            verified = verified_receipts(altered(receipts, chance), block)
        except Contradiction as error:
            longest = max(longest, len(str(error)))
        else:
            assert [one.encode() for one in verified] == [one.encode() for one in truth]
    assert 0 < longest < 1500


@pytest.mark.parametrize("value", ODD)
def test_what_is_no_block_is_a_contradiction(value: Any) -> None:
    block, _, _ = shown()
    for ask in (lambda: verified_header(value, block.hash), lambda: verified_receipts(value, block)):
        with pytest.raises(Contradiction):
            ask()


def test_a_header_of_another_number_is_not_the_one_that_was_asked_for() -> None:
    _, block_shown, _ = shown()
    with pytest.raises(Contradiction, match="L1 block 7: got block 1"):
        verified_header(block_shown, 7)
    with pytest.raises(Contradiction, match="the header that was sent hashes to"):
        verified_header(block_shown, b"\x11" * 32)


def test_numbers_of_more_than_64_bits_are_refused_also_where_the_hash_fits() -> None:
    block, _, _ = shown()
    huge = attrs.evolve(block.header, timestamp=1 << 64)
    with pytest.raises(Contradiction, match="more than 64 bits"):
        verified_header(block_json(huge, huge.hash, (), full=False), huge.hash)
