"""Policies in Python: from a folder that is named, never from the stack's own; what they do wrong is told in words."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kvstack.apply.linted import linted
from kvstack.declare.declaration import declaration
from kvstack.terms.diagnostic import Diagnostic, KvstackError

NOW = datetime(2026, 11, 1, tzinfo=UTC)
STACK = """stack: s
vaults:
  pay:
    network: {default_action: deny}
    keys: {sign: {type: RSA, size: 2048}}
    secrets: {token: {value_from: {env: TOKEN}}}
"""
POLICY = '''"""Acme's."""

def deny_short_keys(stack):
    """Keys are long."""
    for key in stack.things("key"):
        if key["size"] < 4096:
            yield key, f"{key.name} has {key['size']} bits"

def warn_everything(stack):
    return [(thing, thing.kind) for thing in stack.things()]

def _deny_nothing(stack):
    raise AssertionError

helper = 3
'''


def checked(tmp_path: Path, policy: str | None, folder: str = "policies") -> tuple[Diagnostic, ...]:
    stack, policies = tmp_path / "stack", tmp_path / folder
    stack.mkdir(exist_ok=True)
    (stack / "kvstack.yaml").write_text(STACK)
    if policy is not None:
        policies.mkdir(parents=True, exist_ok=True)
        (policies / "acme.py").write_text(policy)
    found = linted(declaration(stack), now=NOW, policies=policies)
    return tuple(one for one in found if one.code is not None and ":" in one.code)


def test_what_a_policy_yields_is_told_with_its_name_and_its_place(tmp_path: Path) -> None:
    first, *others = checked(tmp_path, POLICY)

    assert (first.severity, first.code, first.summary) == ("error", "acme:deny_short_keys", "sign has 2048 bits")
    assert (first.address, str(first.place)) == ("pay/keys/sign", "kvstack.yaml:5:12")
    assert [(one.severity, one.summary) for one in others] == [
        ("warning", "vault"),
        ("warning", "key"),
        ("warning", "secret"),
    ]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("def deny_x(stack:\n", "acme.py:1: the policies failed: SyntaxError"),
        ("import there_is_no_such_module\n", "acme.py:1: the policies failed: ModuleNotFoundError"),
        ("def deny_x(stack):\n    return 1 / 0\n", "acme.py:2: the policy `deny_x` failed: ZeroDivisionError"),
        ("def deny_x(stack):\n    yield 'pay', 'no'\n", "the policy `deny_x` of"),
        ("def deny_x(stack):\n    yield 1\n", "the policy `deny_x` failed: TypeError"),
        (
            "def deny_x(stack):\n    for key in stack.things('key'):\n        key['siez']\n    yield\n",
            "acme.py:3: the policy `deny_x` failed: KeyError: 'a key has no attribute `siez`'",
        ),
    ],
)
def test_a_policy_that_fails_is_an_error_and_nothing_passes(tmp_path: Path, policy: str, expected: str) -> None:
    with pytest.raises(KvstackError) as wrong:
        checked(tmp_path, policy)

    assert expected in wrong.value.diagnostics[0].summary


def test_a_folder_without_policies_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KvstackError, match="there are no policies in"):
        checked(tmp_path, None)


def test_policies_in_the_stacks_own_folder_are_refused_and_not_run(tmp_path: Path) -> None:
    with pytest.raises(KvstackError, match="in the stack's own folder"):
        checked(tmp_path, "raise SystemExit(3)", "stack/policies")


def test_a_policy_sees_no_value_and_changes_nothing(tmp_path: Path) -> None:
    seen = "def warn_x(stack):\n    for one in stack.things('secret'):\n        yield one, repr(one['value_from'])\n"
    (one,) = checked(tmp_path, seen)

    assert one.summary == "{'env': 'TOKEN'}"
