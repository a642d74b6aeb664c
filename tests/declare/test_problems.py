"""Everything a vault would refuse later is told at once, each problem at its line and column, with a suggestion."""

from pathlib import Path

import pytest

from tests.declare.stacks import ALICE, API, VALID, problems, read, told

HEAD = "stack: s\nvaults:\n  dev:\n"  # what follows stands on line 4
PEOPLE = f"principals: {{api: {{type: service_principal, id: {API}}}}}\n"


def tags(count: int) -> str:
    return "{" + ", ".join(f"t{number}: v" for number in range(count)) + "}"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # Shape
        ("    tpye: RSA\n", "4:5 a vault has no attribute `tpye`"),
        ("    skuu: premium\n", "4:5 a vault has no attribute `skuu`; did you mean `sku`?"),
        ("    sku: premum\n", "4:10 `sku` is `standard` or `premium`, not `premum`; did you mean `premium`?"),
        ("    sku: 1\n", "4:10 `sku` is `standard` or `premium`, not `1`"),
        ("    purge_protection: on\n", "4:23 `purge_protection` is true or false, not text"),
        ("    purge_protection: 1\n", "4:23 `purge_protection` is true or false, not a whole number"),
        ("    soft_delete_retention_days: 6\n", "4:33 `soft_delete_retention_days` is 7 to 90, not 6"),
        ("    soft_delete_retention_days: 91\n", "4:33 `soft_delete_retention_days` is 7 to 90, not 91"),
        (
            "    soft_delete_retention_days: 30.5\n",
            "4:33 `soft_delete_retention_days` is a whole number, not a broken number",
        ),
        (
            "    soft_delete_retention_days: 30.0\n",
            "4:33 `soft_delete_retention_days` is a whole number, not a broken number",
        ),
        (
            "    soft_delete_retention_days: 1e999\n",
            "4:33 `soft_delete_retention_days` is a whole number, not a broken number",
        ),
        ("    soft_delete_retention_days: '30'\n", "4:33 `soft_delete_retention_days` is a whole number, not text"),
        ("    tags: [a]\n", "4:11 `tags` is a mapping, not a list"),
        ("    tags: {a: 1}\n", "4:15 `a` is text, not a whole number"),
        ("    keys: {a: {}}\n", "4:12 a key needs `type`"),
        ("    keys: {a: {type: RSA, siez: 2048}}\n", "4:27 a key has no attribute `siez`; did you mean `size`?"),
        (
            "    keys: {a: {type: RSA, size: 1024}}\n",
            "4:33 `size` is `128`, `192`, `256`, `2048`, `3072` or `4096`, not `1024`",
        ),
        ("    keys: {a: {type: RSA, operations: [sing]}}\n", "4:40 `0` is `encrypt`, `decrypt`, `sign`"),
        ("    keys: {a: {type: EC, rotation: {every: 90}}}\n", "4:44 `every` is text, not a whole number"),
        ("    keys: {a: {type: EC, rotation: {every: 90D}}}\n", "4:44 `every` cannot be `90D`"),
        (
            "    keys: {a: {type: EC, expires: 2027-01-31T00:00:00Z, rotation: {every: P30D, expire_after: P90D}}}\n",
            "4:35 the rotation policy says when each version expires, by `expire_after`",
        ),
        (
            "    keys: {a: {type: EC, expires: 2027-01-31}}\n",
            "4:35 `expires` is a moment such as 2027-01-31T00:00:00Z, with its time zone",
        ),
        (
            "    keys: {a: {type: EC, expires: 2027-01-31T00:00:00}}\n",
            "4:35 `expires` is a moment such as 2027-01-31T00:00:00Z, with its time zone",
        ),
        (
            "    keys: {a: {type: EC, expires: 2027-02-30T00:00:00Z}}\n",
            "4:35 `expires` is a moment such as 2027-01-31T00:00:00Z, with its time zone",
        ),
        ("    access: {a: b}\n", "4:13 `access` is a list, not a mapping"),
        (
            "    lifecycle: {prevent_destory: true}\n",
            "4:17 `lifecycle` has no attribute `prevent_destory`; did you mean `prevent_destroy`?",
        ),
        # Names and sizes
        ("    name: ab\n", "4:11 `ab` cannot name a vault: 3-24 letters"),
        ("    name: a--b\n", "4:11 `a--b` cannot name a vault: 3-24 letters"),
        ("    name: 1abc\n", "4:11 `1abc` cannot name a vault: 3-24 letters"),
        ("    name: abc-\n", "4:11 `abc-` cannot name a vault: 3-24 letters"),
        (f"    name: {'a' * 25}\n", f"4:11 `{'a' * 25}` cannot name a vault: 3-24 letters"),
        ("    resource_group: a.\n", "4:21 `resource_group` cannot be `a.`"),
        ("    keys: {a_b: {type: EC}}\n", "4:12 `a_b` cannot name a key, secret or certificate"),
        ("    keys: {a: {name: a_b, type: EC}}\n", "4:22 `a_b` cannot name a key, secret or certificate"),
        (f"    secrets: {{{'a' * 128}: {{}}}}\n", f"4:15 `{'a' * 128}` cannot name a key, secret or certificate"),
        (f"    secrets: {{a: {{content_type: {'x' * 256}}}}}\n", "4:33 `content_type` has more than 255 characters"),
        (f"    tags: {tags(14)}\n", "4:11 14 tags: a stack has 13"),
        (f"    keys: {{a: {{type: EC, tags: {tags(14)}}}}}\n", "4:32 14 tags: a stack has 13"),
        (f"    secrets: {{a: {{tags: {tags(14)}}}}}\n", "4:25 14 tags: a stack has 13"),
        ("    tags: {kvstack-stack: x}\n", "4:27 the tag `kvstack-stack` is kvstack's own"),
        (f"    tags: {{{'k' * 257}: v}}\n", "4:271 a tag's name has 1-256 characters"),
        (f"    tags: {{a: {'v' * 257}}}\n", "4:15 a tag's value has at most 256 characters"),
        (f"    secrets: {{a: {{tags: {{a: {'v' * 513}}}}}}}\n", "4:29 a tag's value has at most 512 characters"),
        ("    network: {ip_rules: [10.0.0.1/8]}\n", "4:25 `10.0.0.1/8` is no IPv4 address or range"),
        ("    network: {ip_rules: [300.0.0.1]}\n", "4:25 `300.0.0.1` is no IPv4 address or range"),
        # Keys
        ("    keys: {a: {type: RSA-HSM}}\n", "4:22 an RSA-HSM key needs a premium vault, this one is standard"),
        ("    sku: standard\n    keys: {a: {type: oct-HSM}}\n", "5:22 an oct-HSM key needs a premium vault"),
        ("    keys: {a: {type: RSA, curve: P-256}}\n", "4:34 an RSA key has no curve"),
        ("    keys: {a: {type: EC, size: 2048}}\n", "4:32 an EC key has a `curve`, not a `size`"),
        ("    keys: {a: {type: RSA, size: 256}}\n", "4:33 an RSA key has 2048, 3072 or 4096 bits, not 256"),
        (
            "    sku: premium\n    keys: {a: {type: oct-HSM, size: 2048}}\n",
            "5:37 an oct-HSM key has 128, 192 or 256 bits, not 2048",
        ),
        ("    keys: {a: {type: EC, operations: [encrypt]}}\n", "4:38 an EC key cannot encrypt; it can sign, verify"),
        # Time
        (
            "    keys: {a: {type: EC, not_before: 2027-01-02T00:00:00Z, expires: 2027-01-01T00:00:00Z}}\n",
            "4:69 it ends (2027-01-01) before it begins (2027-01-02)",
        ),
        ("    keys: {a: {type: EC, rotation: {every: P6D}}}\n", "4:44 rotation every P6D is under the least of 7 days"),
        (
            "    keys: {a: {type: EC, rotation: {expire_after: P27D}}}\n",
            "4:51 versions that expire after P27D are under the least of 28 days",
        ),
        (
            "    keys: {a: {type: EC, rotation: {every: P30D, before_expiry: P30D, expire_after: P90D}}}\n",
            "4:65 rotation is triggered by `every` or by `before_expiry`, not by both",
        ),
        ("    keys: {a: {type: EC, rotation: {before_expiry: P30D}}}\n", "4:52 `before_expiry` needs `expire_after`"),
        (
            "    keys: {a: {type: EC, rotation: {every: P90D, notify_before_expiry: P30D}}}\n",
            "4:72 `notify_before_expiry` needs `expire_after`",
        ),
        (
            "    keys: {a: {type: EC, rotation: {every: P88D, expire_after: P90D}}}\n",
            "4:44 rotation every P88D comes less than 7 days before versions expire",
        ),
        (
            "    keys: {a: {type: EC, rotation: {before_expiry: P85D, expire_after: P90D}}}\n",
            "4:52 rotation P85D before expiry comes less than 7 days after creation",
        ),
        ("    keys: {a: {type: EC, rotation: {every: P9999Y}}}\n", "4:44 `P9999Y` is longer than a thousand years"),
        ("    keys: {a: {type: EC, expires: 9999-12-31T23:59:59-01:00}}\n", "4:35 this moment has no date in UTC"),
        ("    keys: {a: {type: EC, not_before: 0001-01-01T00:00:00+01:00}}\n", "4:38 this moment has no date in UTC"),
        # Values
        (
            "    secrets: {a: {value_from: {}}}\n",
            "4:31 a value comes from one of `env`, `file`, `generate` and `command`",
        ),
        ("    secrets: {a: {value_from: {env: A, file: b}}}\n", "4:31 a value comes from one of"),
        ("    secrets: {a: {value_from: {env: ''}}}\n", "4:37 `env` cannot be empty"),
        ("    secrets: {a: {value_from: {command: []}}}\n", "4:41 `command` cannot be empty"),
        ("    secrets: {a: {value_from: {generate: {length: 0}}}}\n", "4:51 `length` is 1 to 25600, not 0"),
        ("    secrets: {a: {value_from: {generate: {length: 25601}}}}\n", "4:51 `length` is 1 to 25600, not 25601"),
        ("    secrets: {a: {value_from: {file: /etc/passwd}}}\n", "4:38 the file lies outside the stack's folder"),
        ("    secrets: {a: {value_from: {file: a/../../b}}}\n", "4:38 the file lies outside the stack's folder"),
        ('    secrets: {a: {value_from: {file: "a\\0b"}}}\n', "4:38 no `file` has the character NUL in it"),
        ('    secrets: {a: {value_from: {command: [a, "b\\0"]}}}\n', "4:41 no `command` has the character NUL in it"),
        ("    secrets: {a: {rotation: {every: P30D}}}\n", "4:29 only a generated value can be rotated"),
        (
            "    secrets: {a: {value_from: {env: A}, rotation: {every: P30D}}}\n",
            "4:51 only a generated value can be rotated",
        ),
        # Lifecycle
        ("    lifecycle: {ignore_changes: [tgas]}\n", "4:34 a vault has no attribute `tgas`; did you mean `tags`?"),
        ("    keys: {a: {type: EC, lifecycle: {ignore_changes: [value]}}}\n", "4:55 a key has no attribute `value`"),
        # One name
        (
            "    keys: {a: {type: EC}, A: {type: EC}}\n",
            "4:27 `dev/keys/a` and `dev/keys/A` are one and the same thing: names differ by more than case",
        ),
        (
            "    keys: {a: {type: EC}, b: {type: EC, name: A}}\n",
            "4:27 `dev/keys/a` and `dev/keys/b` are one and the same",
        ),
        ("  DEV: {}\n", "4:3 `dev` and `DEV` are one and the same thing: names differ by more than case"),
        ("  other: {name: dev}\n", "4:3 `dev` and `other` are one and the same thing"),
    ],
)
def test_what_a_vault_would_refuse_is_told_where_it_stands(tmp_path: Path, body: str, expected: str) -> None:
    body = body if body.startswith("    ") else "    {}\n" + body
    text = HEAD.rstrip("\n") + " {}\n" + body.removeprefix("    {}\n") if body.startswith("    {}") else HEAD + body
    found = told(tmp_path, text)
    assert len(found) == 1, found
    assert found[0].startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vaults: {}\n", "1:1 a stack needs `stack`"),
        ("stack: Payments\n", "1:8 `stack` cannot be `Payments`"),
        ("stack: -s\n", "1:8 `stack` cannot be `-s`"),
        ('stack: "s\\n"\n', "1:8 `stack` cannot be `s\n`"),
        ("stack: 1\n", "1:8 `stack` is text, not a whole number"),
        ("stack: s\nvault: {}\n", "2:1 a stack has no attribute `vault`; did you mean `vaults`?"),
        ("stack: s\nvaults: []\n", "2:9 `vaults` is a mapping, not a list"),
        ("stack: s\nbackend: {type: aws}\n", "2:17 `type` is `embedded` or `azure`, not `aws`"),
        ("stack: s\nbackend: {type: azure, tenant: x}\n", "2:32 `tenant` cannot be `x`"),
        ("stack: s\nprincipals: {a: {type: user, id: x}}\n", "2:34 `id` cannot be `x`"),
        (f"stack: s\nprincipals: {{a: {{type: usr, id: {ALICE}}}}}\n", "2:24 `type` is `user`, `group`"),
        (
            f"stack: s\nprincipals: {{a: {{type: user, id: {ALICE}}}, b: {{type: user, id: {ALICE.upper()}}}}}\n",
            "2:93 `b` and `a` have the same id",
        ),
        (f"stack: s\nprincipals: {{a: {{type: user, id: {ALICE}, members: [a]}}}}\n", "2:81 only a group has members"),
        (
            f"stack: s\nprincipals: {{a: {{type: group, id: {ALICE}, members: [b]}}}}\n",
            "2:83 there is no principal `b`",
        ),
        ("stack: s\nstate: {path: 3}\n", "2:15 `path` is text, not a whole number"),
        ('stack: s\nstate: {path: "a\\0b"}\n', "2:15 no path has the character NUL in it"),
        ("stack: s\ndefaults: {vualt: {}}\n", "2:12 `defaults` has no attribute `vualt`; did you mean `vault`?"),
        (
            "stack: s\ndefaults: {vault: {skuu: x}}\nvaults: {dev: {}, test: {}}\n",
            "2:20 a vault has no attribute `skuu`; did you mean `sku`?",
        ),
        (
            "stack: s\ndefaults: {key: {type: EC, curve: P-1}}\nvaults: {dev: {keys: {a: {}, b: {}}}}\n",
            "2:35 `curve` is `P-256`, `P-384`, `P-521` or `P-256K`, not `P-1`; did you mean `P-521`?",
        ),
    ],
)
def test_what_is_wrong_with_the_stack_itself_is_told_where_it_stands(tmp_path: Path, text: str, expected: str) -> None:
    found = told(tmp_path, text)
    assert len(found) == 1, found
    assert found[0].startswith(expected)


def test_the_valid_example_is_valid(tmp_path: Path) -> None:
    found = read(tmp_path, VALID)
    assert found.warnings == ()
    assert set(found.desired.nodes) == {
        "access/on-call/key-vault-reader/subscription",
        "payments-dev",
        "payments-dev/access/on-call/key-vault-crypto-officer/keys/signing",
        "payments-dev/access/payments-api/key-vault-secrets-user",
        "payments-dev/keys/sealed",
        "payments-dev/keys/signing",
        "payments-dev/secrets/db-password",
        "payments-dev/secrets/pass",
        "payments-dev/secrets/session-key",
        "payments-dev/secrets/token",
    }


def test_a_folder_without_a_stack_says_how_to_begin(tmp_path: Path) -> None:
    from kvstack.declare.declaration import declaration
    from kvstack.terms.diagnostic import KvstackError

    with pytest.raises(KvstackError) as caught:
        declaration(tmp_path)
    assert "kvstack init" in caught.value.diagnostics[0].detail


def test_shape_and_meaning_are_told_together_and_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = f"""\
stack: s
variables:
  n: {{type: number, default: many}}
principals:
  api: {{type: service_principal, id: {API}}}
vaults:
  dev:
    skuu: premium
    soft_delete_retention_days: 5
    keys:
      a: {{type: RSA-HSM}}
      b: {{type: EC, size: 2048}}
      c: {{tpye: RSA}}
    secrets:
      d: {{value: hunter2}}
      e: {{value_from: {{env: A, file: b}}}}
      f: {{content_type: "${{var.m}}"}}
    access:
      - {{principal: apy, role: Key Vault Reader}}
      - {{principal: api, role: Key Vault Raeder}}
  test: {{name: t}}
moved:
  - {{from: a, to: nowhere}}
"""
    assert [found.split(" ", 1)[0] for found in told(tmp_path, text)] == [
        "3:6",  # the default is no number
        "8:5",  # skuu
        "9:33",  # days
        "12:27",  # a size for a curve
        "13:7",  # a key needs a type
        "13:11",  # tpye
        "15:11",  # a literal value
        "16:23",  # two sources
        "17:25",  # no such variable
        "19:21",  # no such principal
        "20:32",  # no such role
        "21:16",  # too short a name
    ]


def test_a_problem_says_how_to_mend_it(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, HEAD + "    keys: {a: {type: RSA-HSM}}\n")
    assert found.detail == "Write `sku: premium` in the vault, or `type: RSA` for a software key."
    (found,) = problems(tmp_path, HEAD + "    secrets: {a: {value_from: text}}\n")
    assert "{env: NAME}" in found.detail


def test_thirteen_tags_and_the_longest_names_are_taken(tmp_path: Path) -> None:
    secret = f"{'a' * 127}: {{tags: {{{'k' * 512}: {'v' * 512}}}}}"
    body = f"    name: {'a' * 24}\n    tags: {tags(13)}\n    secrets: {{{secret}}}\n"
    assert told(tmp_path, HEAD + body) == []


@pytest.mark.parametrize("days", [7, 8, 89, 90])
def test_retention_from_7_to_90_days_is_taken(tmp_path: Path, days: int) -> None:
    assert told(tmp_path, HEAD + f"    soft_delete_retention_days: {days}\n") == []
