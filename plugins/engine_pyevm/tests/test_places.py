"""Where transactions are: kept with the heads, and added to data from before they were kept."""

from __future__ import annotations

import attrs
import pytest
import trio
from kroma_engine_pyevm.engine import PyEvmEngine
from kroma_engine_pyevm.store import MemoryStore

from kroma_core.api import Building, Sealed, TransactionPlace
from kroma_core.codec.keccak import keccak256
from kroma_core.errors import ConfigError
from kroma_core.l2 import ForkchoiceState

from .chains import advance, chain_and_blocks


def schema_of(store: MemoryStore) -> bytes:
    return (store.get(b"identity") or b"").split(b"\n")[0]


def test_place_follows_the_canonical_chain() -> None:
    chain, blocks = chain_and_blocks()
    genesis = chain.rollup.genesis.l2.hash

    async def main() -> None:
        engine = PyEvmEngine(chain, MemoryStore())
        for block in blocks[:3]:
            await advance(engine, block)
        number, raw = next(
            (block.payload.number, raw) for block in blocks[1:3] for raw in block.payload.transactions if raw[0] != 0x7E
        )
        left = blocks[number - 1]
        index = left.payload.transactions.index(raw)
        place = TransactionPlace(block_hash=left.hash, number=number, index=index)
        assert await engine.locate(keccak256(raw)) == place
        attributes = attrs.evolve(left.attributes, prev_randao=b"\x07" * 32)
        building = await engine.build(left.payload.parent_hash, attributes, await engine.heads())
        assert isinstance(building, Building)
        sealed = await engine.seal(building)
        assert isinstance(sealed, Sealed)
        await engine.execute(sealed.payload)
        await engine.set_heads(ForkchoiceState(unsafe=sealed.payload.hash, safe=genesis, finalized=genesis))
        assert await engine.locate(keccak256(raw)) == attrs.evolve(place, block_hash=sealed.payload.hash)
        await engine.set_heads(ForkchoiceState(unsafe=left.payload.parent_hash, safe=genesis, finalized=genesis))
        assert await engine.locate(keccak256(raw)) is None

    trio.run(main)


def test_data_of_the_schema_before_gets_places() -> None:
    chain, blocks = chain_and_blocks()
    store = MemoryStore()

    async def main() -> None:
        engine = PyEvmEngine(chain, store)
        for block in blocks[:5]:
            await advance(engine, block)
        places = {
            raw: await engine.locate(keccak256(raw)) for block in blocks[:5] for raw in block.payload.transactions
        }
        identity = store.get(b"identity") or b""
        old = {b"x" + keccak256(raw): b"" for raw in places}
        for key in old:
            del store._entries[key]
        store.write({b"identity": b"1\n" + identity.split(b"\n", 1)[1]})
        again = PyEvmEngine(chain, store)
        assert schema_of(store) == b"2"
        assert {raw: await again.locate(keccak256(raw)) for raw in places} == places

    trio.run(main)


def test_data_of_an_unknown_schema_is_refused() -> None:
    chain, _ = chain_and_blocks()
    store = MemoryStore()
    PyEvmEngine(chain, store)
    store.write({b"identity": b"3\n" + (store.get(b"identity") or b"").split(b"\n", 1)[1]})
    with pytest.raises(ConfigError, match="schema 3"):
        PyEvmEngine(chain, store)
