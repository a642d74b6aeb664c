"""`kvstack certificate`: each verb, its answers, its errors; a private key is nowhere but where it was asked for."""

import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell

WEB = f"{VAULT}/web"
MAKE = ("--subject", "CN=web.example.com", "--dns-name", "web.example.com", "--type", "EC")


@pytest.fixture
def made(shell: Shell) -> Shell:
    """The folder with an authority `root`, and `web` issued by it."""
    shell.good(
        "certificate", "create", f"{VAULT}/root", "--subject", "CN=Root", "--type", "EC", "--authority",
        "--path-length", "0", "--permitted", "example.com", "--validity-months", "60",
    )  # fmt: skip
    shell.good("certificate", "create", WEB, *MAKE, "--issuer", f"{VAULT}/certificates/root", "--tag", "a=b")
    return shell


def test_it_is_made_shown_and_listed(made: Shell) -> None:
    shown = made.good("certificate", "show", WEB, "--json").json
    assert (shown["subject"], shown["issuer"]) == ("CN=web.example.com", "CN=Root")
    assert shown["authority"] == f"{VAULT}/root"
    assert shown["tags"] == {"a": "b"}
    own = x509.load_pem_x509_certificate(shown["certificate"].encode())
    own.verify_directly_issued_by(x509.load_pem_x509_certificate(shown["chain"][0].encode()))
    assert f"{own.serial_number:x}" == shown["serial"]
    listed = made.good("certificate", "list", VAULT, "--json").json["certificates"]
    assert {one["name"] for one in listed} == {"root", "web"}
    assert "web.example.com" in made.good("certificate", "list", VAULT).words
    assert "issued by payments-dev/root" in made.good("certificate", "show", WEB).words
    assert len(made.good("certificate", "list-versions", WEB, "--json").json["versions"]) == 1
    # The address is as good as the name.
    assert made.good("certificate", "show", f"{VAULT}/certificates/web", "--json").json == shown


def test_a_policy_file_says_it_all_and_options_change_it(made: Shell) -> None:
    policy = made.good("certificate", "policy", WEB).text
    file = made.folder / "policy.json"
    file.write_text(policy)
    made.good("certificate", "create", f"{VAULT}/copy", "--policy", str(file), "--validity-months", "3")
    copied = made.good("certificate", "policy", f"{VAULT}/copy", "--json").json
    assert copied.pop("validity_months") == 3
    assert copied == made.good("certificate", "policy", WEB, "--json").json
    for content, words in (
        ("nonsense: 1", "the policy is not one"),
        ("- 1", "holds no policy"),
        ("key: {type: oct}", "not one"),
    ):
        file.write_text(content)
        assert words in made.refused("certificate", "create", f"{VAULT}/no", "--policy", str(file), "--subject", "CN=x")


def test_it_is_downloaded_without_its_key_and_exported_with_it(made: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    out = made.folder / "out"
    out.mkdir()
    made.good("certificate", "download", WEB, "--file", str(out / "web.pem"))
    made.good("certificate", "download", WEB, "--file", str(out / "web.der"), "--encoding", "DER")
    made.good("certificate", "download", WEB, "--file", str(out / "chain.pem"), "--chain")
    pem = x509.load_pem_x509_certificate((out / "web.pem").read_bytes())
    assert pem == x509.load_der_x509_certificate((out / "web.der").read_bytes())
    assert len(x509.load_pem_x509_certificates((out / "chain.pem").read_bytes())) == 2
    monkeypatch.setenv("PFX_PASSWORD", "changeit")
    made.good("certificate", "export", WEB, "--file", str(out / "web.pfx"), "--password-env", "PFX_PASSWORD")
    assert stat.S_IMODE((out / "web.pfx").stat().st_mode) == 0o600
    assert pkcs12.load_pkcs12((out / "web.pfx").read_bytes(), b"changeit").key is not None
    made.good("secret", "download", WEB, "--file", str(out / "plain.pfx"))
    assert pkcs12.load_pkcs12((out / "plain.pfx").read_bytes(), None).key is not None
    assert "already" in made.refused("certificate", "download", WEB, "--file", str(out / "web.pem"))
    assert "password" in made.refused("certificate", "export", WEB, "--file", str(out / "no.pfx"))
    assert "is not set" in made.refused(
        "certificate", "export", WEB, "--file", str(out / "no.pfx"), "--password-env", "NOT_THERE"
    )
    made.good("certificate", "create", f"{VAULT}/kept", *MAKE, "--not-exportable")
    refused = made.refused(
        "certificate", "export", f"{VAULT}/kept", "--file", str(out / "no.pfx"), "--password-env", "PFX_PASSWORD"
    )
    assert "not exportable" in refused
    assert not (out / "no.pfx").exists()


def test_a_pfx_is_imported_with_its_password_only(made: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PFX_PASSWORD", "changeit")
    monkeypatch.setenv("WRONG", "wrong")
    file = made.folder / "web.pfx"
    made.good("certificate", "export", WEB, "--file", str(file), "--password-env", "PFX_PASSWORD")
    for wrong in ((), ("--password-env", "WRONG")):
        assert "password is wrong" in made.refused("certificate", "import", f"{VAULT}/in", "--file", str(file), *wrong)
    (made.folder / "password").write_text("changeit\n")
    for source in (("--password-env", "PFX_PASSWORD"), ("--password-file", str(made.folder / "password"))):
        made.good("certificate", "import", f"{VAULT}/in", "--file", str(file), *source)
    shown = made.good("certificate", "show", f"{VAULT}/in", "--json").json
    assert shown["thumbprint"] == made.good("certificate", "show", WEB, "--json").json["thumbprint"]
    assert "not there" in made.refused("certificate", "import", f"{VAULT}/in", "--file", "not there")
    both = ("--password-env", "PFX_PASSWORD", "--password-file", "password")
    assert "not in both" in made.refused("certificate", "import", f"{VAULT}/in", "--file", str(file), *both)


def test_a_request_is_shown_cancelled_and_merged(made: Shell) -> None:
    from datetime import UTC, datetime

    from tests.vault.certificates.policies import Outside, pem

    said = made.good("certificate", "create", f"{VAULT}/csr", *MAKE, "--issuer", "Unknown")
    assert "have it signed" in said.text
    assert made.good("certificate", "list", VAULT, "--json").json["certificates"].__len__() == 2
    assert "pending" in made.good("certificate", "list", VAULT, "--include-pending").text
    assert "is pending" in made.refused("certificate", "show", f"{VAULT}/csr")
    csr = made.good("certificate", "pending", "show", f"{VAULT}/csr", "--csr").out
    assert made.good("certificate", "pending", "show", f"{VAULT}/csr", "--json").json["csr"].encode() == csr
    made.good("certificate", "pending", "cancel", f"{VAULT}/csr")
    assert "there is no certificate" in made.refused("certificate", "pending", "show", f"{VAULT}/csr")
    made.good("certificate", "create", f"{VAULT}/csr", *MAKE, "--issuer", "Unknown")
    request = x509.load_pem_x509_csr(made.good("certificate", "pending", "show", f"{VAULT}/csr", "--csr").out)
    from cryptography.hazmat.primitives.serialization import Encoding

    outside = Outside("Outer", datetime.now(UTC))
    file = made.folder / "signed.pem"
    file.write_bytes(pem(outside.certificate, outside.sign(request.public_bytes(Encoding.DER))))
    assert "merged" in made.good("certificate", "pending", "merge", f"{VAULT}/csr", "--file", str(file)).text
    assert made.good("certificate", "show", f"{VAULT}/csr", "--json").json["issuer"] == "CN=Outer"


def test_a_certificate_is_revoked_and_the_list_published(made: Shell) -> None:
    row = made.good("certificate", "revoke", WEB, "--reason", "superseded", "--json").json
    assert row["reason"] == "superseded"
    files = [made.folder / "one.crl", made.folder / "two.crl"]
    made.good("certificate", "crl", f"{VAULT}/root", "--file", str(files[0]))
    last = ("--last", "--encoding", "DER")
    told = made.good("certificate", "crl", f"{VAULT}/root", "--file", str(files[1]), *last, "--json").json
    assert told["number"] == 1
    one, two = x509.load_pem_x509_crl(files[0].read_bytes()), x509.load_der_x509_crl(files[1].read_bytes())
    assert one == two
    assert one.get_revoked_certificate_by_serial_number(int(row["serial"], 16)) is not None
    issued = made.good("certificate", "issued", f"{VAULT}/root", "--json").json["issued"]
    assert [entry["serial"] for entry in issued] == [row["serial"]]
    assert "superseded" in made.good("certificate", "issued", f"{VAULT}/root").text
    again = made.good("certificate", "revoke", f"{VAULT}/root", "--serial", row["serial"], "--json").json
    assert again["revoked"] == row["revoked"]
    assert "no certificate authority" in made.refused("certificate", "crl", WEB, "--file", str(made.folder / "no"))


def test_it_is_renewed_disabled_deleted_recovered_purged(made: Shell) -> None:
    made.good("certificate", "renew", WEB)
    first, _ = (one["version"] for one in made.good("certificate", "list-versions", WEB, "--json").json["versions"])
    made.good("certificate", "set-attributes", WEB, "--version", first, "--disabled")
    changed = made.good("certificate", "set-attributes", WEB, "--disabled", "--tag", "c=d", "--untag", "a", "--json")
    assert (changed.json["enabled"], changed.json["tags"]) == (False, {"c": "d"})
    assert "disabled" in made.refused("secret", "show", WEB, "--value")
    for noun in ("key", "secret"):
        assert "its certificate's" in made.refused(noun, "delete", WEB)
    made.good("certificate", "delete", WEB)
    assert "kvstack certificate recover" in made.refused("certificate", "show", WEB)
    assert [one["name"] for one in made.good("certificate", "list-deleted", VAULT, "--json").json["certificates"]] == [
        "web"
    ]
    made.good("certificate", "recover", WEB)
    made.good("certificate", "delete", WEB)
    assert "--yes" in made.refused("certificate", "purge", WEB)
    made.good("certificate", "purge", WEB, "--yes")
    assert "there is no certificate" in made.refused("certificate", "show", WEB)


def test_a_backup_is_private_and_comes_back(made: Shell) -> None:
    file = made.folder / "web.backup"
    made.good("certificate", "backup", WEB, "--file", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "only where its name is free" in made.refused("certificate", "restore", VAULT, "--file", str(file))
    made.good("vault", "create", "other-vault")
    assert (
        "restored certificate other-vault/web"
        in made.good("certificate", "restore", "other-vault", "--file", str(file)).text
    )


def test_contacts_and_issuers(made: Shell) -> None:
    made.good("certificate", "contact", "add", VAULT, "--email", "a@example.com", "--name", "Ann")
    made.good("certificate", "contact", "add", VAULT, "--email", "b@example.com")
    made.good("certificate", "contact", "delete", VAULT, "--email", "A@example.com")
    contacts = made.good("certificate", "contact", "list", VAULT, "--json").json["contacts"]
    assert [one["email"] for one in contacts] == ["b@example.com"]
    assert "has no contact" in made.refused("certificate", "contact", "delete", VAULT, "--email", "a@example.com")
    authority = f"{VAULT}/certificates/root"
    made.good("certificate", "issuer", "create", VAULT, "corp", "--authority", authority)
    made.good("certificate", "issuer", "create", VAULT, "digi", "--provider", "DigiCert", "--account-id", "7")
    assert made.good("certificate", "issuer", "show", VAULT, "digi", "--json").json["account_id"] == "7"
    made.good("certificate", "create", f"{VAULT}/by-corp", *MAKE, "--issuer", "corp")
    made.good("certificate", "issuer", "delete", VAULT, "corp")
    assert [one["name"] for one in made.good("certificate", "issuer", "list", VAULT, "--json").json["issuers"]] == [
        "digi"
    ]
    assert "has no issuer" in made.refused("certificate", "renew", f"{VAULT}/by-corp")
    assert "one of them" in made.refused("certificate", "issuer", "create", VAULT, "x")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", WEB), "needs a subject"),
        (("create", WEB, "--subject", "CN=x", "--path-length", "1"), "only an authority has rules"),
        (("create", WEB, "--subject", "CN=x", "--type", "EC", "--size", "2048"), "a `curve`, not a `size`"),
        (("create", WEB, "--subject", "CN=x", "--type", "EC-HSM"), "premium"),
        (("create", WEB, "--subject", "CN=x", "--ip-address", "x"), "no IP address"),
        (("create", WEB, "--subject", "CN=x", "--issuer", "Unknown", "--renew-days-before", "9"), "use `notify`"),
        (("create", f"{VAULT}/signing", *MAKE), "has the certificate's name"),
        (("create", "nowhere/web", *MAKE), "there is no vault"),
        (("create", f"{VAULT}/keys/web", *MAKE), "is a key"),
        (("show", f"{VAULT}/wbe"), "there is no certificate `wbe`"),
        (("show",), "Missing argument"),
        (("sho",), "did you mean `show`"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(shell: Shell, arguments: tuple[str, ...], words: str) -> None:
    assert words in shell.refused("certificate", *arguments)


@given(content=st.binary(max_size=200), verb=st.sampled_from(["import", "restore", "merge", "policy"]))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_of_anything_is_an_error_of_one_line(shell: Shell, tmp_path: Path, content: bytes, verb: Any) -> None:
    file = tmp_path / "anything"
    file.write_bytes(content)
    match verb:
        case "import":
            result = shell("certificate", "import", WEB, "--file", str(file))
        case "restore":
            result = shell("certificate", "restore", VAULT, "--file", str(file))
        case "merge":
            result = shell("certificate", "pending", "merge", WEB, "--file", str(file))
        case _:
            result = shell("certificate", "create", WEB, "--policy", str(file))
    assert result.code == 1
    assert "Traceback" not in result.err
    assert result.err.count("error:") >= 1


def test_no_private_key_lies_in_any_file_or_answer(made: Shell) -> None:
    value = made.good("secret", "show", WEB, "--value").out
    key = pkcs12.load_pkcs12(value, None).key
    assert key is not None
    secret = key.private_numbers().private_value.to_bytes(32, "big")  # type: ignore[union-attr]
    made.good("certificate", "renew", WEB)
    made.good("certificate", "backup", WEB, "--file", str(made.folder / "b"))
    for verb in ("show", "policy", "list-versions"):
        assert secret.hex() not in made.good("certificate", verb, WEB, "--json").text
    for path in made.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert secret not in content, path
            assert secret.hex().encode() not in content, path
