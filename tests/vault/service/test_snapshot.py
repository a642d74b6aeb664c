"""What a plan reads, in bulk; what is unread, and why; who changed things last."""

import uuid
from datetime import timedelta

import pytest

from kvstack.terms.duration import duration
from kvstack.terms.generator import Generator
from kvstack.terms.key import KeySpecification
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.certificates.rows import Contact
from kvstack.vault.errors import BadParameter
from kvstack.vault.records import NetworkRules
from tests.vault.service.world import START, World

VAULT = "payments-dev"
GET_SECRET = "Microsoft.KeyVault/vaults/secrets/getSecret/action"
EC256 = KeySpecification("EC", None, "P-256")


@pytest.fixture
def full(dev: World) -> World:
    """A vault with live and deleted things, and another one."""
    service, operator = dev.service, dev.operator
    service.create_vault(operator, "other")
    service.set_secret(operator, "other", "elsewhere", SecretValue("v"))
    service.set_secret(operator, VAULT, "Live", SecretValue("one"), tags={"kvstack-stack": "s"})
    monthly = RotationPolicy(every=duration("P30D"))
    service.set_secret(operator, VAULT, "live", SecretValue("two"), rotation=monthly, generator=Generator())
    service.set_secret(operator, VAULT, "deleted", SecretValue("v"))
    service.delete_secret(operator, VAULT, "deleted")
    service.create_key(operator, VAULT, "k", specification=EC256)
    service.rotate_key(operator, VAULT, "k")
    return dev


def test_a_snapshot_holds_everything_of_the_vaults_asked_for(full: World) -> None:
    full.clock.advance(timedelta(minutes=1))
    found = full.service.snapshot(full.operator, [VAULT.upper(), "not-there"])
    assert found.taken == START + timedelta(minutes=1)
    assert [vault.name for vault in found.vaults] == [VAULT]
    by_name = {secret.name: secret for secret in found.secrets}
    assert set(by_name) == {"Live", "deleted"}
    live = by_name["Live"]
    current = full.service.get_secret(full.operator, VAULT, "live")
    assert (live.version, live.fingerprint, live.versions) == (current.version, current.fingerprint, 2)
    assert (live.rotation, live.deletion, live.tags) == (RotationPolicy(every=duration("P30D")), None, {})
    deletion = by_name["deleted"].deletion
    assert deletion is not None
    assert deletion.scheduled_purge == START + timedelta(days=90)
    (key,) = found.keys
    assert (key.specification, key.by_rotation, key.versions) == (EC256, True, 2)
    assert len(found.role_assignments) == 2
    assert found.unread == ()


def test_without_names_it_holds_all_vaults_and_one_audit_record_is_made(full: World) -> None:
    before = len(list(full.unlocked.audit.records()))
    found = full.service.snapshot(full.operator)
    assert {vault.name for vault in found.vaults} == {VAULT, "other"}
    assert len(list(full.unlocked.audit.records())) == before + 1


def test_what_is_in_a_soft_deleted_vault_is_there_with_the_vaults_deletion(full: World) -> None:
    full.service.delete_vault(full.operator, VAULT)
    found = full.service.snapshot(full.operator, [VAULT])
    assert found.vaults[0].deletion is not None
    assert {secret.name for secret in found.secrets} == {"Live", "deleted"}
    assert {key.name for key in found.keys} == {"k"}


def test_what_may_not_be_read_is_told_kind_by_kind(full: World) -> None:
    reader = full.person("Key Vault Crypto User", "Reader")
    found = full.service.snapshot(reader, [VAULT])
    assert [key.name for key in found.keys] == ["k"]
    assert found.secrets == ()
    assert [(one.vault, one.kind) for one in found.unread] == [
        (VAULT, "secrets"),
        (VAULT, "certificates"),
        (VAULT, "issuers"),
        (VAULT, "contacts"),
    ]
    assert "readMetadata" in found.unread[0].reason


def test_who_may_read_nothing_is_not_told_whether_a_vault_is_there(full: World) -> None:
    found = full.service.snapshot(full.person(), [VAULT, "not-there"])
    assert (found.vaults, found.keys, found.secrets, found.role_assignments) == ((), (), (), ())
    assert [(one.vault, one.kind, one.reason) for one in found.unread] == [
        (VAULT, "vault", "denied"),
        ("not-there", "vault", "denied"),
        ("", "role_assignments", "denied"),
        ("", "identities", "denied"),
        ("", "eligible_assignments", "denied"),
        ("", "deny_assignments", "denied"),
        ("", "role_definitions", "denied"),
        ("", "event_subscriptions", "denied"),
    ]


def test_role_assignments_are_read_as_far_as_one_may(full: World) -> None:
    reader = full.person("Reader", at=full.scope(VAULT))
    found = full.service.snapshot(reader, [VAULT])
    assert {one.principal_id for one in found.role_assignments} == {reader.id}
    assert ("", "role_assignments") in {(one.vault, one.kind) for one in found.unread}


def test_all_access_is_read_as_far_as_one_may(full: World) -> None:
    service, operator = full.service, full.operator
    alice = full.person(name="alice")
    here = full.scope(VAULT)
    role = service.put_role_definition(operator, "r", assignable_scopes=[full.service.top], data_actions=[GET_SECRET])
    narrow = service.put_role_definition(operator, "n", assignable_scopes=[here], data_actions=[GET_SECRET])
    both = [
        service.put_eligible_assignment(operator, scope, role="r", principal_id=alice.id, principal_type="user")
        for scope in (here, full.scope("other"))
    ]
    denials = [
        service.create_deny_assignment(operator, scope, "no reading", data_actions=[GET_SECRET], principals=[alice.id])
        for scope in (here, full.scope("other"))
    ]
    found = service.snapshot(operator, [])
    assert set(found.role_definitions) == {role, narrow}
    assert set(found.eligible_assignments) == set(both)
    assert set(found.deny_assignments) == set(denials)
    reader = full.person("Reader", at=here)
    found = service.snapshot(reader, [VAULT, "other"])
    assert found.role_definitions == (narrow,)
    assert found.eligible_assignments == (both[0],)
    assert found.deny_assignments == (denials[0],)
    told = {(one.vault, one.kind) for one in found.unread}
    assert {("", "role_definitions"), ("", "eligible_assignments"), ("", "deny_assignments")} <= told
    assert not {one for one in told if one[0] == VAULT and one[1].endswith("_assignments")}
    onlooker = full.person(name="otto")
    service.put_role_definition(operator, "o", assignable_scopes=[here], actions=["Microsoft.KeyVault/vaults/read"])
    service.create_role_assignment(operator, here, role="o", principal_id=onlooker.id, principal_type="user")
    told = {(one.vault, one.kind) for one in service.snapshot(onlooker, [VAULT]).unread}
    assert {(VAULT, "eligible_assignments"), (VAULT, "deny_assignments"), (VAULT, "role_assignments")} <= told


def test_a_firewall_leaves_things_unread_and_the_rest_is_read(full: World) -> None:
    full.service.update_vault(full.operator, VAULT, network=NetworkRules("deny"))
    outside = Caller(full.operator.id, "operator", address="198.51.100.1")
    found = full.service.snapshot(outside, [VAULT, "other"])
    assert [(one.vault, one.kind) for one in found.unread] == [
        (VAULT, "keys"),
        (VAULT, "secrets"),
        (VAULT, "certificates"),
        (VAULT, "issuers"),
        (VAULT, "contacts"),
    ]
    assert "firewall" in found.unread[0].reason
    assert {secret.name for secret in found.secrets} == {"elsewhere"}


def test_who_changed_a_thing_last_is_told(full: World) -> None:
    officer = full.person("Key Vault Secrets Officer", name="olivia")
    path = full.scope(VAULT, "secrets/Live").path
    full.clock.advance(timedelta(hours=1))
    full.service.update_secret(officer, VAULT, "LIVE", enabled=False)
    full.service.get_secret_properties(full.operator, VAULT, "live")
    missing = full.scope(VAULT, f"secrets/{uuid.uuid4()}").path
    found = full.service.last_changes(full.operator, [path, missing])
    assert set(found) == {path}
    last = found[path]
    assert (last.caller_name, last.operation, last.time) == ("olivia", "SecretUpdate", START + timedelta(hours=1))
    assert full.service.last_changes(full.person(), [path]) == {}
    with pytest.raises(BadParameter):
        full.service.last_changes(full.operator, ["payments-dev/secrets/live"])


def test_issuers_and_contacts_are_read_with_the_rights_for_them(full: World) -> None:
    full.service.put_issuer(full.operator, VAULT, "Corp", provider="DigiCert")
    full.service.set_contacts(full.operator, VAULT, [Contact("a@example.com"), Contact("b@example.com")])
    for role, issuers, contacts in (
        ("Key Vault Certificates Officer", True, True),
        ("Key Vault Reader", True, True),
        ("Key Vault Certificate User", False, True),
        ("Key Vault Crypto User", False, False),
    ):
        found = full.service.snapshot(full.person(role, "Reader"), [VAULT])
        unread = {one.kind: one.reason for one in found.unread}
        assert [one.name for one in found.issuers] == (["Corp"] if issuers else []), role
        assert [len(one.contacts) for one in found.contacts] == ([2] if contacts else []), role
        assert ("certificatecas/read" in unread.get("issuers", "")) != issuers, role
        assert ("certificates/read" in unread.get("contacts", "")) != contacts, role


def test_who_changed_issuers_and_contacts_last_is_told_and_of_the_vault_that_nobody_did(full: World) -> None:
    officer = full.person("Key Vault Certificates Officer", name="olivia")
    full.service.put_issuer(officer, VAULT, "Corp", provider="DigiCert")
    full.service.set_contacts(officer, VAULT, [Contact("a@example.com")])
    paths = [full.scope(VAULT, item).path for item in ("issuers/corp", "contacts", "")]
    found = full.service.last_changes(full.operator, paths)
    assert [(found[path].caller_name, found[path].operation) for path in paths] == [
        ("olivia", "CertificateIssuerSet"),
        ("olivia", "CertificateContactsSet"),
        ("operator", "VaultPut"),
    ]
    full.service.delete_issuer(full.operator, VAULT, "corp")
    assert full.service.last_changes(full.operator, paths)[paths[0]].operation == "CertificateIssuerDelete"
    assert full.service.last_changes(full.person(), paths) == {}
