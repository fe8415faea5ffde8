"""The L1's own rules as far as an L2 depends on them: the blob fee, whose parameters change by schedule.

Read from geth's chain config of the L1 (a genesis.json that contains it does as well); those of the public networks
are built in. Spec: EIP-4844, "Gas accounting"; EIP-7840; EIP-7892.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import attrs

from kroma_core.chain.config import BlobSchedule, L1ChainConfig
from kroma_core.chain.config_fields import Fields, Findings
from kroma_core.chain.rollup_json import json_value
from kroma_core.codec.headers import Header
from kroma_core.errors import ConfigError, CriticalError
from kroma_core.forks import Rules
from kroma_core.types import Timestamp

CANCUN_FRACTION = 3_338_477
_PRAGUE_FRACTION = 5_007_716
_BPO1_FRACTION = 8_346_193
_BPO2_FRACTION = 11_684_671

_BLOB_FORKS = ("cancun", "prague", "osaka", "bpo1", "bpo2", "bpo3", "bpo4", "bpo5")
"""L1 upgrades that can change the blob schedule, in their order; a later one that is active wins."""

_MOST_E_POWERS = 178
"""e^178 is above 2^256: an excess beyond so many fractions has no price that fits a word."""


@attrs.frozen(kw_only=True)
class _Network:
    chain_id: int
    cancun: int
    prague: int
    osaka: int
    bpo1: int
    bpo2: int


# Origin: github.com/ethereum/go-ethereum, params/config.go (commit 02b73d4ea7).
_NETWORKS: Mapping[str, _Network] = {
    "mainnet": _Network(
        chain_id=1,
        cancun=1_710_338_135,
        prague=1_746_612_311,
        osaka=1_764_798_551,
        bpo1=1_765_290_071,
        bpo2=1_767_747_671,
    ),
    "sepolia": _Network(
        chain_id=11_155_111,
        cancun=1_706_655_072,
        prague=1_741_159_776,
        osaka=1_760_427_360,
        bpo1=1_761_017_184,
        bpo2=1_761_607_008,
    ),
    "holesky": _Network(
        chain_id=17_000,
        cancun=1_707_305_664,
        prague=1_740_434_112,
        osaka=1_759_308_480,
        bpo1=1_759_800_000,
        bpo2=1_760_389_824,
    ),
    "hoodi": _Network(
        chain_id=560_048,
        cancun=0,
        prague=1_742_999_832,
        osaka=1_761_677_592,
        bpo1=1_762_365_720,
        bpo2=1_762_955_544,
    ),
}


def l1_names() -> tuple[str, ...]:
    """Names of the L1 networks that are built in."""
    return tuple(_NETWORKS)


def l1_config_named(name: str) -> L1ChainConfig:
    """The built-in config of an L1 network. Raises `ConfigError` for an unknown name."""
    if name not in _NETWORKS:
        raise ConfigError(f"L1 network {name!r} is not built in; known are {', '.join(_NETWORKS)}")
    return _built(_NETWORKS[name])


def l1_config_for(chain_id: int) -> L1ChainConfig:
    """The built-in config of the L1 with this chain id. Raises `ConfigError` for an unknown one."""
    for network in _NETWORKS.values():
        if network.chain_id == chain_id:
            return _built(network)
    raise ConfigError(
        f"the L1 with chain id {chain_id} is not built in: its chain config (geth's, with blobSchedule) has to be given"
    )


def l1_config_of_cancun(chain_id: int) -> L1ChainConfig:
    """An L1 whose blobs have Cancun's price for ever: all that kroma-node knows of any L1."""
    return L1ChainConfig(chain_id=chain_id, blob_schedule=BlobSchedule(steps=((Timestamp(0), CANCUN_FRACTION),)))


def l1_config_from_text(text: str | bytes, *, source: str) -> L1ChainConfig:
    """An L1 config from the text of geth's chain config; see `l1_config_from_json`."""
    findings = Findings()
    value = json_value(text, source=source, findings=findings)
    return _read(Fields.of(value, source=source, findings=findings))


def l1_config_from_json(obj: object, *, source: str) -> L1ChainConfig:
    """An L1 config from geth's chain config, or from a genesis.json that has one under `config`.

    Raises `ConfigError` with every problem; `source` names the file. Keys that say nothing about blobs are not read.
    """
    return _read(Fields.of(obj, source=source))


def l1_config_to_json(config: L1ChainConfig) -> dict[str, object]:
    """geth's chain config with what this knows of an L1: reading it gives the same config.

    Which upgrade brought which fraction is not known any more: they get the names of upgrades in turn. Raises
    `ConfigError` where there are more than names.
    """
    steps = config.blob_schedule.steps
    if len(steps) > len(_BLOB_FORKS):
        raise ConfigError(f"chain config of L1 {config.chain_id}: it has {len(steps)} blob schedules")
    named = list(zip(_BLOB_FORKS, steps, strict=False))
    return {
        "chainId": config.chain_id,
        **{f"{name}Time": time for name, (time, _) in named},
        "blobSchedule": {name: {"baseFeeUpdateFraction": fraction} for name, (_, fraction) in named},
    }


def blob_base_fee(header: Header, l1: L1ChainConfig, rules: Rules) -> int | None:
    """Price of blob gas in an L1 block, in wei, at least 1; None before the L1 has blobs.

    `rules` are the L2's at the time of the *L1* block: a chain that kept to Cancun's fraction after the L1 had left it
    still has to, for those blocks. Raises `CriticalError` where the L1 has blobs and its config no schedule for them.
    """
    if header.excess_blob_gas is None:
        return None
    fraction = CANCUN_FRACTION if rules.cancun_blob_fee_override else l1.blob_schedule.fraction(header.timestamp)
    if fraction is None:
        raise CriticalError(
            f"blob base fee of L1 block {header.number}: it has blobs at time {header.timestamp}, "
            f"but the chain config of L1 {l1.chain_id} has no blob schedule for that time"
        )
    if header.excess_blob_gas > fraction * _MOST_E_POWERS:
        raise CriticalError(
            f"blob base fee of L1 block {header.number}: excess blob gas {header.excess_blob_gas} gives more than 2^256"
        )
    return _fake_exponential(header.excess_blob_gas, fraction)


@functools.lru_cache(maxsize=16)
def _fake_exponential(numerator: int, denominator: int) -> int:
    """e^(numerator / denominator) in integers, as EIP-4844 defines it (factor 1).

    Every L2 block of an epoch asks for the same.
    """
    total = 0
    term = denominator
    index = 1
    while term > 0:
        total += term
        term = term * numerator // denominator // index
        index += 1
    return total // denominator


def _built(network: _Network) -> L1ChainConfig:
    steps = (
        (Timestamp(network.cancun), CANCUN_FRACTION),
        (Timestamp(network.prague), _PRAGUE_FRACTION),
        (Timestamp(network.osaka), _PRAGUE_FRACTION),
        (Timestamp(network.bpo1), _BPO1_FRACTION),
        (Timestamp(network.bpo2), _BPO2_FRACTION),
    )
    return L1ChainConfig(chain_id=network.chain_id, blob_schedule=BlobSchedule(steps=steps))


def _read(fields: Fields) -> L1ChainConfig:
    if not fields.has("chainId") and (inner := fields.optional_under("config")) is not None:
        fields = inner
    chain_id = fields.number("chainId", least=1, bits=256)
    schedule = fields.optional_under("blobSchedule")
    active: list[tuple[int, int]] = []
    for name in _BLOB_FORKS:
        time = fields.optional_number(f"{name}Time")
        entry = schedule.optional_under(name) if schedule is not None else None
        if entry is not None and time is not None:
            active.append((time, entry.number("baseFeeUpdateFraction", least=1)))
        elif time is not None and name == _BLOB_FORKS[0]:
            fields.problem("blobSchedule.cancun", f"missing, though {name}Time is {time}")
    fields.findings.settle(strict=True)
    # At each moment the latest upgrade (in their order, not in that of their times) that is active and has an entry.
    steps = tuple(
        (Timestamp(start), [fraction for time, fraction in active if time <= start][-1])
        for start in sorted({time for time, _ in active})
    )
    return L1ChainConfig(chain_id=chain_id, blob_schedule=BlobSchedule(steps=steps))
