"""A whole rollup in a test: an L1 that is scripted, a sequencer and a batcher, and verifiers that are the node's own.

    world = World.at(Fork.JOVIAN)
    alice sends, the sequencer makes blocks:      await world.sequencer.build(world.transfer(ALICE, BOB))
    the batcher puts them on L1:                  world.l1.mine([world.batch(*blocks)])
    a verifier derives them again:                await verifier.sync()

Sequencer and verifiers have engines of their own that execute everything.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
import pytest
import trio

from kroma_core.api import Building, DataSource, ExecutionEngine, Sealed, Valid
from kroma_core.chain.base_fee import FeeParams, encode_extra_data
from kroma_core.chain.config import ChainConfig, Family, GenesisAccount, GenesisBlock
from kroma_core.chain.genesis_json import genesis_header, state_root
from kroma_core.codec.deposits import is_deposit
from kroma_core.codec.keccak import keccak256
from kroma_core.derive.attributes import L1Origin, payload_attributes
from kroma_core.derive.batch_codec import encode_singular_batch
from kroma_core.derive.batches import SingularBatch
from kroma_core.derive.channel_out import encode_channel
from kroma_core.derive.decompress import Compression
from kroma_core.derive.frames import Frame, encode_frames
from kroma_core.derive.l2_blocks import l2_ref, read_l2_block
from kroma_core.derive.span_batch import SpanTerms
from kroma_core.derive.span_encoder import encode_span_batch, span_of
from kroma_core.errors import NotFound
from kroma_core.events import BlockDerived, Event, PipelineReset, Retrying, Verdict
from kroma_core.forks import ExtraDataFormat, Fork, Schedule
from kroma_core.l2 import ForkchoiceState, L2Label, Payload
from kroma_core.node.driver import Driver
from kroma_core.node.retry import RetryPolicy
from kroma_core.testing.scripted_blocks import ScriptedTransaction
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on
from kroma_core.testing.wallet import Wallet
from kroma_core.types import ZERO_HASH, Gas, L1Number, L2Number, L2Ref, Seconds, Timestamp

store = pytest.importorskip("kroma_engine_pyevm.store", reason="blocks are executed by the plugin engine_pyevm")
pyevm = pytest.importorskip("kroma_engine_pyevm.engine", reason="blocks are executed by the plugin engine_pyevm")
calldata = pytest.importorskip("kroma_derive_calldata.call_data", reason="batches travel in the plugin's call data")
blob_codec = pytest.importorskip("kroma_da_blob.codec", reason="batches travel in the plugin's blobs")
blob = pytest.importorskip("kroma_da_blob.blob_data", reason="batches travel in the plugin's blobs")

ALICE, BOB, CAROL = (Wallet.named(name) for name in ("alice", "bob", "carol"))
ETHER = 10**18
L2_CHAIN_ID = 901
CONSTANTS = FeeParams(denominator=250, elasticity=6)


@attrs.define
class World:
    """The L1, the chain's configuration, and who acts in it."""

    l1: ScriptedL1
    config: ChainConfig
    sequencer: Sequencer
    _nonces: dict[bytes, int] = attrs.field(factory=dict)
    _channels: int = 0

    @classmethod
    def at(cls, fork: Fork, *, l1: ScriptedL1 | None = None, **limits: int) -> World:
        """A world in which all forks up to this one are active; `limits` as `rollup_on` has them."""
        l1 = l1 or ScriptedL1()
        genesis = _genesis(fork, Timestamp(l1.genesis.header.timestamp))
        times = all_forks_until(fork)
        rules = Schedule(table=_OP.schedule.table, times=times, block_time=Seconds(2)).at(genesis.timestamp)
        header = genesis_header(genesis, _genesis_root(), rules)
        config = rollup_on(l1, forks=times, genesis=genesis, l2_genesis_hash=header.hash, **limits)
        return cls(l1, config, Sequencer(l1, config))

    def transfer(self, sender: Wallet, to: Wallet, value: int = 1, **fields: Any) -> bytes:
        """A transaction on L2, with the sender's next nonce."""
        nonce = fields.pop("nonce", None)
        if nonce is None:
            nonce = self._nonces.get(sender.address, 0)
            self._nonces[sender.address] = nonce + 1
        return sender.dynamic_fee(chain_id=L2_CHAIN_ID, nonce=nonce, to=to.address, value=value, gas=21_000, **fields)

    def channel(self, *blocks: Payload, span: bool = False, frame_size: int = 100_000) -> tuple[Frame, ...]:
        """The frames of a channel that holds these blocks, as single batches or as one span batch."""
        singular = [self.singular(block) for block in blocks]
        if span:
            first = l2_ref(blocks[0], self.config).sequence_number == 0
            terms = SpanTerms.of(self.config.rollup)
            batches = [encode_span_batch(span_of(singular), terms, first_of_epoch=first)]
        else:
            batches = [encode_singular_batch(batch) for batch in singular]
        return self._frames(batches, frame_size)

    def channel_of(self, batches: Sequence[SingularBatch]) -> tuple[Frame, ...]:
        """The frames of a channel that holds these batches, whatever is in them."""
        return self._frames([encode_singular_batch(batch) for batch in batches])

    def _frames(self, batches: Sequence[bytes], frame_size: int = 100_000) -> tuple[Frame, ...]:
        self._channels += 1
        channel_id = keccak256(self._channels.to_bytes(8, "big"))[:16]
        return encode_channel(batches, Compression.ZLIB, channel_id=channel_id, max_frame_data=frame_size)

    def with_transactions(self, batch: SingularBatch, *transactions: bytes) -> SingularBatch:
        return attrs.evolve(batch, transactions=transactions)

    def singular(self, block: Payload) -> SingularBatch:
        ref = l2_ref(block, self.config)
        return SingularBatch(
            parent_hash=block.parent_hash,
            epoch_number=L1Number(ref.l1_origin.number),
            epoch_hash=ref.l1_origin.hash,
            timestamp=block.timestamp,
            transactions=tuple(raw for raw in block.transactions if not is_deposit(raw)),
        )

    def batch(self, *blocks: Payload, span: bool = False) -> ScriptedTransaction:
        """One batcher transaction that carries these blocks."""
        return self.l1.batcher_tx(encode_frames(self.channel(*blocks, span=span)))

    def verifier(self, engine: Any = None, **settings: Any) -> Verifier:
        """The node's driver on an engine of its own; `l1` replaces its L1 and blob source."""
        return Verifier.on(self.l1, self.config, engine or new_engine(self.config), **settings)


@attrs.define
class Sequencer:
    """Makes L2 blocks on its own engine: the deposits and config of L1, and the transactions that it is given."""

    l1: ScriptedL1
    config: ChainConfig
    engine: ExecutionEngine = attrs.field(init=False)
    blocks: list[Payload] = attrs.field(factory=list)
    """What it has made, block 1 first."""

    def __attrs_post_init__(self) -> None:
        self.engine = new_engine(self.config)

    async def head(self) -> Payload:
        return self.blocks[-1] if self.blocks else await self.engine.block(L2Number(0))

    async def build(self, *transactions: bytes, same_epoch: bool = False) -> Payload:
        """The next block. It takes up the next L1 block as soon as its time allows, unless told to stay."""
        parent, config = read_l2_block(await self.head(), self.config)
        origin = await self._next_origin(parent, same_epoch=same_epoch)
        attributes = payload_attributes(self.config, parent, config, origin)
        attributes = attrs.evolve(attributes, transactions=attributes.transactions + transactions)
        base = ForkchoiceState(unsafe=parent.hash, safe=ZERO_HASH, finalized=ZERO_HASH)
        building = await self.engine.build(parent.hash, attributes, base)
        assert isinstance(building, Building), building
        sealed = await self.engine.seal(building)
        assert isinstance(sealed, Sealed), sealed
        assert await self.engine.execute(sealed.payload) == Valid()
        self.blocks.append(sealed.payload)
        return sealed.payload

    async def build_up_to_l1(self, *transactions: bytes) -> list[Payload]:
        """Blocks until the next one would be younger than the L1 head; the first holds the transactions."""
        made: list[Payload] = []
        while (await self.head()).timestamp + self.config.rollup.block_time <= self.l1.tip.header.timestamp:
            made.append(await self.build(*(() if made else transactions)))
        return made

    def rewind(self, number: int) -> None:
        """Go on after this block: what was made above it is forgotten."""
        del self.blocks[number:]

    async def follow_l1(self) -> None:
        """Forget the blocks whose L1 origin was abandoned."""
        for block in self.blocks:
            ref = l2_ref(block, self.config)
            try:
                canonical = await self.l1.ref(L1Number(ref.l1_origin.number))
            except NotFound:
                canonical = None
            if canonical is None or canonical.hash != ref.l1_origin.hash:
                self.rewind(ref.number - 1)
                return

    async def _next_origin(self, parent: L2Ref, *, same_epoch: bool) -> L1Origin:
        number = parent.l1_origin.number
        time = parent.timestamp + self.config.rollup.block_time
        if not same_epoch and number < self.l1.tip.header.number:
            following = await self.l1.ref(L1Number(number + 1))
            if following.timestamp <= time:
                number += 1
        ref = await self.l1.ref(L1Number(number))
        block = await self.l1.block(ref.hash)
        return L1Origin(ref=ref, header=block.header, receipts=await self.l1.receipts(ref.hash))


@attrs.define
class Verifier:
    """The node's driver on an engine, and what it told its observers."""

    driver: Driver
    engine: ExecutionEngine
    l1: ScriptedL1
    events: list[Event]

    @classmethod
    def on(cls, script: ScriptedL1, config: ChainConfig, engine: ExecutionEngine, **settings: Any) -> Verifier:
        events: list[Event] = []
        l1 = settings.pop("l1", script)
        data: Sequence[DataSource] = (calldata.CallData(), blob.BlobData([l1]))
        settings = {"policy": RetryPolicy(first=1.0, longest=8.0), "data": data, **settings}
        driver = Driver(config=config, l1=l1, engine=engine, emit=events.append, **settings)
        return cls(driver, engine, script, events)

    async def sync(self) -> L2Ref:
        """Derive all that follows from L1 now; the safe head."""
        await self.driver.advance(self.l1.heads)
        return self.driver.heads.safe

    async def labels(self) -> tuple[int, int, int]:
        """Numbers of the engine's unsafe, safe and finalised heads."""
        unsafe, safe, finalized = [(await self.engine.block(label)).number for label in L2Label]
        return unsafe, safe, finalized

    @property
    def resets(self) -> list[str]:
        """Why derivation began anew."""
        return [event.reason for event in self.events if isinstance(event, PipelineReset)][1:]

    @property
    def retries(self) -> list[Retrying]:
        return [event for event in self.events if isinstance(event, Retrying)]

    @property
    def verdicts(self) -> list[Verdict]:
        return [event for event in self.events if isinstance(event, Verdict)]

    @property
    def derived(self) -> list[BlockDerived]:
        return [event for event in self.events if isinstance(event, BlockDerived)]


class Stumbling:
    """An engine or L1 source that gives scripted answers before its own: errors are raised, values returned."""

    def __init__(self, part: Any) -> None:
        self._part = part
        self._script: list[tuple[str, object]] = []
        self._at_call: dict[tuple[str, int], object] = {}
        self._always: dict[str, object] = {}
        self._done_instead: dict[str, Callable[..., Awaitable[object]]] = {}
        self.calls: list[str] = []

    def instead(self, method: str, answer: object, times: int = 1) -> None:
        """The next `times` calls of a method get this answer."""
        self._script += [(method, answer)] * times

    def at_call(self, number: int, answer: object, of: str = "") -> None:
        """The call of this number (of all, or of one method) gets this answer; the first is 0."""
        self._at_call[of, number] = answer

    def always(self, method: str, answer: object) -> None:
        """Every call of a method gets this answer from now on; None: its own again."""
        self._always[method] = answer

    def do_instead(self, method: str, do: Callable[..., Awaitable[object]]) -> None:
        """The next call of a method is answered by a function."""
        self._done_instead[method] = do

    @property
    def part(self) -> Any:
        return self._part

    def replace(self, part: object) -> None:
        """Have another part answer, as after a restart."""
        self._part = part

    def __getattr__(self, method: str) -> Any:
        if method == "subscribe":
            return self._part.subscribe

        async def call(*arguments: Any) -> Any:
            inner = getattr(self._part, method)
            if (do := self._done_instead.pop(method, None)) is not None:
                return await do(*arguments)
            answer = self._at_call.get(("", len(self.calls)))
            answer = answer or self._at_call.get((method, self.calls.count(method))) or self._always.get(method)
            self.calls.append(method)
            for place, (name, scripted) in enumerate(self._script):
                if name == method:
                    del self._script[place]
                    answer = scripted
                    break
            if answer is None:
                return await inner(*arguments)
            await trio.lowlevel.checkpoint()
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def new_store() -> Any:
    """What an engine keeps its chain in; another can be opened on it later."""
    return store.MemoryStore()


def new_engine(config: ChainConfig, on: Any = None) -> ExecutionEngine:
    """An engine at genesis; with `on`, one that opens the store of another again."""
    engine: ExecutionEngine = pyevm.PyEvmEngine(config, on if on is not None else new_store())
    return engine


_ALLOC = {wallet.address: GenesisAccount(balance=1000 * ETHER) for wallet in (ALICE, BOB)}
_OP = rollup_on(ScriptedL1(), forks=all_forks_until(Fork.REGOLITH), family=Family.OP).rollup


@functools.cache
def _genesis_root() -> bytes:
    return state_root(_ALLOC)


def _genesis(fork: Fork, time: Timestamp) -> GenesisBlock:
    rules = Schedule(table=_OP.schedule.table, times=all_forks_until(fork), block_time=Seconds(2)).at(time)
    extra_data = {
        ExtraDataFormat.EMPTY: b"",
        ExtraDataFormat.EIP1559: encode_extra_data(CONSTANTS),
        ExtraDataFormat.MIN_BASE_FEE: encode_extra_data(attrs.evolve(CONSTANTS, min_base_fee=0)),
    }[rules.extra_data]
    return GenesisBlock(
        timestamp=time,
        gas_limit=Gas(30_000_000),
        base_fee=10**9,
        extra_data=extra_data,
        coinbase=bytes(20),
        mix_hash=ZERO_HASH,
        parent_hash=ZERO_HASH,
        nonce=0,
        difficulty=0,
        number=0,
        gas_used=Gas(0),
        blob_gas_used=None,
        excess_blob_gas=None,
        alloc=_ALLOC,
    )
