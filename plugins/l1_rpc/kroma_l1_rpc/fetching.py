"""Verified blocks and receipts of several servers, kept for a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from kroma_core.errors import TemporaryError
from kroma_core.l1 import L1Block, L1Receipts
from kroma_core.types import Hash32, L1Ref
from kroma_l1_rpc.cache import ByteBoundedCache, block_size, receipts_size
from kroma_l1_rpc.pool import ServerPool
from kroma_l1_rpc.server import Key, RpcServer
from kroma_l1_rpc.verification import named

KEPT_REFS: Final = 16_384
WALK: Final = 32
"""Ancestors that are asked for at once where somebody walks a chain back, parent by parent."""


class References:
    """References of blocks of any branch by hash, and the numbers of parents that were heard of."""

    def __init__(self) -> None:
        self._refs: OrderedDict[Hash32, L1Ref] = OrderedDict()
        self._parents: OrderedDict[Hash32, int] = OrderedDict()

    def get(self, block_hash: Hash32) -> L1Ref | None:
        return self._refs.get(block_hash)

    def put(self, ref: L1Ref) -> None:
        self._refs[ref.hash] = ref
        self._parents[ref.parent_hash] = ref.number - 1
        for held in (self._refs, self._parents):
            while len(held) > KEPT_REFS:
                held.popitem(last=False)

    def number_of(self, block_hash: Hash32) -> int | None:
        """The number of a block that is known, or that is the parent of one."""
        known = self._refs.get(block_hash)
        return known.number if known is not None else self._parents.get(block_hash)


class Fetching:
    """Asks the pool and keeps what came, within `cache_bytes`: blocks have two thirds, receipts one."""

    def __init__(self, pool: ServerPool, *, cache_bytes: int) -> None:
        self.pool = pool
        self.refs = References()
        self.blocks = ByteBoundedCache[L1Block](cache_bytes * 2 // 3, block_size)
        self.receipts = ByteBoundedCache[L1Receipts](cache_bytes // 3, receipts_size)

    async def fetch_blocks(self, keys: Sequence[Key], *, exists: bool) -> dict[Key, L1Block]:
        """Blocks by hash or number, in one batch; those that nobody has are left out.

        With `exists` they are known to be there, and one that nobody has is an error. Raises `TemporaryError`; what
        could be had is kept even then.
        """
        got: dict[Key, L1Block] = {}

        async def ask(server: RpcServer) -> bool | None:
            left = [key for key in keys if key not in got]
            error: TemporaryError | None = None
            for key, found in zip(left, await server.blocks(left), strict=True):
                if isinstance(found, TemporaryError):
                    error = found
                elif found is not None:
                    got[key] = found
                    self.keep(found)
            if error is not None:
                raise error
            return True if len(got) == len(keys) else None

        await self.pool.first(f"fetch {_listed(keys)}", ask, exists=exists)
        return got

    async def fetch_receipts(self, blocks: Sequence[L1Block]) -> dict[Hash32, L1Receipts]:
        """Receipts of blocks, in one batch. Raises `TemporaryError`; what could be had is kept even then."""
        got: dict[Hash32, L1Receipts] = {}

        async def ask(server: RpcServer) -> bool | None:
            left = [block for block in blocks if block.hash not in got]
            error: TemporaryError | None = None
            for block, found in zip(left, await server.receipts(left), strict=True):
                if isinstance(found, TemporaryError):
                    error = found
                elif found is not None:
                    got[block.hash] = found
                    self.receipts.put(block.hash, found)
            if error is not None:
                raise error
            return True if len(got) == len(blocks) else None

        names = ", ".join(named(block.header.number, block.hash) for block in blocks[:2])
        await self.pool.first(f"fetch receipts of {names}", ask, exists=True)
        return got

    async def fetch_ref(self, block_hash: Hash32, *, exists: bool) -> L1Ref | None:
        """A reference by hash. Where the block is the parent of a known one, more ancestors come along."""
        number = self.refs.number_of(block_hash)
        if number is not None and number >= 0:
            found = await self._walk(block_hash, number)
            if found is not None:
                return found

        async def ask(server: RpcServer) -> L1Ref | None:
            return (await server.refs([block_hash]))[0]

        ref = await self.pool.first(f"find L1 block 0x{block_hash.hex()}", ask, exists=exists)
        if ref is not None:
            self.refs.put(ref)
        return ref

    async def _walk(self, block_hash: Hash32, number: int) -> L1Ref | None:
        """The block and its ancestors, by number: their hashes link them. None where the server has another branch."""
        numbers = range(number, max(number - WALK, -1), -1)

        async def ask(server: RpcServer) -> list[L1Ref | None]:
            return await server.refs(numbers)

        wanted, first = block_hash, None
        for ref in await self.pool.first(f"find L1 blocks {numbers[-1]} to {number}", ask) or ():
            if ref is None or ref.hash != wanted:
                break
            self.refs.put(ref)
            first = first or ref
            wanted = ref.parent_hash
        return first

    def keep(self, block: L1Block) -> None:
        """Remember a verified block."""
        self.blocks.put(block.hash, block)
        self.refs.put(block.ref)


def _listed(keys: Sequence[Key]) -> str:
    shown = [f"0x{key.hex()}" if isinstance(key, bytes) else str(key) for key in keys[:2]]
    return (
        f"L1 block {shown[0]}" if len(keys) == 1 else f"L1 blocks {', '.join(shown)}{' ...' if len(keys) > 2 else ''}"
    )
