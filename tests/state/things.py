"""States and records to try things on."""

from datetime import UTC, datetime

from kvstack.resources.key import Key
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.rotation import Rotation
from kvstack.resources.secret import Secret
from kvstack.resources.value_source import Generate, ValueFrom
from kvstack.resources.vault import Network, Vault
from kvstack.schema.resource import Lifecycle, Resource
from kvstack.state.state import Drop, Entry, Intend, Put, Record, State
from kvstack.state.store import LockHolder
from kvstack.terms.address import Address

LINEAGE = "3f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"
HOLDER = LockHolder(who="ann@host", process=7, command="apply", since=datetime(2026, 3, 1, tzinfo=UTC))


def record(address: str, resource: Resource, *, version: str | None = None, fingerprint: str | None = None) -> Record:
    vault = "" if resource.kind == "vault" else "dev"
    return Record(
        address=Address(address),
        kind=resource.kind,
        identity=resource.identity(vault),
        id=f"/subscriptions/x/{address}",
        vault=vault,
        resource=resource,
        version=version,
        fingerprint=fingerprint,
    )


RECORDS = (
    record(
        "dev",
        Vault(
            name="dev",
            sku="premium",
            network=Network(default_action="deny", ip_rules=frozenset({"203.0.113.0/24", "198.51.100.7/32"})),
            lock="delete",
            tags={"ключ": "значение", "a": 'quote " and\nline'},
            lifecycle=Lifecycle(prevent_destroy=True, ignore_changes=("tags",)),
        ),
    ),
    record(
        "dev/keys/sign",
        Key(
            name="sign",
            type="EC",
            curve="P-256",
            operations=frozenset({"sign", "verify"}),
            expires=datetime(2027, 1, 31, tzinfo=UTC),
            rotation=Rotation(every="P90D"),
        ),
        version="0" * 32,
    ),
    record(
        "dev/secrets/db",
        Secret(name="db", value_from=ValueFrom(generate=Generate(length=48)), content_type="text/plain"),
        version="1" * 32,
        fingerprint="f" * 64,
    ),
    record(
        "dev/access/api/reader",
        RoleAssignment(
            principal="6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11",
            principal_type="group",
            role="Key Vault Reader",
            scope="vault/dev",
            starts=datetime(2026, 1, 31, 1, 2, 3, 456000, tzinfo=UTC),
        ),
    ),
)


def state(*records: Record, serial: int = 3, environment: str | None = None) -> State:
    return State(
        stack="payments",
        environment=environment,
        lineage=LINEAGE,
        serial=serial,
        backend="embedded/1",
        records={entry.address: entry for entry in records},
    )


MOVED = record("dev/keys/other", RECORDS[1].resource, version="2" * 32)
ENTRIES: tuple[Entry, ...] = (
    Intend(RECORDS[2].address, "secret", RECORDS[2].resource, "0" * 32),
    Put(RECORDS[2]),
    Put(MOVED, was=RECORDS[1].address),
    Drop(RECORDS[3].address),
    Intend(Address("dev/secrets/late"), "secret", Secret(name="late"), None),
)
