"""What a verifier told its observers, as the verdict store has it."""

from __future__ import annotations

from kroma_core.node.explain.answer import Answer
from kroma_core.node.explain.ledger import Ledger
from kroma_core.node.explain.situation import Situation
from kroma_core.node.explain.stall import Surroundings, stall
from kroma_core.node.explain.store import VerdictStore
from tests.actions.actors import Verifier, World

NO_TIME = Surroundings(running=True)


def situation_of(world: World, verifier: Verifier, *, confirmations: int = 0) -> Situation:
    """Everything that was told so far, in a store of its own."""
    store = VerdictStore(None)
    store.write(Ledger().changes(verifier.events, now=0.0))
    return Situation(store, world.config, confirmations)


def stalled(world: World, verifier: Verifier, around: Surroundings = NO_TIME, *, confirmations: int = 0) -> Answer:
    return stall(situation_of(world, verifier, confirmations=confirmations), around)
