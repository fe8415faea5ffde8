"""`kroma verify-proof`: whether a proof file holds, by computing everything in it again."""

from __future__ import annotations

import argparse
from pathlib import Path

from kroma_core.codec.hexadecimal import fixed
from kroma_core.errors import DecodeError
from kroma_core.proofs.reading import CheckedProof, check_proof
from kroma_core.proofs.withdrawal import WithdrawalProof
from kroma_core.types import Hash32

MOST_BYTES = 16 << 20
"""Of a proof file: far more than any proof has."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "verify-proof",
        help="check a proof that `kroma prove` wrote",
        description="Check a proof of a withdrawal or an account: every node, root and hash in the file is computed "
        "again. Which kind of trie the state is, the last node of the proof tells. Nothing else is read: whether the "
        "output root (the block hash of an account) is the chain's is what --root compares.",
        epilog="exit code 1: the proof does not hold; the message says why",
    )
    command.add_argument("file", type=Path, metavar="FILE", help="a proof file")
    command.add_argument("--root", type=_root, metavar="HASH", help="the output root, or block hash, that is trusted")
    command.set_defaults(run=run)


def _root(text: str) -> Hash32:
    try:
        return fixed(text, 32, "root")
    except DecodeError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(arguments: argparse.Namespace) -> int:
    path: Path = arguments.file
    with path.open("rb") as opened:
        text = opened.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise DecodeError(f"{path}: expected a proof of at most {MOST_BYTES} bytes")
    try:
        checked = check_proof(text)
    except DecodeError as error:
        raise DecodeError(f"{path}: {error}") from error
    if arguments.root is not None and arguments.root != checked.root:
        raise DecodeError(f"{path}: it holds for 0x{checked.root.hex()}, expected 0x{arguments.root.hex()}")
    print(f"{path}: ok: {_as_text(checked)}")
    return 0


def _as_text(checked: CheckedProof) -> str:
    proof = checked.proof
    trie = "ZK trie" if proof.zk_trie else "Merkle-Patricia trie"
    block = f"block {proof.header.number} (0x{proof.header.hash.hex()})"
    if isinstance(proof, WithdrawalProof):
        return f"withdrawal 0x{proof.message.hash.hex()} in output 0x{checked.root.hex()} of {block}, {trie}"
    found = "account" if proof.verified().account is not None else "no account"
    return f"{found} 0x{proof.address.hex()} and {len(proof.slots)} slots after {block}, {trie}"
