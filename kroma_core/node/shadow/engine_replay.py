"""A divergence of engines, again: the blocks before it, then the question, to each of the two engines."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import attrs

from kroma_core.codec.hexadecimal import data_list, fixed
from kroma_core.codec.payloads import envelope_from_json
from kroma_core.errors import DecodeError, KromaError
from kroma_core.node.data_directory import claimed
from kroma_core.node.isolation.process import started
from kroma_core.node.plan import PlannedPart
from kroma_core.node.shadow.engine import layers_of
from kroma_core.node.shadow.engine_answer import (
    EngineAnswer,
    Expectation,
    Made,
    Refused,
    answer_differences,
    question_of,
)
from kroma_core.node.shadow.engine_bundle import EngineInputs, read_engine_inputs
from kroma_core.node.shadow.engine_comparison import RemoteFollower
from kroma_core.node.shadow.engine_follower import EngineFollowerHost, Lacks, Layer, Other
from kroma_core.node.shadow.leading import version_of
from kroma_core.node.shadow.replaying import NOT_INSTALLED, Asked, Replayed, ReplayTask, Side
from kroma_core.types import Hash32


@attrs.frozen
class _Unasked:
    """An engine that could not be asked, and why."""

    reason: str


async def replay_engine(task: ReplayTask) -> Replayed:
    """Ask both engines what they were asked then. Raises `DecodeError`."""
    inputs = read_engine_inputs(task.bundle.divergence.inputs)
    answers: dict[Side, EngineAnswer] = {}
    sides = []
    for side in Side:
        divergence = task.bundle.divergence
        output = divergence.leader_output if side is Side.LEADER else divergence.follower_output
        then = read_answer(output, f"outputs.{side}")
        now = await _answer(task, side, inputs)
        answers[side] = then if isinstance(now, _Unasked) else now
        sides.append(_told(task, side, then, now))
    differences = tuple(answer_differences(answers[Side.LEADER], answers[Side.FOLLOWER], task.chain))
    return Replayed(sides=tuple(sides), differences=differences)


def read_answer(output: Any, name: str) -> EngineAnswer:
    """An answer as a bundle has it. Raises `DecodeError`."""
    refused, payload = output.get("refused"), output.get("payload")
    if isinstance(refused, str):
        return Refused(refused)
    if not isinstance(payload, dict):
        raise DecodeError(f"{name}: expected payload or refused, got neither")
    receipts, root = output.get("receipts"), output.get("message_passer_storage_root")
    return Made(
        payload=envelope_from_json(payload),
        receipts=None if receipts is None else tuple(data_list(receipts, f"{name}.receipts")),
        passer_root=None if root is None else fixed(root, 32, f"{name}.message_passer_storage_root"),
    )


async def _answer(task: ReplayTask, side: Side, inputs: EngineInputs) -> EngineAnswer | _Unasked:
    part = task.part(side)
    if part is None:
        return _Unasked(NOT_INSTALLED)
    with ExitStack() as stack:
        if isinstance(part, PlannedPart):
            layers = layers_of(part)
            if inputs.base is None:
                layers = tuple(attrs.evolve(layer, data_dir=task.folder / side / layer.kind) for layer in layers)
            elif task.plan is not None:
                stack.enter_context(claimed(task.plan.data_dir, task.chain))
        else:
            settings, kind = part.offer.config(), part.offer.kind
            layers = (Layer(kind=kind, settings=settings, data_dir=task.folder / side / kind),)
        try:
            host = EngineFollowerHost(layers=layers, chain=task.chain)  # a process each: neither can mislead the other
            async with started(host, f"the {side}", lambda event: None) as child:
                return await _asked(RemoteFollower(child), inputs, task)
        except KromaError as error:
            return _Unasked(str(error))


async def _asked(follower: RemoteFollower, inputs: EngineInputs, task: ReplayTask) -> EngineAnswer | _Unasked:
    if inputs.base is not None and not await follower.has(inputs.base):
        return _Unasked(_without_state(inputs.base))
    for payload in inputs.before:
        match await follower.follow(question_of(payload, task.chain), Expectation(hash=payload.hash)):
            case Lacks():
                return _Unasked(f"it does not have the block before L2 block {payload.id}")
            case Other(answer=other):
                what = other.reason if isinstance(other, Refused) else f"it makes 0x{other.payload.hash.hex()} of it"
                return _Unasked(f"it parts before that already, at L2 block {payload.id}: {what}")
            case _:
                pass
    found = await follower.ask(inputs.question)
    return _Unasked(f"it does not have block 0x{inputs.question.parent.hex()}") if found is None else found


def _without_state(base: Hash32) -> str:
    return (
        f"the bundle begins after L2 block 0x{base.hex()}, and it does not have that one; "
        "--profile can name an engine that has its state"
    )


def _told(task: ReplayTask, side: Side, then: EngineAnswer, now: EngineAnswer | _Unasked) -> Asked:
    if isinstance(now, _Unasked):
        return Asked(side=side, version=None, note=now.reason)
    part = task.part(side)
    version = None if part is None else version_of(part)
    changes = tuple(answer_differences(then, now, task.chain))
    note = "gives what it gave then" if not changes else f"gives something else than then: {changes[0]}"
    return Asked(side=side, version=version, note=note)
