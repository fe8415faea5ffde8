"""Answers of two servers of the `eth_` methods, side by side: what may differ, and where they differ first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def alike(method: str, answer: Any) -> Any:
    """An answer without what may differ."""
    if isinstance(answer, Mapping) and "error" in answer and isinstance(answer["error"], Mapping):
        error = dict(answer["error"])
        if error["code"] == -32602:
            return {"code": -32602}  # the form of parameters is described in our own words
        if error["code"] == -32003:
            return {"code": -32000}  # an answer that is too large; ours has a code of its own
        text = error["message"].lower()  # op-geth writes addresses with a checksum
        text = re.sub(r" \(\d+ <=> \d+\)", "", text)  # how far the stack was short
        text = text.replace(": not enough gas for reentrancy sentry", "")  # why the gas was not enough
        text = re.sub(r"0x[0-9a-f]{64} err: ", "", text)  # the hash of a transaction that nobody signed
        if "larger than" in text or "too large" in text:
            return {"code": -32000}
        return {**error, "message": text}
    if method == "eth_createAccessList":
        entries = [(one["address"], sorted(one["storageKeys"])) for one in answer["accessList"]]
        return {**answer, "accessList": sorted(entries)}  # op-geth's comes out of a map
    return _without_words(answer)


def _without_words(answer: Any) -> Any:
    """Precompiles explain themselves in each client's own words, stacks with their sizes."""
    if isinstance(answer, list):
        return [_without_words(one) for one in answer]
    if not isinstance(answer, Mapping):
        return answer
    found = {key: _without_words(value) for key, value in answer.items()}
    if isinstance(found.get("error"), str):
        found["error"] = "failed" if _of_precompile(found) else re.sub(r" \(\d+ <=> \d+\)", "", found["error"])
    return found


def _of_precompile(frame: Mapping[str, Any]) -> bool:
    return re.fullmatch(r"0x0{36,37}[0-9a-f]{3,4}", str(frame.get("to"))) is not None


def difference(expected: Any, got: Any, path: str = "") -> str:
    """Where two answers differ first."""
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        for key in sorted({*expected, *got}):
            if key not in expected or key not in got:
                return f"{path}.{key}: {'op-geth' if key in expected else 'kroma'} alone has it"
            if expected[key] != got[key]:
                return difference(expected[key], got[key], f"{path}.{key}")
    if isinstance(expected, list) and isinstance(got, list):
        for index, (left, right) in enumerate(zip(expected, got, strict=False)):
            if left != right:
                return difference(left, right, f"{path}[{index}]")
    return f"{path}: op-geth {str(expected)[:200]}, kroma {str(got)[:200]}"
