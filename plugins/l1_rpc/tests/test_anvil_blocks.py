"""Blocks whose transactions root covers blob transactions with their sidecars: what anvil makes."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from kroma_core.codec.headers import Header
from kroma_core.codec.rlp import encode_bytes, encode_list
from kroma_core.codec.trie_root import ordered_root
from kroma_core.errors import TemporaryError
from kroma_core.events import Warned
from kroma_core.testing.rpc_json import block_json, text
from kroma_core.testing.rpc_node import RpcNode
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.wallet import Wallet
from kroma_core.types import Hash32


class AnvilLike:
    """A server with one block whose root covers the network form, and another that has no blob transaction."""

    def __init__(self) -> None:
        self.l1 = ScriptedL1()
        blob = Wallet.named("bob").blob(chain_id=900, nonce=0, to=b"\1" * 20, blob_hashes=[b"\1" * 32])
        honest = self.l1.mine([self.l1.batcher_tx(b"\0x"), blob])
        self.transactions = honest.transactions
        network = b"\x03" + encode_list([self.transactions[1][1:], *[encode_list([encode_bytes(b"s")])] * 3])
        root = ordered_root([self.transactions[0], network])
        self.header = attrs.evolve(honest.header, transactions_root=root)
        self.hash: Hash32 = self.header.hash
        self.without_blobs = self._other(honest.header)
        self.node = RpcNode(l1=self.l1)
        self.node.change["eth_getRawTransactionByBlockHashAndIndex"] = lambda _: text(network)

    def _other(self, header: Header) -> Header:
        return attrs.evolve(header, transactions_root=b"\x11" * 32)

    def show(self, header: Header, transactions: tuple[bytes, ...]) -> Hash32:
        """Let the server answer every question for a block by hash with this one."""
        shown = block_json(header, header.hash, transactions, full=True)
        self.node.change["eth_getBlockByHash"] = lambda _: shown
        return header.hash


def test_such_a_block_is_refused_and_the_message_says_why(follow: Any, run: Any) -> None:
    anvil = AnvilLike()

    async def body() -> None:
        async with follow(anvil.node) as followed:
            block_hash = anvil.show(anvil.header, anvil.transactions)
            with pytest.raises(TemporaryError) as caught:
                await followed.source.block(block_hash)
            assert "covers blob transactions in their network form, with sidecars" in str(caught.value)
            assert "skip_transactions_root = true" in str(caught.value)

    run(body)


def test_where_the_raw_form_cannot_be_had_the_message_says_what_it_may_be(follow: Any, run: Any) -> None:
    anvil = AnvilLike()
    anvil.node.without.add("eth_getRawTransactionByBlockHashAndIndex")

    async def body() -> None:
        async with follow(anvil.node) as followed:
            block_hash = anvil.show(anvil.header, anvil.transactions)
            with pytest.raises(TemporaryError, match="it holds blob transactions: anvil, for one"):
                await followed.source.block(block_hash)

    run(body)


def test_the_setting_lets_it_pass_and_warns(follow: Any, run: Any) -> None:
    anvil = AnvilLike()

    async def body() -> None:
        async with follow(anvil.node, skip_transactions_root=True) as followed:
            block_hash = anvil.show(anvil.header, anvil.transactions)
            assert (await followed.source.block(block_hash)).transactions == anvil.transactions
            [warning] = [event for event in followed.events if isinstance(event, Warned)]
            assert "skip_transactions_root" in warning.warning

    run(body)


def test_the_setting_helps_no_block_without_blob_transactions(follow: Any, run: Any) -> None:
    anvil = AnvilLike()

    async def body() -> None:
        async with follow(anvil.node, skip_transactions_root=True) as followed:
            block_hash = anvil.show(anvil.without_blobs, anvil.transactions[:1])
            with pytest.raises(TemporaryError, match="transactions hash to"):
                await followed.source.block(block_hash)

    run(body)
