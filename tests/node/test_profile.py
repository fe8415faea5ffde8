"""Reading a profile: its tables, core's own keys, and the environment over it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from kroma_core.api import Capability, Role
from kroma_core.errors import ConfigError
from kroma_core.node.profile import LogFormat, LogLevel, Profile, read_profile


def read(tmp_path: Path, text: str, environment: Mapping[str, str] | None = None) -> tuple[Profile, list[str]]:
    path = tmp_path / "p.toml"
    path.write_text(text)
    problems: list[str] = []
    profile = read_profile(path, environment or {}, problems)
    return profile, [problem.replace(str(path), "p.toml") for problem in problems]


def test_tables_are_read(tmp_path: Path) -> None:
    profile, problems = read(
        tmp_path,
        """
        [chain]
        name = "somewhere"
        [engine]
        kind = "fast"
        needs = ["executes"]
        store = "s"
        [[data]]
        kind = "calldata"
        [[data]]
        kind = "blob"
        [node]
        data_dir = "d"
        log_level = "debug"
        log_format = "json"
        stop_after = 10
        """,
    )
    assert problems == []
    assert profile.chain is not None
    assert profile.chain.name == "somewhere"
    assert profile.node.data_dir == tmp_path / "d"
    assert (profile.node.log_level, profile.node.log_format) == (LogLevel.DEBUG, LogFormat.JSON)
    assert profile.node.stop_after == 10
    [engine] = profile.parts[Role.ENGINE]
    assert (engine.kind, engine.needs, engine.settings) == ("fast", {Capability.EXECUTES}, {"store": "s"})
    assert [part.kind for part in profile.parts[Role.DATA]] == ["calldata", "blob"]
    assert Role.L1 not in profile.parts


def test_every_problem_is_found_at_once(tmp_path: Path) -> None:
    _, problems = read(
        tmp_path,
        """
        [chian]
        name = "x"
        [engine]
        kind = 5
        needs = ["executs"]
        [data]
        kind = "calldata"
        [node]
        log_levle = "info"
        stop_after = -1
        """,
    )
    assert problems == [
        'p.toml: chian: unknown key; did you mean "chain"?',
        'p.toml: [node] log_levle: unknown key; did you mean "log_level"?',
        "p.toml: data: there may be several, so write [[data]] for each",
        "p.toml: [engine] kind: expected text, got 5",
        "p.toml: [engine] needs: item 1: expected one of executes, state-queries, proofs, tx-pool, "
        "block-traces, timeline, expectations, publishes, "
        'got the text "executs"; did you mean "executes"?',
    ]


def test_a_negative_stop_is_refused(tmp_path: Path) -> None:
    _, [problem] = read(tmp_path, "[node]\nstop_after = -1")
    assert problem == "p.toml: [node] stop_after: expected a number of blocks from 0 on, got -1"


def test_one_of_a_kind_is_not_a_list(tmp_path: Path) -> None:
    _, [problem] = read(tmp_path, "[[engine]]\nkind = 'fast'")
    assert problem == "p.toml: engine: expected one table [engine], got a list"


def test_parts_in_the_shadow_of_another_are_tables_in_its_table(tmp_path: Path) -> None:
    text = "[engine]\nkind = 'pyevm'\n[[engine.shadow]]\nkind = 'rpc'\nurl = 'a'\n[[engine.shadow]]\nkind = 'recorded'"
    profile, problems = read(tmp_path, text, {"KROMA_ENGINE__SHADOW__0__URL": "b"})
    assert problems == []
    [engine] = profile.parts[Role.ENGINE]
    assert [(each.kind, each.place.rpartition(": ")[2]) for each in engine.shadows] == [
        ("rpc", "[engine] shadow 1"),
        ("recorded", "[engine] shadow 2"),
    ]
    assert engine.shadows[0].settings == {"url": "b"}
    assert engine.settings == {}


def test_a_single_table_is_not_taken_for_a_list_of_shadows(tmp_path: Path) -> None:
    _, [problem] = read(tmp_path, "[l1]\nkind = 'rpc'\n[l1.shadow]\nkind = 'cassette'")
    assert problem == "p.toml: [l1] shadow: there may be several, so write [[l1.shadow]] for each"


@pytest.mark.parametrize("content", [b"[chain\n", b"a = 1\na = 2\n", b"\xff\xfe"])
def test_what_is_not_toml_is_refused_with_the_files_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"p\.toml: "):
        read_profile(path, {}, [])


def test_a_profile_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_profile(tmp_path / "absent.toml", {}, [])


def test_environment_variables_override_settings(tmp_path: Path) -> None:
    profile, problems = read(
        tmp_path,
        "[engine]\nkind = 'fast'\nstore = 'a'\n[[data]]\nkind = 'x'\n",
        {
            "KROMA_ENGINE__STORE": "b",
            "KROMA_NODE__STOP_AFTER": "12",
            "KROMA_DATA__0__KIND": "y",
            "KROMA_CHAIN__NAME": "elsewhere",
            "KROMA_DEBUG": "1",
            "PATH": "/bin",
        },
    )
    assert problems == []
    assert profile.parts[Role.ENGINE][0].settings == {"store": "b"}
    assert profile.parts[Role.DATA][0].kind == "y"
    assert profile.node.stop_after == 12
    assert profile.chain is not None
    assert profile.chain.name == "elsewhere"


@pytest.mark.parametrize(
    "variable", ["KROMA_ENGIN__STORE", "KROMA_STORE", "KROMA_DATA__KIND", "KROMA_DATA__7__KIND", "KROMA_ENGINE__"]
)
def test_an_environment_variable_that_names_no_setting_is_a_problem(tmp_path: Path, variable: str) -> None:
    _, problems = read(tmp_path, "[[data]]\nkind = 'x'\n", {variable: "1"})
    assert any(variable in problem for problem in problems)


def test_a_variable_that_a_secret_refers_to_may_have_any_name(tmp_path: Path) -> None:
    assert read(tmp_path, '[engine]\nkey = { env = "KROMA_JWT" }', {"KROMA_JWT": "x"})[1] == []
