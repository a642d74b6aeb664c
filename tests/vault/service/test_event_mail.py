"""Events mailed to people, and handed to programs: by the operator's mail server, and the operator's word."""

import json
import os
import select
from datetime import timedelta
from pathlib import Path

import pytest

from kvstack.terms.certificate import CertificateKey, CertificatePolicy, Trigger
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.caller import SYSTEM
from kvstack.vault.certificates.rows import Contact
from kvstack.vault.errors import BadParameter, Forbidden
from kvstack.vault.outbox import AlertRule
from tests.vault.service.mail_server import MailServer, mail_server
from tests.vault.service.receiver import certified
from tests.vault.service.test_events import VAULT, deliver, set_secret
from tests.vault.service.world import World


def configure(world: World, server: MailServer | None, **smtp: object) -> None:
    file = world.unlocked.paths.events
    port = server.port if server is not None else 1
    ca_file = smtp.pop("ca_file", "")
    whole = {"host": "127.0.0.1", "port": port, "sender": "kvstack@example.com", "security": "none", **smtp}
    file.write_text(json.dumps({"smtp": whole, "ca_file": ca_file}))
    file.chmod(0o600)


def mailed(world: World, *addresses: str) -> None:
    world.service.put_subscription(world.operator, "people", mail=addresses or ("ann@example.com",))


def test_people_are_mailed_what_happened_and_no_value(dev: World) -> None:
    with mail_server() as server:
        configure(dev, server)
        mailed(dev, "ann@example.com", "bob@example.com")
        set_secret(dev, "db", "canary-77")
        assert deliver(dev).delivered == 1
    (mail,) = server.got
    assert mail.recipients == ("ann@example.com", "bob@example.com")
    assert "Subject: [kvstack] Secret db in payments-dev has a new version" in mail.content
    assert "canary-77" not in mail.content


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        (AlertRule(operation="SecretSet"), "SecretSet Success"),
        (AlertRule(event="*NewVersionCreated"), "Microsoft.KeyVault.SecretNewVersionCreated"),
    ],
)
def test_people_named_in_an_alert_are_mailed_what_raised_it(dev: World, rule: AlertRule, what: str) -> None:
    with mail_server() as server:
        configure(dev, server)
        dev.service.put_alert(dev.operator, "changes", rule, mail=["ann@example.com"])
        set_secret(dev, "db", "canary-78")
        assert deliver(dev).delivered == 1
    (mail,) = server.got
    assert mail.recipients == ("ann@example.com",)
    assert "Subject: [kvstack] Alert changes was raised" in mail.content
    assert f"What      {what}" in mail.content
    assert "/secrets/db" in mail.content
    assert "canary-78" not in mail.content


def test_the_password_goes_over_tls_to_who_is_trusted(
    dev: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, certificate, key = certified(tmp_path)
    monkeypatch.setenv("MAIL_PASSWORD", "right")
    login = {"security": "starttls", "user": "me", "password_env": "MAIL_PASSWORD"}
    with mail_server((certificate, key), "right") as server:
        mailed(dev)
        set_secret(dev)
        configure(dev, server, **login)
        assert "no certificate to be trusted" in deliver(dev).troubles[0].why
        configure(dev, server, ca_file=str(authority), **login)
        dev.clock.advance(timedelta(minutes=1))
        assert deliver(dev).delivered == 1
        assert (server.got[0].secure, server.got[0].user) == (True, "me")
        monkeypatch.setenv("MAIL_PASSWORD", "wrong-canary")
        set_secret(dev)
        why = deliver(dev).troubles[0].why
        assert "refuses the password" in why
        assert "canary" not in why


@pytest.mark.parametrize(
    ("smtp", "why"),
    [
        ({"user": "me", "password_env": "X"}, "a password is not sent without TLS"),
        ({"user": "me", "security": "tls"}, "a user has a password"),
        ({"password": "x"}, "unknown field"),
    ],
)
def test_a_configuration_that_would_tell_the_password_is_refused(dev: World, smtp: dict[str, object], why: str) -> None:
    configure(dev, None, **smtp)
    mailed(dev)
    set_secret(dev)
    with pytest.raises(KvstackError, match=why):
        deliver(dev)


def test_mail_that_is_not_taken_is_sent_again(dev: World) -> None:
    with mail_server() as server:
        mailed(dev)
        set_secret(dev)
        assert "there is no `smtp`" in deliver(dev).troubles[0].why
        dev.clock.advance(timedelta(minutes=1))
        configure(dev, server)
        server.fails = 1
        assert "answered 451" in deliver(dev).troubles[0].why
        dev.clock.advance(timedelta(minutes=1))
        assert deliver(dev).delivered == 1


def test_one_address_that_is_refused_does_not_keep_the_others_from_it(dev: World) -> None:
    with mail_server() as server:
        configure(dev, server)
        server.refuses = {"bob@example.com"}
        mailed(dev, "ann@example.com", "bob@example.com")
        set_secret(dev)
        assert deliver(dev).delivered == 1
        (event,) = dev.service.list_events(dev.operator)
        assert event.failure == "refused for bob@example.com"
        server.refuses.add("ann@example.com")
        set_secret(dev, "another")
        assert "for all its addresses" in deliver(dev).troubles[0].why


def test_a_certificates_contacts_are_mailed_when_its_policy_says_so_and_once(dev: World) -> None:
    service, me = dev.service, dev.operator
    key = CertificateKey("EC", curve="P-256")
    policy = CertificatePolicy(subject="CN=x", key=key, validity_months=2, notify=Trigger(days_before_expiry=40))
    service.set_contacts(me, VAULT, (Contact("ann@example.com"),))
    service.create_certificate(me, VAULT, "web", policy=policy)
    with mail_server() as server:
        configure(dev, server)
        for days in (15, 10, 1):
            dev.clock.advance(timedelta(days=days))
            service.run_due(SYSTEM)
            deliver(dev)
        (mail,) = server.got
        assert mail.recipients == ("ann@example.com",)
        assert "Certificate web in payments-dev is about to expire" in mail.content
        assert [one.subscription for one in service.list_events(me)] == [f"contacts/{_vault_id(dev)}"]
        assert service.list_events(dev.person()) == ()
        service.delete_vault(me, VAULT)
        service.purge_vault(me, VAULT)
        assert service.list_events(me) == ()


def _vault_id(world: World) -> str:
    return world.service.get_vault(world.operator, VAULT).id


# Programs


def test_a_program_gets_each_event_and_is_run_again_where_it_failed(dev: World) -> None:
    folder = dev.unlocked.paths.root.parent
    command = ["sh", "-c", "cat >> got; echo canary >&2; test -f healed"]
    dev.service.put_subscription(dev.operator, "program", command=command)
    set_secret(dev)
    report = deliver(dev)
    assert report.troubles[0].why == "ended with 1"
    (folder / "healed").touch()
    dev.clock.advance(timedelta(minutes=1))
    assert deliver(dev).delivered == 1
    assert (folder / "got").read_text().count('"subject":"db"') == 2


def test_only_the_operator_names_a_program_that_is_run_here(dev: World) -> None:
    owner = dev.person("Owner")
    with pytest.raises(Forbidden, match="for the operator"):
        dev.service.put_subscription(owner, "program", command=["true"])
    dev.service.put_subscription(dev.operator, "program", command=["true"])
    dev.service.put_subscription(owner, "program", webhook="https://hooks.example.com/")


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ({}, "one of them"),
        ({"mail": ["a@example.com"], "command": ["true"]}, "one of them"),
        ({"mail": ["a@example.com\r\nBcc: b@example.com"]}, "no e-mail address"),
        ({"mail": ["a@example.com"], "secret": (VAULT, "x")}, "posted to a webhook"),
    ],
)
def test_events_go_to_one_place_that_there_is(dev: World, endpoint: dict[str, object], why: str) -> None:
    with pytest.raises(BadParameter) as caught:
        dev.service.put_subscription(dev.operator, "hook", **endpoint)  # type: ignore[arg-type]
    assert any(why in one.summary for one in caught.value.diagnostics)


def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    from kvstack.vault.event_command import EventCommand

    hangs = EventCommand(("sleep", "30"), tmp_path, seconds=0.3)
    assert hangs.post("id", b"{}").why == "did not finish in 0.3 seconds"
    for command in ("./not-there", "not\0there"):
        assert "cannot be run" in EventCommand((command,), tmp_path).post("id", b"{}").why


def test_with_a_program_that_hangs_ends_what_it_has_started(tmp_path: Path) -> None:
    from kvstack.vault.event_command import EventCommand

    os.mkfifo(tmp_path / "alive")
    alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    starts = EventCommand(("sh", "-c", "(echo begun; exec sleep 30) > alive & sleep 30"), tmp_path, seconds=0.5)
    assert starts.post("id", b"{}").outcome == "later"
    assert os.read(alive, 100) == b"begun\n"
    ended, _, _ = select.select([alive], [], [], 10)
    assert ended, "it is still there: whoever writes into a pipe keeps it open"
    assert os.read(alive, 100) == b""
    os.close(alive)
