"""What an offer says of itself, before anything is opened: the same for every role."""

from __future__ import annotations

import ast
import inspect
import textwrap

import attrs
import pytest

from kroma_core.api import API_VERSION, Capability, Role
from kroma_core.testing.installed import Installed, installed_offers
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
            Capability.STATELESS,
            Capability.MIGRATION,
        }
    ),
}
"""What an offer of a role may claim beside the role's protocol."""


class DeclaredSuite:
    """Inherit, name role and kind, and name the class `Test...`."""

    offer: tuple[Role, str]

    def found(self) -> Installed:
        role, kind = self.offer
        found = installed_offers(kind, role)
        assert found, f"no installed plugin offers {role} {kind!r}"
        return found[0]

    @level(Level.DECLARED)
    def test_one_distribution_offers_it(self) -> None:
        role, kind = self.offer
        assert len(installed_offers(kind, role)) == 1

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
        found = self.found()
        required = {role.value: None for role in found.offer.requires}
        inspect.signature(found.offer.open).bind(None, None, **required)

    @level(Level.DECLARED)
    def test_opening_gives_a_context_manager(self) -> None:
        offer = self.found().offer
        opens = inspect.unwrap(offer.open)
        if inspect.iscoroutinefunction(opens):
            pytest.fail("`open` is a coroutine function; an async context manager is expected (@asynccontextmanager)")


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
