"""A withdrawal proven in an output root.

Spec: withdrawals.md, "Withdrawal Verification"; kroma, KromaPortal.sol, proveWithdrawalTransaction.
"""

from __future__ import annotations

import attrs

from kroma_core.chain.predeploys import MESSAGE_PASSER
from kroma_core.codec.headers import Header
from kroma_core.codec.passed_messages import PassedMessage
from kroma_core.errors import DecodeError
from kroma_core.output import KromaOutput, Output
from kroma_core.state_proof import proven_account, proven_word
from kroma_core.types import Address, Hash32
from kroma_core.zktrie.accounts import Account
from kroma_core.zktrie.proof import is_zk_proof

_PASSED = 1
"""What the message passer holds for a withdrawal."""


@attrs.frozen(kw_only=True)
class WithdrawalProof:
    """What shows that a withdrawal is part of the output of a block.

    `header` is the block's; `next_block_hash` is part of the output where the state is a ZK trie, and None where it is
    a Merkle-Patricia trie. The nodes of both proofs stand from the root down.
    """

    message: PassedMessage
    message_passer: Address
    header: Header
    next_block_hash: Hash32 | None
    account_proof: tuple[bytes, ...] = attrs.field(repr=False)
    storage_proof: tuple[bytes, ...] = attrs.field(repr=False)

    @property
    def zk_trie(self) -> bool:
        """Whether the state is a ZK trie, as the proof itself tells."""
        return is_zk_proof(self.account_proof)

    def verified(self) -> Output | KromaOutput:
        """The output that the withdrawal is proven in. Raises `DecodeError` with the reason where it is not proven.

        Whether that output stands on L1, and at which index, is for the caller to compare.
        """
        if self.message_passer not in MESSAGE_PASSER.values():
            raise DecodeError(f"withdrawal proof: 0x{self.message_passer.hex()} is no chain's message passer")
        if self.zk_trie != is_zk_proof(self.storage_proof):
            raise DecodeError("withdrawal proof: account and storage are proven in different kinds of trie")
        if self.zk_trie and self.next_block_hash is None:
            raise DecodeError("withdrawal proof: an output over a ZK trie has the hash of the next block, got none")
        if not self.zk_trie and self.next_block_hash is not None:
            raise DecodeError("withdrawal proof: an output over a Merkle-Patricia trie has no hash of the next block")
        root = self._passer().storage_root
        got = proven_word(root, self.message.slot, self.storage_proof)
        if got != _PASSED:
            raise DecodeError(
                f"withdrawal proof: expected {_PASSED} in slot 0x{self.message.slot.hex()} of the message passer, "
                f"got {got}"
            )
        block_hash = self.header.hash
        if self.next_block_hash is None:
            return Output(state_root=self.header.state_root, message_passer_storage_root=root, block_hash=block_hash)
        return KromaOutput(
            state_root=self.header.state_root,
            message_passer_storage_root=root,
            block_hash=block_hash,
            next_block_hash=self.next_block_hash,
        )

    def _passer(self) -> Account:
        account = proven_account(self.header.state_root, self.message_passer, self.account_proof)
        if account is None:
            raise DecodeError(f"withdrawal proof: there is no account 0x{self.message_passer.hex()}")
        return account
