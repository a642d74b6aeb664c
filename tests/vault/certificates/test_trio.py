"""A certificate, its key and its secret are one thing: they come, go, are switched off and come back together."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from kvstack.terms.certificate import PEM, CertificateKey
from kvstack.terms.key import KeySpecification
from kvstack.terms.secret import SecretValue
from kvstack.vault.certificates.exported import protected
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from tests.vault.certificates.policies import EC, leaf
from tests.vault.service.world import START, World

SELF = leaf(issuer="Self")


def test_the_three_have_one_name_and_one_version(world: World) -> None:
    made = world.service.create_certificate(world.operator, "app", "Web", policy=SELF, tags={"team": "pay"})
    key = world.service.get_key(world.operator, "app", "web")
    secret = world.service.get_secret(world.operator, "app", "web")
    assert made.version == key.version == secret.version
    assert key.managed
    assert secret.managed
    assert secret.content_type == "application/x-pkcs12"
    assert (key.not_before, key.expires) == (made.not_before, made.expires)
    assert made.tags == {"team": "pay"}
    assert key.tags == secret.tags == {}


def test_the_certificate_is_what_its_policy_says(world: World) -> None:
    policy = leaf(
        emails=frozenset({"a@example.com"}),
        ip_addresses=frozenset({"192.0.2.7"}),
        upns=frozenset({"alice@example.com"}),
        extended_key_usage=frozenset({"serverAuth", "1.2.3.4"}),
        validity_months=6,
    )
    made = world.service.create_certificate(world.operator, "app", "web", policy=policy)
    found = x509.load_der_x509_certificate(world.service.get_certificate(world.operator, "app", "web").der)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["pay.example.com"]
    assert names.get_values_for_type(x509.RFC822Name) == ["a@example.com"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]
    (upn,) = names.get_values_for_type(x509.OtherName)
    assert upn.value == b"\x0c\x11alice@example.com"
    usages = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {one.dotted_string for one in usages} == {"1.3.6.1.5.5.7.3.1", "1.2.3.4"}
    assert found.not_valid_before_utc == START - timedelta(minutes=10)
    assert made.expires == found.not_valid_after_utc
    assert (found.not_valid_after_utc - START).days in range(180, 186)
    assert found.serial_number.bit_length() > 100


@pytest.mark.parametrize(
    "work",
    [
        lambda s, o: s.delete_key(o, "app", "web"),
        lambda s, o: s.update_key(o, "app", "web", enabled=False),
        lambda s, o: s.rotate_key(o, "app", "web"),
        lambda s, o: s.create_key(o, "app", "WEB", specification=KeySpecification("EC", None, "P-256")),
        lambda s, o: s.set_rotation_policy(o, "app", "keys", "web", None),
        lambda s, o: s.delete_secret(o, "app", "web"),
        lambda s, o: s.update_secret(o, "app", "web", enabled=False),
        lambda s, o: s.set_secret(o, "app", "WEB", SecretValue("x")),
        lambda s, o: s.set_rotation_policy(o, "app", "secrets", "web", None),
    ],
)
@pytest.mark.parametrize("issuer", ["Self", "Unknown"])
def test_neither_key_nor_secret_is_touched_by_itself(world: World, work: Any, issuer: str) -> None:
    world.service.create_certificate(world.operator, "app", "web", policy=leaf(issuer=issuer))
    with pytest.raises((Forbidden, NotFound)) as refused:
        work(world.service, world.operator)
    if issuer == "Self":
        assert refused.value.inner in ("KeyManagedByKeyVault", "SecretManagedByKeyVault")


def test_deleted_ones_cannot_be_recovered_or_purged_by_themselves(world: World) -> None:
    world.service.create_certificate(world.operator, "app", "web", policy=SELF)
    world.service.delete_certificate(world.operator, "app", "web")
    for work in (
        world.service.recover_key,
        world.service.purge_key,
        world.service.recover_secret,
        world.service.purge_secret,
    ):
        with pytest.raises(Forbidden, match="its certificate's"):
            work(world.operator, "app", "web")
    with pytest.raises(Forbidden, match="its certificate's"):
        world.service.set_secret(world.operator, "app", "web", SecretValue("x"))


def test_they_are_deleted_recovered_and_purged_together(world: World) -> None:
    made = world.service.create_certificate(world.operator, "app", "web", policy=SELF)
    world.service.delete_certificate(world.operator, "app", "web")
    for read in (world.service.get_key, world.service.get_secret, world.service.get_certificate):
        with pytest.raises(NotFound):
            read(world.operator, "app", "web")
    assert [one.name for one in world.service.list_deleted_keys(world.operator, "app")] == ["web"]
    world.service.recover_certificate(world.operator, "app", "web")
    assert world.service.get_key(world.operator, "app", "web").version == made.version
    assert world.service.get_secret(world.operator, "app", "web").version == made.version
    world.service.delete_certificate(world.operator, "app", "web")
    world.service.purge_certificate(world.operator, "app", "web")
    assert world.service.list_deleted_keys(world.operator, "app") == ()
    assert world.service.list_deleted_secrets(world.operator, "app") == ()
    world.service.set_secret(world.operator, "app", "web", SecretValue("free again"))


def test_a_deleted_certificate_keeps_its_name_and_goes_when_retention_ends(world: World) -> None:
    world.service.create_certificate(world.operator, "app", "web", policy=SELF)
    world.service.delete_certificate(world.operator, "app", "web")
    with pytest.raises(Conflict) as refused:
        world.service.create_certificate(world.operator, "app", "web", policy=SELF)
    assert refused.value.inner == "ObjectIsDeletedButRecoverable"
    world.days(91)
    from kvstack.vault.caller import SYSTEM

    report = world.service.run_due(SYSTEM)
    assert [(due.kind, due.name) for due in report.done] == [("certificate", "web")]
    assert world.service.list_deleted_keys(world.operator, "app") == ()


def test_purge_protection_holds_for_the_three(world: World) -> None:
    world.service.update_vault(world.operator, "app", purge_protection=True)
    world.service.create_certificate(world.operator, "app", "web", policy=SELF)
    world.service.delete_certificate(world.operator, "app", "web")
    with pytest.raises(Forbidden) as refused:
        world.service.purge_certificate(world.operator, "app", "web")
    assert refused.value.inner == "ForbiddenByPurgeProtection"


def test_disabling_a_certificate_disables_its_key_and_its_secret(world: World) -> None:
    first = world.service.create_certificate(world.operator, "app", "web", policy=SELF)
    world.service.renew_certificate(world.operator, "app", "web")
    world.service.update_certificate(world.operator, "app", "web", version=first.version, enabled=False)
    assert world.service.get_secret(world.operator, "app", "web").enabled
    with pytest.raises(Forbidden) as refused:
        world.service.get_secret(world.operator, "app", "web", version=first.version)
    assert refused.value.inner == "SecretDisabled"
    assert not world.service.get_key(world.operator, "app", "web", version=first.version).enabled
    assert world.service.update_certificate(world.operator, "app", "web", enabled=False).enabled is False
    assert not world.service.list_keys(world.operator, "app")[0].enabled


@pytest.mark.parametrize("reuse", [True, False])
def test_a_renewal_makes_a_new_key_unless_the_policy_keeps_it(world: World, reuse: bool) -> None:
    policy = leaf(issuer="Self", key=CertificateKey("EC", reuse=reuse))
    first = world.service.create_certificate(world.operator, "app", "web", policy=policy)
    second = world.service.renew_certificate(world.operator, "app", "web")
    keys = [
        world.service.get_key(world.operator, "app", "web", version=version).public
        for version in (first.version, second.version)
    ]
    assert (keys[0] == keys[1]) is reuse
    assert second.versions == 2
    versions = world.service.list_certificate_versions(world.operator, "app", "web")
    assert [one.version for one in versions] == [first.version, second.version]
    # What was kept works after the earlier version is long gone from any cache.
    pfx = world.service.get_secret(world.operator, "app", "web", version=first.version).value
    assert pfx is not None
    assert pkcs12.load_pkcs12(pfx.reveal(), None).key is not None


@pytest.mark.parametrize("taken", ["key", "secret"])
@pytest.mark.parametrize("deleted", [True, False])
def test_a_name_that_a_key_or_secret_has_is_refused(world: World, taken: str, deleted: bool) -> None:
    if taken == "key":
        world.service.create_key(world.operator, "app", "web", specification=KeySpecification("EC", None, "P-256"))
    else:
        world.service.set_secret(world.operator, "app", "web", SecretValue("x"))
    if deleted:
        getattr(world.service, f"delete_{taken}")(world.operator, "app", "web")
    with pytest.raises(Conflict, match=f"a {taken} `web` in vault `app` has the certificate's name"):
        world.service.create_certificate(world.operator, "app", "WEB", policy=SELF)
    assert world.service.list_certificates(world.operator, "app", include_pending=True) == ()


@pytest.mark.parametrize("content_type", ["application/x-pkcs12", PEM])
def test_a_key_that_is_not_exportable_leaves_by_no_way(world: World, content_type: Any) -> None:
    policy = leaf(issuer="Self", key=CertificateKey("EC", exportable=False), content_type=content_type)
    world.service.create_certificate(world.operator, "app", "web", policy=policy)
    value = world.service.get_secret(world.operator, "app", "web").value
    assert value is not None
    assert b"PRIVATE" not in value.reveal()
    if content_type != PEM:
        assert pkcs12.load_pkcs12(value.reveal(), None).key is None
    with pytest.raises(Forbidden, match="not exportable"):
        protected("web", value, SecretValue("password"))
    for backup in (world.service.backup_key, world.service.backup_secret):
        with pytest.raises(Forbidden, match="its certificate's"):
            backup(world.operator, "app", "web")
    blob = world.service.backup_certificate(world.operator, "app", "web")
    for piece in (b"-----BEGIN", value.reveal(), value.reveal()[20:60]):
        assert piece not in blob


def test_an_authoritys_key_signs_nothing_for_anybody(world: World) -> None:
    with pytest.raises(Forbidden) as refused:
        world.service.sign(world.operator, "trust", "root", algorithm="ES256", digest=bytes(32))
    assert refused.value.inner == "KeyOperationForbidden"
    world.service.create_certificate(world.operator, "app", "web", policy=leaf(key=EC))
    assert world.service.sign(world.operator, "app", "web", algorithm="ES256", digest=bytes(32)).value


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("Key Vault Certificates Officer", {"create", "read", "delete", "update"}, {"secret"}),
        ("Key Vault Certificate User", {"read", "secret"}, {"create", "delete", "update"}),
        ("Key Vault Reader", {"read"}, {"create", "delete", "update", "secret"}),
        ("Key Vault Secrets User", {"secret"}, {"create", "read", "delete", "update"}),
        ("Key Vault Crypto Officer", set(), {"create", "read", "delete", "update", "secret"}),
    ],
)
def test_each_role_may_do_what_it_says(world: World, role: str, may: set[str], may_not: set[str]) -> None:
    person = world.person(role)
    world.service.create_certificate(world.operator, "app", "web", policy=SELF)
    ways: dict[str, Any] = {
        "read": lambda: world.service.get_certificate(person, "app", "web"),
        "secret": lambda: world.service.get_secret(person, "app", "web"),
        "create": lambda: world.service.create_certificate(person, "app", "other", policy=SELF),
        "update": lambda: world.service.update_certificate(person, "app", "web", tags={}),
        "delete": lambda: world.service.delete_certificate(person, "app", "web"),
    }
    for way in sorted(may_not):
        with pytest.raises(Forbidden):
            ways[way]()
    for way in ("read", "secret", "create", "update", "delete"):
        if way in may:
            ways[way]()


def test_a_snapshot_has_certificates_and_tells_whose_a_key_is(world: World) -> None:
    world.service.create_certificate(world.operator, "app", "web", policy=SELF)
    world.service.create_certificate(world.operator, "app", "csr", policy=leaf(issuer="Unknown"))
    found = world.service.snapshot(world.operator, ["app"])
    assert {(one.name, one.pending, one.versions) for one in found.certificates} == {
        ("web", False, 1),
        ("csr", True, 0),
    }
    assert [(key.name, key.managed) for key in found.keys] == [("web", True)]
    assert b"PRIVATE" not in repr(found).encode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"subject": "nonsense"}, "no part of a subject"),
        ({"subject": "", "dns_names": frozenset()}, "needs a subject"),
        ({"dns_names": frozenset({"not a host"})}, "no DNS name"),
        ({"ip_addresses": frozenset({"192.0.2"})}, "no IP address"),
        ({"emails": frozenset({"nobody"})}, "no e-mail address"),
        ({"upns": frozenset({"nobody"})}, "no user principal name"),
        ({"validity_months": 0}, "1-1200 months"),
        ({"issuer": "a/b/c"}, "is no issuer"),
        ({"key": CertificateKey("oct")}, "RSA-HSM, EC or EC-HSM"),
        ({"key": CertificateKey("EC-HSM", exportable=True)}, "never leaves its HSM"),
        ({"key": CertificateKey("EC-HSM")}, "standard vault"),
        ({"extended_key_usage": frozenset({"servers"})}, "no extended key usage"),
        ({"issuer": "nobody"}, "has no issuer `nobody`"),
    ],
)
def test_what_no_vault_would_take_is_refused_and_nothing_kept(world: World, change: Any, words: str) -> None:
    with pytest.raises(BadParameter, match=words):
        world.service.create_certificate(world.operator, "app", "web", policy=leaf(**{"issuer": "Self", **change}))
    assert world.service.list_certificates(world.operator, "app", include_pending=True) == ()
    assert world.service.list_keys(world.operator, "app") == ()


def test_a_vault_purged_takes_all_of_it_along(world: World) -> None:
    from kvstack.vault.certificates.rows import Contact

    world.service.create_certificate(world.operator, "app", "web", policy=SELF)
    world.service.create_certificate(world.operator, "app", "csr", policy=leaf(issuer="Unknown"))
    world.service.set_contacts(world.operator, "app", [Contact("a@example.com")])
    world.service.put_issuer(world.operator, "app", "corp", authority="trust/certificates/root")
    world.service.delete_vault(world.operator, "app")
    world.service.purge_vault(world.operator, "app")
    world.service.create_vault(world.operator, "app")
    assert world.service.list_certificates(world.operator, "app", include_pending=True) == ()
    assert world.service.get_contacts(world.operator, "app") == ()
    assert world.service.list_issuers(world.operator, "app") == ()
