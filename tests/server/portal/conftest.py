"""A vault with things in every state, names that mean harm, and people: one may all, one little, one is hostile."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from kvstack.terms.certificate import CertificatePolicy
from kvstack.terms.duration import Duration
from kvstack.terms.key import KeySpecification
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault.records import NetworkRules
from kvstack.vault.service import VaultService
from kvstack.vault.unlock import unlock
from tests.e2e.command_line import copied
from tests.server.identity.person import Person, people
from tests.server.portal.browsing import PortalBrowser
from tests.server.portal.own import Own
from tests.server.served import OTHER, SHOP, Served

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
TURNED = "safe\u202egnp.exe"
CANARY = "canary-Zu3oh9-value"
MALLORY = "<b>mallory</b>\"' onfocus=x"


class There(NamedTuple):
    """What is there."""

    folder: Path
    people: dict[str, Person]


def stocked_portal(folder: Path) -> dict[str, Person]:
    """Put things and people into a stocked vault."""
    found = people(folder, SHOP, "alice", "bob", MALLORY)
    unlocked = unlock(folder)
    try:
        service = VaultService(unlocked)
        operator, now = service.operator, service.now
        for role in ("Owner", "Key Vault Administrator"):
            service.create_role_assignment(
                operator, service.top, role=role, principal_id=found["alice"].id, principal_type="user"
            )
        service.create_vault(
            operator,
            "ledger",
            sku="standard",
            purge_protection=True,
            network=NetworkRules("deny", ("203.0.113.0/24",)),
            tags={"team": "payments"},
        )
        service.create_vault(operator, "attic", sku="standard")
        service.delete_vault(operator, "attic")
        for name, value, more in (
            ("db-password", CANARY, {"content_type": "text/plain", "tags": {"team": "shop", "stage": "production"}}),
            ("api-token", "t0ken", {"expires": now + timedelta(days=12)}),
            ("old-token", "0ld", {"expires": now - timedelta(days=3)}),
            ("next-token", "n3xt", {"not_before": now + timedelta(days=3)}),
            ("paused", "z", {"enabled": False}),
            ("hostile", "h", {"content_type": HOSTILE, "tags": {HOSTILE: HOSTILE, TURNED: TURNED}}),
        ):
            service.set_secret(operator, SHOP, name, SecretValue(value), **more)
        service.set_secret(operator, SHOP, "db-password", SecretValue(CANARY + "-2"), tags={"team": "shop"})
        for name in ("gone-one", "gone-two", "gone-three"):
            service.set_secret(operator, SHOP, name, SecretValue("g"))
            service.delete_secret(operator, SHOP, name)
        service.set_secret(operator, OTHER, "elsewhere", SecretValue("e"))
        service.delete_secret(operator, OTHER, "elsewhere")
        service.create_key(
            operator,
            SHOP,
            "orders-signing",
            specification=KeySpecification("EC", curve="P-256"),
            expires=now + timedelta(days=400),
            rotation=RotationPolicy(every=Duration(days=90), expire_after=Duration(days=400)),
        )
        service.create_certificate(operator, SHOP, "front", policy=CertificatePolicy(subject="CN=shop.example.com"))
    finally:
        unlocked.close()
    return found


@pytest.fixture(scope="session")
def portal_vault(stocked_vault: Path, tmp_path_factory: pytest.TempPathFactory) -> There:
    """A folder with all of that, which nobody changes."""
    folder = copied(stocked_vault, tmp_path_factory.mktemp("portal") / "stack")
    return There(folder, stocked_portal(folder))


@pytest.fixture(scope="module")
def portal(portal_vault: There, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that the tests of a module share."""
    server = Served(copied(portal_vault.folder, tmp_path_factory.mktemp("portal-served") / "stack"))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def alice(portal: Served, portal_vault: There) -> PortalBrowser:
    """The browser of one who may do everything."""
    return _signed_in(portal, portal_vault.people["alice"])


@pytest.fixture(scope="module")
def bob(portal: Served, portal_vault: There) -> PortalBrowser:
    """The browser of one who may read the secrets of a vault, and nothing else."""
    return _signed_in(portal, portal_vault.people["bob"])


@pytest.fixture(scope="module")
def mallory(portal: Served, portal_vault: There) -> PortalBrowser:
    """The browser of one whose name means harm."""
    return _signed_in(portal, portal_vault.people[MALLORY])


@pytest.fixture
def own(portal_vault: There, tmp_path: Path) -> Iterator[Own]:
    """A server and its vault, which a test may change as it likes."""
    found = Own(copied(portal_vault.folder, tmp_path / "stack"), portal_vault.people)
    yield found
    found.close()


def _signed_in(served: Served, person: Person) -> PortalBrowser:
    browser = PortalBrowser(served)
    assert browser.sign_in(person).status == 303
    return browser
