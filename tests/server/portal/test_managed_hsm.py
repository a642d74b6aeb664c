"""A Managed HSM in the portal: its keys by its local roles, who has those, and what is deleted in it."""

from pathlib import Path

import pytest

from kvstack.terms.key import KeySpecification
from tests.e2e.command_line import copied
from tests.server.identity.person import people
from tests.server.portal.own import Own
from tests.server.portal.test_pages import accessible, confined, inert
from tests.server.served import SHOP
from tests.vault.service.pools import custodians

pytestmark = pytest.mark.slow


def test_a_managed_hsm_shows_its_keys_to_who_has_a_role_in_it(hsm_stocked_vault: Path, tmp_path: Path) -> None:
    folder = copied(hsm_stocked_vault, tmp_path / "stack")
    own = Own(folder, people(folder, SHOP, "alice", "bob"))
    try:
        service, operator = own.service, own.service.operator
        service.create_managed_hsm(operator, "treasury", tokens=1)
        service.create_managed_hsm(operator, "sleeping", tokens=1)
        service.download_security_domain(operator, "treasury", custodians(), 2)
        for who, role in (
            (operator.id, "Managed HSM Crypto User"),
            (operator.id, "Managed HSM Crypto Officer"),
            (own.people["alice"].id, "Managed HSM Crypto User"),
            (own.people["alice"].id, "Managed HSM Policy Administrator"),
        ):
            service.assign_local_role(operator, "treasury", role=role, principal_id=who, principal_type="user")
        service.create_role_assignment(
            operator, service.top, role="Reader", principal_id=own.people["alice"].id, principal_type="user"
        )
        for name in ("mint", "gone"):
            service.create_key(operator, "treasury", name, specification=KeySpecification("EC-HSM", curve="P-256"))
        service.delete_key(operator, "treasury", "gone")

        alice, bob = own.browser("alice"), own.browser("bob")
        rows = {row.text.split()[0]: row.text for row in alice.read("/portal").all("tr")}
        assert "Managed HSM" in rows["treasury"]
        assert "Not activated" in rows["sleeping"]
        for path in ("", "/keys", "/keys/mint", "/access"):
            page = alice.get(f"/portal/vaults/treasury{path}")
            assert page.status == 200, page
            confined(page)
            accessible(page)
            inert(page)
        home = alice.read("/portal/vaults/treasury")
        assert "/portal/vaults/treasury/secrets" not in home.links
        assert "https://treasury.managedhsm.localhost" in home.text
        assert "mint" in alice.read("/portal/vaults/treasury/keys").text
        assert "EC-HSM P-256" in alice.read("/portal/vaults/treasury/keys/mint").text
        assert "Managed HSM Crypto User" in alice.read("/portal/vaults/treasury/access").text
        assert bob.get("/portal/vaults/treasury/keys").status == 403
        for path in ("", "/keys", "/keys/mint", "/secrets", "/deleted", "/access"):
            there, absent = (bob.get(f"/portal/vaults/{name}{path}") for name in ("treasury", "absentee"))
            assert there.status == absent.status
            assert there.text.replace("treasury", "absentee") == absent.text, path
        for sure in ([], [("sure", "yes")]):
            there, absent = (
                bob.submit(f"/portal/vaults/{name}/keys/delete", ("pick", "mint"), *sure)
                for name in ("treasury", "absentee")
            )
            assert there.text.replace("treasury", "absentee") == absent.text
        assert alice.get("/portal/vaults/treasury/secrets").status in (400, 403, 404)
        assert alice.get("/portal/vaults/sleeping/keys").status in (403, 409)
        done = alice.submit("/portal/vaults/treasury/keys/delete", ("pick", "mint"), ("sure", "yes"))
        assert done.status == 200
    finally:
        own.close()
