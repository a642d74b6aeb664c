"""Declarations gone wrong in every way: a valid one with something deleted, renamed, retyped or inserted."""

import copy
import json
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from kvstack.declare.yaml import data
from tests.declare.stacks import ALICE, API, ON_CALL, VALID

CANARY = "hunter2Xy7"
Document = dict[str, Any]

JUNK: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    91,
    30.0,
    1.5,
    10**30,
    "",
    "x",
    "a_b",
    "dev",
    "true",
    "30",
    "P90D",
    "P0D",
    "\0",
    "é\U0001f511",
    "x" * 300,
    [],
    {},
    [None],
    [[]],
    [{}],
    ["x"],
    {"x": "y"},
    {"": ""},
    {"x": {"y": ["z"]}},
    "keys/signing",
    "subscription",
    "vault/dev",
    "identity/rg/batch",
    "2027-01-31T00:00:00Z",
    "2027-01-31 00:00:00+01:00",
    "2027-02-30T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "2027-01-31T23:59:60Z",
    ALICE,
    ALICE + "\n",
    "RSA",
    "RSA-HSM",
    2048,
    2048.0,
    "203.0.113.7",
    "${var.env}",
    "${var.nope}",
    "${principals.alice.id}",
    "${",
    "$${",
    "../x",
    "/etc/passwd",
    {"env": "A"},
    {"length": 1},
]
KEYS = [
    "",
    "x",
    "name",
    "sku",
    "value",
    "value_from",
    "type",
    "tags",
    "lifecycle",
    "env",
    "file",
    "rotation",
    "scope",
    "<<",
    "~",
    "vaults",
    "keys",
    "secrets",
    "access",
    "identities",
    "moved",
    "removed",
    "import",
    "state",
    "backend",
    "defaults",
    "include",
    "a_b",
    "é",
    "${var.env}",
    "${var.nope}",
    "Signing",
    "SIGNING",
    "kvstack-stack",
    "x" * 130,
]

# The same without references, as it is once variables are known.
PLAIN: Document = {
    "stack": "payments",
    "backend": {"type": "embedded"},
    "state": {"path": "state"},
    "variables": {"env": {"type": "string", "default": "dev", "allowed": ["dev"], "description": "x"}},
    "environments": {"prod": {"variables": {"env": "dev"}, "backend": {"type": "azure", "tenant": ALICE}}},
    "principals": {
        "api": {"type": "service_principal", "id": API},
        "alice": {"type": "user", "id": ALICE},
        "ops": {"type": "group", "id": ON_CALL, "members": ["alice"]},
    },
    "identities": {"batch": {"name": "batch-1", "resource_group": "rg", "location": "local", "tags": {"a": "b"}}},
    "defaults": {"key": {"enabled": True}, "vault": {"sku": "premium"}, "identity": {"location": "local"}},
    "access": [
        {"principal": "ops", "role": "Key Vault Reader", "scope": "subscription", "description": "why"},
        {"principal": "batch", "role": "Key Vault Reader", "scope": "subscription"},
    ],
    "moved": [{"from": "old", "to": "dev"}],
    "removed": [{"address": "gone", "destroy": False, "purge": False}],
    "import": [{"address": "dev"}],
    "vaults": {
        "dev": {
            "name": "dev-1",
            "sku": "premium",
            "location": "local",
            "resource_group": "rg",
            "soft_delete_retention_days": 30,
            "purge_protection": True,
            "network": {"default_action": "deny", "bypass": "none", "ip_rules": ["203.0.113.0/24"]},
            "lock": "delete",
            "tags": {"team": "payments"},
            "lifecycle": {"prevent_destroy": True, "ignore_changes": ["tags"], "purge_on_delete": False},
            "access": [{"principal": "api", "role": "Key Vault Reader", "until": "2027-01-31T00:00:00Z"}],
            "keys": {
                "signing": {
                    "type": "RSA",
                    "size": 2048,
                    "operations": ["sign", "verify"],
                    "enabled": False,
                    "expires": "2027-01-31T00:00:00Z",
                    "rotation": {"every": "P90D", "expire_after": "P120D", "notify_before_expiry": "P30D"},
                },
                "curve": {"type": "EC-HSM", "curve": "P-256"},
            },
            "secrets": {
                "db": {"value_from": {"env": "DB"}, "content_type": "text/plain"},
                "made": {
                    "value_from": {"generate": {"length": 48, "characters": "hex"}},
                    "rotation": {"every": "P30D"},
                },
                "file": {"value_from": {"file": "token"}},
                "run": {"value_from": {"command": ["a", "b"]}},
            },
        }
    },
}


def written() -> Document:
    """Return the valid example with its references, as data."""
    found: Document = data(VALID.encode(), "kvstack.yaml")
    return found


def as_yaml(document: Any) -> str:
    """Return a document as text, a line an entry: JSON is YAML."""
    return json.dumps(document, indent=1, ensure_ascii=True).replace("Infinity", "1e999") + "\n"


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path]
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in entries:
        found += _paths(inner, (*path, step))
    return found


def _astray(value: Any, path: tuple[str | int, ...] = ()) -> bool:
    """Tell whether a canary stands where nobody would write a secret: a later mutation may have moved it there."""
    if {"value", "value_from", "Value"} & {*path}:
        return False
    match value:
        case dict():
            return any(key == CANARY or _astray(inner, (*path, key)) for key, inner in value.items())
        case list():
            return any(_astray(inner, path) for inner in value)
        case _:
            return isinstance(value, str) and CANARY in value


def has_empty_key(value: Any) -> bool:
    """Tell whether a mapping has an empty key, which no file gets past its YAML with."""
    match value:
        case dict():
            return "" in value or any(has_empty_key(inner) for inner in value.values())
        case list():
            return any(has_empty_key(inner) for inner in value)
        case _:
            return False


def _in_a_secret(path: tuple[str | int, ...]) -> bool:
    return "secrets" in path[:-1] or path[:2] == ("defaults", "secret")


@st.composite
def mutations(draw: st.DrawFn, document: Document, most: int = 4) -> Document:
    """Return the document with one to `most` things gone wrong. A canary may stand where a secret could."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, most))):
        path = draw(st.sampled_from([path for path in _paths(document) if path]))
        holder: Any = document
        for step in path[:-1]:
            holder = holder[step]
        step = path[-1]
        hidden = _in_a_secret(path) and bool({"value", "value_from"} & {*path})
        junk = draw(st.sampled_from([CANARY, [CANARY], {CANARY: CANARY}] if hidden and draw(st.booleans()) else JUNK))
        match draw(st.sampled_from(["delete", "retype", "rename", "insert", "secret"])):
            case "delete":
                del holder[step]
            case "retype":
                holder[step] = copy.deepcopy(junk)
            case "rename" if isinstance(holder, dict):
                new = draw(st.sampled_from([*KEYS, f"{step}s", str(step)[:-1], str(step).upper()]))
                holder[
                    CANARY
                    if hidden and "value" not in (step, new) and draw(st.booleans()) and path[-2] == "value_from"
                    else new
                ] = holder.pop(step)
            case "insert" if isinstance(holder, dict):
                holder[draw(st.sampled_from(KEYS))] = copy.deepcopy(junk)
            case "insert":
                holder.insert(0, copy.deepcopy(junk))
            case "secret" if len(path) >= 2 and path[-2] == "secrets" and isinstance(holder[step], dict):
                holder[step][draw(st.sampled_from(["value", "Value", "value_from"]))] = draw(
                    st.sampled_from([CANARY, [CANARY], {CANARY: 1}, f"${{{CANARY}}}", {"env": [CANARY]}])
                )
            case _:
                holder[step] = copy.deepcopy(junk)
    assume(not _astray(document))
    return document
