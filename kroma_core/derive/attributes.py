"""Payload attributes: everything that determines the next L2 block, from its parent, its epoch and a batch.

Spec: derivation.md, "Deriving the Transaction List", "Building Individual Payload Attributes".
"""

from __future__ import annotations

from typing import Final

import attrs

from kroma_core.chain.config import ChainConfig, SystemConfig
from kroma_core.codec.deposits import DepositTransaction, is_deposit
from kroma_core.codec.headers import Header
from kroma_core.codec.receipts import Receipt, bloom_contains
from kroma_core.derive.deposits import TRANSACTION_DEPOSITED, user_deposits
from kroma_core.derive.l1_info import l1_info_deposit
from kroma_core.derive.system_config import CONFIG_UPDATE, apply_config_updates
from kroma_core.derive.upgrades import upgrade_gas, upgrade_transactions
from kroma_core.errors import CriticalError, DecodeError, ResetError
from kroma_core.l2 import PayloadAttributes
from kroma_core.types import Gas, Hash32, L1Ref, L2Ref, Timestamp

_NO_BEACON_ROOT: Final = bytes(32)


@attrs.frozen(kw_only=True)
class L1Origin:
    """An L1 block as an epoch of L2 blocks uses it. `receipts` may be empty where `needs_receipts` says so."""

    ref: L1Ref
    header: Header
    receipts: tuple[Receipt, ...] = attrs.field(repr=False)


def needs_receipts(header: Header, config: ChainConfig) -> bool:
    """Whether an L1 block can hold a deposit or a config update: its bloom filter, which its hash covers, tells."""
    rollup = config.rollup
    bloom = header.bloom
    return (bloom_contains(bloom, TRANSACTION_DEPOSITED) and bloom_contains(bloom, rollup.portal)) or (
        bloom_contains(bloom, CONFIG_UPDATE) and bloom_contains(bloom, rollup.system_config_address)
    )


def payload_attributes(
    config: ChainConfig,
    parent: L2Ref,
    parent_config: SystemConfig,
    origin: L1Origin,
    *,
    sequenced: tuple[bytes, ...] = (),
    dependency_set: int = 1,
) -> PayloadAttributes:
    """Attributes of the block after `parent` in the epoch of `origin`: deposits, upgrades, and what was `sequenced`.

    The user deposits and config updates of `origin` belong to the first block of its epoch. Raises `ResetError` if
    `origin` does not continue the L1 chain of `parent` or is younger than the block would be, `CriticalError` where L1
    itself breaks the rules.
    """
    rollup = config.rollup
    block = origin.ref
    time = Timestamp(parent.timestamp + rollup.block_time)
    deposits: tuple[DepositTransaction, ...] = ()
    system_config = parent_config
    if parent.l1_origin.number != block.number:
        _expect_origin(parent, block, block.parent_hash)
        sequence_number = 0
        deposits = user_deposits(origin.receipts, rollup.portal, block.hash)
        system_config, _ = apply_config_updates(parent_config, origin.receipts, rollup, block.id, block.timestamp)
    else:
        _expect_origin(parent, block, block.hash)
        sequence_number = parent.sequence_number + 1
    if time < block.timestamp:
        raise ResetError(
            f"L2 block at {time} after {parent.id} would be older than its L1 origin {block.id} at {block.timestamp}"
        )

    info = _l1_info(config, system_config, origin, sequence_number, time)
    upgrades = upgrade_transactions(rollup, time, dependency_set=dependency_set)
    rules = rollup.schedule.at(time)
    encode = DepositTransaction.encode_legacy if rules.legacy_deposits else DepositTransaction.encode
    beacon_root = origin.header.parent_beacon_root or _NO_BEACON_ROOT
    return PayloadAttributes(
        timestamp=time,
        prev_randao=origin.header.mix_hash,
        fee_recipient=rules.fee_recipient,
        gas_limit=Gas(system_config.gas_limit + upgrade_gas(rollup, time)),
        transactions=(encode(info), *map(encode, deposits), *map(encode, upgrades), *sequenced),
        no_tx_pool=True,
        withdrawals=rules.withdrawals,
        parent_beacon_root=beacon_root if rules.parent_beacon_root else None,
        eip1559_params=system_config.eip1559_params if rules.eip1559_attributes else None,
        min_base_fee=system_config.min_base_fee if rules.min_base_fee_attribute else None,
    )


def deposits_only(attributes: PayloadAttributes) -> PayloadAttributes:
    """The same attributes without the batcher's transactions.

    Spec: holocene/derivation.md, "Engine Queue".
    """
    return attrs.evolve(attributes, transactions=tuple(tx for tx in attributes.transactions if is_deposit(tx)))


def has_only_deposits(attributes: PayloadAttributes) -> bool:
    """Whether no transaction comes from the batcher: an engine may not refuse such a block."""
    return all(is_deposit(transaction) for transaction in attributes.transactions)


def _l1_info(
    config: ChainConfig, system_config: SystemConfig, origin: L1Origin, sequence_number: int, time: Timestamp
) -> DepositTransaction:
    try:
        return l1_info_deposit(
            config,
            system_config,
            sequence_number=sequence_number,
            header=origin.header,
            l1_hash=origin.ref.hash,
            l2_time=time,
        )
    except DecodeError as error:
        raise CriticalError(f"L1 attributes of the L2 block at {time}, L1 origin {origin.ref.id}: {error}") from error


def _expect_origin(parent: L2Ref, block: L1Ref, continued: Hash32) -> None:
    if parent.l1_origin.hash != continued:
        raise ResetError(
            f"L1 origin {block.id} does not continue {parent.l1_origin}, the L1 origin of L2 block {parent.id}: "
            f"expected 0x{parent.l1_origin.hash.hex()}, got 0x{continued.hex()}"
        )
