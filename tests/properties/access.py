"""Random access: roles of one's own, given, taken up and denied."""

from typing import Any

from hypothesis import strategies as st

API = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"
BOB = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a12"
CLEO = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a13"
ACCESS = ("role_assignment", "role_definition", "deny_assignment", "access_policy")
GET = "Microsoft.KeyVault/vaults/secrets/getSecret/action"
LIST = "Microsoft.KeyVault/vaults/secrets/readMetadata/action"
Declared = dict[str, Any]


def some(**attributes: st.SearchStrategy[Any]) -> st.SearchStrategy[Declared]:
    """Return mappings with some of these attributes; None leaves one out."""
    return st.fixed_dictionaries({}, optional=attributes).map(
        lambda drawn: {name: value for name, value in drawn.items() if value is not None}
    )


_eligible = some(
    until=st.just("2036-01-01T00:00:00Z"),
    max_duration=st.sampled_from(["PT4H", "PT240M", "P1D"]),
    justification=st.just("optional"),
    approvers=st.sampled_from([["cleo"], ["cleo", "bob", "api"]]),
    mfa=st.just("required"),
)


def given_access(scopes: list[str]) -> st.SearchStrategy[list[Declared]]:
    """Return roles given, or to be taken up, at some of these scopes."""
    return st.lists(
        st.builds(
            lambda who, role, scope, more: {
                "principal": who,
                "role": role,
                **({"scope": scope} if scope else {}),
                # Its times stand in its terms.
                **{name: value for name, value in more.items() if name != "until" or "eligible" not in more},
            },
            st.sampled_from(["api", "bob", "batch", "nightly"]),
            st.sampled_from(["Key Vault Reader", "Key Vault Secrets User", "lister", "setter"]),
            st.sampled_from(scopes),
            some(
                description=st.just("why"),
                until=st.just("2036-01-01T00:00:00Z"),
                condition=st.just("@Resource[Microsoft.KeyVault/vaults/secrets:name] StringLike 'db-*'"),
                eligible=_eligible,
            ),
        ),
        max_size=3,
        unique_by=lambda line: (line["principal"], line["role"], line.get("scope", "")),
    )


def denied(scopes: list[str], *names: str) -> st.SearchStrategy[list[Declared]]:
    """Return denials of what whoever applies the stacks needs not."""
    return st.lists(
        st.builds(
            lambda name, scope, more: {"name": name, **({"scope": scope} if scope else {}), **more},
            st.sampled_from(names or ["no reading", "nothing"]),
            st.sampled_from(scopes),
            st.builds(
                lambda what, whom, more: {**what, **whom, **more},
                st.sampled_from(
                    [
                        {"data_actions": [GET]},
                        {"data_actions": ["*"], "not_data_actions": [LIST]},
                        {"actions": ["*"], "not_actions": ["*/read"]},
                    ]
                ),
                st.sampled_from([{"principals": ["bob"]}, {"principals": ["api", "bob"], "except": ["cleo"]}]),
                some(below=st.booleans(), description=st.just("why")),
            ),
        ),
        max_size=2,
        unique_by=lambda line: line["name"],
    )


_definition = st.builds(
    lambda scopes, what, more: {"assignable_scopes": scopes, **what, **more},
    st.sampled_from([["subscription"], ["vault/alpha", "vault/beta", "resource_group/local"], ["subscription"]]),
    st.sampled_from([{"data_actions": [LIST]}, {"data_actions": ["*"], "not_data_actions": [GET]}]),
    some(description=st.just("why"), actions=st.just(["Microsoft.KeyVault/vaults/read"])),
)
roles = st.fixed_dictionaries(
    {},
    optional={"lister": _definition.map(lambda role: {**role, "name": "Lister of Secrets"}), "setter": _definition},
)
_PEOPLE = {
    "api": {"type": "service_principal", "id": API},
    "bob": {"type": "user", "id": BOB},
    "cleo": {"type": "user", "id": CLEO},
}


def with_access(
    vaults: Declared,
    roles: Declared,
    access: list[Declared],
    deny: list[Declared],
    identities: Declared | None = None,
) -> Declared:
    """Return a stack in which only roles are given, and only to those, and vaults named, that there are."""
    known = {*_PEOPLE, *(identities or {})}

    def there(lines: list[Declared]) -> list[Declared]:
        return [
            line
            for line in lines
            if line["principal"] in known and (line["role"] in roles or line["role"].startswith("Key Vault"))
        ]

    def of_what_is_there(lines: list[Declared]) -> list[Declared]:
        return [line for line in lines if not line["scope"].startswith("vault/") or line["scope"][6:] in vaults]

    def for_those_there(vault: Declared) -> Declared:
        policies = [line for line in vault.get("policies", ()) if line["principal"] in {*known, "me"}]
        return {"policies": policies} if policies else {}

    whole = {
        name: {**vault, "access": there(vault["access"]), **for_those_there(vault)} for name, vault in vaults.items()
    }
    return {
        "stack": "s",
        "principals": _PEOPLE,
        "identities": identities or {},
        "vaults": whole,
        "roles": roles,
        "access": of_what_is_there(there(access)),
        "deny": of_what_is_there(deny),
    }
