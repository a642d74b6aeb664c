"""Who makes a secret's new values known outside, as a stack declares it."""

from pathlib import Path

import pytest

from kvstack.resources.rotation import Rotator, SecretRotation
from kvstack.resources.secret import Secret
from kvstack.terms.address import Address
from tests.declare.stacks import problems, read

STACK = """\
stack: s
vaults:
  dev:
    name: Dev-1
    keys:
      k: {type: EC}
    secrets:
      db:
        value_from: {generate: {length: 24}}
        rotation:
          every: P4W
          rotator: {webhook: "https://rotator.example.com/x", secret: dev/secrets/Hook-Key}
      by-hand:
        value_from: {generate: {}}
        rotation: {rotator: {command: [./rotate.py, app_a, app_b]}}
"""


def secret(folder: Path, name: str) -> Secret:
    found = read(folder, STACK).desired.nodes[Address(f"dev/secrets/{name}")].resource
    assert isinstance(found, Secret)
    return found


def test_its_secret_is_named_as_a_vault_names_it_and_made_before_it(tmp_path: Path) -> None:
    db = secret(tmp_path, "db")
    hook = Rotator(webhook="https://rotator.example.com/x", secret="dev-1/secrets/hook-key")
    assert db.rotation == SecretRotation(every="P28D", rotator=hook)
    assert db.made_after() == ("vaults/dev-1", "vaults/dev-1/secrets/hook-key")


def test_it_may_be_for_rotation_by_hand_alone(tmp_path: Path) -> None:
    rotator = Rotator(command=("./rotate.py", "app_a", "app_b"))
    assert secret(tmp_path, "by-hand").rotation == SecretRotation(rotator=rotator)
    assert secret(tmp_path, "by-hand").made_after() == ()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("https://rotator", "ftp://rotator", "12:30: `ftp://rotator.example.com/x` is no address to ask a rotator at"),
        ("https://rotator", "https://u:p@rotator", "12:30: `https://u:p@rotator.example.com/x` is no address"),
        (", secret: dev/secrets/Hook-Key", "", "has to know who asks: name the `secret` that signs"),
        ("dev/secrets/Hook-Key", "Hook-Key", "12:71: `Hook-Key` names no secret: write `VAULT/secrets/NAME`"),
        ("dev/secrets/Hook-Key", "Dev-1/secrets/db", "12:71: calls are not signed by the secret they are about"),
        ("dev/secrets/Hook-Key", "dev/secrets/DB", "12:71: calls are not signed by the secret they are about"),
        ("[./rotate.py, app_a, app_b]", "[]", "15:29: a rotator is a `command` or a `webhook`: one of both"),
        ("[./rotate.py, app_a, app_b]", '["a\\0"]', "has the character NUL in it"),
        ("[./rotate.py, app_a, app_b]", '[""]', "the program has no name"),
        ("rotator: {command", "rotator: {comand", "15:30: `rotator` has no attribute `comand`"),
        ("value_from: {generate: {}}", "value_from: {env: X}", "15:19: only a generated value can be rotated"),
        (
            "{type: EC}",
            "{type: EC, rotation: {rotator: {command: [x]}}}",
            "6:32: `rotation` has no attribute `rotator`",
        ),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(tmp_path: Path, before: str, after: str, told: str) -> None:
    found = [str(one) for one in problems(tmp_path, STACK.replace(before, after))]
    assert any(told in one for one in found), found


def test_a_webhook_without_tls_is_a_warning(tmp_path: Path) -> None:
    (warning,) = read(tmp_path, STACK.replace("https://rotator", "http://rotator")).warnings
    assert (str(warning.place), warning.summary) == ("kvstack.yaml:12:30", "values are sent over https")
