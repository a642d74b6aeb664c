"""What every backend keeps to: one suite, run against each."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kvstack.backends.protocol import Actual, Backend, Handler, Offer, Purges, Recovers, Rotates, Snapshot, Wanted
from kvstack.resources.access_policy import AccessPolicy
from kvstack.resources.alert import Alert, AlertPattern
from kvstack.resources.certificate import Certificate, CertificateKey, LifetimeTrigger
from kvstack.resources.contact_list import Contact, ContactList
from kvstack.resources.deny_assignment import DenyAssignment
from kvstack.resources.eligible import Eligible
from kvstack.resources.event_subscription import EventEndpoint, EventSubscription, Subjects
from kvstack.resources.identity import Identity
from kvstack.resources.issuer import Issuer
from kvstack.resources.key import Key
from kvstack.resources.release_policy import KeyReleasePolicy
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.role_definition import RoleDefinition
from kvstack.resources.rotation import Rotation, Rotator, SecretRotation
from kvstack.resources.secret import Secret
from kvstack.resources.value_source import Generate, ValueFrom
from kvstack.resources.vault import Network, Vault
from kvstack.schema.differences import differences
from kvstack.schema.resource import Resource
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.principal import Principal
from kvstack.terms.release_policy import rules
from kvstack.terms.secret import SecretValue
from kvstack.terms.tags import Owner
from tests.fakes.attestation import policy
from tests.fakes.backend import MemoryBackend

API = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"
LATER = datetime(2037, 1, 31, tzinfo=UTC)
STACK = "s"

VAULT = Vault(name="dev", sku="premium", tags={"team": "payments"}, soft_delete_retention_days=30)
KEY = Key(name="sign", type="EC", tags={"a": "b"}, rotation=Rotation(every="P90D")).resolved()
EXPORTABLE = Key(
    name="leaves", type="EC", exportable=True, release_policy=KeyReleasePolicy(rules(policy("https://a.example.com")))
).resolved()
SECRET = Secret(name="db", content_type="text/plain", tags={"c": "d"})
GENERATED = msgspec.structs.replace(SECRET, value_from=ValueFrom(generate=Generate(length=20)))
CERTIFICATE = Certificate(
    name="web",
    subject="CN=web.example.com",
    dns_names=frozenset({"web.example.com"}),
    key=CertificateKey(type="EC"),
    renew=LifetimeTrigger(days_before_expiry=30),
    tags={"e": "f"},
).resolved()
ACCESS = RoleAssignment(principal=API, principal_type="user", role="Key Vault Reader", scope="vault/dev")
ISSUER = Issuer(name="Corp", authority="trust/certificates/root")
CONTACTS = ContactList(people=(Contact("a@example.com", "Ann"), Contact("b@example.com"))).resolved()
IDENTITY = Identity(name="batch", resource_group="payments", tags={"team": "payments"})
ITS_ACCESS = RoleAssignment(
    principal=IDENTITY.principal, principal_type="managed_identity", role="Key Vault Reader", scope="vault/dev"
)
GET_SECRET = "Microsoft.KeyVault/vaults/secrets/getSecret/action"
ROLE = RoleDefinition(
    name="Secret Lister",
    assignable_scopes=frozenset({"subscription", "vault/dev"}),
    actions=frozenset({"Microsoft.KeyVault/vaults/read"}),
    data_actions=frozenset({"Microsoft.KeyVault/vaults/secrets/*"}),
    not_data_actions=frozenset({GET_SECRET}),
    description="Lists.",
)
ELIGIBLE = RoleAssignment(
    principal=API,
    principal_type="user",
    role="Key Vault Administrator",
    scope="vault/dev",
    eligible=Eligible(max_duration="PT4H", approvers=frozenset({API[:-1] + "3"}), until=LATER),
)
DENIAL = DenyAssignment(
    name="no reading", scope="vault/dev", excluded=frozenset({API}), data_actions=frozenset({GET_SECRET})
)
SUBSCRIPTION = EventSubscription(
    name="consumers",
    types=("Microsoft.KeyVault.SecretNewVersionCreated",),
    subject=Subjects(prefix="db-"),
    vault="dev",
    endpoint=EventEndpoint(webhook="https://hooks.example.com/x"),
)
ALERT = Alert(
    name="refusals",
    on=AlertPattern(result="Forbidden*"),
    count=3,
    within="PT5M",
    vault="dev",
    endpoint=EventEndpoint(mail=("a@example.com",)),
)
LATE_USES = msgspec.structs.replace(ALERT, name="late-uses", on=AlertPattern(superseded="P7D"))
ON_EVENTS = msgspec.structs.replace(ALERT, name="on-events", on=AlertPattern(event="*Expired"))
POLICY = AccessPolicy(principal=API, keys=frozenset({"get", "sign"}), secrets=frozenset({"all"})).resolved()
IN_VAULT: list[Resource] = [KEY, SECRET, CERTIFICATE, ACCESS, POLICY, ISSUER, CONTACTS, ELIGIBLE, DENIAL]
BESIDE_VAULTS = ("vault", "identity", "role_definition", "event_subscription", "alert")
SOFT: list[Resource] = [VAULT, KEY, SECRET, CERTIFICATE]
KINDS = pytest.mark.parametrize(
    "resource",
    [VAULT, *IN_VAULT, IDENTITY, ROLE, SUBSCRIPTION, ALERT, LATE_USES, ON_EVENTS],
    ids=lambda resource: resource.kind,
)
SOFT_KINDS = pytest.mark.parametrize("resource", SOFT, ids=lambda resource: resource.kind)
TAGGED_KINDS = pytest.mark.parametrize("resource", [*SOFT, IDENTITY], ids=lambda resource: resource.kind)


@pytest.fixture(params=["memory", "embedded", pytest.param("embedded with an HSM", marks=pytest.mark.slow)])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    if request.param == "memory":
        yield MemoryBackend()
        return
    from kvstack.backends.embedded.backend import EmbeddedBackend
    from kvstack.vault.founding import initialise_access
    from kvstack.vault.initialise import initialise

    hsm = None if "HSM" in request.param else False
    unlocked = initialise(tmp_path, hsm=hsm, prepare=initialise_access)
    with_hsm = "pkcs11" in unlocked.providers
    unlocked.close()
    if hsm is None and not with_hsm:
        pytest.skip("no PKCS#11 module is found: the HSM is left out")
    opened = EmbeddedBackend.opened(tmp_path, owner=STACK)
    yield opened
    opened.close()


def handler(backend: Backend, kind: str) -> Any:
    found: Handler[Resource] | None = backend.handler(kind)
    assert found is not None
    return found


def wanted(resource: Resource, value: str = "value-1", **changes: Any) -> Wanted[Resource]:
    resource = msgspec.structs.replace(resource, **changes)
    return Wanted(
        resource,
        "" if resource.kind in BESIDE_VAULTS else "dev",
        Owner(STACK, f"dev/{resource.kind}"),
        SecretValue(value) if resource.kind == "secret" else None,
    )


def made(backend: Backend, resource: Resource) -> Actual[Resource]:
    """Make a thing, and the vault it is in."""
    if resource.kind not in BESIDE_VAULTS:
        handler(backend, "vault").create(wanted(VAULT))
    found: Actual[Resource] = handler(backend, resource.kind).create(wanted(resource))
    return found


def made_in(backend: Backend, resource: Resource) -> Actual[Resource]:
    """Make a thing in the vault, which is made where it is not there."""
    if there(backend, VAULT) is None:
        return made(backend, resource)
    found: Actual[Resource] = handler(backend, resource.kind).create(wanted(resource))
    return found


def seen(backend: Backend) -> Snapshot:
    return backend.snapshot(["dev"])


def there(backend: Backend, resource: Resource) -> Actual[Resource] | None:
    return seen(backend).things.get(resource.identity("dev"))


def test_a_vault_that_is_nowhere_is_nothing(backend: Backend) -> None:
    found = backend.snapshot(["nowhere"])
    assert not [identity for identity in found.things if identity.startswith("vaults/")]
    assert found.unread == ()


@KINDS
def test_what_is_made_is_there_as_declared_and_ours(backend: Backend, resource: Resource) -> None:
    answered = made(backend, resource)
    found = there(backend, resource)
    assert found == answered
    assert differences(found.resource, resource) == ()
    assert (found.kind, found.deletion) == (resource.kind, None)
    assert found.vault == ("" if resource.kind in BESIDE_VAULTS else "dev")
    if hasattr(resource, "tags"):
        assert found.owner == Owner(STACK, f"dev/{resource.kind}")
        assert found.resource.tags == resource.tags  # type: ignore[attr-defined]
    else:
        # Nothing in a vault says whose an issuer or a list of contacts is: the state does.
        assert found.named_by_us != resource.ours_by_state
    assert (found.version is not None) == (resource.kind in ("key", "secret", "certificate"))
    assert (found.fingerprint is not None) == (resource.kind == "secret")


@KINDS
def test_the_same_creation_twice_is_one_thing(backend: Backend, resource: Resource) -> None:
    first = made(backend, resource)
    assert handler(backend, resource.kind).create(wanted(resource)) == first
    assert there(backend, resource) == first


@pytest.mark.parametrize(
    ("resource", "changes"),
    [
        (VAULT, {"sku": "standard"}),
        (KEY, {"enabled": False}),
        (SECRET, {"enabled": False}),
        (CERTIFICATE, {"enabled": False}),
        (ACCESS, {"description": "x"}),
        (ISSUER, {"enabled": False}),
        (CONTACTS, {"people": (Contact("a@example.com"),)}),
        (IDENTITY, {"location": "elsewhere"}),
        (IDENTITY, {"name": "BATCH", "tags": {}}),
        (ELIGIBLE, {"description": "x"}),
        (ELIGIBLE, {"eligible": Eligible(mfa="required")}),
        (DENIAL, {"principals": frozenset({API})}),
        (ROLE, {"not_data_actions": frozenset()}),
    ],
)
def test_a_name_that_is_taken_by_something_else_is_refused(
    backend: Backend, resource: Resource, changes: dict[str, Any]
) -> None:
    first = made(backend, resource)
    with pytest.raises(KvstackError):
        handler(backend, resource.kind).create(wanted(resource, **changes))
    assert there(backend, resource) == first


def test_a_secret_of_another_value_is_something_else(backend: Backend) -> None:
    made(backend, SECRET)
    with pytest.raises(KvstackError):
        handler(backend, "secret").create(wanted(SECRET, "value-2"))


@TAGGED_KINDS
def test_another_stacks_thing_is_not_taken(backend: Backend, resource: Resource) -> None:
    first = made(backend, resource)
    other = msgspec.structs.replace(wanted(resource), owner=Owner("other", "x"))
    with pytest.raises(KvstackError):
        handler(backend, resource.kind).create(other)
    assert there(backend, resource) == first


@pytest.mark.parametrize(
    ("resource", "changes"),
    [
        (VAULT, {"sku": "standard"}),
        (VAULT, {"tags": {}}),
        (VAULT, {"tags": {"x": "y", "é": "ü"}}),
        (VAULT, {"network": Network(default_action="deny", bypass="none", ip_rules=frozenset({"203.0.113.0/24"}))}),
        (VAULT, {"lock": "delete"}),
        (VAULT, {"purge_protection": True}),
        (KEY, {"enabled": False}),
        (KEY, {"operations": frozenset({"sign"})}),
        (KEY, {"expires": LATER}),
        (KEY, {"not_before": LATER}),
        (KEY, {"rotation": None}),
        (KEY, {"rotation": Rotation(every="P30D", keep_previous="P7D", enabled=False)}),
        (KEY, {"rotation": Rotation(every="P30D", expire_after="P60D"), "tags": {"x": "y"}, "enabled": False}),
        (EXPORTABLE, {"release_policy": KeyReleasePolicy(rules(policy("https://b.example.com", combined="anyOf")))}),
        (EXPORTABLE, {"operations": frozenset({"export"}), "enabled": False}),
        (SECRET, {"enabled": False}),
        (SECRET, {"content_type": None}),
        (SECRET, {"content_type": "x", "expires": LATER, "tags": {}}),
        (SECRET, {"rotation": SecretRotation(keep_previous="P30D")}),
        (GENERATED, {"rotation": SecretRotation(every="P30D", enabled=False)}),
        (GENERATED, {"rotation": SecretRotation(every="P30D", rotator=Rotator(command=("rotate", "a b")))}),
        (CERTIFICATE, {"enabled": False}),
        (CERTIFICATE, {"tags": {}, "renew": None, "keep_previous": "P30D"}),
        (CERTIFICATE, {"notify": LifetimeTrigger(lifetime_percentage=80)}),
        (ACCESS, {"until": LATER}),
        (ACCESS, {"starts": LATER, "description": "why"}),
        (ISSUER, {"enabled": False, "authority": "trust/certificates/other"}),
        (ISSUER, {"provider": "DigiCert", "authority": "", "account_id": "7", "organization_id": "9"}),
        (CONTACTS, {"people": (Contact("c@example.com", "Cleo", "+1"),)}),
        (IDENTITY, {"tags": {"x": "y"}}),
        (ELIGIBLE, {"eligible": Eligible()}),
        (
            ELIGIBLE,
            {"eligible": Eligible(starts=LATER, max_duration="PT30M", justification="optional", mfa="required")},
        ),
        (ELIGIBLE, {"description": "why", "condition": "@Resource[Microsoft.KeyVault/vaults:name] StringEquals 'x'"}),
        (DENIAL, {"principals": frozenset({API}), "excluded": frozenset(), "below": False}),
        (DENIAL, {"actions": frozenset({"*"}), "not_actions": frozenset({"*/read"}), "description": "why"}),
        (DENIAL, {"data_actions": frozenset({"*"}), "not_data_actions": frozenset({GET_SECRET})}),
        (ROLE, {"assignable_scopes": frozenset({"resource_group/pay"}), "description": ""}),
        (ROLE, {"actions": frozenset({"*"}), "not_actions": frozenset({"*/read"}), "data_actions": frozenset()}),
    ],
)
def test_what_is_changed_is_there_as_declared(backend: Backend, resource: Resource, changes: dict[str, Any]) -> None:
    first = made(backend, resource)
    declared = wanted(resource, **changes)
    answered = handler(backend, resource.kind).update(first, declared, frozenset(changes))
    found = there(backend, resource)
    assert found is not None
    assert found == answered
    assert differences(found.resource, declared.resource) == ()
    assert (found.owner, found.version, found.fingerprint) == (first.owner, first.version, first.fingerprint)
    back = handler(backend, resource.kind)
    if "purge_protection" not in changes:
        back.update(found, wanted(resource), frozenset(changes))
        again = there(backend, resource)
        assert again is not None
        assert differences(again.resource, resource) == ()


@TAGGED_KINDS
def test_an_owner_is_written_and_taken_away_and_tags_stay(backend: Backend, resource: Resource) -> None:
    first = made(backend, resource)
    other = msgspec.structs.replace(wanted(resource), owner=Owner("other", "elsewhere"))
    changed = handler(backend, resource.kind).update(first, other, frozenset({"owner"}))
    assert changed.owner == Owner("other", "elsewhere")
    nobody = msgspec.structs.replace(wanted(resource), owner=None)
    handler(backend, resource.kind).update(changed, nobody, frozenset({"owner"}))
    found = there(backend, resource)
    assert found is not None
    assert (found.owner, found.resource) == (None, first.resource)


@pytest.mark.parametrize(
    ("resource", "changes"),
    [
        (KEY, {"curve": "P-384"}),
        (KEY, {"type": "RSA", "size": 2048, "curve": None, "operations": frozenset({"sign"})}),
        (KEY, {"enabled": False, "rotation": None, "tags": {}}),
        (EXPORTABLE, {"curve": "P-384"}),
        (CERTIFICATE, {}),
        (CERTIFICATE, {"dns_names": frozenset({"other.example.com"}), "tags": {}}),
        (CERTIFICATE, {"enabled": False, "renew": None, "validity_months": 24}),
        (SECRET, {}),
        (SECRET, {"content_type": "x", "tags": {}}),
    ],
)
def test_a_new_version_has_what_is_declared(backend: Backend, resource: Resource, changes: dict[str, Any]) -> None:
    first = made(backend, resource)
    declared = wanted(resource, "value-2", **changes)
    rotates = handler(backend, resource.kind)
    assert isinstance(rotates, Rotates)
    answered = rotates.rotate(first, declared)
    found = there(backend, resource)
    assert found == answered
    assert differences(found.resource, declared.resource) == ()
    assert found.version != first.version
    assert not found.by_rotation
    assert (found.fingerprint != first.fingerprint) == (resource.kind == "secret")


@KINDS
def test_what_is_deleted_is_gone_or_can_be_recovered_as_it_was(backend: Backend, resource: Resource) -> None:
    first = made(backend, resource)
    does = handler(backend, resource.kind)
    does.delete(first)
    found = there(backend, resource)
    recovers = isinstance(does, Recovers)
    if not recovers:
        assert found is None
        does.delete(first)  # what is gone is no error
        return
    assert found is not None
    assert found.deletion is not None
    assert msgspec.structs.replace(found, deletion=None) == first
    assert (found.deletion.purge_at - found.deletion.at).days == 30
    assert found.deletion.purgeable
    assert not found.deletion.with_vault
    does.delete(first)
    assert there(backend, resource) == found
    assert does.recover(found) == first
    assert there(backend, resource) == first


@SOFT_KINDS
def test_a_deleted_thing_keeps_its_name_until_it_is_purged(backend: Backend, resource: Resource) -> None:
    first = made(backend, resource)
    does = handler(backend, resource.kind)
    does.delete(first)
    with pytest.raises(KvstackError):
        does.create(wanted(resource))
    deleted = there(backend, resource)
    assert deleted is not None
    assert deleted.deletion is not None
    purges = isinstance(does, Purges)
    assert purges
    does.purge(deleted)
    assert there(backend, resource) is None
    again = does.create(wanted(resource))
    assert again.deletion is None


@SOFT_KINDS
def test_what_is_protected_is_purged_by_nobody(backend: Backend, resource: Resource) -> None:
    first = made(backend, resource)
    vault = there(backend, VAULT)
    assert vault is not None
    protected = wanted(VAULT, purge_protection=True)
    handler(backend, "vault").update(vault, protected, frozenset({"purge_protection"}))
    does = handler(backend, resource.kind)
    does.delete(first)
    deleted = there(backend, resource)
    assert deleted is not None
    assert deleted.deletion is not None
    assert not deleted.deletion.purgeable
    with pytest.raises(KvstackError):
        does.purge(deleted)
    assert there(backend, resource) == deleted


def test_a_vault_takes_everything_along_and_back_but_its_access(backend: Backend) -> None:
    vault = made(backend, VAULT)
    inside = [handler(backend, resource.kind).create(wanted(resource)) for resource in IN_VAULT]
    own = wanted(Secret(name="own-end"))
    secrets = handler(backend, "secret")
    secrets.delete(secrets.create(own))
    handler(backend, "vault").delete(vault)
    for resource in (KEY, SECRET, CERTIFICATE, ISSUER, CONTACTS):
        found = there(backend, resource)
        assert found is not None
        assert found.deletion is not None
        assert found.deletion.with_vault
    assert [there(backend, gone) for gone in (ACCESS, ELIGIBLE, DENIAL)] == [None, None, None]
    own_end = there(backend, own.resource)
    assert own_end is not None
    assert own_end.deletion is not None
    assert not own_end.deletion.with_vault
    deleted = there(backend, VAULT)
    assert deleted is not None
    handler(backend, "vault").recover(deleted)
    access = (ACCESS, ELIGIBLE, DENIAL)
    back = [there(backend, resource) for resource in IN_VAULT if resource not in access]
    assert back == [one for one in inside if one.kind not in ("role_assignment", "deny_assignment")]
    assert there(backend, ACCESS) is None
    own_end = there(backend, own.resource)
    assert own_end is not None
    assert own_end.deletion is not None


def test_an_identity_without_a_resource_group_is_in_the_backends_own(backend: Backend) -> None:
    identity = IDENTITY.placed("never")
    assert identity == IDENTITY
    nowhere = msgspec.structs.replace(IDENTITY, resource_group=None)
    answered = handler(backend, "identity").create(wanted(nowhere))
    assert answered.resource == nowhere.placed(backend.resource_group)
    assert there(backend, nowhere.placed(backend.resource_group)) == answered


def test_access_of_an_identity_is_told_by_its_name(backend: Backend) -> None:
    made(backend, VAULT)
    handler(backend, "identity").create(wanted(IDENTITY))
    answered = handler(backend, "role_assignment").create(wanted(ITS_ACCESS))
    found = there(backend, ITS_ACCESS)
    assert found is not None
    assert found == answered
    assert found.named_by_us
    assert differences(found.resource, ITS_ACCESS) == ()
    assert handler(backend, "role_assignment").create(wanted(ITS_ACCESS)) == answered
    changed = handler(backend, "role_assignment").update(
        found, wanted(ITS_ACCESS, description="why"), frozenset({"description"})
    )
    assert there(backend, ITS_ACCESS) == changed
    handler(backend, "role_assignment").delete(changed)
    assert there(backend, ITS_ACCESS) is None


def test_a_deleted_identity_takes_its_access_along_and_a_namesake_has_none(backend: Backend) -> None:
    made(backend, VAULT)
    identities = handler(backend, "identity")
    first = identities.create(wanted(IDENTITY))
    handler(backend, "role_assignment").create(wanted(ITS_ACCESS))
    identities.delete(first)
    assert (there(backend, IDENTITY), there(backend, ITS_ACCESS)) == (None, None)
    identities.create(wanted(IDENTITY))
    assert there(backend, ITS_ACCESS) is None
    handler(backend, "role_assignment").create(wanted(ITS_ACCESS))
    assert there(backend, ITS_ACCESS) is not None


def test_who_changed_an_identity_last_is_known(backend: Backend) -> None:
    made(backend, IDENTITY)
    identity = IDENTITY.identity("")
    assert set(backend.last_changes([identity])) == {identity}


def test_fingerprints_tell_values_apart_and_nothing_else(backend: Backend) -> None:
    first = made(backend, SECRET)
    offers = [Offer("dev", "db", SecretValue(value)) for value in ("value-1", "value-2", "value-1", "")]
    one, two, again, empty = backend.fingerprints(offers)
    assert one == again == first.fingerprint
    assert len({one, two, empty}) == 3
    # Of one length, keyed, and of one place: it tells neither that two secrets are alike nor what a guess would be.
    assert one is not None
    assert two is not None
    assert len(one) == len(two)
    assert backend.fingerprints([Offer("dev", "other", SecretValue("value-1"))]) != (one,)
    for algorithm in ("md5", "sha1", "sha256", "sha512", "blake2b", "sha3_256"):
        assert hashlib.new(algorithm, b"value-1").hexdigest() not in one
    assert backend.fingerprints([Offer("DEV", "DB", SecretValue("value-1"))]) == (one,)
    assert backend.fingerprints([]) == ()


def test_a_batch_is_made_whole(backend: Backend) -> None:
    with backend.batch():
        made(backend, KEY)
        handler(backend, "secret").create(wanted(SECRET))
    assert there(backend, KEY) is not None
    assert there(backend, SECRET) is not None


def _fails_at_its_end(backend: Backend) -> None:
    """Make a key, then try to make another under a name that is taken, in one batch."""
    keys = handler(backend, "key")
    with backend.batch():
        keys.create(wanted(KEY, name="undone"))
        keys.create(wanted(KEY, enabled=False))


def test_in_a_batch_only_what_fails_is_undone(backend: Backend) -> None:
    made(backend, VAULT)
    keys = handler(backend, "key")
    with backend.batch():
        with backend.batch():
            keys.create(wanted(KEY))
        with pytest.raises(KvstackError):
            _fails_at_its_end(backend)
        with backend.batch():
            handler(backend, "secret").create(wanted(SECRET))
    assert there(backend, KEY) is not None
    assert there(backend, SECRET) is not None
    assert there(backend, msgspec.structs.replace(KEY, name="undone")) is None


def test_a_batch_that_fails_is_undone(backend: Backend) -> None:
    made(backend, KEY)
    before = seen(backend).things.keys()
    with pytest.raises(KvstackError):
        _fails_at_its_end(backend)
    assert seen(backend).things.keys() == before


def test_principals_are_known_by_name_once_told(backend: Backend) -> None:
    alice = Principal(API, "user", "alice")
    group = Principal(API[:-1] + "2", "group", "ops", frozenset({API}))
    for principal in (alice, group):
        backend.make_known(principal)
    known = backend.principals()
    assert known is not None
    assert (known[alice.id], known[group.id]) == (alice, group)


def test_who_changed_a_thing_last_is_known(backend: Backend) -> None:
    identity = KEY.identity("dev")
    made(backend, KEY)
    found = backend.last_changes([identity, "vaults/nowhere"])
    assert set(found) == {identity}
    assert found[identity].who
    assert found[identity].operation


def test_a_role_of_ones_own_is_given_by_its_name(backend: Backend) -> None:
    made(backend, ROLE)
    for given in (ACCESS, ELIGIBLE):
        own = msgspec.structs.replace(given, role=ROLE.name)
        answered = made_in(backend, own)
        assert there(backend, own) == answered
        assert answered.named_by_us
        assert handler(backend, "role_assignment").create(wanted(own)) == answered


def test_a_role_is_given_and_may_be_taken_up_as_two_things(backend: Backend) -> None:
    given = made(backend, msgspec.structs.replace(ELIGIBLE, eligible=None))
    eligible = made_in(backend, ELIGIBLE)
    handler(backend, "role_assignment").delete(given)
    assert there(backend, msgspec.structs.replace(ELIGIBLE, eligible=None)) is None
    assert there(backend, ELIGIBLE) == eligible


@pytest.mark.parametrize("resource", [ACCESS, ELIGIBLE, DENIAL, ROLE], ids=lambda resource: resource.kind)
def test_what_is_only_taken_over_stays_as_it_is(backend: Backend, resource: Resource) -> None:
    first = made(backend, resource)
    other = wanted(resource, description="another")
    taken = handler(backend, resource.kind).update(first, other, frozenset({"owner"}))
    assert there(backend, resource) == taken
    assert differences(taken.resource, resource) == ()


def test_two_spellings_are_one_name(backend: Backend) -> None:
    made(backend, KEY)
    assert set(backend.snapshot(["DEV"]).things) == set(seen(backend).things)
    with pytest.raises(KvstackError):
        handler(backend, "key").create(wanted(KEY, name="SIGN", enabled=False))


def test_there_is_no_handler_for_what_a_backend_has_not(backend: Backend) -> None:
    assert backend.handler("managed_hsm_of_the_future") is None


def test_only_what_may_take_long_says_so(backend: Backend) -> None:
    assert backend.is_slow("vault", VAULT) is None
    assert backend.is_slow("secret", SECRET) is None
