"""From a table of a profile to a config class, strictly.

Nothing is converted that the operator did not write: text is not a number, a number is not a boolean, an unknown key is
a mistake. Every problem of a table is found, not the first alone.
"""

from __future__ import annotations

import difflib
import enum
import re
import tomllib
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
import cattrs
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError

from kroma_core.api.settings import InputFile, Port, RecordingFile, Secret

T = TypeVar("T")


class EnvironmentText(str):
    """A setting that came from an environment variable: text whose type the setting decides."""

    variable: str

    def __new__(cls, text: str, variable: str) -> EnvironmentText:
        self = super().__new__(cls, text)
        self.variable = variable
        return self


class SettingError(ValueError):
    """A value that is not what its setting wants."""


@attrs.frozen(kw_only=True)
class SettingsReader:
    """Structures tables of one profile. `base` is the folder that relative paths count from."""

    base: Path
    environment: Mapping[str, str] = attrs.field(repr=False)
    _converter: cattrs.Converter = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_converter", self._make_converter())

    def read(
        self,
        table: Mapping[str, Any],
        config: type[T],
        place: str,
        problems: list[str],
        *,
        beside: Sequence[str] = (),
    ) -> T | None:
        """The settings in `table`; None when there are problems, which are appended, each beginning with `place`.

        `beside` are words that the table may have and that somebody else reads: an unknown key may be meant for one.
        """
        try:
            return self._converter.structure(table, config)
        except ClassValidationError as group:
            problems += [f"{place} {text}" for text in _texts(group, config, table, "", beside)]
        except SettingError as error:
            problems.append(f"{place}: {error}")
        return None

    def _make_converter(self) -> cattrs.Converter:
        converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
        simple: dict[Any, Callable[[Any, Any], Any]] = {
            str: _text,
            int: _integer,
            float: _number,
            bool: _boolean,
            bytes: _hex,
            Path: self._path,
            Secret: self._secret,
        }
        for wanted, hook in simple.items():
            converter.register_structure_hook(wanted, hook)
        converter.register_structure_hook_func(lambda wanted: wanted in (InputFile, RecordingFile), self._input_file)
        converter.register_structure_hook_func(lambda wanted: wanted is Port, _port)
        converter.register_structure_hook_func(
            lambda wanted: wanted in (str | Secret, str | Secret | None), self._text_or_secret
        )
        converter.register_structure_hook_func(is_enumeration, _member)
        converter.register_structure_hook_factory(_is_table, lambda wanted: _from_table(wanted, converter))
        converter.register_structure_hook_factory(is_list, lambda wanted: _from_list(wanted, converter))
        return converter

    def _path(self, value: Any, wanted: Any) -> Path:
        return self.base / Path(_text(value, str)).expanduser()

    def _input_file(self, value: Any, wanted: Any) -> Path:
        path = self._path(value, wanted)
        if not path.is_file():
            raise SettingError(f"there is no file {path}")
        return path

    def _secret(self, value: Any, wanted: Any) -> Secret:
        match value:
            case {"env": str(name), **rest} if not rest:
                if name not in self.environment:
                    raise SettingError(f"the environment variable {name} is not set")
                return Secret(self.environment[name])
            case {"file": str(name), **rest} if not rest:
                path = self.base / Path(name).expanduser()
                try:
                    return Secret(path.read_text().strip())
                except (OSError, UnicodeDecodeError) as error:
                    raise SettingError(f"cannot read the secret in {path}: {_reason(error)}") from error
        raise SettingError('a secret is not written here: say { env = "NAME" } or { file = "path" }')

    def _text_or_secret(self, value: Any, wanted: Any) -> Any:
        """Text that may also be kept elsewhere, such as a URL that may hold a key."""
        return self._secret(value, Secret) if isinstance(value, Mapping) else _text(value, str)


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is not text"


def _text(value: Any, wanted: Any) -> Any:
    if is_enumeration(wanted):  # an enumeration of texts is a kind of text
        return _member(value, wanted)
    if not isinstance(value, str):
        raise SettingError(f"expected text, got {shown(value)}")
    return str(value)


def _integer(value: Any, wanted: Any) -> Any:
    if is_enumeration(wanted):
        return _member(value, wanted)
    value = _plain(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise SettingError(f"expected a whole number, got {shown(value)}")
    return value


def _number(value: Any, wanted: Any) -> float:
    value = _plain(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise SettingError(f"expected a number, got {shown(value)}")
    return float(value)


def _boolean(value: Any, wanted: Any) -> bool:
    value = _plain(value)
    if not isinstance(value, bool):
        raise SettingError(f"expected true or false, got {shown(value)}")
    return value


def _hex(value: Any, wanted: Any) -> bytes:
    text = _text(value, wanted)
    if not _BYTES.fullmatch(text):
        raise SettingError(f"expected 0x and hexadecimal digits, two for each byte, got {shown(value)}")
    return bytes.fromhex(text[2:])


_BYTES = re.compile(r"0x([0-9a-fA-F]{2})*")


def _port(value: Any, wanted: Any) -> int:
    port = int(_integer(value, int))
    if not 0 <= port <= 65535:
        raise SettingError(f"expected a port from 0 to 65535, got {port}")
    return port


def is_enumeration(wanted: Any) -> bool:
    return isinstance(wanted, type) and issubclass(wanted, enum.Enum)


def _member(value: Any, wanted: type[enum.Enum]) -> enum.Enum:
    choices = [str(member.value) for member in wanted]
    for member in wanted:
        if member.value == value:
            return member
    raise SettingError(f"expected one of {', '.join(choices)}, got {shown(value)}{suggestion(value, choices)}")


def _is_table(wanted: Any) -> bool:
    return isinstance(wanted, type) and attrs.has(wanted) and wanted is not Secret


def _from_table(wanted: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    attrs.resolve_types(wanted)
    structure = cattrs.gen.make_dict_structure_fn(
        wanted, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True
    )

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, Mapping):
            raise SettingError(f"expected a table, got {shown(value)}")
        return structure(value, wanted)

    return hook


def is_list(wanted: Any) -> bool:
    return typing.get_origin(wanted) in (tuple, list, Sequence, frozenset)


def _from_list(wanted: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    element = typing.get_args(wanted)[0]
    container = frozenset if typing.get_origin(wanted) is frozenset else tuple

    def hook(value: Any, _: Any) -> Any:
        value = _plain(value)
        if not isinstance(value, list):
            raise SettingError(f"expected a list, got {shown(value)}")
        items = []
        for place, item in enumerate(value, 1):
            try:
                items.append(converter.structure(item, element))
            except SettingError as error:
                raise SettingError(f"item {place}: {error}") from error
        return container(items)

    return hook


def _plain(value: Any) -> Any:
    """What an environment variable says, read as a TOML value where it is one."""
    if isinstance(value, EnvironmentText):
        try:
            return tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            return str(value)
    return value


def shown(value: Any) -> str:
    """A value of a profile for a message, with its type where that may be the mistake."""
    match value:
        case str():
            return f'the text "{value}"'
        case bool():
            return "true" if value else "false"
        case Mapping():
            return "a table"
        case list():
            return "a list"
        case _:
            return str(value)


def suggestion(word: object, known: Sequence[str]) -> str:
    """What to add to a message about a word that is not one of the known ones: the closest of them, if one is."""
    close = difflib.get_close_matches(str(word), known, n=1)
    return f'; did you mean "{close[0]}"?' if close else ""


def unknown_key(key: str, known: Sequence[str], beside: Sequence[str] = ()) -> str:
    """What to say of a key that nothing understands; it may be one `beside` those that are known, misspelt."""
    return f"{key}: unknown key{suggestion(key, (*known, *beside)) or _choices(known)}"


def _choices(known: Sequence[str]) -> str:
    return f" (there are: {', '.join(known)})" if known else " (nothing can be set here)"


def _texts(group: BaseExceptionGroup, config: Any, table: Any, path: str, beside: Sequence[str] = ()) -> list[str]:
    """The problems in a validation error of cattrs, each as `key: what is wrong`."""
    found: list[str] = []
    for error in group.exceptions:
        key = path + _key_of(error)
        match error:
            case ForbiddenExtraKeysError():
                known = [field.name for field in attrs.fields(error.cl)]
                for extra in sorted(error.extra_fields):
                    found.append(f"{path}{unknown_key(extra, known, beside)}{_from_variable(table, extra)}")
            case KeyError():
                found.append(f"{path}{error.args[0]}: missing")
            case ClassValidationError() | IterableValidationError():
                found += _texts(error, config, {}, f"{key}.")
            case _:
                named = f"{key}: " if key else ""  # a validator's message names its field itself
                found.append(f"{named}{error}{_from_variable(table, _key_of(error))}")
    return found


def _key_of(error: BaseException) -> str:
    for note in getattr(error, "__notes__", ()):
        name = getattr(note, "name", None)
        if name is not None:
            return str(name)
    return ""


def _from_variable(table: Any, key: str) -> str:
    value = table.get(key) if isinstance(table, Mapping) else None
    return f" (from the environment variable {value.variable})" if isinstance(value, EnvironmentText) else ""
