"""Severity of a failure, decided once at the border where it happens.

Invalid batches and absent data are values, not exceptions: only what stops or restarts work is raised.
"""

from __future__ import annotations


class KromaError(Exception):
    """Base of everything this project raises on purpose; its text is fit for an operator."""


class TemporaryError(KromaError):
    """The same call may succeed later: a source is unreachable, slow or behind. The caller retries with back-off."""


class ResetError(KromaError):
    """What was derived no longer rests on the canonical L1 chain: derivation restarts from a safe block that holds."""


class DataMissing(ResetError):
    """Everybody who may have data that L1 names has answered, and nobody has it: an old branch, or it expired."""


class EngineSyncing(TemporaryError):
    """The engine answers, and has yet to fetch or execute what the call rests on."""


class CriticalError(KromaError):
    """Nothing sensible can be done: the rollup's own contracts or stores contradict the protocol. The node halts."""


class ConfigError(KromaError):
    """The operator's input is wrong; raised before anything opens. Holds every problem found, not the first alone."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems: tuple[str, ...] = problems


class DecodeError(KromaError, ValueError):
    """Bytes or text that are not what their format says. The message names field, expected and got."""


class NotFound(KromaError):
    """The source answered, and it does not have the block (or blob) that was asked for."""
