"""`kvstack run-due`: what time has made due is done or told, and nothing while the clock cannot be believed."""

import pytest

from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell

SECRET = f"{VAULT}/db-password"


def after(shell: Shell, days: int) -> str:
    """Return the time this many days after the simulated vault was made."""
    from datetime import datetime, timedelta

    created = datetime.fromisoformat(shell.good("vault", "show", VAULT, "--json").json["created"])
    return (created + timedelta(days=days)).isoformat()


def test_nothing_is_due_in_a_new_vault(shell: Shell) -> None:
    assert shell.good("run-due").text == "Nothing is due.\n"
    assert shell.good("run-due", "--json").json["done"] == []


def test_another_time_is_shown_and_nothing_done(shell: Shell) -> None:
    shell.good("secret", "delete", SECRET)
    result = shell.good("run-due", "--at", "2999-01-01T00:00:00Z")
    assert f"purge secret {SECRET}" in result.words
    assert "Nothing was done" in result.err
    document = shell.good("run-due", "--at", "2999-01-01T00:00:00Z", "--json").json
    assert (document["done_now"], document["due"][0]["name"], document["done"]) == (False, "db-password", [])
    assert shell.good("run-due", "--at", "2000-01-01T00:00:00Z").text.startswith("Nothing would be due at 2000-01-01")
    shell.good("secret", "recover", SECRET)


def test_a_simulated_clock_goes_there_and_it_is_done(simulated: Shell) -> None:
    assert "is simulated" in simulated.good("secret", "delete", SECRET).err
    early = simulated.good("run-due", "--at", after(simulated, 6))
    assert early.text == "Nothing is due.\n"
    assert "the simulated clock is set to" in early.err
    late = simulated.good("run-due", "--at", after(simulated, 8), "--json").json
    assert [one["name"] for one in late["done"]] == ["db-password"]
    assert simulated.good("secret", "list-deleted", VAULT).text == "No soft-deleted secrets.\n"
    operations = [record["operation"] for record in simulated.good("audit", "tail", "--json").json["records"]]
    assert operations.count("SimulatedClockSet") == 2
    assert "SecretPurge" in operations


def test_a_step_of_the_clock_purges_nothing_until_it_is_confirmed(simulated: Shell) -> None:
    simulated.good("secret", "delete", SECRET)
    held = simulated("run-due", "--at", after(simulated, 90))
    assert held.code == 1
    assert held.text == "Nothing was done.\n"
    assert "1 purge held back: the clock is 90 days ahead" in held.err
    assert "kvstack run-due --confirm-clock REASON" in " ".join(held.err.split())
    document = simulated("run-due", "--json")
    assert (document.code, document.json["held_back"][0]["name"]) == (1, "db-password")
    assert "confirmed with a reason" in simulated("run-due", "--confirm-clock", " ").err
    done = simulated.good("run-due", "--confirm-clock", "this vault slept for a quarter")
    assert f"purge secret {SECRET}" in done.words
    assert simulated.good("audit", "verify").code == 0


def test_what_cannot_be_done_is_told_and_the_rest_is_done(simulated: Shell) -> None:
    root, web = f"{VAULT}/root", f"{VAULT}/web"
    options = ("--type", "EC", "--validity-months", "2", "--renew-days-before", "31")
    simulated.good("certificate", "create", root, "--subject", "CN=root", "--type", "EC", "--authority")
    issuer = f"{VAULT}/certificates/root"
    simulated.good("certificate", "create", web, "--subject", "CN=web", "--issuer", issuer, *options)
    simulated.good("certificate", "set-attributes", root, "--disabled")
    simulated.good("secret", "rotation-policy", "update", SECRET, "--every", "P30D", "--length", "20")
    ran = simulated("run-due", "--at", after(simulated, 33))
    assert (ran.code, f"rotate secret {SECRET}" in ran.words) == (1, True)
    assert f"renew of certificate {web}: the certificate authority `root` in vault `{VAULT}` is disabled" in " ".join(
        ran.err.split()
    )
    again = simulated("run-due", "--json")
    assert (again.code, again.json["done"]) == (1, [])
    (failed,) = again.json["failed"]
    assert (failed["action"], failed["name"], "is disabled" in failed["summary"]) == ("renew", "web", True)
    simulated.good("certificate", "set-attributes", root, "--enabled")
    assert [one["name"] for one in simulated.good("run-due", "--json").json["done"]] == ["web"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["--at", "soon"], "`soon` is no time"),
        (["--at", "9999-01-01T00:00:00Z"], "beyond the year 9000"),
        (["--at", "2999-01-01T00:00:00Z", "--confirm-clock", "x"], "as it is now"),
        (["--confirm-clock", ""], "with a reason"),
    ],
)
def test_what_is_wrong_is_said(shell: Shell, command: list[str], words: str) -> None:
    assert words in shell.refused("run-due", *command)


def test_it_is_the_operators(shell: Shell) -> None:
    assert "for the vault's operator alone" in shell.refused("--as", "operator", "run-due")
