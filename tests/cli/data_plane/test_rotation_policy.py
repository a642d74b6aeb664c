"""`rotation-policy` and `show-deleted`: what `az keyvault` shows and sets of one key or secret."""

import pytest

from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell

THINGS = pytest.mark.parametrize("thing", [("key", f"{VAULT}/signing"), ("secret", f"{VAULT}/db-password")])


@THINGS
def test_a_policy_is_set_shown_and_taken_away(shell: Shell, thing: tuple[str, str]) -> None:
    noun, name = thing
    generated = [] if noun == "key" else ["--length", "20"]
    assert "no rotation policy" in shell.good(noun, "rotation-policy", "show", name).text
    shell.good(noun, "rotation-policy", "update", name, "--every", "P12W", "--expire-after", "P1Y", *generated)
    shown = shell.good(noun, "rotation-policy", "show", name)
    assert "P84D" in shown.text
    wanted = {"rotation": {"every": "P84D", "expire_after": "P1Y"}}
    assert shell.good(noun, "rotation-policy", "show", name, "--json").json == wanted
    # A policy is set as a whole: what is not given is not there any more.
    assert shell.good(noun, "rotation-policy", "update", name, "--every", "P90D", "--json").json == {
        "rotation": {"every": "P90D"}
    }
    assert shell.good(noun, "rotation-policy", "update", name, "--none", "--json").json == {"rotation": None}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--every", "P6D"], "under the least of 7 days"),
        (["--every", "90 days"], "not an ISO 8601 duration"),
        (["--every", "P90D", "--before-expiry", "P30D"], "not by both"),
        ([], "One of both is to be said"),
        (["--none", "--every", "P90D"], "One of both is to be said"),
    ],
)
def test_what_no_vault_would_take_is_refused_and_nothing_set(shell: Shell, options: list[str], words: str) -> None:
    name = f"{VAULT}/signing"
    assert words in shell.refused("key", "rotation-policy", "update", name, *options)
    assert shell.good("key", "rotation-policy", "show", name, "--json").json == {"rotation": None}


def test_a_policy_can_be_switched_off_and_old_versions_end(shell: Shell) -> None:
    name = f"{VAULT}/signing"
    shell.good("key", "rotation-policy", "update", name, "--every", "P90D", "--keep-previous", "P30D", "--off")
    assert shell.good("key", "rotation-policy", "show", name, "--json").json == {
        "rotation": {"every": "P90D", "enabled": False, "keep_previous": "P30D"}
    }


def test_a_secret_is_rotated_only_where_something_says_what_its_values_are(shell: Shell) -> None:
    name = f"{VAULT}/db-password"
    words = "only a secret whose value is generated"
    assert words in shell.refused("secret", "rotation-policy", "update", name, "--every", "P30D")
    assert "nothing says how the value" in shell.refused("secret", "rotate", name)
    shell.good(
        "secret", "rotation-policy", "update", name, "--every", "P30D", "--length", "9", "--characters", "digits"
    )
    shell.good("secret", "rotate", name)
    value = shell.good("secret", "show", name, "--value").text
    assert (len(value), value.isdigit()) == (9, True)


@THINGS
def test_a_deleted_thing_is_shown_by_its_name(shell: Shell, thing: tuple[str, str]) -> None:
    noun, name = thing
    shell.refused(noun, "show-deleted", name)
    shell.good(noun, "delete", name)
    assert name.split("/")[1] in shell.good(noun, "show-deleted", name).text
    assert shell.good(noun, "show-deleted", name, "--json").json["deletion"]
