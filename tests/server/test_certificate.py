"""A given certificate is checked before it is served: everything that is wrong with it is told at once."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from kvstack.server.certificate import CertificateFiles, Certified, GivenCertificate, given_files
from kvstack.server.names import ServerNames
from kvstack.terms.diagnostic import KvstackError
from tests.server.certificates import Company

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DOMAIN = "kv.example.com"
NAMES = ServerNames(DOMAIN).certified


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path, NOW)


def ready(files: CertificateFiles, now: datetime = NOW) -> Certified:
    return GivenCertificate(files, DOMAIN, NAMES).ready(now)


def refused(files: CertificateFiles, now: datetime = NOW) -> str:
    with pytest.raises(KvstackError) as refusal:
        ready(files, now)
    return str(refusal.value)


def test_one_that_fits_is_served_until_it_ends(company: Company) -> None:
    found = ready(company.made(NAMES))
    assert (found.until, found.unnamed) == (NOW + timedelta(days=10), ())


def test_names_that_it_does_not_have_are_told(company: Company) -> None:
    found = ready(company.made((f"shop.vault.{DOMAIN}", f"login.{DOMAIN}")))
    assert set(found.unnamed) == set(NAMES) - {f"login.{DOMAIN}", "localhost"}


@pytest.mark.parametrize("names", [("www.example.com",), (f"*.vault.{DOMAIN}",), (f"login.{DOMAIN}",)])
def test_one_that_no_client_could_use_is_refused(company: Company, names: tuple[str, ...]) -> None:
    assert "is not for" in refused(company.made(names))


@pytest.mark.parametrize(("days", "words"), [(10, "ended on 2026-03-11 00:00 UTC"), (-1, "does not begin before")])
def test_one_whose_time_it_is_not_is_refused(company: Company, days: float, words: str) -> None:
    assert words in refused(company.made(NAMES), NOW + timedelta(days=days))


def test_another_certificates_key_is_refused(company: Company, tmp_path: Path) -> None:
    files = company.made(NAMES)
    other = CertificateFiles(files.certificate, tmp_path / "before.key")
    shutil.copy(files.key, other.key)
    company.made(NAMES)
    assert "does not fit" in refused(other)


def test_a_chain_out_of_order_is_refused(company: Company, tmp_path: Path) -> None:
    files = company.made(NAMES)
    other = Company(tmp_path, NOW)
    files.certificate.write_bytes(
        files.certificate.read_bytes().partition(b"-----END")[0]
        + b"-----END CERTIFICATE-----\n"
        + other.authority.read_bytes()
    )
    assert "did not issue `CN=server`" in refused(files)


def test_a_key_that_others_can_read_or_that_has_a_password_is_refused(company: Company) -> None:
    files = company.made(NAMES)
    files.key.chmod(0o644)
    assert "can be read by everybody" in refused(files)
    key = load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    files.key.chmod(0o600)
    assert "has a password" in refused(files)


def test_what_is_no_pem_is_refused(company: Company) -> None:
    files = company.made(NAMES)
    files.key.write_text("no key")
    assert "holds no key in PEM" in refused(files)
    files.certificate.write_text("no certificate")
    assert "holds no certificate in PEM" in refused(files)
    files.certificate.unlink()
    assert "cannot be read: No such file" in refused(files)


def test_everything_that_is_wrong_is_told_at_once(company: Company) -> None:
    files = company.made(("www.example.com",), begins=NOW - timedelta(days=13))
    files.key.chmod(0o644)
    told = refused(files)
    for words in ("is not for", "ended on", "can be read by everybody"):
        assert words in told


def test_neither_option_goes_without_the_other(tmp_path: Path) -> None:
    assert given_files(None, None) is None
    for pair in ((tmp_path, None), (None, tmp_path)):
        with pytest.raises(KvstackError, match="go together"):
            given_files(*pair)
