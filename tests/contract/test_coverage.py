"""Every installed offer of a role that has a suite is put through it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType

import pytest

from kroma_core.api import Capability, Role
from kroma_core.node.registry import discover
from kroma_core.testing.conformance.suites import OPTIONAL, SUITES
from kroma_core.testing.declared import DeclaredSuite
from tests.contract import (
    test_blob_sources,
    test_data_sources,
    test_declared,
    test_engines,
    test_l1_sources,
    test_proof_systems,
    test_queries,
    test_transports,
)

MODULES: tuple[ModuleType, ...] = (
    test_declared,
    test_l1_sources,
    test_blob_sources,
    test_data_sources,
    test_engines,
    test_queries,
    test_transports,
    test_proof_systems,
)


def applied(suite: type) -> Iterator[tuple[Role, str]]:
    """The offers that have a test class of this suite."""
    for module in MODULES:
        for name, found in vars(module).items():
            offer = getattr(found, "offer", None)
            if name.startswith("Test") and inspect.isclass(found) and issubclass(found, suite) and offer is not None:
                yield offer


def installed() -> set[tuple[Role, str]]:
    return {(role, found.offer.kind) for role in Role for found in discover().of_role(role)}


def test_every_installed_offer_is_asked_what_it_declares() -> None:
    assert set(applied(DeclaredSuite)) == installed()


@pytest.mark.parametrize("role", list(Role))
def test_every_installed_offer_has_its_suite(role: Role) -> None:
    missing = {(found, kind) for found, kind in installed() if found is role} - set(applied(SUITES[role]))
    assert missing == set(), f"apply {SUITES[role].__name__} to them in tests/contract"


@pytest.mark.parametrize("capability", list(OPTIONAL))
def test_every_offer_with_an_optional_protocol_has_that_suite_too(capability: Capability) -> None:
    wanted = {
        (role, found.offer.kind)
        for role in Role
        for found in discover().of_role(role)
        if capability in found.offer.capabilities
    }
    assert wanted - set(applied(OPTIONAL[capability])) == set()
