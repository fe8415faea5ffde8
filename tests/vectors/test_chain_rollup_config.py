"""op-units/rollup_config and kroma-units/rollup_configs: rollup.json as the clients read, check and write it."""

from __future__ import annotations

from typing import Any

import pytest

from kroma_core.chain.config import Family, RollupConfig
from kroma_core.chain.rollup_json import rollup_config_from_json, rollup_config_from_text, rollup_config_to_json
from kroma_core.errors import ConfigError
from kroma_core.forks import Fork
from kroma_core.types import Timestamp
from tests.vectors.unit_files import unit_cases


@unit_cases("op-units/rollup_config")
def test_rollup_config(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    if case.get("parse_error") or case.get("check_error"):
        with pytest.raises(ConfigError, match=r"^rollup\.json: "):
            rollup_config_from_text(case["json"], source="rollup.json")
        return
    config = rollup_config_from_text(case["json"], source="rollup.json")
    assert config.family is Family.OP
    assert rollup_config_to_json(config) == case["expected"]
    for query in case.get("at", []):
        assert _answers(config, query["timestamp"]) == query


@unit_cases("kroma-units/rollup_configs")
def test_kroma_rollup_config(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    config = rollup_config_from_json(case["rollup_json"], source="rollup.json", strict=True)
    assert config.family is Family.KROMA
    assert rollup_config_to_json(config) == case["rollup_json"]


def _answers(config: RollupConfig, time: int) -> dict[str, Any]:
    schedule = config.schedule
    rules = schedule.at(time)
    forks = [fork for fork in schedule.table if fork not in (Fork.BEDROCK, Fork.PECTRA_BLOB_SCHEDULE)]
    activating = schedule.activating(Timestamp(time))
    return {
        "timestamp": time,
        "active": [fork for fork in forks if schedule.active(fork, time)],
        "activation_block_of": [fork for fork in forks if fork in activating],
        "channel_timeout": rules.fixed_channel_timeout or config.channel_timeout,
        "max_sequencer_drift": rules.fixed_sequencer_drift or config.max_sequencer_drift,
        "max_rlp_bytes": rules.rlp_bytes_per_channel,
        "max_channel_bank": rules.channel_bank_size,
        "new_payload": f"engine_newPayloadV{rules.payload_version}",
        "get_payload": f"engine_getPayloadV{rules.get_payload_version}",
    }
