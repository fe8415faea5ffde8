"""An L1 that a test writes block by block: real headers, roots, signatures and commitments, no execution.

    l1 = ScriptedL1()
    l1.mine([l1.deposit(sender=alice, to=bob, mint=10**18)])
    block = l1.mine([l1.batcher_tx(b"\\0" + frame)])
    l1.reorg(2)
    l1.mine()

It is an L1 source and a blob source. Blocks of abandoned branches stay known by hash. The same calls make the same
hashes, always; `seed` gives another world.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import attrs
import trio

from kroma_core.api import Missing
from kroma_core.codec.kzg import versioned_hash_of
from kroma_core.codec.receipts import Log
from kroma_core.errors import KromaError, NotFound
from kroma_core.l1 import L1Block, L1Heads, L1Label, L1Receipts
from kroma_core.testing.l1_logs import config_update_log, deposit_log, word
from kroma_core.testing.proven_blobs import committed
from kroma_core.testing.scripted_blocks import BlockContent, Mineable, ScriptedTransaction, scripted_block
from kroma_core.testing.wallet import DYNAMIC_FEE, LEGACY, Wallet
from kroma_core.types import Address, Hash32, L1Number, L1Ref

GENESIS_TIME = 1_700_000_000
INBOX: Address = bytes.fromhex("ff00000000000000000000000000000000000901")
PORTAL: Address = bytes.fromhex("de00000000000000000000000000000000000901")
SYSTEM_CONFIG: Address = bytes.fromhex("5c00000000000000000000000000000000000901")


@attrs.define(kw_only=True)
class ScriptedL1:
    """The L1 and the accounts and contracts that a rollup has on it.

    Settings are arguments of the constructor; `fork` is the last L1 upgrade that headers show: "london", "shanghai",
    "cancun" or "prague".
    """

    chain_id: int = 900
    genesis_number: int = 0
    genesis_time: int = GENESIS_TIME
    block_time: int = 12
    fork: str = "prague"
    seed: str = ""
    batcher: Wallet = attrs.field(factory=lambda: Wallet.named("batcher"))
    inbox: Address = INBOX
    portal: Address = PORTAL
    system_config: Address = SYSTEM_CONFIG

    _blocks: dict[Hash32, L1Block] = attrs.field(factory=dict, init=False, repr=False)
    _receipts: dict[Hash32, L1Receipts] = attrs.field(factory=dict, init=False, repr=False)
    _blobs: dict[Hash32, bytes] = attrs.field(factory=dict, init=False, repr=False)
    _canonical: list[Hash32] = attrs.field(factory=list, init=False, repr=False)
    _marks: dict[L1Label, Hash32] = attrs.field(factory=dict, init=False, repr=False)
    _nonces: dict[Address, int] = attrs.field(factory=dict, init=False, repr=False)
    _changed: trio.Event = attrs.field(factory=trio.Event, init=False, repr=False)
    _failures: list[KromaError] = attrs.field(factory=list, init=False, repr=False)
    _timeline: list[L1Heads] = attrs.field(factory=list, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._append(self._made(None, (), None))
        self._tell()

    # --- the script: blocks

    @property
    def genesis(self) -> L1Block:
        return self._blocks[self._canonical[0]]

    @property
    def tip(self) -> L1Block:
        """The current head."""
        return self._blocks[self._canonical[-1]]

    def mine(self, transactions: Sequence[Mineable] = (), *, time: int | None = None) -> L1Block:
        """A block on the current head, `block_time` after it or at `time`."""
        block = self._made(self.tip, transactions, time)
        self._append(block)
        self._tell()
        return block

    def mine_empty(self, count: int) -> L1Block:
        """So many blocks without transactions; returns the last."""
        for _ in range(count):
            self.mine()
        return self.tip

    def reorg(self, depth: int) -> L1Block:
        """Abandon the last `depth` blocks. What is mined next is another branch, also with the same transactions."""
        if not 0 < depth < len(self._canonical):
            raise ValueError(f"cannot abandon {depth} of {len(self._canonical)} blocks")
        del self._canonical[-depth:]
        self._drop_marks()
        self._tell()
        return self.tip

    def move_to(self, block_hash: Hash32) -> L1Block:
        """Make any known block the head: a flip to another branch."""
        branch = [block_hash]
        while branch[-1] != self.genesis.hash:
            branch.append(self._blocks[branch[-1]].header.parent_hash)
        self._canonical = branch[::-1]
        self._drop_marks()
        self._tell()
        return self.tip

    def mark(self, label: L1Label, block: L1Block) -> None:
        """Point `safe` or `finalized` to a canonical block."""
        self._marks[label] = block.hash
        self._tell()

    def fail(self, error: KromaError, times: int = 1) -> None:
        """Let the next `times` calls of the source, whichever they are, raise `error`."""
        self._failures += [error] * times

    def forget_blob(self, versioned_hash: Hash32) -> None:
        """Have a blob no more, as a node that has pruned it."""
        self._blobs.pop(versioned_hash, None)

    # --- the script: transactions

    def batcher_tx(
        self, data: bytes, *, kind: int = DYNAMIC_FEE, wallet: Wallet | None = None, to: Address | None = None
    ) -> ScriptedTransaction:
        """Call data to the inbox, from the batcher unless told otherwise, legacy or of type 2."""
        sender, receiver = wallet or self.batcher, to or self.inbox
        nonce = self._next_nonce(sender)
        sign = sender.legacy if kind == LEGACY else sender.dynamic_fee
        return ScriptedTransaction(raw=sign(chain_id=self.chain_id, nonce=nonce, to=receiver, data=data))

    def blob_tx(
        self,
        blobs: Sequence[bytes],
        *,
        data: bytes = b"",
        wallet: Wallet | None = None,
        to: Address | None = None,
    ) -> ScriptedTransaction:
        """Blobs (131 072 bytes each) to the inbox; the source can be asked for them from now on."""
        sender, hashes = wallet or self.batcher, [self.add_blob(blob) for blob in blobs]
        raw = sender.blob(
            chain_id=self.chain_id,
            nonce=self._next_nonce(sender),
            to=to or self.inbox,
            blob_hashes=hashes,
            data=data,
        )
        return ScriptedTransaction(raw=raw)

    def add_blob(self, blob: bytes) -> Hash32:
        """Let the source know a blob; returns its versioned hash."""
        versioned_hash = versioned_hash_of(committed(blob))
        self._blobs[versioned_hash] = blob
        return versioned_hash

    def contract_tx(self, *logs: Log, status: int = 1) -> ScriptedTransaction:
        """Someone's transaction whose receipt has these logs."""
        caller = Wallet.named("someone")
        raw = caller.dynamic_fee(chain_id=self.chain_id, nonce=self._next_nonce(caller), to=self.portal)
        return ScriptedTransaction(raw=raw, logs=logs, status=status)

    def deposit(
        self,
        *,
        sender: Address,
        to: Address | None,
        mint: int = 0,
        value: int = 0,
        gas: int = 100_000,
        data: bytes = b"",
    ) -> ScriptedTransaction:
        """A user's deposit through the portal."""
        log = deposit_log(self.portal, sender=sender, to=to, mint=mint, value=value, gas=gas, data=data)
        return self.contract_tx(log)

    def config_update(self, kind: int, *words: int | bytes) -> ScriptedTransaction:
        """An update of the rollup's configuration; `kind` from `l1_logs`."""
        data = b"".join([word(value) for value in words])
        return self.contract_tx(config_update_log(self.system_config, kind, data))

    # --- role: L1 source

    async def head(self, label: L1Label) -> L1Ref:
        await self._answer()
        if label is L1Label.UNSAFE:
            return self.tip.ref
        if label not in self._marks:
            raise NotFound(f"scripted L1: there is no {label} head")
        return self._blocks[self._marks[label]].ref

    async def ref(self, block: L1Number | Hash32) -> L1Ref:
        await self._answer()
        if isinstance(block, bytes):
            return self._found(block).ref
        place = block - self.genesis_number
        if not 0 <= place < len(self._canonical):
            raise NotFound(f"scripted L1: there is no block {block}, the head is {self.tip.id}")
        return self._blocks[self._canonical[place]].ref

    async def block(self, block_hash: Hash32) -> L1Block:
        await self._answer()
        return self._found(block_hash)

    async def receipts(self, block_hash: Hash32) -> L1Receipts:
        await self._answer()
        self._found(block_hash)
        return self._receipts[block_hash]

    async def subscribe(self) -> AsyncIterator[L1Heads]:
        """The heads now and after each change; changes while nobody waits are seen as one."""
        while True:
            changed = self._changed
            await trio.lowlevel.checkpoint()
            yield self.heads
            await changed.wait()

    @property
    def heads(self) -> L1Heads:
        safe, finalized = self._marks.get(L1Label.SAFE), self._marks.get(L1Label.FINALIZED)
        return L1Heads(
            unsafe=self.tip.ref,
            safe=None if safe is None else self._blocks[safe].ref,
            finalized=None if finalized is None else self._blocks[finalized].ref,
        )

    # --- role: blob source

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
        await self._answer()
        missing = tuple(one for one in versioned_hashes if one not in self._blobs)
        if missing:
            return Missing(versioned_hashes=missing)
        return tuple(self._blobs[one] for one in versioned_hashes)

    # --- the script: what was made

    @property
    def timeline(self) -> tuple[L1Heads, ...]:
        """The heads after every change so far, in order."""
        return tuple(self._timeline)

    @property
    def block_hashes(self) -> tuple[Hash32, ...]:
        """All blocks of all branches, in the order they were made."""
        return tuple(self._blocks)

    @property
    def blob_hashes(self) -> tuple[Hash32, ...]:
        return tuple(self._blobs)

    def content(self, block_hash: Hash32) -> BlockContent:
        """A block as bytes, for whoever stores or serves this L1."""
        block = self._blocks[block_hash]
        receipts = tuple(receipt.encode() for receipt in self._receipts[block_hash])
        return BlockContent(header=block.header.encode(), transactions=block.transactions, receipts=receipts)

    def canonical_hash(self, number: int) -> Hash32:
        """The block at a number of the present branch."""
        return self._canonical[number - self.genesis_number]

    def blob_content(self, versioned_hash: Hash32) -> bytes:
        """A blob, for whoever stores or serves this L1."""
        return self._blobs[versioned_hash]

    # --- making

    def _made(self, parent: L1Block | None, transactions: Sequence[Mineable], time: int | None) -> L1Block:
        if time is None:
            time = self.genesis_time if parent is None else parent.header.timestamp + self.block_time
        block, receipts = scripted_block(
            parent,
            transactions,
            number=self.genesis_number if parent is None else parent.header.number + 1,
            time=time,
            # Blocks made so far tell branches apart: an equal block after a reorg has another hash.
            salt=f"{self.seed}/{len(self._blocks)}".encode(),
            fork=self.fork,
        )
        self._receipts[block.hash] = receipts
        return block

    def _append(self, block: L1Block) -> None:
        self._blocks[block.hash] = block
        self._canonical.append(block.hash)

    def _drop_marks(self) -> None:
        canonical = set(self._canonical)
        self._marks = {label: marked for label, marked in self._marks.items() if marked in canonical}

    def _tell(self) -> None:
        self._timeline.append(self.heads)
        self._changed.set()
        self._changed = trio.Event()

    def _next_nonce(self, wallet: Wallet) -> int:
        nonce = self._nonces.get(wallet.address, 0)
        self._nonces[wallet.address] = nonce + 1
        return nonce

    def _found(self, block_hash: Hash32) -> L1Block:
        if block_hash not in self._blocks:
            raise NotFound(f"scripted L1: there is no block 0x{block_hash.hex()}")
        return self._blocks[block_hash]

    async def _answer(self) -> None:
        await trio.lowlevel.checkpoint()
        if self._failures:
            raise self._failures.pop(0)
