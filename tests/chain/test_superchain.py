from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest

from kroma_core.chain.config import BaseFeeParams
from kroma_core.chain.rollup_json import rollup_config_from_json, rollup_config_to_json
from kroma_core.chain.superchain import load_superchain, rollup_config_from_superchain
from kroma_core.errors import ConfigError
from kroma_core.forks import Fork

# The registry's form, with made-up values.
CHAIN_TEXT = """
name = "Example Testnet"
public_rpc = "https://rpc.example.org"
sequencer_rpc = "https://sequencer.example.org"
explorer = "https://explorer.example.org"
governed_by_optimism = false
superchain_time = 2000
data_availability_type = "eth-da"
chain_id = 901
batch_inbox_addr = "0xFf00000000000000000000000000000000000901"
block_time = 1
seq_window_size = 3600
max_sequencer_drift = 600

[hardforks]
  canyon_time = 0 # Thu 1 Jan 1970 00:00:00 UTC
  delta_time = 0

[optimism]
  eip1559_elasticity = 10
  eip1559_denominator = 50
  eip1559_denominator_canyon = 250

[genesis]
  l2_time = 2500
  [genesis.l1]
    hash = "0x1111111111111111111111111111111111111111111111111111111111111111"
    number = 100
  [genesis.l2]
    hash = "0x2222222222222222222222222222222222222222222222222222222222222222"
    number = 0
  [genesis.system_config]
    batcherAddress = "0xBaBaBabABAbaBabababaBabABABaBAbababababa"
    overhead = "0x0000000000000000000000000000000000000000000000000000000000000000"
    scalar = "0x010000000000000000000000000000000000000000000000000dbba0000007d0"
    gasLimit = 30000000

[roles]
  ProxyAdminOwner = "0x3333333333333333333333333333333333333333"

[addresses]
  L1StandardBridgeProxy = "0x4444444444444444444444444444444444444444"
  OptimismPortalProxy = "0x5555555555555555555555555555555555555555"
  SystemConfigProxy = "0x6666666666666666666666666666666666666666"
"""
NETWORK_TEXT = """
name = "Sepolia"

[hardforks]
canyon_time = 1500
delta_time = 1600
ecotone_time = 2000
fjord_time = 2400
granite_time = 3000

[l1]
  chain_id = 11155111
"""
CHAIN: dict[str, Any] = tomllib.loads(CHAIN_TEXT)
NETWORK: dict[str, Any] = tomllib.loads(NETWORK_TEXT)


def chain(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(CHAIN) | changes


def times(found: dict[str, Any]) -> dict[str, int]:
    config = rollup_config_from_superchain(found, NETWORK, source="chain.toml")
    return {str(fork): time for fork, time in config.schedule.times.items()}


def test_a_file_is_read_with_its_networks_file(tmp_path: Path) -> None:
    (tmp_path / "example.toml").write_text(CHAIN_TEXT)
    (tmp_path / "superchain.toml").write_text(NETWORK_TEXT)
    config = load_superchain(tmp_path / "example.toml", strict=True)
    assert (config.name, config.l1_chain_id, config.l2_chain_id) == ("Example Testnet", 11_155_111, 901)
    assert (config.channel_timeout, config.seq_window_size, config.max_sequencer_drift) == (300, 3600, 600)
    assert config.base_fee_params == BaseFeeParams(elasticity=10, denominator=50, denominator_canyon=250)
    assert config.portal == b"\x55" * 20
    assert config.system_config_address == b"\x66" * 20
    assert config.genesis.system_config.batcher == b"\xba" * 20


def test_forks_after_joining_are_inherited_and_those_before_the_genesis_are_zero() -> None:
    assert times(CHAIN) == {
        "regolith": 0,
        "canyon": 0,
        "delta": 0,
        "ecotone": 0,
        "fjord": 0,
        "granite": 3000,
    }


def test_forks_before_joining_are_not_inherited() -> None:
    assert times(chain(superchain_time=3001)) == {"regolith": 0, "canyon": 0, "delta": 0}
    assert times(chain(superchain_time=3000, hardforks={"fjord_time": 0, "ecotone_time": 0} | CHAIN["hardforks"])) == {
        "regolith": 0,
        "canyon": 0,
        "delta": 0,
        "ecotone": 0,
        "fjord": 0,
        "granite": 3000,
    }


def test_a_chain_that_has_not_joined_inherits_nothing() -> None:
    found = chain()
    del found["superchain_time"]
    assert times(found) == {"regolith": 0, "canyon": 0, "delta": 0}


def test_a_chains_own_time_is_not_overridden() -> None:
    assert times(chain(hardforks={**CHAIN["hardforks"], "granite_time": 9000}))["granite"] == 9000


def test_every_problem_names_its_file_and_key() -> None:
    found = chain(batch_inbox_addr="0x12", hardforks={"canyon_time": "soon"}, superchain_time=None)
    del found["addresses"]["SystemConfigProxy"]
    with pytest.raises(ConfigError) as caught:
        rollup_config_from_superchain(found, {}, source="chain.toml", network_source="superchain.toml")
    assert caught.value.problems == (
        'chain.toml: hardforks.canyon_time: expected a number from 0 to 2^64 - 1, got "soon"',
        "superchain.toml: l1.chain_id: missing",
        'chain.toml: batch_inbox_addr: expected 0x and 40 hex digits, got "0x12"',
        "chain.toml: addresses.SystemConfigProxy: missing",
    )


def test_an_unknown_key_is_a_warning() -> None:
    config = rollup_config_from_superchain(chain(blocktime=2), NETWORK, source="chain.toml")
    assert config.warnings == ("chain.toml: blocktime: is not a key of the registry",)


def test_other_data_availability_without_its_settings_is_a_warning() -> None:
    config = rollup_config_from_superchain(chain(data_availability_type="alt-da"), NETWORK, source="chain.toml")
    assert config.warnings == ("chain.toml: data_availability_type: is alt-da, but nothing says where the data is",)


def test_alt_da_settings_are_kept_for_rollup_json() -> None:
    alt_da = {
        "da_challenge_contract_address": "0x" + "77" * 20,
        "da_challenge_window": 3600,
        "da_resolve_window": 3600,
        "da_commitment_type": "KeccakCommitment",
    }
    found = chain(data_availability_type="alt-da", alt_da=alt_da)
    config = rollup_config_from_superchain(found, NETWORK, source="chain.toml", strict=True)
    assert rollup_config_to_json(config)["alt_da"] == alt_da


def test_the_rollup_json_of_a_registry_chain_is_read_as_the_same_chain() -> None:
    config = rollup_config_from_superchain(CHAIN, NETWORK, source="chain.toml")
    again = rollup_config_from_json(rollup_config_to_json(config), source="r.json", name=config.name, strict=True)
    assert again == config


def test_a_missing_network_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "example.toml").write_text(CHAIN_TEXT)
    with pytest.raises(ConfigError, match=r"superchain\.toml: cannot be read"):
        load_superchain(tmp_path / "example.toml")


def test_what_is_no_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "example.toml").write_text("{}")
    with pytest.raises(ConfigError, match=r"example\.toml: expected TOML"):
        load_superchain(tmp_path / "example.toml")


def test_karsts_gas_opt_out_is_read() -> None:
    found = chain(hardforks={**CHAIN["hardforks"], "keep_karst_upgrade_gas": True})
    config = rollup_config_from_superchain(found, NETWORK, source="chain.toml", strict=True)
    assert config.keep_karst_upgrade_gas
    assert Fork.KARST not in config.schedule.times
