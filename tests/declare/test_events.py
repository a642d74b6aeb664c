"""Who is told of events, as a stack declares it."""

from pathlib import Path

import pytest

from kvstack.resources.alert import Alert, span_seconds, span_text
from kvstack.resources.event_subscription import EventEndpoint, EventSubscription, Subjects
from kvstack.terms.address import Address
from tests.declare.stacks import problems, read

STACK = """\
stack: s
events:
  consumers:
    types: [Microsoft.KeyVault.SecretNewVersionCreated, Microsoft.KeyVault.KeyExpired]
    subject: {prefix: db-}
    vault: dev
    endpoint: {webhook: "https://hooks.example.com/x?y=1", secret: dev/secrets/Hook-Key}
vaults:
  dev: {name: Dev-1}
"""


def test_vaults_are_named_by_their_keys(tmp_path: Path) -> None:
    node = read(tmp_path, STACK).desired.nodes[Address("events/consumers")]
    assert node.resource == EventSubscription(
        name="consumers",
        types=("Microsoft.KeyVault.KeyExpired", "Microsoft.KeyVault.SecretNewVersionCreated"),
        subject=Subjects(prefix="db-"),
        vault="dev-1",
        endpoint=EventEndpoint(webhook="https://hooks.example.com/x?y=1", secret="dev-1/secrets/hook-key"),
    )
    assert (node.identity, node.vault) == ("events/consumers", "")
    assert node.resource.made_after() == ("vaults/dev-1", "vaults/dev-1", "vaults/dev-1/secrets/hook-key")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("KeyExpired", "KeyExpires", "kvstack.yaml:4:"),
        ("https://hooks.example.com/x?y=1", "ftp://x", "is no address to post events to: events are posted over https"),
        ("https://hooks", "https://user:secret@hooks", "a user or password does not stand in it"),
        ("dev/secrets/Hook-Key", "Hook-Key", "names no secret: write `VAULT/secrets/NAME`"),
        ("vault: dev", "vault: d_v", "d_v"),
        ("consumers:", "con_sumers:", "is no name for it"),
        ("webhook:", "webhok:", "webhok"),
        ('{webhook: "https://hooks.example.com/x?y=1", secret: dev/secrets/Hook-Key}', "{}", "webhook"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(tmp_path: Path, before: str, after: str, told: str) -> None:
    found = problems(tmp_path, STACK.replace(before, after))
    assert any(told in str(one) for one in found), found


ALERTS = """\
stack: s
alerts:
  refusals:
    on: {result: Forbidden*}
    count: 3
    within: PT60M
    vault: dev
    endpoint: {mail: [ann@example.com]}
vaults:
  dev: {name: Dev-1}
"""


def test_an_alert_is_a_thing_of_its_own(tmp_path: Path) -> None:
    node = read(tmp_path, ALERTS).desired.nodes[Address("alerts/refusals")]
    assert isinstance(node.resource, Alert)
    assert (node.identity, node.resource.vault, node.resource.within) == ("alerts/refusals", "dev-1", "PT1H")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("{result: Forbidden*}", "{}", "nothing is said of what counts"),
        ("result: Forbidden*", "superseded: a week", "`a week` is not an ISO 8601 duration"),
        ("result: Forbidden*", "event: kvstack.ApplyFinishd", "did you mean `kvstack.ApplyFinished`?"),
        ("result: Forbidden*", "event: kvstack.Alert", "no type of event an alert can be on"),
        ("result: Forbidden*", "event: kvstack.*, result: Success", "an event is no record of the audit"),
        ("PT60M", "P32D", "`P32D` is no time of at most 31 days"),
        ("PT60M", "PT", "`PT` is no time"),
        ("PT60M", "an hour", "`an hour` is no time"),
        ("count: 3", "count: 0", "count"),
        ("ann@example.com", "ann", "`ann` is no e-mail address"),
        ("{mail: [ann@example.com]}", "{}", "to one of them"),
        ("refusals:", "re_fusals:", "is no name for it"),
    ],
)
def test_what_is_wrong_with_an_alert_is_told_where_it_stands(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    found = problems(tmp_path, ALERTS.replace(before, after))
    assert any(told in str(one) for one in found), found


def test_two_spellings_of_one_duration_are_no_change(tmp_path: Path) -> None:
    weeks, days = (
        read(tmp_path, ALERTS.replace("result: Forbidden*", f"superseded: {written}")).desired.nodes
        for written in ("P2W", "P14D")
    )
    assert weeks[Address("alerts/refusals")].resource == days[Address("alerts/refusals")].resource


@pytest.mark.parametrize("seconds", [1, 59, 60, 61, 3600, 5400, 86_400, 86_401, 31 * 86_400])
def test_every_span_has_one_spelling(seconds: int) -> None:
    assert span_seconds(span_text(seconds)) == seconds


def test_no_tls_is_worth_a_warning(tmp_path: Path) -> None:
    found = read(tmp_path, STACK.replace("https://", "http://"))
    assert [one.summary for one in found.warnings] == ["events are posted over https"]
