"""The L1 source: verified blocks and receipts of JSON-RPC servers, and the heads as they move."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import trio

from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.errors import NotFound, TemporaryError
from kroma_core.l1 import L1Block, L1Heads, L1Label, L1Receipts
from kroma_core.types import Hash32, L1Number, L1Ref
from kroma_l1_rpc.fetching import Fetching
from kroma_l1_rpc.heads import LINK_WINDOW, HeadFollower
from kroma_l1_rpc.ledger import Asked, Ledger
from kroma_l1_rpc.pool import ServerPool
from kroma_l1_rpc.prefetch import Prefetch
from kroma_l1_rpc.server import RpcServer
from kroma_l1_rpc.verification import Contradiction


class RpcL1:
    """An `L1Source` on a pool of servers. `heads` and `prefetch` run beside it."""

    def __init__(
        self, pool: ServerPool, fetching: Fetching, heads: HeadFollower, prefetch: Prefetch, ledger: Ledger
    ) -> None:
        self._pool = pool
        self._fetching = fetching
        self._heads = heads
        self._prefetch = prefetch
        self._ledger = ledger

    def ledger(self) -> Mapping[str, Asked]:
        """What the servers have been asked so far, by method."""
        return self._ledger.methods

    async def head(self, label: L1Label) -> L1Ref:
        heads = await self._heads.known()
        found = {L1Label.UNSAFE: heads.unsafe, L1Label.SAFE: heads.safe, L1Label.FINALIZED: heads.finalized}[label]
        await trio.lowlevel.checkpoint()
        if found is None:
            raise NotFound(f"L1 has no {label} block yet")
        return found

    async def ref(self, block: L1Number | Hash32) -> L1Ref:
        await trio.lowlevel.checkpoint()
        if isinstance(block, bytes):
            return await self._ref_by_hash(block)
        heads = await self._heads.known()
        if block > heads.unsafe.number:
            raise NotFound(f"L1 block {block} does not exist yet: the head is {heads.unsafe.id}")
        await self._prefetch.arrived(block)
        known = self._heads.index.at(block)
        if known is not None:
            return known
        if block > heads.unsafe.number - LINK_WINDOW:
            found = await self._heads.link_down(block)
        else:
            found = await self._deep(block)
        self._fetching.refs.put(found)
        return found

    async def block(self, block_hash: Hash32) -> L1Block:
        await trio.lowlevel.checkpoint()
        number = self._fetching.refs.number_of(block_hash)
        if number is not None:
            self._prefetch.reading(number)
            await self._prefetch.arrived(number)
        held = self._fetching.blocks.get(block_hash)
        if held is not None:
            return held
        try:
            found = await self._fetching.fetch_blocks([block_hash], exists=self._is_canonical(block_hash))
        except TemporaryError:
            self._heads.wake()  # it may have been canonical only until a moment ago
            raise
        if block_hash not in found:
            raise NotFound(f"no server has L1 block 0x{block_hash.hex()}")
        return found[block_hash]

    async def receipts(self, block_hash: Hash32) -> L1Receipts:
        await trio.lowlevel.checkpoint()
        number = self._fetching.refs.number_of(block_hash)
        if number is not None:
            await self._prefetch.arrived(number)
        held = self._fetching.receipts.get(block_hash)
        if held is not None:
            return held
        block = await self.block(block_hash)
        if block.header.receipts_root == EMPTY_ROOT:
            return ()
        try:
            return (await self._fetching.fetch_receipts([block]))[block_hash]
        except TemporaryError:
            self._heads.wake()
            raise

    async def subscribe(self) -> AsyncIterator[L1Heads]:
        shown: L1Heads | None = None
        while True:
            changed = self._heads.changed
            heads = self._heads.heads
            if heads is not None and heads != shown:
                shown = heads
                await trio.lowlevel.checkpoint()
                yield heads
            else:
                await changed.wait()

    def _is_canonical(self, block_hash: Hash32) -> bool:
        number = self._fetching.refs.number_of(block_hash)
        return number is not None and self._heads.index.holds_hash(block_hash, number)

    async def _ref_by_hash(self, block_hash: Hash32) -> L1Ref:
        known = self._fetching.refs.get(block_hash)
        if known is not None:
            return known
        found = await self._fetching.fetch_ref(block_hash, exists=self._is_canonical(block_hash))
        if found is None:
            raise NotFound(f"no server has L1 block 0x{block_hash.hex()}")
        return found

    async def _deep(self, number: int) -> L1Ref:
        """The block at a number far below the head, as servers say, as long as it fits its known neighbours."""
        index = self._heads.index

        async def ask(server: RpcServer) -> L1Ref | None:
            found = (await server.refs([number]))[0]
            if found is not None and index.contradicts(found):
                raise Contradiction(f"{server.name}: L1 block {found.id} does not fit the blocks beside it")
            return found

        try:
            found = await self._pool.first(f"find L1 block {number}", ask, exists=True)
        except TemporaryError:
            index.forget_deep()  # should all servers agree, what was known before was wrong
            self._heads.wake()
            raise
        assert found is not None
        index.note_deep(found)
        return found
