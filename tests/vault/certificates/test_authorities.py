"""An authority in a vault issues what its rules allow, for whom may have it sign, and takes back what was wrong."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from kvstack.terms.certificate import CertificateAuthority, CertificateKey
from kvstack.vault.errors import BadParameter, Forbidden, NotFound
from tests.vault.certificates.policies import EC, leaf
from tests.vault.service.world import World


def _certificate(world: World, vault: str, name: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(world.service.get_certificate(world.operator, vault, name).der)


def test_what_it_issues_has_its_chain_and_names_its_key(world: World) -> None:
    world.service.create_certificate(world.operator, "app", "web", policy=leaf())
    made = world.service.get_certificate(world.operator, "app", "web")
    root = _certificate(world, "trust", "root")
    own = x509.load_der_x509_certificate(made.der)
    own.verify_directly_issued_by(root)
    assert made.chain == (world.service.get_certificate(world.operator, "trust", "root").der,)
    assert made.authority == ("trust", "root")
    theirs = own.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert theirs == root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    constraints = own.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({"dns_names": frozenset({"example.com"})}, True),
        ({"dns_names": frozenset({"deep.below.example.com"})}, True),
        ({"dns_names": frozenset({"*.example.com"})}, True),
        ({"dns_names": frozenset({"badexample.com"})}, False),
        ({"dns_names": frozenset({"example.com.evil.org"})}, False),
        ({"dns_names": frozenset(), "subject": "CN=evil.org"}, False),
        ({"dns_names": frozenset(), "subject": "CN=Alice"}, True),
        ({"ip_addresses": frozenset({"192.0.2.200"})}, True),
        ({"ip_addresses": frozenset({"192.0.3.1"})}, False),
        ({"ip_addresses": frozenset({"2001:db8::1"})}, False),
        ({"emails": frozenset({"a@example.com"})}, True),
        ({"emails": frozenset({"a@sub.example.com"})}, False),
    ],
)
def test_it_issues_only_for_the_names_it_may(world: World, change: Any, allowed: bool) -> None:
    policy = leaf(**change)
    if allowed:
        assert world.service.create_certificate(world.operator, "app", "web", policy=policy).version
        return
    with pytest.raises(BadParameter, match="may not issue for"):
        world.service.create_certificate(world.operator, "app", "web", policy=policy)
    assert world.service.list_certificates(world.operator, "app") == ()
    assert world.service.list_issued(world.operator, "trust", "root") == ()


def test_what_is_excluded_is_never_issued_for(world: World) -> None:
    rules = CertificateAuthority(excluded=frozenset({"secret.example.com"}))
    world.service.create_certificate(
        world.operator, "trust", "sub", policy=leaf("sub", dns_names=frozenset(), authority=rules, validity_months=24)
    )
    issuer = "trust/certificates/sub"
    world.service.create_certificate(world.operator, "app", "web", policy=leaf(issuer=issuer))
    with pytest.raises(BadParameter, match="it is excluded"):
        world.service.create_certificate(
            world.operator, "app", "bad", policy=leaf("a.secret.example.com", issuer=issuer)
        )
    # What those above leave out stays left out.
    with pytest.raises(BadParameter, match="CN=Root"):
        world.service.create_certificate(world.operator, "app", "bad", policy=leaf("a.example.org", issuer=issuer))


def test_a_path_is_no_longer_than_it_may_be(world: World) -> None:
    def authority(name: str, issuer: str, length: int | None) -> None:
        policy = leaf(
            name,
            dns_names=frozenset(),
            issuer=issuer,
            validity_months=24,
            authority=CertificateAuthority(path_length=length),
        )
        world.service.create_certificate(world.operator, "trust", name, policy=policy)

    with pytest.raises(BadParameter, match="at most 0, not 1"):
        authority("sub", "trust/certificates/root", 1)
    authority("sub", "trust/certificates/root", None)
    assert _certificate(world, "trust", "sub").extensions.get_extension_for_class(
        x509.BasicConstraints
    ).value == x509.BasicConstraints(ca=True, path_length=0)
    with pytest.raises(BadParameter, match="is used up"):
        authority("subsub", "trust/certificates/sub", None)


def test_nothing_outlives_its_authority_and_an_expired_one_issues_nothing(world: World) -> None:
    with pytest.raises(BadParameter, match="would outlive `trust/root`"):
        world.service.create_certificate(world.operator, "app", "web", policy=leaf(validity_months=61))
    world.clock.advance(timedelta(days=60 * 31))
    with pytest.raises(BadParameter, match="has expired"):
        world.service.create_certificate(world.operator, "app", "web", policy=leaf())


def test_only_an_authority_issues(world: World) -> None:
    world.service.create_certificate(world.operator, "trust", "plain", policy=leaf())
    with pytest.raises(BadParameter, match="is no certificate authority"):
        world.service.create_certificate(world.operator, "app", "web", policy=leaf(issuer="trust/certificates/plain"))
    with pytest.raises(NotFound):
        world.service.create_certificate(world.operator, "app", "web", policy=leaf(issuer="trust/certificates/none"))
    world.service.update_certificate(world.operator, "trust", "root", enabled=False)
    with pytest.raises(Forbidden, match="is disabled"):
        world.service.create_certificate(world.operator, "app", "web", policy=leaf())


def test_who_may_have_the_authoritys_key_sign_may_have_it_issue(world: World) -> None:
    person = world.person("Key Vault Certificates Officer", at=world.scope("app"))
    with pytest.raises(Forbidden):
        world.service.create_certificate(person, "app", "web", policy=leaf())
    world.service.create_role_assignment(
        world.operator,
        world.scope("trust", "keys/root"),
        role="Key Vault Crypto User",
        principal_id=person.id,
        principal_type="user",
    )
    assert world.service.create_certificate(person, "app", "web", policy=leaf()).version
    # And nothing else: not even a look at the authority's own certificate, or a signature of its own choice.
    with pytest.raises(Forbidden):
        world.service.sign(person, "trust", "root", algorithm="ES256", digest=bytes(32))
    with pytest.raises(Forbidden):
        world.service.renew_certificate(person, "trust", "root")


def test_what_is_revoked_is_in_the_next_list_until_it_expires(world: World) -> None:
    world.service.create_certificate(world.operator, "app", "web", policy=leaf())
    serial = _certificate(world, "app", "web").serial_number
    empty = world.service.publish_revocation_list(world.operator, "trust", "root")
    revoked = world.service.revoke_certificate(world.operator, "app", "web", reason="keyCompromise")
    assert revoked == world.service.revoke_certificate(world.operator, "app", "web", reason="superseded")
    row = world.service.publish_revocation_list(world.operator, "trust", "root", valid_days=3)
    assert (empty.number, row.number) == (1, 2)
    assert world.service.get_revocation_list(world.operator, "trust", "root") == row
    found = x509.load_der_x509_crl(row.der)
    assert found.is_signature_valid(_certificate(world, "trust", "root").public_key())  # type: ignore[arg-type]
    entry = found.get_revoked_certificate_by_serial_number(serial)
    assert entry is not None
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.key_compromise
    assert row.next_update - row.published == timedelta(days=3)
    world.days(400)
    later = x509.load_der_x509_crl(world.service.publish_revocation_list(world.operator, "trust", "root").der)
    assert len(later) == 0


def test_what_is_gone_from_its_vault_can_be_revoked_by_its_number(world: World) -> None:
    world.service.create_certificate(world.operator, "app", "web", policy=leaf())
    world.service.delete_certificate(world.operator, "app", "web")
    world.service.purge_certificate(world.operator, "app", "web")
    (row,) = world.service.list_issued(world.operator, "trust", "root")
    written = ":".join(row.serial[index : index + 2] for index in range(0, len(row.serial), 2)).upper()
    assert world.service.revoke_issued(world.operator, "trust", "root", written).revoked is not None
    with pytest.raises(NotFound):
        world.service.revoke_issued(world.operator, "trust", "root", "1234")


def test_a_new_key_has_a_list_of_its_own(world: World) -> None:
    old = world.service.get_certificate(world.operator, "trust", "root").version
    world.service.create_certificate(world.operator, "app", "web", policy=leaf())
    world.service.renew_certificate(world.operator, "trust", "root")
    world.service.revoke_certificate(world.operator, "app", "web")
    newest = world.service.publish_revocation_list(world.operator, "trust", "root")
    earlier = world.service.publish_revocation_list(world.operator, "trust", "root", version=old)
    assert len(x509.load_der_x509_crl(newest.der)) == 0
    assert len(x509.load_der_x509_crl(earlier.der)) == 1


def test_only_what_an_authority_here_issued_is_revoked(world: World) -> None:
    world.service.create_certificate(world.operator, "app", "web", policy=leaf(issuer="Self"))
    with pytest.raises(BadParameter, match="not issued by an authority of this store"):
        world.service.revoke_certificate(world.operator, "app", "web")
    person = world.person("Key Vault Certificates Officer", at=world.scope("app"))
    world.service.create_certificate(world.operator, "app", "own", policy=leaf())
    with pytest.raises(Forbidden):
        world.service.revoke_certificate(person, "app", "own")


def test_an_issuer_of_the_vault_stands_for_an_authority(world: World) -> None:
    world.service.put_issuer(world.operator, "app", "corp", authority="trust/certificates/root")
    world.service.put_issuer(world.operator, "app", "digicert", provider="DigiCert", account_id="1")
    world.service.create_certificate(world.operator, "app", "web", policy=leaf(issuer="Corp"))
    assert world.service.get_certificate(world.operator, "app", "web").authority == ("trust", "root")
    with pytest.raises(BadParameter, match="which this vault cannot ask"):
        world.service.create_certificate(world.operator, "app", "other", policy=leaf(issuer="digicert"))
    world.service.put_issuer(world.operator, "app", "corp", authority="trust/certificates/root", enabled=False)
    with pytest.raises(Forbidden, match="is disabled"):
        world.service.renew_certificate(world.operator, "app", "web")


@pytest.mark.parametrize(
    ("key", "authority_key"),
    [
        (CertificateKey("RSA", 2048), CertificateKey("EC", curve="P-384")),
        (CertificateKey("EC", curve="P-521"), CertificateKey("RSA", 2048)),
        (CertificateKey("EC", curve="P-256K"), EC),
    ],
)
def test_any_kind_of_key_issues_for_any_other(world: World, key: CertificateKey, authority_key: CertificateKey) -> None:
    rules = CertificateAuthority()
    policy = leaf("ca", dns_names=frozenset(), issuer="Self", key=authority_key, authority=rules, validity_months=24)
    world.service.create_certificate(world.operator, "trust", "other", policy=policy)
    world.service.create_certificate(
        world.operator, "app", "web", policy=leaf(issuer="trust/certificates/other", key=key)
    )
    _certificate(world, "app", "web").verify_directly_issued_by(_certificate(world, "trust", "other"))
