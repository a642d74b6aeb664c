"""Random stacks on a real embedded vault, edited and applied."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import reject
from hypothesis import strategies as st

from kvstack.apply.workspace import Workspace
from kvstack.backends.embedded.backend import EmbeddedBackend
from kvstack.declare.declaration import declaration
from kvstack.plan.change import Change, Plan
from kvstack.render.json import document
from kvstack.terms.action import Action
from kvstack.terms.diagnostic import InvalidInput
from kvstack.terms.identity import identity_scope_of
from kvstack.vault.caller import Caller
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.service import VaultService
from tests.properties.access import ACCESS, Declared, denied, given_access, roles, some, with_access

ENVIRON = {"ONE": "hunter2-one", "TWO": "hunter2-two"}

_tags = st.dictionaries(st.sampled_from(["a", "b", "é"]), st.sampled_from(["x", "y", ""]), max_size=2)
_lifecycle = st.sampled_from([{"purge_on_delete": True}, {"ignore_changes": ["tags"]}, None, None])
_ignoring = st.sampled_from([{"ignore_changes": ["account_id"]}, None])
_expires = st.none() | st.just("2036-06-01T00:00:00Z")


_keys = st.builds(
    lambda more, curve, rotation: {
        "type": "EC",
        "curve": curve,
        # Of what a rotation policy lets expire nothing else says when.
        **{name: value for name, value in more.items() if name != "expires" or "expire_after" not in (rotation or {})},
        **({"rotation": rotation} if rotation else {}),
    },
    some(
        enabled=st.booleans(),
        tags=_tags,
        operations=st.sampled_from([["sign"], ["sign", "verify"]]),
        expires=_expires,
        lifecycle=_lifecycle,
        name=st.sampled_from(["other", "OTHER"]),
    ),
    st.sampled_from(["P-256", "P-384"]),
    st.none() | st.sampled_from([{"every": "P90D"}, {"every": "P30D", "expire_after": "P12W"}]),
)
# Whether a key is exportable never changes: one name is kept for those that are.
_exportable = st.builds(
    lambda key, svn: {
        **{name: value for name, value in key.items() if name != "name"},
        "exportable": True,
        "release_policy": {
            "policy": {"anyOf": [{"authority": "https://a.example.com", "allOf": [{"claim": "svn", "greater": svn}]}]}
        },
    },
    _keys,
    st.sampled_from([1, 2]),
)
_sources = st.sampled_from(
    [{"env": "ONE"}, {"env": "TWO"}, {"env": "MISSING"}, {"generate": {"length": 8}}, {"generate": {"length": 9}}]
)
_secrets = st.builds(
    lambda source, more: {"value_from": source, **more},
    _sources.filter(lambda source: source != {"env": "MISSING"}),
    some(
        content_type=st.sampled_from(["text/plain", "x"]),
        enabled=st.booleans(),
        tags=_tags,
        expires=_expires,
        lifecycle=_lifecycle,
    ),
)
_certificates = st.builds(
    lambda subject, issuer, more: {"subject": subject, "issuer": issuer, "key": {"type": "EC"}, **more},
    st.sampled_from(["CN=one", "CN = two, O=x"]),
    st.sampled_from(["Self", "Unknown", "alpha/certificates/ca", "beta/certificates/ca", "corp"]),
    some(
        dns_names=st.sampled_from([["one.example.com"], ["one.example.com", "*.example.org"]]),
        enabled=st.booleans(),
        tags=_tags,
        notify=st.sampled_from([{"days_before_expiry": 30}, {"lifetime_percentage": 80}]),
        validity_months=st.sampled_from([6, 7]),
        content_type=st.just("application/x-pem-file"),
        lifecycle=_lifecycle,
    ),
)
_authority = {"subject": "CN=ca", "key": {"type": "EC"}, "validity_months": 60, "authority": {"path_length": 0}}
_authorities = st.sampled_from([{}, {"ca": _authority}, {"ca": {**_authority, "tags": {"a": "x"}}}])
# What certificates name is an authority; a company is only written down, and nobody can be asked to issue by it.
_issuers = st.builds(
    lambda own, companies: {**own, **companies},
    st.dictionaries(
        st.just("corp"),
        st.builds(
            lambda authority, more: {"authority": authority, **more},
            st.sampled_from(["alpha/certificates/ca", "beta/certificates/ca"]),
            some(account_id=st.just("7"), name=st.sampled_from(["other", "OTHER"]), lifecycle=_ignoring),
        ),
        max_size=1,
    ),
    st.dictionaries(
        st.sampled_from(["Digi", "global"]),
        st.builds(
            lambda provider, more: {"provider": provider, **more},
            st.sampled_from(["DigiCert", "GlobalSign"]),
            some(account_id=st.sampled_from(["7", "8"]), organization_id=st.just("9"), enabled=st.booleans()),
        ),
        max_size=2,
    ),
)
_contacts = st.lists(
    st.builds(
        lambda email, more: {"email": email, **more},
        st.sampled_from(["a@example.com", "b@example.com", "C@example.com"]),
        some(name=st.sampled_from(["Ann", "é"]), phone=st.just("+1")),
    ),
    max_size=3,
    unique_by=lambda line: line["email"],
)
# Whoever applies needs a policy of his own: no role gives him a right to what is in such a vault.
_ALL = {"principal": "me", "keys": ["all"], "secrets": ["all"], "certificates": ["all"]}
_policies = st.lists(
    st.builds(
        lambda who, keys, secrets: {"principal": who, "keys": keys, "secrets": secrets},
        st.sampled_from(["api", "bob", "batch", "nightly"]),
        st.sampled_from([["get"], ["sign", "verify"], ["all"]]),
        st.sampled_from([[], ["get", "list"], ["all"]]),
    ),
    max_size=2,
    unique_by=lambda line: line["principal"],
).map(lambda lines: {"access_model": "access_policies", "policies": [_ALL, *lines]})
_vaults = st.builds(
    lambda more, keys, secrets, certificates, authorities, access, deny, issuers, contacts, policies: {
        **more,
        **policies,
        "keys": keys,
        "secrets": secrets,
        "certificates": {**certificates, **authorities},
        "access": access,
        "deny": deny,
        "issuers": issuers,
        "contacts": contacts,
    },
    some(
        sku=st.sampled_from(["standard", "premium"]),
        tags=_tags,
        network=st.sampled_from([{"default_action": "deny", "ip_rules": ["203.0.113.7", "198.51.100.0/24"]}]),
        lifecycle=_lifecycle,
        location=st.sampled_from(["elsewhere"]),
        name=st.sampled_from(["gamma"]),
        purge_protection=st.sampled_from([False, False, False, True]),
    ),
    st.builds(
        lambda keys, leaving: {**keys, **leaving},
        st.dictionaries(st.sampled_from(["one", "two", "Three"]), _keys, max_size=2),
        st.dictionaries(st.just("leaves"), _exportable, max_size=1),
    ),
    st.dictionaries(st.sampled_from(["one", "two", "Three"]), _secrets, max_size=2),
    st.dictionaries(st.sampled_from(["web", "Mail"]), _certificates, max_size=1),
    _authorities,
    given_access(["", "keys/one", "secrets/one"]),
    denied(["", "secrets/one"]),
    _issuers,
    _contacts,
    st.just({}) | st.just({"access_model": "rbac"}) | _policies,
)
_managed_identities = st.dictionaries(
    st.sampled_from(["batch", "nightly"]),
    some(
        resource_group=st.sampled_from(["payments", "Payments", "shipping"]),
        location=st.sampled_from(["elsewhere"]),
        name=st.sampled_from(["worker", "WORKER"]),
        tags=_tags,
        lifecycle=st.sampled_from([{"ignore_changes": ["tags"]}, None, None]),
    ),
    max_size=2,
)


stacks = st.builds(
    with_access,
    st.dictionaries(st.sampled_from(["alpha", "beta"]), _vaults, max_size=2),
    roles,
    given_access(["subscription", "resource_group/local", "vault/alpha"]),
    denied(["subscription", "resource_group/local"], "nowhere reading", "no-where"),
    _managed_identities,
)


class World:
    """One embedded vault, and the stack that is declared for it."""

    def __init__(self, folder: Path, backend: EmbeddedBackend, service: VaultService) -> None:
        self.folder = folder
        self.backend = backend
        self.service = service
        self.operator: Caller = service.operator
        self.declare({"stack": "s"})

    def declare(self, stack: Declared) -> None:
        principals = {**stack.get("principals", {}), "me": {"type": "user", "id": self.operator.id}}
        (self.folder / "kvstack.yaml").write_text(json.dumps({**stack, "principals": principals}))
        try:
            self.declaration = declaration(self.folder)
        except InvalidInput:
            reject()  # two things of one name

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.declaration, self.backend, environ=ENVIRON)

    def plan(self) -> Plan:
        return self.workspace.plan()

    def apply(self, made: Plan) -> None:
        opened = self.workspace
        outcome = opened.apply(made, opened.state(), tell=lambda _: None, stop=threading.Event())
        assert outcome.failed == (), outcome.failed
        assert outcome.skipped == ()

    def touched(self, since: int) -> set[str]:
        """Return what was changed in vaults, by identity, since so many audit records."""
        found = set()
        for record in list(self.backend._unlocked.audit.records())[since:]:
            changed = record.result == "Success" and record.operation.endswith(_CHANGING)
            identity = identity_scope_of(record.resource)
            if changed and identity is not None:
                found.add(f"identities/{identity.resource_group}/{identity.item.partition('/')[2]}".lower())
            if changed and "/vaults/" in record.resource and not record.operation.startswith(_OF_ACCESS):
                found.add("vaults/" + record.resource.lower().split("/vaults/")[1])
        return found

    @property
    def audited(self) -> int:
        return sum(1 for _ in self.backend._unlocked.audit.records())


def settled(of: World) -> None:
    """Check that nothing is left to do and nothing has moved, and that the state holds what is declared."""
    made = of.plan()
    assert made.changes == ()
    assert made.drift == ()
    assert made.bookkeeping == ()
    assert set(of.workspace.state().records) == set(of.declaration.desired.nodes)
    assert made.unchanged == len(of.declaration.desired.nodes)


_OF_ACCESS = ("Role", "Deny", "VaultAccessPolicy")
_CHANGING = ("Put", "Patch", "Delete", "Recover", "Purge", "Create", "Update", "Set", "Rotate")


@contextmanager
def world(*, hsm: bool = False) -> Iterator[World]:
    """Make a vault, and throw it away."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        unlocked = initialise(folder, hsm=hsm, prepare=initialise_access)
        service = VaultService(unlocked)
        backend = EmbeddedBackend(unlocked, service, service.operator, "s")
        try:
            yield World(folder, backend, service)
        finally:
            backend.close()


# What an apply is to have touched


def required_and_possible(made: Plan) -> tuple[set[str], set[str]]:
    """Return the identities an apply of this plan has to change, and those it may change as well."""
    required, possible = set[str](), set[str]()
    for change in made.changes:
        if change.kind in ACCESS:
            continue
        identities = _identities(change)
        if change.action is Action.FORGET or (change.with_vault and change.action is not Action.REPLACE):
            possible |= identities
        else:
            required |= identities
    return required, possible


def _identities(change: Change) -> set[str]:
    found = {change.node.identity} if change.node is not None else set()
    if change.actual is not None:
        found.add(change.actual.resource.identity(change.actual.vault))
    return found


def as_json(made: Plan) -> str:
    return json.dumps(document(made), default=str)
