"""What the role asks: with an empty script it is the engine below, optional protocols included."""

from __future__ import annotations

from maker import KIND, Maker

from kroma_core.api import Role
from kroma_core.testing.block_traces import BlockTracesSuite
from kroma_core.testing.declared import DeclaredSuite
from kroma_core.testing.engine import EngineSuite
from kroma_core.testing.queries import StateQueriesSuite, TxPoolSuite


class TestFaultyOffer(DeclaredSuite):
    offer = (Role.ENGINE, KIND)


class TestFaulty(Maker, EngineSuite):
    pass


class TestFaultyStateQueries(Maker, StateQueriesSuite):
    pass


class TestFaultyTxPool(Maker, TxPoolSuite):
    pass


class TestFaultyBlockTraces(Maker, BlockTracesSuite):
    pass
