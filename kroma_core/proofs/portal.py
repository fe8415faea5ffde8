"""The call that proves a withdrawal to the portal on L1. Kroma's takes the next block's hash besides, zero for none.

Spec: withdrawals.md, "The Optimism Portal Contract"; kroma, KromaPortal.sol, proveWithdrawalTransaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from kroma_core.chain.config import Family
from kroma_core.chain.predeploys import MESSAGE_PASSER
from kroma_core.codec.passed_messages import padded, word
from kroma_core.proofs.withdrawal import WithdrawalProof
from kroma_core.types import ZERO_HASH

_KROMA = bytes.fromhex("0757b244")
_OP = bytes.fromhex("4870496f")
_VERSION = ZERO_HASH


def prove_call(proof: WithdrawalProof, index: int) -> bytes:
    """Call data of `proveWithdrawalTransaction`. Raises `DecodeError` where the proof does not hold.

    `index` is that of the output on L1: in the output oracle, or that of the dispute game.
    """
    output = proof.verified()
    root_proof = [_VERSION, output.state_root, output.message_passer_storage_root, output.block_hash]
    selector = _OP
    if proof.message_passer == MESSAGE_PASSER[Family.KROMA]:
        selector = _KROMA
        root_proof.append(proof.next_block_hash or ZERO_HASH)
    transaction = proof.message.encode()
    head = 32 * (3 + len(root_proof))
    return b"".join(
        [
            selector,
            word(head),
            word(index),
            *root_proof,
            word(head + len(transaction)),
            transaction,
            _byte_strings(proof.storage_proof),
        ]
    )


def _byte_strings(items: Sequence[bytes]) -> bytes:
    """The ABI encoding of `bytes[]`."""
    heads, tails, offset = [word(len(items))], [], 32 * len(items)
    for item in items:
        heads.append(word(offset))
        tails.append(word(len(item)) + padded(item))
        offset += len(tails[-1])
    return b"".join(heads + tails)
