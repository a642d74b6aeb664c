"""What others make of it: OpenSSL's verify, pkcs12, req and crl, Java's keytool, and a TLS server with its client."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvstack.hsm.find import find_module
from kvstack.terms.certificate import PEM, CertificateAuthority, CertificateKey, CertificatePolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault.certificates import reading
from kvstack.vault.certificates.exported import protected
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.service import VaultService

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="NO OPENSSL: install it to check certificates")

KINDS = ["EC P-256", "RSA 2048"]


class Pki:
    """A root and an authority below it, in an HSM where there is one, and a certificate for `localhost`."""

    def __init__(self, service: VaultService, folder: Path, kind: str, *, hsm: bool) -> None:
        self.service, self.folder, self.operator = service, folder, service.operator
        family = kind.split()[0]
        key = CertificateKey(f"{family}-HSM" if hsm else family)  # type: ignore[arg-type]  # RSA and EC only
        root = CertificatePolicy(
            subject="CN=Root, O=Example", key=key, validity_months=24, authority=CertificateAuthority(path_length=1)
        )
        rules = CertificateAuthority(permitted=frozenset({"localhost"}), crl_url="http://localhost/sub.crl")
        sub = CertificatePolicy(
            subject="CN=Sub", key=key, validity_months=18, issuer="trust/certificates/root", authority=rules
        )
        leaf = CertificatePolicy(
            subject="CN=localhost",
            dns_names=frozenset({"localhost"}),
            key=CertificateKey(family),  # type: ignore[arg-type]
            issuer="trust/certificates/sub",
        )
        for vault, name, policy in (("trust", "root", root), ("trust", "sub", sub), ("app", "web", leaf)):
            service.create_certificate(self.operator, vault, name, policy=policy)
        made = service.get_certificate(self.operator, "app", "web")
        self.leaf, self.sub, self.root = (
            self.file(f"{name}.pem", reading.pem([der]))
            for name, der in zip(("leaf", "sub", "root"), (made.der, *made.chain), strict=True)
        )

    def file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def secret(self, name: str) -> bytes:
        value = self.service.get_secret(self.operator, "app", name).value
        assert value is not None
        return value.reveal()

    def lists(self) -> Path:
        """Return a file with the revocation lists of both authorities."""
        found = [self.service.publish_revocation_list(self.operator, "trust", name).der for name in ("root", "sub")]
        return self.file("lists.pem", b"".join(reading.revocation_list_pem(der) for der in found))


@pytest.fixture(params=KINDS, scope="module")
def pki(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pki]:
    hsm = find_module() is not None
    unlocked = initialise(tmp_path_factory.mktemp("store"), hsm=hsm, prepare=initialise_access)
    service = VaultService(unlocked)
    service.create_vault(service.operator, "trust", sku="premium" if hsm else "standard")
    service.create_vault(service.operator, "app")
    yield Pki(service, tmp_path_factory.mktemp("files"), request.param, hsm=hsm)
    unlocked.close()


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60)


def test_openssl_verifies_the_chain_strictly_and_without_its_end_does_not(pki: Pki) -> None:
    good = openssl("verify", "-x509_strict", "-CAfile", pki.root, "-untrusted", pki.sub, pki.leaf)
    assert (good.returncode, good.stdout.strip()) == (0, f"{pki.leaf}: OK")
    named = openssl(
        "verify", "-verify_hostname", "localhost", "-purpose", "sslserver", "-CAfile", pki.root, "-untrusted", pki.sub,
        pki.leaf,
    )  # fmt: skip
    assert named.returncode == 0, named.stderr
    assert openssl("verify", "-CAfile", pki.sub, pki.leaf).returncode != 0


def test_openssl_finds_it_in_no_list_and_then_in_one(pki: Pki) -> None:
    check = ("verify", "-crl_check_all", "-CAfile", pki.root, "-untrusted", pki.sub, "-CRLfile")
    policy = pki.service.get_certificate_policy(pki.operator, "app", "web")
    pki.service.create_certificate(pki.operator, "app", "revoked", policy=policy)
    leaf = pki.file("revoked.pem", reading.pem([pki.service.get_certificate(pki.operator, "app", "revoked").der]))
    good = openssl(*check, pki.lists(), leaf)
    assert good.returncode == 0, good.stderr
    pki.service.revoke_certificate(pki.operator, "app", "revoked", reason="keyCompromise")
    revoked = openssl(*check, pki.lists(), leaf)
    assert revoked.returncode != 0
    assert "certificate revoked" in revoked.stderr
    assert openssl(*check, pki.lists(), pki.leaf).returncode == 0


def test_openssl_reads_the_pfx_and_the_pem(pki: Pki) -> None:
    pfx = pki.file("web.pfx", pki.secret("web"))
    read = openssl("pkcs12", "-in", pfx, "-passin", "pass:", "-nodes")
    assert read.returncode == 0, read.stderr
    assert read.stdout.count("BEGIN CERTIFICATE") == 3
    assert read.stdout.count("BEGIN PRIVATE KEY") == 1
    import msgspec

    policy = pki.service.get_certificate_policy(pki.operator, "app", "web")
    pki.service.create_certificate(
        pki.operator, "app", "as-pem", policy=msgspec.structs.replace(policy, content_type=PEM)
    )
    file = pki.file("web-key.pem", pki.secret("as-pem"))
    assert openssl("pkey", "-in", file, "-noout", "-check").returncode == 0
    of_key = openssl("pkey", "-in", file, "-pubout").stdout
    assert of_key == openssl("x509", "-in", file, "-noout", "-pubkey").stdout


def test_openssl_verifies_a_request_of_a_key_in_the_hsm(pki: Pki) -> None:
    policy = pki.service.get_certificate_policy(pki.operator, "trust", "sub")
    import msgspec

    asked = msgspec.structs.replace(policy, issuer="Unknown", authority=None, key_usage=None)
    pki.service.create_certificate(pki.operator, "trust", "asked", policy=asked)
    csr = pki.service.get_pending_certificate(pki.operator, "trust", "asked").csr
    checked = openssl("req", "-verify", "-noout", "-in", pki.file("asked.csr", reading.request_pem(csr)))
    assert checked.returncode == 0, checked.stderr
    pki.service.cancel_pending_certificate(pki.operator, "trust", "asked")


def test_the_authoritys_private_key_is_in_no_secret(pki: Pki) -> None:
    value = pki.service.get_secret(pki.operator, "trust", "root").value
    assert value is not None
    read = openssl("pkcs12", "-in", pki.file("root.pfx", value.reveal()), "-passin", "pass:", "-nodes")
    if find_module() is not None:
        assert "PRIVATE KEY" not in read.stdout


@pytest.mark.toolchain
def test_javas_keytool_opens_a_pfx_under_a_password(pki: Pki) -> None:
    keytool = shutil.which("keytool")
    if keytool is None:
        pytest.skip("NO JAVA: install a JDK to check keystores")
    pfx = pki.file("java.pfx", protected("web", SecretValue(pki.secret("web")), SecretValue("changeit")).reveal())
    listed = subprocess.run(
        [keytool, "-list", "-v", "-keystore", pfx, "-storetype", "PKCS12", "-storepass", "changeit"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    pfx.unlink()
    assert listed.returncode == 0, listed.stdout
    assert "PrivateKeyEntry" in listed.stdout
    assert "Certificate chain length: 3" in listed.stdout


def _handshake(pki: Pki, pem: bytes, *, trust: bytes, lists: bytes = b"") -> str:
    """Start a TLS server with a certificate, connect once, and return what the client says: `ok`, or why not."""
    file = pki.file("server.pem", pem)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(file)
    file.unlink()
    client = ssl.create_default_context(cadata=trust.decode())
    if lists:
        revoked = pki.file("client-lists.pem", lists)
        client.load_verify_locations(cafile=str(revoked))
        client.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            try:
                with server.wrap_socket(connection, server_side=True) as secured:
                    secured.sendall(b"hello")
            except OSError:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with (
                socket.create_connection(listening.getsockname(), timeout=20) as plain,
                client.wrap_socket(plain, server_hostname="localhost") as secured,
            ):
                return "ok" if secured.recv(5) == b"hello" else "nothing came"
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        finally:
            thread.join()


def test_a_tls_server_is_believed_by_who_trusts_the_root_until_it_is_revoked(pki: Pki) -> None:
    import msgspec

    policy = pki.service.get_certificate_policy(pki.operator, "app", "web")
    pki.service.create_certificate(
        pki.operator, "app", "server", policy=msgspec.structs.replace(policy, content_type=PEM)
    )
    pem = pki.secret("server")
    root = pki.root.read_bytes()
    assert _handshake(pki, pem, trust=root) == "ok"
    assert _handshake(pki, pem, trust=root, lists=pki.lists().read_bytes()) == "ok"
    assert "self-signed certificate in certificate chain" in _handshake(pki, pem, trust=reading.pem([_other_root(pki)]))
    pki.service.revoke_certificate(pki.operator, "app", "server")
    assert _handshake(pki, pem, trust=root, lists=pki.lists().read_bytes()) == "certificate revoked"


def _other_root(pki: Pki) -> bytes:
    policy = CertificatePolicy(subject="CN=Other", key=CertificateKey("EC"), authority=CertificateAuthority())
    pki.service.create_certificate(pki.operator, "app", "other-root", policy=policy)
    return pki.service.get_certificate(pki.operator, "app", "other-root").der
