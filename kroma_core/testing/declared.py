"""What an offer says of itself, before anything is opened: the same for every role."""

from __future__ import annotations

import ast
import inspect
import textwrap

import attrs
import pytest

from kroma_core.api import API_VERSION, Capability, Role
from kroma_core.node.registry import wrong_calling, wrong_opening
from kroma_core.testing.installed import Installed, installed_offer
from kroma_core.testing.levels import Level, level

CAPABILITIES: dict[Role, frozenset[Capability]] = {
    Role.L1: frozenset({Capability.TIMELINE, Capability.EXPECTATIONS}),
    Role.DATA: frozenset({Capability.PUBLISHES}),
    Role.ENGINE: frozenset(
        {
            Capability.EXECUTES,
            Capability.STATE_QUERIES,
            Capability.PROOFS,
            Capability.TX_POOL,
            Capability.BLOCK_TRACES,
        }
    ),
}
"""What an offer of a role may claim beside the role's protocol."""


class DeclaredSuite:
    """Inherit, name role and kind, and name the class `Test...`."""

    offer: tuple[Role, str]

    def found(self) -> Installed:
        """As a node finds it; a test ends here where it finds none."""
        role, kind = self.offer
        try:
            return installed_offer(kind, role)
        except LookupError as error:
            pytest.fail(str(error), pytrace=False)

    @level(Level.DECLARED)
    def test_one_distribution_offers_it(self) -> None:
        found = self.found()
        assert (found.role, found.offer.kind) == self.offer

    @level(Level.DECLARED)
    def test_it_is_written_for_this_plugin_api(self) -> None:
        assert self.found().offer.api == API_VERSION

    @level(Level.DECLARED)
    def test_it_says_in_a_line_what_it_is(self) -> None:
        summary = self.found().offer.summary
        assert summary
        assert "\n" not in summary

    @level(Level.DECLARED)
    def test_settings_cannot_change_and_each_has_a_text_under_it(self) -> None:
        config = self.found().offer.config
        assert attrs.has(config)
        assert config.__setattr__ is not object.__setattr__, f"{config.__name__} is not frozen"
        texts = _texts(config)
        assert [field.name for field in attrs.fields(config) if not texts.get(field.name)] == []

    @level(Level.DECLARED)
    def test_it_claims_what_its_role_can_have(self) -> None:
        found = self.found()
        assert found.offer.capabilities <= CAPABILITIES.get(found.role, frozenset())

    @level(Level.DECLARED)
    def test_it_takes_the_roles_that_it_requires(self) -> None:
        assert list(wrong_calling(self.found().offer)) == []

    @level(Level.DECLARED)
    def test_opening_gives_a_context_manager(self) -> None:
        assert list(wrong_opening(self.found().offer)) == []


def _texts(config: type) -> dict[str, str]:
    """The text under each field of an attrs class and its parents, by name."""

    texts: dict[str, str] = {}
    for owner in config.__mro__[:-1]:
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(field.target, ast.Name):
                texts.setdefault(field.target.id, ast.unparse(text.value))
    return texts
