"""An account and slots of its storage proven in the state after a block. Spec: EIP-1186."""

from __future__ import annotations

import attrs

from kroma_core.codec.headers import Header
from kroma_core.errors import DecodeError
from kroma_core.state_proof import proven_account, proven_word
from kroma_core.types import Address, Hash32
from kroma_core.zktrie.accounts import Account
from kroma_core.zktrie.proof import is_zk_proof


@attrs.frozen(kw_only=True)
class SlotProof:
    """The nodes of a storage trie that show what a slot holds."""

    slot: Hash32
    nodes: tuple[bytes, ...] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Proven:
    """What a proof shows: the account, None where there is none, and the words of the slots in their order."""

    account: Account | None
    words: tuple[int, ...]


@attrs.frozen(kw_only=True)
class AccountStateProof:
    """What shows the account at an address, or that there is none, after the block with this header."""

    address: Address
    header: Header
    account_proof: tuple[bytes, ...] = attrs.field(repr=False)
    slots: tuple[SlotProof, ...]

    @property
    def zk_trie(self) -> bool:
        """Whether the state is a ZK trie, as the proof itself tells."""
        return is_zk_proof(self.account_proof)

    def verified(self) -> Proven:
        """What is proven. Raises `DecodeError` with the reason where nothing is.

        Whether the block is the chain's is for the caller to compare.
        """
        account = proven_account(self.header.state_root, self.address, self.account_proof)
        return Proven(account=account, words=tuple([self._word(account, one) for one in self.slots]))

    def _word(self, account: Account | None, one: SlotProof) -> int:
        if account is None:
            if one.nodes:
                raise DecodeError(f"account proof: nodes for slot 0x{one.slot.hex()} of an account that does not exist")
            return 0
        if one.nodes and is_zk_proof(one.nodes) != self.zk_trie:
            raise DecodeError("account proof: account and storage are proven in different kinds of trie")
        return proven_word(account.storage_root, one.slot, one.nodes)
