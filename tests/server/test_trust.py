"""The server's certificate: made once, for its names, by an authority that can speak for nothing else."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from kvstack.server.names import ServerNames
from kvstack.server.trust import TrustFiles, read_authority, ready_trust
from kvstack.terms.diagnostic import KvstackError

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DOMAIN = "kv.example.com"
NAMES = ServerNames(DOMAIN).certified


@pytest.fixture
def files(tmp_path: Path) -> TrustFiles:
    return TrustFiles(tmp_path / "server")


def make(files: TrustFiles, *, domain: str = DOMAIN, now: datetime = NOW) -> bytes:
    ready_trust(files, domain, ServerNames(domain).certified, now)
    return files.certificate.read_bytes()


def verified(files: TrustFiles, name: str, now: datetime = NOW) -> None:
    chain = x509.load_pem_x509_certificates(files.certificate.read_bytes())
    store = Store([x509.load_pem_x509_certificate(files.authority.read_bytes())])
    PolicyBuilder().store(store).time(now).build_server_verifier(x509.DNSName(name)).verify(chain[0], chain[1:])


@pytest.mark.parametrize("name", ["shop.vault.kv.example.com", "p.managedhsm.kv.example.com", "login.kv.example.com"])
def test_clients_that_trust_the_authority_trust_the_servers_names(files: TrustFiles, name: str) -> None:
    make(files)
    verified(files, name)


def test_they_trust_it_for_no_other_name(files: TrustFiles) -> None:
    make(files)
    with pytest.raises(VerificationError):
        verified(files, "vault.azure.net")


def test_a_stolen_authority_speaks_for_no_other_domain(files: TrustFiles) -> None:
    make(files)
    # What a thief of the key can do: a certificate for somebody else's name.
    stolen = TrustFiles(files.folder)
    ready_trust(stolen, DOMAIN, ("www.example.org",), NOW)
    with pytest.raises(VerificationError, match="constraint"):
        verified(stolen, "www.example.org")


def test_the_next_start_finds_what_the_first_one_made(files: TrustFiles) -> None:
    assert make(files) == make(files, now=NOW + timedelta(days=300))


@pytest.mark.parametrize("changed", ["old", "other names", "missing", "damaged", "another's key"])
def test_a_certificate_that_does_not_do_is_made_anew_by_the_same_authority(files: TrustFiles, changed: str) -> None:
    before, authority = make(files), files.authority.read_bytes()
    now = NOW
    match changed:
        case "old":
            now = NOW + timedelta(days=350)
        case "other names":
            ready_trust(files, DOMAIN, ("login.kv.example.com",), NOW)
            before = files.certificate.read_bytes()
        case "missing":
            files.certificate.unlink()
        case "damaged":
            files.certificate.write_bytes(b"no certificate")
        case "another's key":
            files.key.write_bytes(files.authority_key.read_bytes())
    assert make(files, now=now) != before
    assert files.authority.read_bytes() == authority
    verified(files, "shop.vault.kv.example.com", now)


def test_another_domain_takes_another_authority(files: TrustFiles) -> None:
    make(files)
    authority = files.authority.read_bytes()
    make(files, domain="other.example")
    assert files.authority.read_bytes() != authority
    verified(files, "shop.vault.other.example")


def test_everything_is_private_whatever_the_umask_is(files: TrustFiles) -> None:
    before = os.umask(0)
    try:
        make(files)
    finally:
        os.umask(before)
    assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700
    for path in files.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_key_that_others_can_read_stops_the_start(files: TrustFiles) -> None:
    make(files)
    files.key.chmod(0o604)
    with pytest.raises(KvstackError, match="can be read by everybody"):
        make(files)


def test_a_damaged_authority_is_never_replaced_unasked(files: TrustFiles) -> None:
    make(files)
    files.authority.write_bytes(b"no certificate")
    with pytest.raises(KvstackError, match="cannot be read"):
        make(files)


def test_before_the_first_start_there_is_nothing_to_trust(files: TrustFiles) -> None:
    with pytest.raises(KvstackError, match="no certificate authority yet"):
        read_authority(files)
