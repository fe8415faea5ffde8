"""The store on disk: it outlives its process, belongs to one chain, and says what is wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import attrs
import pytest
import trio
from kroma_engine_pyevm.engine import PyEvmEngine
from kroma_engine_pyevm.store import MemoryStore, open_rocks

from kroma_core.errors import ConfigError, CriticalError
from kroma_core.types import BlockId

from .chains import chain_and_blocks

KILLED_IN_THE_MIDDLE = textwrap.dedent(
    """
    import sys, trio
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from chains import advance, chain_and_blocks
    from kroma_engine_pyevm.engine import PyEvmEngine
    from kroma_engine_pyevm.store import open_rocks

    chain, blocks = chain_and_blocks()
    with open_rocks(Path(sys.argv[2])) as store:
        engine = PyEvmEngine(chain, store)
        for block in blocks:
            trio.run(advance, engine, block)
            print(block.number, flush=True)
    """
)


def test_killed_process_leaves_the_heads_it_had_reached(tmp_path: Path) -> None:
    folder = tmp_path / "chain"
    arguments = [sys.executable, "-c", KILLED_IN_THE_MIDDLE, str(Path(__file__).parent), str(folder)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        reached = 0
        for line in process.stdout:
            reached = int(line)
            if reached >= 5:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.read()
        process.wait()
    chain, blocks = chain_and_blocks()

    async def look() -> None:
        with open_rocks(folder) as store:
            engine = PyEvmEngine(chain, store)
            head = await engine.block((await engine.heads()).unsafe)
            assert head.number >= reached
            assert head == blocks[head.number - 1].payload
            following = blocks[head.number]
            heads = await engine.heads()
            building = await engine.build(head.hash, following.attributes, heads)
            sealed = await engine.seal(building)  # type: ignore[arg-type]  # a failure shows in the next line
            assert sealed.payload == following.payload  # type: ignore[union-attr]  # as above

    trio.run(look)


def test_another_chains_data_is_refused_by_name(tmp_path: Path) -> None:
    chain, _ = chain_and_blocks()
    other = attrs.evolve(chain, rollup=attrs.evolve(chain.rollup, l2_chain_id=4242))
    with open_rocks(tmp_path) as store:
        PyEvmEngine(chain, store)
    with (
        open_rocks(tmp_path) as store,
        pytest.raises(ConfigError, match=f"belongs to chain {chain.rollup.l2_chain_id} .* not to 4242"),
    ):
        PyEvmEngine(other, store)


def test_data_of_another_schema_is_refused(tmp_path: Path) -> None:
    chain, _ = chain_and_blocks()
    store = MemoryStore()
    store.write({b"identity": b"99\nwhatever"})
    with pytest.raises(ConfigError, match="schema 99"):
        PyEvmEngine(chain, store)


def test_genesis_that_is_not_the_rollups_is_refused_and_leaves_nothing_behind() -> None:
    chain, _ = chain_and_blocks()
    genesis = attrs.evolve(chain.rollup.genesis, l2=BlockId(b"\x01" * 32, 0))
    wrong = attrs.evolve(chain, rollup=attrs.evolve(chain.rollup, genesis=genesis))
    store = MemoryStore()
    with pytest.raises(ConfigError, match="the rollup config begins at"):
        PyEvmEngine(wrong, store)
    assert PyEvmEngine(chain, store)


def test_second_process_is_told_that_the_data_is_in_use(tmp_path: Path) -> None:
    with open_rocks(tmp_path), pytest.raises(CriticalError, match="engine store"), open_rocks(tmp_path):
        pass


def test_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(CriticalError, match="/proc/nowhere"), open_rocks(Path("/proc/nowhere")):
        pass


def test_missing_piece_of_the_store_is_named() -> None:
    chain, blocks = chain_and_blocks()
    store = MemoryStore()
    PyEvmEngine(chain, store)
    store._entries = {key: value for key, value in store._entries.items() if key[:1] != b"n"}

    async def build() -> None:
        fresh = PyEvmEngine(chain, store)
        await fresh.build(chain.rollup.genesis.l2.hash, blocks[0].attributes, await fresh.heads())

    with pytest.raises(CriticalError, match="state trie: node 0x"):
        trio.run(build)
