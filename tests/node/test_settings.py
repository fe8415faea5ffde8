"""A table of a profile becomes settings strictly, and every mistake is told with file, table and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from kroma_core.api import Secret
from kroma_core.node.setting_docs import describe
from kroma_core.node.settings import EnvironmentText, SettingsReader
from tests.node.sample_parts import Colour, ManySettings

PLACE = "p.toml: [engine]"


def read(
    table: dict[str, Any], base: Path = Path("/base"), **environment: str
) -> tuple[ManySettings | None, list[str]]:
    problems: list[str] = []
    reader = SettingsReader(base=base, environment=environment)
    return reader.read(table, ManySettings, PLACE, problems), problems


def test_every_type_is_read(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("x")
    table = {
        "store": "s", "count": 7, "rate": 2, "loud": True, "colour": "green", "salt": "0xff00",
        "words": ["a", "b"], "input": "in", "port": 9545, "key": {"env": "KEY"},
    }  # fmt: skip
    settings, problems = read(table, tmp_path, KEY="swordfish")
    assert problems == []
    assert settings is not None
    assert settings == ManySettings(
        store=tmp_path / "s", count=7, rate=2.0, loud=True, colour=Colour.GREEN, salt=b"\xff\x00",
        words=("a", "b"), input=tmp_path / "in", port=9545, key=Secret("swordfish"),
    )  # fmt: skip


def test_a_missing_setting_is_named() -> None:
    assert read({}) == (None, [f"{PLACE} store: missing"])


def test_an_unknown_key_gets_a_suggestion() -> None:
    assert read({"store": "s", "coutn": 1})[1] == [f'{PLACE} coutn: unknown key; did you mean "count"?']


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("count", "3", 'expected a whole number, got the text "3"'),
        ("count", True, "expected a whole number, got true"),
        ("count", 1.5, "expected a whole number, got 1.5"),
        ("rate", "fast", 'expected a number, got the text "fast"'),
        ("loud", 1, "expected true or false, got 1"),
        ("store", 5, "expected text, got 5"),
        ("colour", "gren", 'expected one of red, green, got the text "gren"; did you mean "green"?'),
        ("salt", "0xzz", "expected 0x and hexadecimal digits"),
        ("salt", "5ac3", 'expected 0x and hexadecimal digits, two for each byte, got the text "5ac3"'),
        ("salt", "", 'expected 0x and hexadecimal digits, two for each byte, got the text ""'),
        ("salt", "0x5", "expected 0x and hexadecimal digits"),
        ("salt", "0x5a c3", "expected 0x and hexadecimal digits"),
        ("words", "abc", 'expected a list, got the text "abc"'),
        ("words", ["a", 1], "item 2: expected text, got 1"),
        ("input", "nowhere", "there is no file /base/nowhere"),
        ("port", 70000, "expected a port from 0 to 65535, got 70000"),
        ("key", {"env": "UNSET"}, "the environment variable UNSET is not set"),
        ("key", {"file": "nowhere"}, "cannot read the secret in /base/nowhere"),
    ],
)
def test_a_wrong_value_is_told_with_what_was_expected(key: str, value: Any, text: str) -> None:
    settings, [problem] = read({"store": "s", key: value})
    assert settings is None
    assert problem.startswith(f"{PLACE} {key}: {text}")


def test_all_problems_of_a_table_are_told_at_once() -> None:
    assert len(read({"count": "3", "loud": 1, "colour": 4, "stroe": "s"})[1]) == 5


def test_a_secret_written_into_the_profile_is_refused_and_not_repeated() -> None:
    _, [problem] = read({"store": "s", "key": "swordfish"})
    assert "env" in problem
    assert "swordfish" not in problem


def test_a_secret_is_never_printed() -> None:
    settings, _ = read({"store": "s", "key": {"env": "KEY"}}, KEY="swordfish")
    assert settings is not None
    assert settings.key is not None
    assert settings.key.reveal() == "swordfish"
    assert "swordfish" not in repr(settings)
    assert "swordfish" not in str(settings.key)


def test_a_secret_in_a_file_is_read_without_its_newline(tmp_path: Path) -> None:
    (tmp_path / "jwt").write_text("0xabc\n")
    settings, _ = read({"store": "s", "key": {"file": "jwt"}}, tmp_path)
    assert settings is not None
    assert settings.key == Secret("0xabc")


def test_text_from_the_environment_takes_the_type_of_its_setting() -> None:
    table = {
        "store": EnvironmentText("true", "KROMA_ENGINE__STORE"),
        "count": EnvironmentText("7", "KROMA_ENGINE__COUNT"),
        "loud": EnvironmentText("true", "KROMA_ENGINE__LOUD"),
        "words": EnvironmentText('["a"]', "KROMA_ENGINE__WORDS"),
        "colour": EnvironmentText("green", "KROMA_ENGINE__COLOUR"),
    }
    settings, problems = read(table)
    assert problems == []
    assert settings == ManySettings(store=Path("/base/true"), count=7, loud=True, words=("a",), colour=Colour.GREEN)


def test_a_wrong_value_from_the_environment_names_its_variable() -> None:
    _, [problem] = read({"store": "s", "count": EnvironmentText("many", "KROMA_ENGINE__COUNT")})
    assert problem.endswith("(from the environment variable KROMA_ENGINE__COUNT)")


def test_settings_document_themselves() -> None:
    found = {setting.name: setting for setting in describe(ManySettings)}
    assert found["store"].doc == "Where blocks are kept, relative to the profile."
    assert found["store"].default is None
    assert (found["colour"].type, found["colour"].default) == ("one of red, green", "red")
    assert (found["key"].type, found["key"].default) == ("secret", "none")
    assert (found["port"].type, found["port"].default) == ("port", "0")
    assert found["words"].type == "list of text"


@attrs.frozen(kw_only=True)
class Servers:
    urls: tuple[str | Secret, ...] = ()
    spare: str | Secret | None = None


def test_text_that_may_be_a_secret_is_read_either_way() -> None:
    reader = SettingsReader(base=Path("/base"), environment={"KEY": "http://h/swordfish"})
    problems: list[str] = []
    settings = reader.read({"urls": ["http://h", {"env": "KEY"}]}, Servers, PLACE, problems)
    assert problems == []
    assert settings == Servers(urls=("http://h", Secret("http://h/swordfish")))
    for given, spare in (("http://s", "http://s"), ({"env": "KEY"}, Secret("http://h/swordfish"))):
        assert reader.read({"spare": given}, Servers, PLACE, problems) == Servers(spare=spare)
    assert reader.read({"urls": [{"env": "UNSET"}]}, Servers, PLACE, problems) is None
    assert problems == [f"{PLACE} urls: item 1: the environment variable UNSET is not set"]
