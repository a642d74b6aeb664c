"""Events on the command line, and subscriptions in a stack that is planned and applied."""

import json

import pytest

from tests.cli.data_plane.shell import Shell
from tests.vault.service.receiver import Receiver, Told, in_turn, receiving

EMPTY = "No changes. What is there is what is declared.\n"
STACK = """\
stack: s
events:
  consumers:
    types: [Microsoft.KeyVault.SecretNewVersionCreated]
    subject: {prefix: db-}
    vault: stack-dev
    endpoint: {webhook: "%s", secret: stack-dev/secrets/hook-key}
vaults:
  stack-dev:
    secrets:
      hook-key: {value_from: {generate: {length: 40}}}
"""


def allow(shell: Shell, receiver: Receiver) -> None:
    host = f"127.0.0.1:{receiver.port}"
    file = shell.folder / ".kvstack" / "events.json"
    file.write_text(json.dumps({"allow": [host], "http": [host]}))
    file.chmod(0o600)


def apply(shell: Shell, url: str, text: str = STACK) -> str:
    (shell.folder / "kvstack.yaml").write_text(text % url if "%s" in text else text)
    return shell.good("apply", "--yes").text


def test_a_subscription_is_declared_changed_and_taken_away(shell: Shell) -> None:
    url = "https://hooks.example.com/x"
    apply(shell, url)
    assert shell.good("plan", "--detailed-exitcode").text == EMPTY
    (found,) = shell.good("events", "subscriptions", "--json").json["subscriptions"]
    assert (found["name"], found["webhook"], found["secret"]) == ("consumers", url, "stack-dev/secrets/hook-key")
    assert "consumers" in shell.good("events", "subscriptions").text

    changed = STACK.replace("db-", "web-")
    (shell.folder / "kvstack.yaml").write_text(changed % url)
    assert "events/consumers" in shell.good("plan").text
    apply(shell, url, changed)
    (found,) = shell.good("events", "subscriptions", "--json").json["subscriptions"]
    assert found["subject"] == {"prefix": "web-", "suffix": ""}

    assert shell.good("drift").text
    apply(shell, url, "stack: s\n" + STACK[STACK.index("vaults:") :])
    assert shell.good("events", "subscriptions", "--json").json == {"subscriptions": []}
    assert shell.good("events", "subscriptions").text == "Nobody is told of events.\n"


def test_somebody_elses_subscription_is_not_taken_over_by_itself(shell: Shell) -> None:
    apply(shell, "https://hooks.example.com/x")
    other = "stack: t\nevents: {consumers: {endpoint: {webhook: 'https://hooks.example.com/y'}}}\n"
    (shell.folder / "kvstack.yaml").write_text(other)
    planned = shell("plan")
    assert planned.code == 1
    assert "! events/consumers" in planned.text
    (found,) = shell.good("events", "subscriptions", "--json").json["subscriptions"]
    assert found["webhook"] == "https://hooks.example.com/x"


def test_what_happens_is_told_by_run_due_and_by_deliver(shell: Shell) -> None:
    with receiving(in_turn(Told(410))) as receiver:
        allow(shell, receiver)
        apply(shell, receiver.url)
        assert receiver.connections == 0, "nothing is sent by looking at a stack, or applying it"
        shell.good("plan")
        shell.good("drift")
        for name in ("db-a", "db-b", "web"):
            shell.good("secret", "set", f"stack-dev/{name}", stdin=b"canary-6b1")
        assert receiver.connections == 0

        done = shell.good("run-due", "--json").json
        assert {name: done["events"][name] for name in ("delivered", "waiting", "dead")} == {
            "delivered": 1,
            "waiting": 0,
            "dead": 1,
        }
        listed = shell.good("events", "list", "--json")
        assert [(one["event"]["subject"], one["state"]) for one in listed.json["events"]] == [
            ("db-a", "dead"),
            ("db-b", "delivered"),
        ]
        assert "canary-6b1" not in listed.text
        (dead,) = shell.good("events", "dead", "--json").json["events"]
        assert "answered 410" in dead["failure"]
        assert "answered 410" in shell.good("events", "dead", "--subscription", "consumers").text
        assert "1 event will be sent again" in shell.good("events", "replay", dead["event"]["id"]).text
        assert shell.good("events", "deliver").text == "events: 1 delivered, 0 waiting, 0 given up\n"
        assert shell.good("events", "replay", "--all", "--json").json == {"events": []}
    assert receiver.subjects == ["db-a", "db-b", "db-a"]
    assert all(posted.headers["webhook-signature"].startswith("v1,") for posted in receiver.got)


def test_what_becomes_of_a_stack_is_told_to_who_wants_to_know(shell: Shell) -> None:
    everything = "stack: s\nevents: {all: {endpoint: {mail: [ann@example.com]}}}\n"
    more = everything + "vaults: {stack-dev: {secrets: {a: {value_from: {%s}}}}}\n"
    apply(shell, "", everything)
    assert shell.good("plan", "--detailed-exitcode").text == EMPTY
    apply(shell, "", more.replace("%s", "generate: {length: 9}"))
    shell.good("plan")
    shell.good("secret", "set", "stack-dev/a", stdin=b"x")
    assert shell("drift").code == 2
    (shell.folder / "kvstack.yaml").write_text(more.replace("%s", "command: ['false']").replace("{a:", "{b:"))
    assert shell("apply", "--yes").code == 1
    events = [one["event"] for one in shell.good("events", "list", "--json").json["events"]]
    told = [(one["type"], one["subject"]) for one in events if one["type"].startswith("kvstack.")]
    assert told == [
        ("kvstack.ApplyFinished", "s"),
        ("kvstack.ApplyFinished", "s"),
        ("kvstack.DriftFound", "s"),
        ("kvstack.PurgeScheduled", "a"),
        ("kvstack.ApplyFailed", "s"),
    ]
    assert "there is no `smtp`" in shell.good("run-due").err


def test_an_alert_is_declared_and_tells_of_what_the_audit_shows(shell: Shell) -> None:
    text = "stack: s\nalerts: {reads: {on: {operation: SecretGet}, count: 2, endpoint: {mail: [ann@example.com]}}}\n"
    apply(shell, "", text)
    assert shell.good("plan", "--detailed-exitcode").text == EMPTY
    for _ in range(3):
        shell.good("secret", "show", "payments-dev/db-password", "--value")
    shell("events", "deliver")
    (alert,) = shell.good("events", "list", "--json").json["events"]
    assert (alert["event"]["type"], alert["event"]["subject"]) == ("kvstack.Alert", "reads")
    assert alert["event"]["data"]["Id"].endswith("/secrets/db-password")
    apply(shell, "", text.replace("count: 2", "count: 3"))
    apply(shell, "", "stack: s\n")
    assert shell.good("events", "subscriptions", "--json").json == {"subscriptions": []}


def test_a_receiver_that_cannot_be_reached_fails_a_delivery_and_no_run(shell: Shell) -> None:
    apply(shell, "https://127.0.0.1:1/")
    shell.good("secret", "set", "stack-dev/db-a", stdin=b"x")
    assert "an address of this machine" in shell.good("run-due").err
    assert shell.good("events", "list", "--state", "waiting", "--json").json["events"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("events", "replay"), "either an event's id or `--all`"),
        (("events", "replay", "x", "--all"), "either an event's id or `--all`"),
        (("events", "replay", "x"), "there is no dead event `x`"),
        (("events", "list", "--subscription", "nobody"), "there is no event subscription `nobody`"),
        (("--as", "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11", "events", "deliver"), "operator alone"),
    ],
)
def test_what_cannot_be_done_is_said(shell: Shell, arguments: tuple[str, ...], told: str) -> None:
    assert told in shell.refused(*arguments)
