"""Scripts: what they say, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from kroma_engine_faults.script import Call, Kind, Rule, Script, read_script

from kroma_core.errors import ConfigError


def script(folder: Path, text: str, name: str = "script.toml") -> Script:
    path = folder / name
    path.write_text(text)
    return read_script(path)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        script(folder, text)
    return [problem.partition("script.toml: ")[2] for problem in caught.value.problems]


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    toml = 'seed = 7\n[[fault]]\ndo = "delay"\non = ["build"]\nseconds = 0.5\nmost = 3\n'
    json = '{"seed": 7, "fault": [{"do": "delay", "on": ["build"], "seconds": 0.5, "most": 3}]}'
    rule = Rule(do=Kind.DELAY, on=frozenset({Call.BUILD}), seconds=0.5, up_to=0.5, most=3)
    assert script(tmp_path, toml) == script(tmp_path, json, "script.json") == Script(seed=7, rules=(rule,))


def test_a_rule_that_names_no_calls_strikes_all_that_can_fail_so(tmp_path: Path) -> None:
    [error, invalid] = script(tmp_path, '[[fault]]\ndo = "error"\n[[fault]]\ndo = "invalid"\n').rules
    assert error.on == frozenset(Call)
    assert invalid.on == {Call.BUILD, Call.SEAL, Call.EXECUTE}


def test_no_script_lets_everything_pass() -> None:
    assert read_script(None) == Script()


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = """
    sead = 1
    [[fault]]
    do = "explode"
    [[fault]]
    do = "invalid"
    on = ["heads"]
    probability = 1.5
    [[fault]]
    do = "delay"
    most = -1
    [[fault]]
    do = "error"
    first_block = "ten"
    colour = "red"
    """
    assert problems(tmp_path, text) == [
        "sead: unknown key (there are: seed, fault)",
        "[[fault]] number 1: do: expected one of delay, error, lost, syncing, invalid, restart, got 'explode'",
        "[[fault]] number 2: probability: expected a number from 0 to 1, got 1.5",
        "[[fault]] number 2: on: expected calls out of build, execute, seal for invalid, got 'heads'",
        "[[fault]] number 3: most: expected a number from 0 on, got -1",
        "[[fault]] number 3: seconds: missing; how long is the delay?",
        "[[fault]] number 4: colour: unknown key (there are: do, on, probability, after, most, rest, "
        "first_block, last_block, seconds, up_to, reason)",
        "[[fault]] number 4: first_block: expected a number from 0 on, got 'ten'",
    ]


@pytest.mark.parametrize("text", ["seed = ", "[[fault]", "\0"])
def test_what_is_no_toml_is_told_with_the_file(text: str, tmp_path: Path) -> None:
    [problem] = problems(tmp_path, text)
    assert problem.startswith("not TOML: ")
