"""Whether an L2 block is the one that derived attributes ask for.

Spec: derivation.md, "L1-consolidation: payload attributes matching".
"""

from __future__ import annotations

from kroma_core.chain.base_fee import attribute_params_match
from kroma_core.chain.config import ChainConfig
from kroma_core.codec.payloads import block_hash_of
from kroma_core.errors import CriticalError
from kroma_core.l2 import Payload, PayloadAttributes
from kroma_core.types import L2Ref


def mismatch(attributes: PayloadAttributes, block: Payload, parent: L2Ref, config: ChainConfig) -> str | None:
    """The first field in which `block` is not what `attributes` on `parent` would give; None when it is."""
    pairs = (
        ("parentHash", parent.hash, block.parent_hash),
        ("timestamp", attributes.timestamp, block.timestamp),
        ("prevRandao", attributes.prev_randao, block.prev_randao),
        ("suggestedFeeRecipient", attributes.fee_recipient, block.fee_recipient),
        ("gasLimit", attributes.gas_limit, block.gas_limit),
        ("withdrawals", attributes.withdrawals, block.withdrawals),
        ("parentBeaconBlockRoot", attributes.parent_beacon_root, block.parent_beacon_root),
        ("transactions", attributes.transactions, block.transactions),
    )
    for name, expected, got in pairs:
        if expected != got:
            return name
    if not attribute_params_match(attributes, block.extra_data, config.rollup):
        return "eip1559Params"
    return None


def check_built(block: Payload, attributes: PayloadAttributes, parent: L2Ref, config: ChainConfig) -> None:
    """See that an engine has made what it was asked for. Raises `CriticalError`: it cannot be relied on otherwise."""
    where = f"the engine made another block on L2 block {parent.id} than it was asked for"
    if block.number != parent.number + 1:
        raise CriticalError(f"{where}: expected number {parent.number + 1}, got {block.number}")
    different = mismatch(attributes, block, parent, config)
    if different is not None:
        raise CriticalError(f"{where}: block 0x{block.hash.hex()} differs in {different}")
    fields = block_hash_of(block)
    if fields != block.hash:
        raise CriticalError(f"{where}: its fields hash to 0x{fields.hex()}, and it is called 0x{block.hash.hex()}")
