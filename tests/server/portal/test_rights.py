"""What somebody sees is what the vault lets him see, asked as for any request of his, from where he is."""

import uuid

import pytest

from kvstack.terms.principal import Principal
from kvstack.terms.scope import Scope
from tests.server.portal.browsing import PortalBrowser, Read
from tests.server.portal.conftest import CANARY
from tests.server.portal.own import Own


def test_a_vault_whose_settings_he_may_not_see_is_found_by_the_right_he_has_in_it(bob: PortalBrowser) -> None:
    page = bob.read("/portal")
    assert "/portal/vaults/shop" in page.links
    for name in ("other", "ledger", "attic"):
        assert name not in page.text
    assert "You may not see the settings" in bob.read("/portal/vaults/shop").text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/portal/vaults/shop/secrets", 200),
        ("/portal/vaults/shop/secrets/db-password", 200),
        ("/portal/vaults/shop/keys", 403),
        ("/portal/vaults/shop/certificates", 403),
        ("/portal/vaults/shop/access", 403),
        ("/portal/vaults/other/secrets", 403),
        ("/portal/calendar", 403),
        ("/portal/access", 200),
        ("/portal/audit", 200),
        ("/portal/deleted", 200),
    ],
)
def test_who_may_read_secrets_sees_these_and_nothing_else(bob: PortalBrowser, path: str, status: int) -> None:
    assert bob.get(path).status == status


def test_a_vault_that_is_not_there_looks_like_one_he_may_not_see(bob: PortalBrowser) -> None:
    there, absent = bob.get("/portal/vaults/other"), bob.get("/portal/vaults/absent")
    assert there.status == absent.status == 200
    assert there.text.replace("other", "absent").replace(bob.token, "") == absent.text.replace(bob.token, "")
    there, absent = bob.get("/portal/vaults/other/keys"), bob.get("/portal/vaults/absent/keys")
    assert there.status == absent.status == 403
    assert there.text == absent.text


def test_the_firewall_of_a_vault_counts_the_address_he_comes_from(alice: PortalBrowser) -> None:
    page = alice.get("/portal/vaults/ledger/secrets")
    assert page.status == 403
    assert "127.0.0.1" in Read(page).text


def test_the_audit_shows_everybody_his_own_and_nobody_elses(own: Own) -> None:
    own.browser("alice").get("/portal/vaults/shop/keys")
    own.browser("bob").get("/portal/vaults/shop/secrets")
    page = own.browser("bob").read("/portal/audit")
    assert "What you did yourself." in page.text
    assert "SecretList" in page.text
    assert "KeyList" not in page.text
    assert "Who" not in [head.text for head in page.all("th")]


def test_the_operator_sees_all_of_the_audit(own: Own) -> None:
    operator = own.service.operator
    made = own.service.create_person_credential(operator, operator.id)
    person = own.people["alice"]._replace(id=operator.id, name=operator.name, credential=made.id)
    own.people = own.people | {"operator": person}
    own.browser("bob").get("/portal/vaults/shop/secrets")
    page = own.browser("operator").read("/portal/audit")
    assert "Everybody's records" in page.text
    assert "bob" in page.text
    assert "kvstack-portal" in page.text


def test_names_of_others_are_for_who_may_see_them(own: Own) -> None:
    operator, bob = own.service.operator, own.people["bob"]
    scope = Scope(own.service.top.subscription, "local", "shop")
    own.service.create_role_assignment(
        operator, scope, role="Key Vault Contributor", principal_id=bob.id, principal_type="user"
    )
    page = own.browser("bob").read("/portal/vaults/shop/access")
    assert "bob" in page.text
    assert own.people["alice"].id in page.text
    assert "alice" not in page.text
    assert "alice" in own.browser("alice").read("/portal/vaults/shop/access").text


def test_of_a_group_its_members_are_told(own: Own) -> None:
    operator, bob = own.service.operator, own.people["bob"]
    group = Principal(id=str(uuid.uuid4()), type="group", name="on-call", members=frozenset({bob.id}))
    own.service.put_principal(operator, group)
    scope = Scope(own.service.top.subscription, "local", "other")
    own.service.create_role_assignment(
        operator, scope, role="Key Vault Reader", principal_id=group.id, principal_type="group"
    )
    rows = [row.text for row in own.browser("alice").read("/portal/vaults/other/access").all("tr")]
    assert [row for row in rows if row.startswith("on-call") and "group: bob" in row]
    assert "on-call" not in own.browser("bob").read("/portal/access").text
    assert "/portal/vaults/other" in own.browser("bob").read("/portal").links


def test_a_vault_under_access_policies_shows_them(own: Own) -> None:
    operator, bob = own.service.operator, own.people["bob"]
    own.service.create_vault(operator, "classic", sku="standard", access_model="access_policies")
    own.service.set_access_policy(operator, "classic", bob.id, secrets=("get", "list"))
    assert "get, list" in own.browser("alice").read("/portal/vaults/classic/access").text
    mine = own.browser("bob")
    assert "/portal/vaults/classic" in mine.read("/portal").links
    assert "secrets/get, secrets/list" in mine.read("/portal/access").text
    assert "There are no secrets" in mine.read("/portal/vaults/classic/secrets").text


def test_no_value_is_in_what_the_server_wrote(own: Own) -> None:
    alice = own.browser("alice")
    assert CANARY in alice.submit("/portal/vaults/shop/secrets/db-password/value").text
    alice.submit("/portal/vaults/shop/secrets/none/value")
    told = own.served.stop()
    assert CANARY not in told.err + told.out + str(own.served.lines)
    for file in own.folder.rglob("*"):
        if file.is_file():
            assert CANARY.encode() not in file.read_bytes(), file
