"""Random stacks on a real embedded vault, edited, applied, and changed behind their back."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st

from kvstack.apply.workspace import Workspace
from kvstack.backends.embedded.backend import EmbeddedBackend
from kvstack.declare.declaration import declaration
from kvstack.plan.change import Change, Plan
from kvstack.render.json import document
from kvstack.resources.secret import Secret
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.duration import duration
from kvstack.terms.key import KeySpecification
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.records import NetworkRules
from kvstack.vault.service import VaultService

API = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"
BOB = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a12"
ENVIRON = {"ONE": "hunter2-one", "TWO": "hunter2-two"}
LATER = datetime(2037, 1, 31, tzinfo=UTC)
Declared = dict[str, Any]

_tags = st.dictionaries(st.sampled_from(["a", "b", "é"]), st.sampled_from(["x", "y", ""]), max_size=2)
_expires = st.none() | st.just("2036-06-01T00:00:00Z")


def _some(**attributes: st.SearchStrategy[Any]) -> st.SearchStrategy[Declared]:
    """Return mappings with some of these attributes; None leaves one out."""
    return st.fixed_dictionaries({}, optional=attributes).map(
        lambda drawn: {name: value for name, value in drawn.items() if value is not None}
    )


_keys = st.builds(
    lambda more, curve, rotation: {
        "type": "EC",
        "curve": curve,
        **more,
        **({"rotation": rotation} if rotation else {}),
    },
    _some(
        enabled=st.booleans(), tags=_tags, operations=st.sampled_from([["sign"], ["sign", "verify"]]), expires=_expires
    ),
    st.sampled_from(["P-256", "P-384"]),
    st.none() | st.sampled_from([{"every": "P90D"}, {"every": "P30D", "expire_after": "P12W"}]),
)
_sources = st.sampled_from(
    [{"env": "ONE"}, {"env": "TWO"}, {"env": "MISSING"}, {"generate": {"length": 8}}, {"generate": {"length": 9}}]
)
_secrets = st.builds(
    lambda source, more: {"value_from": source, **more},
    _sources.filter(lambda source: source != {"env": "MISSING"}),
    _some(content_type=st.sampled_from(["text/plain", "x"]), enabled=st.booleans(), tags=_tags, expires=_expires),
)
_access = st.lists(
    st.builds(
        lambda who, role, scope, more: {"principal": who, "role": role, **({"scope": scope} if scope else {}), **more},
        st.sampled_from(["api", "bob"]),
        st.sampled_from(["Key Vault Reader", "Key Vault Secrets User"]),
        st.sampled_from(["", "keys/one", "secrets/one"]),
        _some(description=st.just("why"), until=st.just("2036-01-01T00:00:00Z")),
    ),
    max_size=3,
    unique_by=lambda line: (line["principal"], line["role"], line.get("scope", "")),
)
_vaults = st.builds(
    lambda more, keys, secrets, access: {**more, "keys": keys, "secrets": secrets, "access": access},
    _some(
        sku=st.sampled_from(["standard", "premium"]),
        tags=_tags,
        network=st.sampled_from([{"default_action": "deny", "ip_rules": ["203.0.113.7", "198.51.100.0/24"]}]),
        purge_protection=st.sampled_from([False, False, False, True]),
    ),
    st.dictionaries(st.sampled_from(["one", "two", "Three"]), _keys, max_size=2),
    st.dictionaries(st.sampled_from(["one", "two", "Three"]), _secrets, max_size=2),
    _access,
)
stacks = st.builds(
    lambda vaults: {
        "stack": "s",
        "principals": {"api": {"type": "service_principal", "id": API}, "bob": {"type": "user", "id": BOB}},
        "vaults": vaults,
    },
    st.dictionaries(st.sampled_from(["alpha", "beta"]), _vaults, max_size=2),
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
        (self.folder / "kvstack.yaml").write_text(json.dumps(stack))
        self.declaration = declaration(self.folder)

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
            if changed and "/vaults/" in record.resource and not record.operation.startswith("RoleAssignment"):
                found.add("vaults/" + record.resource.lower().split("/vaults/")[1])
        return found

    @property
    def audited(self) -> int:
        return sum(1 for _ in self.backend._unlocked.audit.records())


_CHANGING = ("Put", "Patch", "Delete", "Recover", "Purge", "Create", "Update", "Set", "Rotate")


@contextmanager
def world() -> Iterator[World]:
    """Make a vault, and throw it away."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        unlocked = initialise(folder, hsm=False, prepare=initialise_access)
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
        if change.kind == "role_assignment":
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


# What somebody does behind the stack's back


class Deed:
    """One deed. does: does it; drifts: the addresses that have moved by it."""

    def __init__(self, name: str, does: Callable[[], object], drifts: set[str]) -> None:
        self.name = name
        self.does = does
        self.drifts = drifts

    def __repr__(self) -> str:
        return f"{self.name} -> {sorted(self.drifts)}"


def deeds(of: World) -> list[Deed]:
    """Return everything somebody could do to what was just applied."""
    service, operator = of.service, of.operator
    found: list[Deed] = []
    nodes = of.declaration.desired.nodes
    state = of.workspace.state()
    snapshot = of.workspace.snapshot(state)

    def deed(
        name: str, address: str, does: Callable[[], object], *, drift: bool = True, also: set[str] | None = None
    ) -> None:
        found.append(Deed(f"{name} {address}", does, ({address} if drift else set()) | (also or set())))

    for address, node in nodes.items():
        record = state.records[address]
        actual = snapshot.things[node.identity]
        vault, name = node.vault, node.resource.name
        tags = (
            {**actual.resource.tags, "kvstack-stack": "s", "kvstack-address": address}
            if hasattr(actual.resource, "tags")
            else {}
        )
        match node.resource.kind:
            case "vault":
                inside = {
                    other
                    for other, held in nodes.items()
                    if held.vault_address == address and held.resource.kind == "role_assignment"
                }
                deed("tag", address, lambda n=name, t=tags: service.update_vault(operator, n, tags={**t, "new": "x"}))  # type: ignore[misc]
                deed("strip", address, lambda n=name, a=actual: service.update_vault(operator, n, tags=a.resource.tags))  # type: ignore[misc]
                deed(
                    "claim",
                    address,
                    lambda n=name, t=tags: service.update_vault(operator, n, tags={**t, "kvstack-stack": "other"}),
                )  # type: ignore[misc]
                deed("lock", address, lambda n=name: service.update_vault(operator, n, lock="delete"))  # type: ignore[misc]
                deed(
                    "open",
                    address,
                    lambda n=name: service.update_vault(
                        operator, n, network=NetworkRules("deny", ("192.0.2.0/24",), "none")
                    ),
                )  # type: ignore[misc]
                deed("delete", address, lambda n=name: service.delete_vault(operator, n), also=inside)  # type: ignore[misc]
                deed(
                    "delete and recover", address,
                    lambda n=name: (service.delete_vault(operator, n), service.recover_vault(operator, n)),  # type: ignore[misc]
                    drift=False, also=inside,
                )  # fmt: skip
                deed("touch", address, lambda n=name: service.update_vault(operator, n), drift=False)  # type: ignore[misc]
                deed(
                    "add a key to",
                    address,
                    lambda n=name: service.create_key(
                        operator, n, "foreign", specification=KeySpecification("EC", None, "P-256")
                    ),
                    drift=False,
                )  # type: ignore[misc]
            case "key":
                key = node.resource
                new = {
                    "operations": actual.resource.operations,
                    "enabled": actual.resource.enabled,
                    "expires": actual.resource.expires,
                }  # type: ignore[attr-defined]
                curve = actual.resource.curve  # type: ignore[attr-defined]
                deed(
                    "disable or enable",
                    address,
                    lambda v=vault, n=name, e=actual.resource.enabled: service.update_key(
                        operator, v, n, enabled=not e
                    ),
                )  # type: ignore[attr-defined,misc]
                deed(
                    "narrow", address, lambda v=vault, n=name: service.update_key(operator, v, n, operations={"verify"})
                )  # type: ignore[misc]
                if "expires" not in key.left_to_the_vault():
                    deed("end", address, lambda v=vault, n=name: service.update_key(operator, v, n, expires=LATER))  # type: ignore[misc]
                deed(
                    "tag",
                    address,
                    lambda v=vault, n=name, t=tags: service.update_key(operator, v, n, tags={**t, "new": "x"}),
                )  # type: ignore[misc]
                deed(
                    "strip",
                    address,
                    lambda v=vault, n=name, a=actual: service.update_key(operator, v, n, tags=a.resource.tags),
                )  # type: ignore[misc]
                deed(
                    "claim",
                    address,
                    lambda v=vault, n=name, t=tags: service.update_key(
                        operator, v, n, tags={**t, "kvstack-stack": "other"}
                    ),
                )  # type: ignore[misc]
                deed(
                    "plan to rotate",
                    address,
                    lambda v=vault, n=name: service.set_rotation_policy(
                        operator, v, "keys", n, RotationPolicy(every=duration("P45D"))
                    ),
                )  # type: ignore[misc]
                deed("delete", address, lambda v=vault, n=name: service.delete_key(operator, v, n))  # type: ignore[misc]
                deed("rotate", address, lambda v=vault, n=name: service.rotate_key(operator, v, n), drift=False)  # type: ignore[misc]
                deed(
                    "make a new version of", address,
                    lambda v=vault, n=name, c=curve, t=tags, w=new: service.create_key(operator, v, n, specification=KeySpecification("EC", None, c), tags=t, **w),  # type: ignore[misc]
                    drift=False,
                )  # fmt: skip
                deed(
                    "make another version of", address,
                    lambda v=vault, n=name, c=curve, t=tags, w=new: service.create_key(operator, v, n, specification=KeySpecification("EC", None, "P-521"), tags=t, **w),  # type: ignore[misc]
                )  # fmt: skip
                deed(
                    "make a bare version of",
                    address,
                    lambda v=vault, n=name, c=curve: service.create_key(
                        operator, v, n, specification=KeySpecification("EC", None, c)
                    ),
                )  # type: ignore[misc]
            case "secret":
                secret = actual.resource
                assert isinstance(secret, Secret)
                same = {
                    "content_type": secret.content_type or "",
                    "enabled": secret.enabled,
                    "expires": secret.expires,
                    "tags": tags,
                }
                deed(
                    "set",
                    address,
                    lambda v=vault, n=name, w=same: service.set_secret(
                        operator, v, n, SecretValue("hunter2-other"), **w
                    ),
                )  # type: ignore[misc]
                deed(
                    "disable or enable",
                    address,
                    lambda v=vault, n=name, e=secret.enabled: service.update_secret(operator, v, n, enabled=not e),
                )  # type: ignore[misc]
                deed(
                    "describe",
                    address,
                    lambda v=vault, n=name: service.update_secret(operator, v, n, content_type="application/x-other"),
                )  # type: ignore[misc]
                deed("end", address, lambda v=vault, n=name: service.update_secret(operator, v, n, expires=LATER))  # type: ignore[misc]
                deed(
                    "strip",
                    address,
                    lambda v=vault, n=name, a=actual: service.update_secret(operator, v, n, tags=a.resource.tags),
                )  # type: ignore[misc]
                deed(
                    "claim",
                    address,
                    lambda v=vault, n=name, t=tags: service.update_secret(
                        operator, v, n, tags={**t, "kvstack-stack": "other"}
                    ),
                )  # type: ignore[misc]
                deed("delete", address, lambda v=vault, n=name: service.delete_secret(operator, v, n))  # type: ignore[misc]
                deed(
                    "rotate",
                    address,
                    lambda v=vault, n=name, w=same: service.set_secret(
                        operator, v, n, SecretValue("hunter2-turned"), by_rotation=True, **w
                    ),
                    drift=False,
                )  # type: ignore[misc]
                deed(
                    "read", address, lambda v=vault, n=name: service.get_secret_properties(operator, v, n), drift=False
                )  # type: ignore[misc]
            case _:
                deed("take away", address, lambda i=record.id: service.delete_role_assignment(operator, i))  # type: ignore[misc]
    return found


def is_from_the_environment(of: World, address: str) -> bool:
    """Tell whether a secret's value is read from the environment: a rotation of it is not what is declared."""
    node = of.declaration.desired.nodes.get(Address(address))
    source = node.resource.value_source if node is not None else None
    return source is not None and source.read_at_plan


def as_json(made: Plan) -> str:
    return json.dumps(document(made), default=str)
