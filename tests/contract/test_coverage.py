"""Every installed offer of a role that has a suite is put through it."""

from __future__ import annotations

from kroma_core.api import Role
from kroma_core.node.registry import discover
from tests.contract import test_blob_sources, test_data_sources, test_engines, test_l1_sources

SUITES = (test_l1_sources, test_blob_sources, test_data_sources, test_engines)


def test_every_installed_offer_has_its_suite() -> None:
    tested = {
        offer
        for module in SUITES
        for found in vars(module).values()
        if (offer := getattr(found, "offer", None)) is not None
    }
    installed = {
        (found.role, found.offer.kind)
        for role in (Role.L1, Role.BLOBS, Role.DATA, Role.ENGINE)
        for found in discover().of_role(role)
    }
    assert installed <= tested
