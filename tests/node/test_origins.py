"""Where a setting has its value from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from kroma_core.node.origins import DEFAULT, Origins, lines_of
from kroma_core.node.profile import read_profile

TEXT = """\
# a profile
node.log_level = "debug"

[l1]
kind = "rpc" # the L1
urls = [
  "http://one", # [data]
  { env = "URL" },
]

[[data]]
kind = "calldata"

[[data]]
kind = "blob"
text = '''
[engine]
kind = "in a text"
'''

[engine]
inner = { deep.key = 1, list = [{ a = 1 }] }
"quoted key" = 2

[[engine.shadow]]
kind = "first"
[[engine.shadow]]
kind = "second"
[engine.shadow.wraps]
kind = "third"
"""


@pytest.mark.parametrize(
    ("way", "line"),
    [
        (("node", "log_level"), 2),
        (("l1",), 4),
        (("l1", "kind"), 5),
        (("l1", "urls"), 6),
        (("l1", "urls", 1, "env"), 6),
        (("data", 0), 11),
        (("data", 0, "kind"), 12),
        (("data", 1, "kind"), 15),
        (("data", 1, "text"), 16),
        (("engine",), 21),
        (("engine", "inner", "deep", "key"), 22),
        (("engine", "inner", "list", 0, "a"), 22),
        (("engine", "quoted key"), 23),
        (("engine", "shadow", 1, "kind"), 28),
        (("engine", "shadow", 1, "wraps", "kind"), 30),
    ],
    ids=str,
)
def test_tables_and_keys_have_the_line_on_which_they_begin(way: tuple[str | int, ...], line: int) -> None:
    assert lines_of(TEXT)[way] == line


def test_what_stands_in_a_text_is_no_key() -> None:
    assert ("engine", "kind") not in lines_of(TEXT)


def test_a_line_ends_with_a_line_feed_alone() -> None:
    assert lines_of("[l1]\r\na = 'x\u2028y\x85z'\r\nb = 1\r\n") == {("l1",): 1, ("l1", "a"): 2, ("l1", "b"): 3}


def test_a_text_that_ends_in_the_middle_has_the_lines_up_to_there() -> None:
    assert lines_of("[l1]\na = 1\nb = [1,\n") == {("l1",): 1, ("l1", "a"): 2}


def origins(tmp_path: Path, text: str, environment: Mapping[str, str] | None = None) -> Origins:
    path = tmp_path / "p.toml"
    path.write_text(text)
    return Origins.of(read_profile(path, environment or {}, []))


def test_a_setting_is_from_the_file_the_environment_or_nowhere(tmp_path: Path) -> None:
    text = "[node]\nlog_level = 'debug'\nlog_format = 'json'\n[[data]]\nkind = 'blob'\n"
    found = origins(tmp_path, text, {"KROMA_NODE__LOG_LEVEL": "error", "KROMA_DATA__0__KIND": "calldata"})
    assert str(found.find(("node", "log_level"))) == "KROMA_NODE__LOG_LEVEL"
    assert str(found.find(("node", "log_format"))) == "line 3"
    assert str(found.find(("data", 0, "kind"))) == "KROMA_DATA__0__KIND"
    assert found.find(("node", "isolation")) == DEFAULT
    assert found.find(("data", 3, "kind")) == DEFAULT


def test_of_a_secret_it_is_told_where_it_is_kept(tmp_path: Path) -> None:
    text = "[l1]\nkind = 'rpc'\nurls = [{ env = 'KEY_URL' }, 'http://a', { file = 'url.txt' }]\n"
    assert str(origins(tmp_path, text).find(("l1", "urls"))) == (
        "line 3, secret in the environment variable KEY_URL, secret in the file url.txt"
    )
