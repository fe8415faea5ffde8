"""Block 0 and its state from the chain's genesis file.

Spec: exec-engine.md; superchain-configuration.md, "L2 Genesis".
"""

from __future__ import annotations

from kroma_core.chain.config import ChainConfig
from kroma_core.chain.genesis_json import genesis_header
from kroma_core.errors import ConfigError, DecodeError
from kroma_engine_pyevm.blocks import ExecutedBlock
from kroma_engine_pyevm.refusals import problems_with
from kroma_engine_pyevm.state import WorldState
from kroma_engine_pyevm.state_tries import StateTrie


def genesis_block(chain: ChainConfig, trie: StateTrie) -> ExecutedBlock:
    """The genesis with its state. Raises `ConfigError`, also where its hash is not the one that the rollup names."""
    genesis = chain.genesis
    problems = problems_with(chain)
    if problems or genesis is None:
        raise ConfigError(*problems)
    written: dict[bytes, bytes] = {}
    codes: dict[bytes, bytes] = {}
    state = WorldState(trie, trie.empty_root, codes.__getitem__)
    state.load_genesis(
        {
            address: (
                account.nonce,
                account.balance,
                account.code,
                {int.from_bytes(slot, "big"): int.from_bytes(word, "big") for slot, word in account.storage.items()},
            )
            for address, account in genesis.alloc.items()
        }
    )
    try:
        root = state.root_after(written, codes)
    except DecodeError as error:
        raise ConfigError(f"genesis: {error}") from error
    header = genesis_header(genesis, root, chain.rollup.schedule.at(genesis.timestamp))
    expected = chain.rollup.genesis.l2
    if header.hash != expected.hash:
        raise ConfigError(
            f"the genesis file gives block 0x{header.hash.hex()}, but the rollup config begins at {expected}; "
            f"state root 0x{header.state_root.hex()}"
        )
    return ExecutedBlock(
        header=header, hash=header.hash, transactions=(), receipts=(), stored_receipts=(), nodes=written, codes=codes
    )
