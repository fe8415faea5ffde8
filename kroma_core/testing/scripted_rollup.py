"""The configuration of a rollup on a scripted L1."""

from __future__ import annotations

from collections.abc import Mapping

from kroma_core.chain.config import (
    BaseFeeParams,
    BlobSchedule,
    ChainConfig,
    Family,
    Genesis,
    GenesisBlock,
    L1ChainConfig,
    RollupConfig,
    SystemConfig,
)
from kroma_core.codec.keccak import keccak256
from kroma_core.forks import KROMA_FORKS, OP_FORKS, Fork, Schedule
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import BlockId, Gas, Seconds, Timestamp

_TABLES = {Family.OP: OP_FORKS, Family.KROMA: KROMA_FORKS}
CANCUN_FRACTION = 3_338_477
SCALAR = b"\1" + bytes(23) + (810_949).to_bytes(4, "big") + (1368).to_bytes(4, "big")


def all_forks_until(last: Fork, family: Family = Family.OP) -> dict[Fork, Timestamp]:
    """Activation at genesis of every fork of the family up to `last`."""
    order = list(_TABLES[family])
    skipped = (Fork.BEDROCK, Fork.PECTRA_BLOB_SCHEDULE)
    return {fork: Timestamp(0) for fork in order[: order.index(last) + 1] if fork not in skipped}


def rollup_on(
    l1: ScriptedL1,
    *,
    forks: Mapping[Fork, Timestamp],
    family: Family = Family.OP,
    l2_genesis_hash: bytes | None = None,
    genesis: GenesisBlock | None = None,
    l2_chain_id: int = 901,
    seq_window_size: int = 10,
    channel_timeout: int = 6,
    max_sequencer_drift: int = 40,
    gas_limit: int = 30_000_000,
) -> ChainConfig:
    """A chain anchored at the L1's genesis block, with 2-second blocks and the L1's accounts and contracts.

    Without `l2_genesis_hash` its genesis has a made-up hash: enough for derivation, not for an engine that executes.
    """
    start = l1.genesis
    rollup = RollupConfig(
        family=family,
        name="scripted",
        genesis=Genesis(
            l1=start.id,
            l2=BlockId(l2_genesis_hash or keccak256(b"scripted L2 genesis " + l1.seed.encode()), 0),
            l2_time=Timestamp(start.header.timestamp),
            system_config=SystemConfig(
                batcher=l1.batcher.address, overhead=bytes(32), scalar=SCALAR, gas_limit=Gas(gas_limit)
            ),
        ),
        schedule=Schedule(table=_TABLES[family], times=dict(forks), block_time=Seconds(2)),
        block_time=Seconds(2),
        max_sequencer_drift=Seconds(max_sequencer_drift),
        seq_window_size=seq_window_size,
        channel_timeout=channel_timeout,
        l1_chain_id=l1.chain_id,
        l2_chain_id=l2_chain_id,
        batch_inbox=l1.inbox,
        portal=l1.portal,
        system_config_address=l1.system_config,
        base_fee_params=BaseFeeParams(elasticity=6, denominator=50, denominator_canyon=250),
    )
    blobs = BlobSchedule(steps=((Timestamp(0), CANCUN_FRACTION),))
    l1_config = L1ChainConfig(chain_id=l1.chain_id, blob_schedule=blobs)
    return ChainConfig(rollup=rollup, l1=l1_config, genesis=genesis)
