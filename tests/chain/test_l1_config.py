from __future__ import annotations

from typing import Any

import pytest

from kroma_core.chain.config import BlobSchedule, L1ChainConfig
from kroma_core.chain.l1_config import (
    blob_base_fee,
    l1_config_for,
    l1_config_from_json,
    l1_config_from_text,
    l1_config_named,
    l1_config_of_cancun,
    l1_config_to_json,
    l1_names,
)
from kroma_core.codec.headers import EMPTY_ROOT, Header
from kroma_core.errors import ConfigError, CriticalError
from kroma_core.forks import Rules
from kroma_core.types import ZERO_ADDRESS, ZERO_HASH, Timestamp

# Genesis-independent part of geth's chain config, as in a devnet's file.
DEVNET: dict[str, Any] = {
    "chainId": 900,
    "cancunTime": 1000,
    "pragueTime": 2000,
    "osakaTime": 3000,
    "bpo1Time": 4000,
    "bpo2Time": None,
    "terminalTotalDifficulty": 58_750_000_000_000_000_000_000,
    "blobSchedule": {
        "cancun": {"target": 3, "max": 6, "baseFeeUpdateFraction": 3338477},
        "prague": {"target": 6, "max": 9, "baseFeeUpdateFraction": 5007716},
        "bpo1": {"target": 10, "max": 15, "baseFeeUpdateFraction": 8346193},
        "bpo2": {"target": 14, "max": 21, "baseFeeUpdateFraction": 11684671},
    },
}


def header(excess: int | None, time: int = 0) -> Header:
    return Header(
        parent_hash=ZERO_HASH,
        coinbase=ZERO_ADDRESS,
        state_root=EMPTY_ROOT,
        transactions_root=EMPTY_ROOT,
        receipts_root=EMPTY_ROOT,
        bloom=bytes(256),
        number=7,
        gas_limit=30_000_000,
        gas_used=0,
        timestamp=time,
        extra_data=b"",
        mix_hash=ZERO_HASH,
        excess_blob_gas=excess,
    )


def constant(fraction: int) -> L1ChainConfig:
    return L1ChainConfig(chain_id=900, blob_schedule=BlobSchedule(steps=((Timestamp(0), fraction),)))


# Values of go-ethereum's own test of its integer exponential (factor 1).
@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [
        (0, 1, 1),
        (3, 1, 16),
        (6, 2, 18),
        (4, 1, 49),
        (8, 2, 50),
        (5, 1, 136),
        (5, 2, 11),
        (50_000_000, 2_225_652, 5709098764),
    ],
)
def test_the_blob_fee_is_the_integer_exponential_of_the_excess(numerator: int, denominator: int, expected: int) -> None:
    assert blob_base_fee(header(numerator), constant(denominator), Rules()) == expected


def test_a_block_without_blob_fields_has_no_blob_fee() -> None:
    assert blob_base_fee(header(None), l1_config_named("mainnet"), Rules()) is None


def test_the_block_of_the_upgrade_has_the_new_fraction() -> None:
    config = l1_config_from_json(DEVNET, source="l1.json")
    fractions = [config.blob_schedule.fraction(time) for time in (999, 1000, 1999, 2000, 3999, 4000, 10**10)]
    assert fractions == [None, 3338477, 3338477, 5007716, 5007716, 8346193, 8346193]


def test_an_upgrade_without_an_entry_keeps_the_schedule_before_it() -> None:
    assert l1_config_from_json(DEVNET, source="l1.json").blob_schedule.fraction(3000) == 5007716


def test_the_later_upgrade_wins_where_times_are_equal_or_reversed() -> None:
    config = l1_config_from_json(DEVNET | {"pragueTime": 500, "cancunTime": 1000}, source="l1.json")
    assert [config.blob_schedule.fraction(time) for time in (499, 500, 1000)] == [None, 5007716, 5007716]


def test_a_chain_that_kept_to_the_first_fraction_ignores_the_schedule() -> None:
    config = l1_config_from_json(DEVNET, source="l1.json")
    excess = 40_000_000
    ignored = blob_base_fee(header(excess, 4000), config, Rules(cancun_blob_fee_override=True))
    assert ignored == blob_base_fee(header(excess), constant(3338477), Rules())
    assert blob_base_fee(header(excess, 4000), config, Rules()) == blob_base_fee(
        header(excess), constant(8346193), Rules()
    )


def test_blobs_without_a_schedule_are_critical() -> None:
    with pytest.raises(CriticalError, match="L1 block 7: it has blobs at time 999, but the chain config of L1 900"):
        blob_base_fee(header(0, 999), l1_config_from_json(DEVNET, source="l1.json"), Rules())


def test_an_excess_that_no_chain_can_have_does_not_hang() -> None:
    with pytest.raises(CriticalError, match="more than 2"):
        blob_base_fee(header(2**64 - 1), l1_config_of_cancun(1), Rules())


def test_public_networks_are_built_in() -> None:
    assert {name: l1_config_named(name).chain_id for name in l1_names()} == {
        "mainnet": 1,
        "sepolia": 11155111,
        "holesky": 17000,
        "hoodi": 560048,
    }


def test_mainnet_raised_its_blob_targets_twice_after_osaka() -> None:
    schedule = l1_config_for(1).blob_schedule
    # github.com/ethereum/go-ethereum, params/config.go
    expected = {
        1710338134: None,
        1710338135: 3338477,
        1746612311: 5007716,
        1764798551: 5007716,
        1765290070: 5007716,
        1765290071: 8346193,
        1767747670: 8346193,
        1767747671: 11684671,
    }
    assert {time: schedule.fraction(time) for time in expected} == expected


def test_an_unknown_network_is_an_error_that_says_what_to_give() -> None:
    with pytest.raises(ConfigError, match=r"chain id 900 is not built in.*has to be given"):
        l1_config_for(900)
    with pytest.raises(ConfigError, match="known are mainnet, sepolia, holesky, hoodi"):
        l1_config_named("goerli")


def test_a_genesis_file_that_contains_the_config_will_do() -> None:
    assert l1_config_from_json({"config": DEVNET, "alloc": {}}, source="l1.json").chain_id == 900


def test_every_problem_of_the_file_is_named() -> None:
    found = DEVNET | {"chainId": "900", "bpo1Time": -1, "blobSchedule": {"prague": {"baseFeeUpdateFraction": 0}}}
    with pytest.raises(ConfigError) as caught:
        l1_config_from_json(found, source="l1.json")
    assert caught.value.problems == (
        'l1.json: chainId: expected a number from 1 to 2^256 - 1, got "900"',
        "l1.json: blobSchedule.cancun: missing, though cancunTime is 1000",
        "l1.json: blobSchedule.prague.baseFeeUpdateFraction: expected a number from 1 to 2^64 - 1, got 0",
        "l1.json: bpo1Time: expected a number from 0 to 2^64 - 1, got -1",
    )


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^l1\.json: expected JSON"):
        l1_config_from_text("{", source="l1.json")


@pytest.mark.parametrize(
    "config", [*map(l1_config_named, l1_names()), l1_config_of_cancun(900)], ids=lambda one: one.chain_id
)
def test_a_config_that_is_written_reads_as_the_same(config: L1ChainConfig) -> None:
    assert l1_config_from_json(l1_config_to_json(config), source="written") == config


def test_a_config_with_more_schedules_than_upgrades_cannot_be_written() -> None:
    steps = tuple((Timestamp(time), 1 + time) for time in range(9))
    with pytest.raises(ConfigError, match="it has 9 blob schedules"):
        l1_config_to_json(L1ChainConfig(chain_id=1, blob_schedule=BlobSchedule(steps=steps)))
