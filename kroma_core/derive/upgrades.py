"""Transactions that a protocol upgrade puts into an L2 block: after the user deposits, before the batch's.

They are data (`data/*.json`, each with its origin). The files are read when they are first needed and say which block
of the upgrade holds the transactions: its first one, or that block's parent.

Spec: derivation.md, "Network upgrade automation transactions"; l2-upgrades-1-execution.md, "Network Upgrade Transaction
Bundle", "Custom Upgrade Block Gas Limit".
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

import attrs

from kroma_core.chain.config import Family, RollupConfig
from kroma_core.codec.deposits import DepositTransaction, upgrade_source
from kroma_core.forks import Fork
from kroma_core.types import Gas, Timestamp

_FILES: Final[Mapping[tuple[Family, Fork], str]] = {
    (Family.OP, Fork.ECOTONE): "op_ecotone",
    (Family.OP, Fork.FJORD): "op_fjord",
    (Family.OP, Fork.ISTHMUS): "op_isthmus",
    (Family.OP, Fork.JOVIAN): "op_jovian",
    (Family.OP, Fork.KARST): "op_karst",
    (Family.OP, Fork.LAGOON): "op_lagoon",
    (Family.KROMA, Fork.ECOTONE): "kroma_ecotone",
    (Family.KROMA, Fork.KROMA_MPT): "kroma_mpt",
}


@attrs.frozen(kw_only=True)
class Upgrade:
    """The transactions of one upgrade, and the gas that its block gets beyond the configured limit."""

    transactions: tuple[DepositTransaction, ...]
    interop_only: frozenset[int]
    """Places of the transactions that only a chain with others in its dependency set has."""
    extra_gas: Gas
    in_parent: bool
    """Whether they stand in the block before the upgrade's first one."""


def upgrade_transactions(
    rollup: RollupConfig, time: Timestamp, *, dependency_set: int = 1
) -> tuple[DepositTransaction, ...]:
    """The upgrade transactions of the L2 block at `time`, of several upgrades in protocol order; mostly none."""
    return tuple(
        transaction
        for _, upgrade in _upgrades_at(rollup, time)
        for place, transaction in enumerate(upgrade.transactions)
        if dependency_set > 1 or place not in upgrade.interop_only
    )


def upgrade_gas(rollup: RollupConfig, time: Timestamp) -> Gas:
    """Gas that the L2 block at `time` gets beyond the configured limit, for its upgrade transactions.

    It is reserved whether or not the interop transactions are among them.
    """
    return Gas(sum(upgrade.extra_gas for _, upgrade in _upgrades_at(rollup, time)))


def upgrade_gas_to_subtract(rollup: RollupConfig, time: Timestamp) -> Gas:
    """What is taken off the gas limit of the block at `time` to know the configured one.

    That of the first upgrade alone, if two came together; and none where the chain has kept the gas since.
    """
    for fork, upgrade in _upgrades_at(rollup, time):
        if upgrade.extra_gas:
            return Gas(0) if fork is Fork.KARST and rollup.keep_karst_upgrade_gas else upgrade.extra_gas
    return Gas(0)


def upgrade_of(family: Family, fork: Fork, l2_chain_id: int) -> Upgrade | None:
    """The upgrade of a fork, with the constructor arguments of that chain; None for a fork without transactions."""
    name = _FILES.get((family, fork))
    return None if name is None else _load(name, l2_chain_id)


def _upgrades_at(rollup: RollupConfig, time: Timestamp) -> Iterator[tuple[Fork, Upgrade]]:
    schedule = rollup.schedule
    activating = schedule.activating(time)
    next_activating = schedule.activating(Timestamp(time + rollup.block_time))
    if not activating and not next_activating:
        return
    for fork in schedule.table:
        if fork not in activating and fork not in next_activating:
            continue
        upgrade = upgrade_of(rollup.family, fork, rollup.l2_chain_id)
        if upgrade is not None and fork in (next_activating if upgrade.in_parent else activating):
            yield fork, upgrade


@functools.cache
def _load(name: str, l2_chain_id: int) -> Upgrade:
    document: dict[str, Any] = json.loads((files(__package__) / "data" / f"{name}.json").read_bytes())
    arguments: Mapping[str, Mapping[str, str]] = document.get("arguments", {})
    own = arguments.get(str(l2_chain_id), arguments.get("other", {}))
    entries = document["transactions"]
    adds_gas = document.get("adds_gas", False)
    return Upgrade(
        transactions=tuple(_transaction(entry, own) for entry in entries),
        interop_only=frozenset(place for place, entry in enumerate(entries) if "only" in entry),
        extra_gas=Gas(sum(entry["gas"] for entry in entries) if adds_gas else 0),
        in_parent=document.get("in_parent", False),
    )


def _transaction(entry: Mapping[str, Any], arguments: Mapping[str, str]) -> DepositTransaction:
    """A deposit from its entry; an argument's name stands for a constructor's word after the code."""
    data = bytes.fromhex(entry["data"][2:])
    if "argument" in entry:
        data += bytes.fromhex(arguments[entry["argument"]][2:]).rjust(32, b"\0")
    return DepositTransaction(
        source_hash=upgrade_source(entry["intent"]),
        sender=bytes.fromhex(entry["from"][2:]),
        to=None if entry["to"] is None else bytes.fromhex(entry["to"][2:]),
        mint=int(entry.get("mint", 0)),
        value=int(entry.get("value", 0)),
        gas=entry["gas"],
        data=data,
    )
