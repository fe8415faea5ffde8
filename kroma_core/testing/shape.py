"""Whether a part has the methods of its protocol, as far as it shows without calling them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator


def shape_problems(part: object, protocol: type) -> list[str]:
    """One sentence for each method of `protocol` that `part` lacks, or has with other parameters."""
    return list(_problems(part, protocol))


def _problems(part: object, protocol: type) -> Iterator[str]:
    for name, wanted in vars(protocol).items():
        if name.startswith("_") or not inspect.isfunction(wanted):
            continue
        found = getattr(part, name, None)
        if found is None:
            yield f"{name}: missing"
            continue
        if inspect.iscoroutinefunction(wanted) != inspect.iscoroutinefunction(found):
            yield f"{name}: expected {'an async' if inspect.iscoroutinefunction(wanted) else 'a plain'} function"
        arguments = [None] * (len(inspect.signature(wanted).parameters) - 1)
        try:
            inspect.signature(found).bind(*arguments)
        except TypeError as error:
            yield f"{name}: cannot be called with {len(arguments)} arguments: {error}"
