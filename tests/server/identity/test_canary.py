"""Nothing that anybody signs in with is left anywhere: neither in the log, nor in the audit, nor in a file."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.server.identity.assertions import assertion, certified
from tests.server.identity.issuer import Issuer
from tests.server.identity.person import CLIENT, Browser, people
from tests.server.identity.test_federation import SUBJECT, TYPE, command, configured
from tests.server.identity.test_people import BACK, CHALLENGE, VERIFIER
from tests.server.served import APP, SHOP, Served

PATH = "/secrets/greeting?api-version=7.4"


def test_what_was_shown_by_anybody_is_left_nowhere(stack: Path, tmp_path: Path) -> None:
    issuer, by = Issuer(tmp_path / "issuer"), certified()
    configured(stack, issuer.allowed)
    (tmp_path / "certificate.pem").write_bytes(by.public_pem)
    command(stack, "credential", "certificate", APP, "--file", str(tmp_path / "certificate.pem"))
    command(stack, "credential", "federate", APP, "cluster", "--issuer", issuer.url, "--subject", SUBJECT)
    command(stack, "identity", "create", "batch")
    header = command(stack, "credential", "create", "batch", "--json").json["value"]
    alice = people(stack, SHOP, "alice")["alice"]
    served = Served(stack)
    audience = f"https://{served.login}/{served.tenant}/oauth2/v2.0/token"
    shown: list[str] = [served.secret(), header.partition(".")[2], alice.secret.replace("-", "")]
    try:
        for right in (True, False):
            spoilt = "" if right else "x"
            tokens = [assertion(APP, audience, by), issuer.token(SUBJECT)]
            for given in tokens:
                answer = served.sign_in(client_id=APP, client_assertion_type=TYPE, client_assertion=given + spoilt)
                assert answer.status == (200 if right else 401)
                shown += [given] + ([answer.json["access_token"]] if right else [])
            secret = served.secret() + spoilt
            assert served.sign_in(client_id=APP, client_secret=secret).status == (200 if right else 401)
            asked = {"api-version": "2019-08-01", "resource": f"https://{served.vaults}"}
            answer = served.ask(
                "GET",
                f"/msi/token?{urlencode(asked)}",
                host=served.login,
                headers={"X-IDENTITY-HEADER": header + spoilt},
            )
            assert answer.status == (200 if right else 401)
        query = {
            "client_id": CLIENT,
            "response_type": "code",
            "redirect_uri": BACK,
            "scope": f"https://{served.vaults}/.default",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        browser = Browser(served.login, str(served.authority))
        path = f"/{served.tenant}/oauth2/v2.0/authorize?{urlencode(query)}"
        assert browser.signed_in(path, alice.fields | {"code": "canary-code"}).status == 401
        page = browser.signed_in(path, alice.fields)
        (code,) = parse_qs(urlsplit(page.headers["location"]).query)["code"]
        answer = served.sign_in(
            grant_type="authorization_code",
            client_id=CLIENT,
            code=code,
            redirect_uri=BACK,
            code_verifier=VERIFIER,
        )
        token = answer.json["access_token"]
        shown += [code, token, answer.json["id_token"], VERIFIER, "canary-code"]
        assert served.ask("GET", PATH, token=token).status == 200
        assert served.ask("GET", PATH, token=token + "x").status == 401
        arguments = Path(f"/proc/{served.process.pid}/cmdline").read_bytes()
        environment = Path(f"/proc/{served.process.pid}/environ").read_bytes()
    finally:
        ran = served.stop()
        issuer.stop()
    audit = command(stack, "audit", "tail", "-n", "200", "--json").out
    told = ran.out + ran.err + json.dumps(served.lines) + audit
    listed = command(stack, "credential", "list", APP, "--json").out + command(stack, "credential", "list", "alice").out
    files = {file: file.read_bytes() for file in (stack / ".kvstack").rglob("*") if file.is_file()}
    for number, value in enumerate(shown):
        plain = value.encode()
        assert len(plain) >= 8
        assert value not in told, number
        assert value not in listed, number
        assert plain not in arguments + environment, number
        for file, content in files.items():
            assert plain not in content, (number, file)
