"""What the role asks of it."""

from __future__ import annotations

from maker import KIND, Maker

from kroma_core.api import Role
from kroma_core.testing.declared import DeclaredSuite
from kroma_core.testing.observer import ObserverSuite


class TestArrowOffer(DeclaredSuite):
    offer = (Role.OBSERVE, KIND)


class TestArrow(Maker, ObserverSuite):
    pass
