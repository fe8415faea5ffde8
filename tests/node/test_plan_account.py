"""What is told of a plan: which part is there why, who gets what, what starts where."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest

from kroma_core.api import Capability, Port, Role, Secret
from kroma_core.errors import ConfigError
from kroma_core.node.data_directory import claimed
from kroma_core.node.plan import plan_profile
from kroma_core.node.plan_account import PlanAccount, account_of
from kroma_core.node.plan_start import StartKind
from kroma_core.node.registry import collect
from kroma_core.node.safe_head_store import SAFE_HEADS, Entry, SafeHeadStore, last_stored
from kroma_core.types import BlockId
from tests.node.sample_parts import SamplePlugin, offer

EXECUTES = frozenset({Capability.EXECUTES, Capability.STATE_QUERIES, Capability.TX_POOL})


@attrs.frozen(kw_only=True)
class RpcSettings:
    url: str | Secret = "http://127.0.0.1:8545"
    port: Port = Port(30303)


INSTALLED = collect(
    [
        (
            "acme",
            "1.0",
            SamplePlugin(
                l1=[offer("rpc", config=RpcSettings)],
                blobs=[offer("beacon")],
                data=[offer("calldata"), offer("blob", requires=(Role.BLOBS,))],
                engine=[
                    offer("fast", capabilities=EXECUTES),
                    offer("slow", capabilities=EXECUTES),
                    offer("faulty", requires=(Role.ENGINE,), capabilities=EXECUTES),
                ],
            ),
        )
    ]
)
PROFILE = """\
[chain]
name = "op-sepolia"
[[data]]
kind = "blob"
[engine]
kind = "faulty"
needs = ["executes"]
[engine.wraps]
kind = "fast"
[[engine.shadow]]
kind = "slow"
[eth]
port = 8000
"""


def account(tmp_path: Path, text: str = PROFILE, environment: Mapping[str, str] | None = None) -> PlanAccount:
    path = tmp_path / "p.toml"
    path.write_text(text)
    return account_of(plan_profile(path, INSTALLED, environment or {}))


def test_parts_are_told_with_their_line_their_place_or_why_they_are_there(tmp_path: Path) -> None:
    told = [
        (str(one.part.role), one.part.installed.offer.kind, one.line, one.place, one.because)
        for one in account(tmp_path).parts
    ]
    assert told == [
        ("l1", "rpc", None, None, "the profile names none; the only l1 that fits, of those installed"),
        (
            "blobs", "beacon", None, None,
            "the profile names none, data blob requires one; the only blobs that fits, of those installed",
        ),
        ("data", "blob", 3, None, None),
        ("engine", "faulty", 5, None, None),
        ("engine", "fast", 8, "under engine faulty", None),
        ("engine", "slow", 10, "in the shadow of engine faulty", None),
    ]  # fmt: skip


def test_who_needs_a_capability_and_who_uses_it(tmp_path: Path) -> None:
    told = {
        (one.part, one.capability.value): (one.needed_by, one.used_by)
        for one in account(tmp_path).capabilities
        if one.part in ("engine fast", "engine slow (shadow)")
    }
    assert told == {
        ("engine fast", "executes"): (("needs of [engine]",), ()),
        ("engine fast", "state-queries"): (("[eth]",), ()),
        ("engine fast", "tx-pool"): ((), ("[eth]",)),
        ("engine slow (shadow)", "executes"): ((), ()),
        ("engine slow (shadow)", "state-queries"): ((), ()),
        ("engine slow (shadow)", "tx-pool"): ((), ()),
    }


def test_which_part_gets_which_other(tmp_path: Path) -> None:
    told = [(one.part, one.role, one.given) for one in account(tmp_path).requirements]
    assert told == [("data blob", Role.BLOBS, ("beacon",)), ("engine faulty", Role.ENGINE, ("fast",))]


def test_ports_and_processes_are_told(tmp_path: Path) -> None:
    told = account(tmp_path)
    assert [(used.port, str(used)) for used in told.ports] == [
        (8000, "port of [eth]"),
        (8546, "ws_port of [eth]"),
        (30303, "port of l1 'rpc' (acme 1.0)"),
    ]
    assert told.processes == ("the node", "engine slow, in the shadow")
    alone = account(tmp_path, "[chain]\nname = 'op-sepolia'\n[engine]\nkind = 'fast'\n[[data]]\nkind = 'calldata'\n"
                    "[node]\nisolation = 'process'\n")  # fmt: skip
    assert alone.processes == ("the node", "the engine", "derivation")


def test_settings_have_their_values_and_origins_and_no_secret(tmp_path: Path) -> None:
    text = PROFILE + "[l1]\nkind = 'rpc'\nurl = { env = 'KEY_URL' }\n"
    environment = {"KEY_URL": "https://host/v3/hunter2", "KROMA_L1__PORT": "7"}
    l1 = next(one for one in account(tmp_path, text, environment).parts if one.part.role is Role.L1)
    assert [(one.name, one.value, str(one.origin)) for one in l1.settings] == [
        ("url", "***", "line 16, secret in the environment variable KEY_URL"),
        ("port", 7, "KROMA_L1__PORT"),
    ]


def test_a_kind_that_the_environment_has_chosen_is_from_there(tmp_path: Path) -> None:
    told = account(tmp_path, PROFILE, {"KROMA_DATA__0__KIND": "calldata"})
    [data] = [one for one in told.parts if one.part.role is Role.DATA]
    assert (data.part.installed.offer.kind, str(data.kind)) == ("calldata", "KROMA_DATA__0__KIND")


def test_a_fresh_node_begins_at_genesis(tmp_path: Path) -> None:
    start = account(tmp_path).start
    assert start.kind is StartKind.GENESIS
    assert start.text.startswith(
        "genesis: block 0 (0x102de6ffb001480cc9b8b548fd05c34cd4f46ae4aa91759393db90ea0409887d)"
    )


def test_a_node_whose_engine_has_stored_something_begins_there(tmp_path: Path) -> None:
    plan = account(tmp_path).plan
    (plan.data_dir / "engine" / "fast" / "chain").mkdir(parents=True)
    safe = BlockId(b"\x11" * 32, 75)
    store = SafeHeadStore(plan.data_dir / SAFE_HEADS)
    store.write(None, [Entry(l1=BlockId(b"\x22" * 32, 14), safe=safe), Entry(l1=BlockId(bytes(32), 15), safe=None)])
    running = account(tmp_path).start
    store.close()
    assert running == account(tmp_path).start
    assert (running.kind, running.block) == (StartKind.STORED, safe)
    assert f"the last safe block noted: {safe}, after L1 block 14" in running.text


def test_looking_at_what_is_stored_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / SAFE_HEADS
    assert last_stored(path) is None
    store = SafeHeadStore(path)
    store.write(None, [Entry(l1=BlockId(bytes(32), 1), safe=BlockId(bytes(32), 2))])
    store.close()
    before = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert last_stored(path) == Entry(l1=BlockId(bytes(32), 1), safe=BlockId(bytes(32), 2))
    assert {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before
    path.write_bytes(b"not a database" * 100)
    assert last_stored(path) is None


def test_a_checkpoint_is_where_a_fresh_node_begins(tmp_path: Path) -> None:
    told = account(tmp_path, PROFILE + f"[node]\ncheckpoint = '0x{'11' * 32}'\n")
    assert told.start.kind is StartKind.CHECKPOINT
    assert f"checkpoint 0x{'11' * 32}: the engine has to have that block, with its state" in told.start.text
    [needed] = [
        one.needed_by
        for one in told.capabilities
        if one.part == "engine fast" and one.capability is Capability.EXECUTES
    ]
    assert needed == ("needs of [engine]", "checkpoint of [node]")


def test_a_data_directory_of_another_chain_is_refused(tmp_path: Path) -> None:
    plan = account(tmp_path).plan
    other = attrs.evolve(plan.chain, rollup=attrs.evolve(plan.chain.rollup, l2_chain_id=5))
    with claimed(plan.data_dir, other):
        pass
    with pytest.raises(ConfigError, match="it belongs to chain"):
        account(tmp_path)
