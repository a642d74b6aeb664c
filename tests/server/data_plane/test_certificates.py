"""Azure's own client for certificates, unmodified: made, signed elsewhere, taken in, renewed by policy, deleted."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.certificates import (
    AdministratorContact,
    ApiVersion,
    CertificateClient,
    CertificateContact,
    CertificateContentType,
    CertificatePolicy,
    CertificatePolicyAction,
    LifetimeAction,
    WellKnownIssuerNames,
)
from azure.keyvault.secrets import SecretClient
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12, serialize_key_and_certificates

from tests.server.served import APP, READER, Served

# By its types half of what it returns may be None.
Client = Any

OWN = CertificatePolicy(
    issuer_name=WellKnownIssuerNames.self,
    subject="CN=shop.example.com",
    san_dns_names=["shop.example.com", "www.example.com"],
    key_type="EC",
    key_curve_name="P-256",
    content_type=CertificateContentType.pkcs12,
    validity_in_months=6,
    lifetime_actions=[LifetimeAction(CertificatePolicyAction.auto_renew, days_before_expiry=30)],
)
FOREIGN = CertificatePolicy(
    issuer_name=WellKnownIssuerNames.unknown, subject="CN=signed.example.com", key_type="EC", key_curve_name="P-256"
)


def client(served: Served, who: str = APP, **more: Any) -> Client:
    return CertificateClient(served.url(), served.credential(who), **served.transport, **more)


@pytest.fixture(scope="module")
def certificates(served: Served) -> Iterator[Client]:
    with client(served) as found:
        yield found


@pytest.fixture(scope="module")
def secrets(served: Served) -> Iterator[SecretClient]:
    with SecretClient(served.url(), served.credential(), **served.transport) as found:
        yield found


def make(certificates: Client, name: str, **more: Any) -> Any:
    return certificates.begin_create_certificate(name, OWN, **more).result()


def inner(error: HttpResponseError) -> str:
    return str(error.error.innererror["code"]) if error.error and error.error.innererror else ""


def test_a_certificate_is_made_with_its_key_and_its_secret(
    certificates: Client, secrets: SecretClient, served: Served
) -> None:
    made = make(certificates, "web", tags={"a": "b"})
    version = made.properties.version
    assert made.id == f"{served.url()}/certificates/web/{version}"
    assert made.key_id == f"{served.url()}/keys/web/{version}"
    assert made.secret_id == f"{served.url()}/secrets/web/{version}"
    found = x509.load_der_x509_certificate(bytes(made.cer))
    assert found.subject.rfc4514_string() == "CN=shop.example.com"
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"shop.example.com", "www.example.com"}
    assert made.properties.x509_thumbprint == found.fingerprint(SHA1())  # what finds it, not trusts it
    assert made.properties.expires_on == found.not_valid_after_utc
    assert made.properties.tags == {"a": "b"}
    value = secrets.get_secret("web")
    assert value.properties.content_type == "application/x-pkcs12"
    assert value.properties.managed
    held = load_pkcs12(base64.b64decode(str(value.value)), None)
    assert held.cert is not None
    assert held.cert.certificate == found
    with pytest.raises(HttpResponseError) as refusal:
        secrets.begin_delete_secret("web")
    assert inner(refusal.value) == "SecretManagedByKeyVault"


def test_its_policy_is_told_changed_and_followed(certificates: Client) -> None:
    make(certificates, "by-policy")
    policy = certificates.get_certificate_policy("by-policy")
    assert (policy.issuer_name, policy.subject, policy.validity_in_months) == ("Self", "CN=shop.example.com", 6)
    assert (policy.key_type, policy.key_curve_name, policy.exportable) == ("EC", "P-256", True)
    assert sorted(policy.san_dns_names or ()) == ["shop.example.com", "www.example.com"]
    (action,) = policy.lifetime_actions
    assert (action.action, action.days_before_expiry) == (CertificatePolicyAction.auto_renew, 30)
    policy._validity_in_months = 12
    changed = certificates.update_certificate_policy("by-policy", policy)
    assert changed.validity_in_months == 12
    renewed = certificates.begin_create_certificate("by-policy", changed).result()
    assert renewed.properties.expires_on > datetime.now(UTC) + timedelta(days=350)
    assert len(list(certificates.list_properties_of_certificate_versions("by-policy"))) == 2


def test_what_somebody_else_signs_is_merged(certificates: Client) -> None:
    operation = certificates.begin_create_certificate("signed", FOREIGN).result()
    assert (operation.status, operation.issuer_name) == ("inProgress", "Unknown")
    request = x509.load_der_x509_csr(bytes(operation.csr))
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody else")]))
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .sign(key, SHA256())
    )
    authority = (
        x509.CertificateBuilder()
        .subject_name(signed.issuer)
        .issuer_name(signed.issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=900))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    chain = [one.public_bytes(Encoding.DER) for one in (signed, authority)]
    merged = certificates.merge_certificate("signed", chain)
    assert bytes(merged.cer) == chain[0]
    assert certificates.get_certificate_operation("signed").status == "completed"


def test_a_request_is_given_up(certificates: Client) -> None:
    certificates.begin_create_certificate("given-up", FOREIGN).result()
    assert certificates.cancel_certificate_operation("given-up").cancellation_requested
    certificates.begin_create_certificate("given-up", FOREIGN).result()
    assert certificates.delete_certificate_operation("given-up").name == "given-up"
    with pytest.raises(ResourceNotFoundError):
        certificates.get_certificate_operation("given-up")


@pytest.mark.parametrize("kind", ["pfx", "pfx with a password", "pem"])
def test_a_certificate_made_elsewhere_is_taken_in(certificates: Client, kind: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "elsewhere.example.com")])
    now = datetime.now(UTC)
    own = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .sign(key, SHA256())
    )
    more: dict[str, Any] = {}
    if kind == "pem":
        content = own.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        more["policy"] = CertificatePolicy(issuer_name="Self", content_type=CertificateContentType.pem)
    else:
        secured = BestAvailableEncryption(b"pw") if "password" in kind else NoEncryption()
        content = serialize_key_and_certificates(b"x", key, own, None, secured)
        more = {"password": "pw"} if "password" in kind else {}
    taken = certificates.import_certificate(f"taken-{kind.replace(' ', '-')}", content, **more)
    assert bytes(taken.cer) == own.public_bytes(Encoding.DER)
    wanted = "application/x-pem-file" if kind == "pem" else "application/x-pkcs12"
    assert taken.policy.content_type == wanted


def test_attributes_deletion_recovery_and_purge(certificates: Client, served: Served) -> None:
    made = make(certificates, "life")
    changed = certificates.update_certificate_properties("life", enabled=False, tags={"a": "b"})
    assert (changed.properties.enabled, changed.properties.tags) == (False, {"a": "b"})
    certificates.update_certificate_properties("life", made.properties.version, enabled=True)
    assert certificates.get_certificate_version("life", made.properties.version).properties.enabled
    deleted = certificates.begin_delete_certificate("life").result()
    assert bytes(deleted.cer) == bytes(made.cer)
    assert deleted.recovery_id == f"{served.url()}/deletedcertificates/life"
    assert "life" in [one.name for one in certificates.list_deleted_certificates()]
    assert certificates.get_deleted_certificate("life").name == "life"
    with pytest.raises(ResourceExistsError):
        make(certificates, "life")
    certificates.begin_recover_deleted_certificate("life").wait()
    assert certificates.get_certificate("life").id == made.id
    certificates.begin_delete_certificate("life").wait()
    certificates.purge_deleted_certificate("life")
    with pytest.raises(ResourceNotFoundError):
        certificates.get_certificate("life")


def test_a_backup_brings_a_certificate_back(certificates: Client) -> None:
    made = make(certificates, "backed-up")
    blob = certificates.backup_certificate("backed-up")
    certificates.begin_delete_certificate("backed-up").wait()
    certificates.purge_deleted_certificate("backed-up")
    assert bytes(certificates.restore_certificate_backup(blob).cer) == bytes(made.cer)


def test_lists_have_what_is_there_and_what_is_pending_where_it_is_asked_for(certificates: Client) -> None:
    make(certificates, "listed")
    certificates.begin_create_certificate("listed-pending", FOREIGN).result()
    assert "listed-pending" not in [one.name for one in certificates.list_properties_of_certificates()]
    both = {one.name for one in certificates.list_properties_of_certificates(include_pending=True)}
    assert {"listed", "listed-pending"} <= both


def test_contacts_are_set_read_and_deleted(certificates: Client) -> None:
    with pytest.raises(ResourceNotFoundError):
        certificates.get_contacts()
    wanted = [CertificateContact(email="ops@example.com", name="Ops"), CertificateContact(email="pki@example.com")]
    certificates.set_contacts(wanted)
    assert [(one.email, one.name) for one in certificates.get_contacts()] == [
        ("ops@example.com", "Ops"),
        ("pki@example.com", None),
    ]
    assert len(certificates.delete_contacts()) == 2
    with pytest.raises(ResourceNotFoundError):
        certificates.delete_contacts()


def test_issuers_are_set_changed_listed_and_deleted(certificates: Client, served: Served) -> None:
    made = certificates.create_issuer(
        "corporate",
        "DigiCert",
        account_id="1",
        password="canary-of-an-account",
        organization_id="2",
        admin_contacts=[AdministratorContact(email="a@example.com")],
    )
    assert made.id == f"{served.url()}/certificates/issuers/corporate"
    assert (made.provider, made.account_id, made.organization_id) == ("DigiCert", "1", "2")
    assert certificates.update_issuer("corporate", account_id="9").organization_id == "2"
    assert certificates.get_issuer("corporate").account_id == "9"
    assert [one.name for one in certificates.list_properties_of_issuers()] == ["corporate"]
    certificates.delete_issuer("corporate")
    with pytest.raises(ResourceNotFoundError):
        certificates.get_issuer("corporate")
    for file in (served.folder / ".kvstack" / "vault").iterdir():
        assert b"canary-of-an-account" not in file.read_bytes()


@pytest.mark.parametrize("version", [one for one in ApiVersion if one.value != "2016-10-01"])
def test_every_version_of_the_api_is_spoken(served: Served, certificates: Client, version: ApiVersion) -> None:
    if "spoken" not in [one.name for one in certificates.list_properties_of_certificates()]:
        make(certificates, "spoken")
    with client(served, api_version=version) as found:
        assert found.get_certificate("spoken").name == "spoken"


@pytest.mark.parametrize(
    "policy",
    [
        {"key_props": {"kty": "DSA"}},
        {"x509_props": {"subject": "no subject"}},
        {"x509_props": {"subject": "CN=a", "validity_months": 0}},
        {"x509_props": {"subject": "CN=a", "sans": {"uris": ["https://a"]}}},
        {"x509_props": {"subject": "CN=a", "key_usage": ["fly"]}},
        {"secret_props": {"contentType": "text/plain"}, "x509_props": {"subject": "CN=a"}},
        {"lifetime_actions": [{"trigger": {}, "action": {"action_type": "Explode"}}]},
    ],
)
def test_a_policy_no_vault_takes_is_a_bad_parameter(served: Served, policy: dict[str, Any]) -> None:
    answer = served.ask(
        "POST", "/certificates/bad/create?api-version=7.6", token=served.token(), json_body={"policy": policy}
    )
    assert (answer.status, answer.code) == (400, "BadParameter"), answer


def test_who_may_only_read_secrets_makes_no_certificate(served: Served) -> None:
    with client(served, READER) as reader, pytest.raises(HttpResponseError) as refusal:
        reader.begin_create_certificate("mine", OWN)
    assert (refusal.value.status_code, inner(refusal.value)) == (403, "ForbiddenByRbac")
