"""A PFX or PEM file is taken in whole, with its key and its chain, or not at all."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.terms.certificate import PEM, PKCS12
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.secret import SecretValue
from kvstack.vault.errors import BadParameter, Unavailable
from tests.vault.certificates.policies import Outside, leaf
from tests.vault.service.world import START, World

PASSWORD = SecretValue("tr0ub4dor&3")


class Files:
    """One certificate from outside, in every form it comes in."""

    def __init__(self) -> None:
        self.root = Outside("Outer Root", START)
        self.sub = Outside("Outer Sub", START, above=self.root)
        self.own = Outside("www.example.org", START, above=self.sub, ca=False)
        self.above = [self.sub.certificate, self.root.certificate]

    def pfx(self, password: SecretValue | None) -> bytes:
        how = BestAvailableEncryption(password.reveal()) if password else NoEncryption()
        return pkcs12.serialize_key_and_certificates(b"www", self.own.key, self.own.certificate, self.above, how)

    def key(self, form: PrivateFormat, password: SecretValue | None) -> bytes:
        how = BestAvailableEncryption(password.reveal()) if password else NoEncryption()
        return self.own.key.private_bytes(Encoding.PEM, form, how)

    def pem(self, form: PrivateFormat, password: SecretValue | None) -> bytes:
        certificates = [one.public_bytes(Encoding.PEM) for one in (self.root.certificate, self.own.certificate)]
        return certificates[0] + self.key(form, password) + certificates[1] + self.sub.pem


@pytest.fixture(scope="module")
def files() -> Files:
    return Files()


@pytest.mark.parametrize(
    ("make", "password", "content_type"),
    [
        (lambda files: files.pfx(None), None, PKCS12),
        (lambda files: files.pfx(PASSWORD), PASSWORD, PKCS12),
        (lambda files: files.pem(PrivateFormat.PKCS8, None), None, PEM),
        (lambda files: files.pem(PrivateFormat.PKCS8, None), PASSWORD, PEM),
        (lambda files: files.pem(PrivateFormat.PKCS8, PASSWORD), PASSWORD, PEM),
        (lambda files: files.pem(PrivateFormat.TraditionalOpenSSL, None), None, PEM),
        (lambda files: files.pem(PrivateFormat.TraditionalOpenSSL, PASSWORD), PASSWORD, PEM),
    ],
)
def test_every_form_is_taken_in(world: World, files: Files, make: Any, password: Any, content_type: str) -> None:
    made = world.service.import_certificate(world.operator, "app", "www", make(files), password=password)
    found = world.service.get_certificate(world.operator, "app", "www")
    assert found.der == files.own.certificate.public_bytes(Encoding.DER)
    assert found.chain == tuple(one.public_bytes(Encoding.DER) for one in files.above)
    assert (made.policy.issuer, made.policy.subject) == ("Unknown", "CN=www.example.org")
    assert made.policy.content_type == content_type
    assert world.service.sign(world.operator, "app", "www", algorithm="ES256", digest=bytes(32)).value
    # And what the secret holds can be taken in again.
    value = world.service.get_secret(world.operator, "app", "www").value
    assert value is not None
    again = world.service.import_certificate(world.operator, "app", "www", value.reveal())
    assert again.versions == 2
    assert again.thumbprint == made.thumbprint


def test_a_key_taken_in_need_not_be_given_out(world: World, files: Files) -> None:
    world.service.import_certificate(world.operator, "app", "www", files.pfx(None), exportable=False)
    value = world.service.get_secret(world.operator, "app", "www").value
    assert value is not None
    assert pkcs12.load_pkcs12(value.reveal(), None).key is None


def test_without_an_hsm_no_key_goes_into_one(world: World, files: Files) -> None:
    with pytest.raises(BadParameter, match="standard vault"):
        world.service.import_certificate(world.operator, "app", "www", files.pfx(None), hsm=True)
    world.service.update_vault(world.operator, "app", sku="premium")
    with pytest.raises(Unavailable):
        world.service.import_certificate(world.operator, "app", "www", files.pfx(None), hsm=True)


def _self_signed(key: Any) -> bytes:
    from cryptography.hazmat.primitives import hashes

    name = x509.Name.from_rfc4514_string("CN=own")
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(START - timedelta(days=1))
        .not_valid_after(START + timedelta(days=9))
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    private: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + made.public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("content", "password", "words"),
    [
        (lambda files: files.pfx(PASSWORD), None, "or the password is wrong"),
        (lambda files: files.pfx(PASSWORD), SecretValue("wrong"), "or the password is wrong"),
        (lambda files: files.pfx(PASSWORD), SecretValue(""), "or the password is wrong"),
        (lambda files: files.pem(PrivateFormat.PKCS8, PASSWORD), None, "or the password is wrong"),
        (lambda files: files.pem(PrivateFormat.PKCS8, PASSWORD), SecretValue("wrong"), "or the password is wrong"),
        (lambda files: b"nonsense", None, "no PFX"),
        (lambda files: b"", None, "no PFX"),
        (lambda files: files.own.pem, None, "no private key"),
        (lambda files: files.key(PrivateFormat.PKCS8, None), None, "no certificate"),
        (lambda files: files.key(PrivateFormat.PKCS8, None) + files.root.pem, None, "is for this key"),
        (lambda files: files.key(PrivateFormat.PKCS8, None) * 2 + files.own.pem, None, "2 private keys"),
        (lambda files: files.pem(PrivateFormat.PKCS8, None) + Outside("Else", START).pem, None, "is not above"),
        (lambda files: b"-----BEGIN DH PARAMETERS-----\nAA\n-----END DH PARAMETERS-----", None, "is not taken"),
        (lambda files: _self_signed(ed25519.Ed25519PrivateKey.generate()), None, "not taken"),
        (lambda files: _self_signed(rsa.generate_private_key(65537, 1024)), None, "2048, 3072 or 4096"),
        (lambda files: _self_signed(ec.generate_private_key(ec.SECP192R1())), None, "curve is"),
        (lambda files: bytes(300_000), None, "at most"),
    ],
)
def test_what_cannot_be_taken_in_is_one_error_and_nothing_kept(
    world: World, files: Files, content: Any, password: Any, words: str
) -> None:
    with pytest.raises(BadParameter, match=words) as refused:
        world.service.import_certificate(world.operator, "app", "www", content(files), password=password)
    assert len(refused.value.diagnostics) == 1
    assert world.service.list_certificates(world.operator, "app") == ()
    assert world.service.list_keys(world.operator, "app") == ()
    assert world.service.list_secrets(world.operator, "app") == ()


def test_an_expired_one_is_refused(world: World, files: Files) -> None:
    world.clock.advance(timedelta(days=366))
    with pytest.raises(BadParameter, match="has expired"):
        world.service.import_certificate(world.operator, "app", "www", files.pfx(None))


def test_a_pending_request_is_not_overwritten(world: World, files: Files) -> None:
    world.service.create_certificate(world.operator, "app", "www", policy=leaf(issuer="Unknown"))
    with pytest.raises(KvstackError, match="pending request"):
        world.service.import_certificate(world.operator, "app", "www", files.pfx(None))


@given(where=st.integers(0, 1 << 20), what=st.integers(1, 255), form=st.sampled_from(["pfx", "secret pfx", "pem"]))
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_byte_is_one_error_or_changes_nothing(
    world: World, files: Files, where: int, what: int, form: str
) -> None:
    original = {
        "pfx": files.pfx(None),
        "secret pfx": files.pfx(PASSWORD),
        "pem": files.pem(PrivateFormat.PKCS8, None),
    }[form]
    changed = bytearray(original)
    changed[where % len(changed)] ^= what
    before = world.service.list_certificates(world.operator, "app")
    refused = None
    try:
        world.service.import_certificate(world.operator, "app", "www", bytes(changed), password=PASSWORD)
    except KvstackError as error:
        refused = error
    if refused is not None:
        assert len(refused.diagnostics) == 1
        assert world.service.list_certificates(world.operator, "app") == before


@given(content=st.binary(max_size=300))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_one_error(world: World, content: bytes) -> None:
    for beginning in (b"", b"-----BEGIN CERTIFICATE-----\n", b"0\x82\x01\x00\x02\x01\x03"):
        with pytest.raises(KvstackError) as refused:
            world.service.import_certificate(world.operator, "app", "www", beginning + content)
        assert len(refused.value.diagnostics) == 1
