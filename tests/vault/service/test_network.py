"""A vault's network rules stop every operation on what is in it, for every caller that comes over a network; those on
the vault itself are resource manager's, and are not behind them."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from kvstack.hsm.find import find_module
from kvstack.hsm.plain_key import of_oct
from kvstack.terms.certificate import CertificatePolicy
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.key import KeySpecification
from kvstack.terms.local_role import ADMINISTRATOR
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.errors import VaultError
from kvstack.vault.pool_rows import Job
from kvstack.vault.records import NetworkRules
from kvstack.vault.security_domains import READ_UPLOAD
from kvstack.vault.service import VaultService
from tests.vault.service.pools import POOL, PoolWorld, custodians, keys_of
from tests.vault.service.world import World

VAULT = "payments-dev"
INSIDE, OUTSIDE = "2001:db8::7", "198.51.100.1"
SHUT = NetworkRules("deny", ("2001:db8::/32",), "none")

# What is not on the data in one vault: what resource manager does, and what names no vault.
NOT_ON_DATA = {
    *(
        "acting",
        "acting_as",
        "as_one",
        "batch",
        "caller",
        "calendar",
        "confirm_clock",
        "due",
        "run_due",
        "last_changes",
    ),
    *("create_vault", "update_vault", "get_vault", "list_vaults", "delete_vault", "list_deleted_vaults"),
    *("get_deleted_vault", "recover_vault", "purge_vault"),
    *("set_access_policy", "delete_access_policy", "list_access_policies", "policies_of"),
    *("change_access_policies", "access_policies_of", "vault_name_availability"),
    *("get_home_subscription", "list_home_subscriptions", "get_resource_group", "list_resource_groups"),
    *("create_managed_hsm", "update_managed_hsm", "get_managed_hsm", "list_managed_hsms", "delete_managed_hsm"),
    *("get_deleted_managed_hsm", "list_deleted_managed_hsms", "recover_managed_hsm", "purge_managed_hsm"),
    "managed_hsm_health",
    *("create_role_assignment", "delete_role_assignment", "get_role_assignment", "list_role_assignments"),
    *("put_role_definition", "delete_role_definition", "list_role_definitions"),
    *("create_deny_assignment", "delete_deny_assignment", "list_deny_assignments"),
    *("put_eligible_assignment", "delete_eligible_assignment", "list_eligible_assignments"),
    *("activate_role", "deactivate_role", "decide_activation", "list_activations"),
    *("audit_anchor", "archive_audit", "review_access"),
    # A key that signs an approval is used by `sign`.
    *("approve_plan", "approvals_of", "get_approval", "list_approvals", "revoke_approval"),
    *("begin_plan", "end_plan", "held_up"),
    *("explain_access", "who_can", "grants_of", "put_principal", "list_principals"),
    *("create_identity", "update_identity", "get_identity", "list_identities", "delete_identity"),
    *("put_subscription", "get_subscription", "list_subscriptions", "delete_subscription"),
    *("list_events", "replay_events", "deliver_events", "tell_of_stack"),
    *("put_alert", "delete_alert", "watch_audit"),
    *("trust_authority", "remove_authority", "list_authorities"),
    *("download_own_security_domain", "upload_own_security_domain"),
    # Who comes in over HTTPS, and by what; what a server asks for itself: it tells no caller anything of it.
    *("create_client_secret", "list_client_secrets", "delete_client_secret", "signed_in"),
    *("add_client_certificate", "add_federated_credential", "list_credentials", "delete_credential"),
    *("create_person_credential", "set_sign_in_rules", "sign_in_rules", "sign_in_keys", "sign_in_mark"),
    *("signed_in_by_address", "signed_in_by_assertion", "signed_in_by_header", "signed_in_person"),
    *("approve_device", "taken_approval", "shown_first", "was_shown", "is_stamped", "stamped", "standing"),
    "recent_audit",
    *("token_signing", "turn_token_signer", "token_keys"),
    *("next_due", "retention", "is_managed_hsm", "newest_version", "newest_certificate", "told_certificate"),
    *("is_used_briefly", "counted_for"),
    # Makes a vault of its own; key material in memory, of no vault yet; reads what it may and says what it could not.
    *("import_vault", "prepare_key", "discard_key", "snapshot"),
}

# What a parameter without a default is given, by name.
GIVEN: dict[str, Any] = {
    "action": READ_UPLOAD,
    "algorithm": "A256GCM",
    "blob": b"blob",
    "collection": "keys",
    "contacts": (),
    "content": b"content",
    "count": 8,
    "custodians": custodians(),
    "data_actions": ["Microsoft.KeyVault/managedHsm/keys/*"],
    "digest": bytes(32),
    "document": b"{}",
    "id": "00000000-0000-4000-8000-000000000001",
    "key": SecretValue(bytes(32)),
    "job": Job("0a" * 16),
    "kind": "backup",
    "name": "thing",
    "place": lambda: None,
    "password": SecretValue("correct horse battery staple"),
    "plain": of_oct(bytes(32)),
    "plaintext": SecretValue(b"text"),
    "policy": CertificatePolicy(subject="CN=a"),
    "principal_id": "00000000-0000-4000-8000-000000000001",
    "principal_type": "user",
    "private_keys": keys_of(0, 1),
    "quorum": 2,
    "role": "Managed HSM Crypto User",
    "serial": "01",
    "signature": bytes(64),
    "specification": KeySpecification("oct", 256),
    "target_attestation_token": "a.b.c",
    "transfer": b"{}",
    "value": SecretValue("value"),
    "values": ((VAULT, "thing", SecretValue("value")),),
    "wanted": True,
    "wrapped": bytes(40),
    "ciphertext": bytes(32),
}
ALSO_GIVEN: dict[str, dict[str, Any]] = {
    "restore_managed_hsm_key": {"key": "k"},
    "set_rotation_policy": {"policy": None},
}


def public_operations() -> dict[str, Callable[..., Any]]:
    """Return every public operation of the class, by name."""
    found = inspect.getmembers(VaultService, inspect.isfunction)
    return {name: function for name, function in found if not name.startswith("_")}


def on_data(place: Literal["vault", "hsm"]) -> list[str]:
    """Return the operations on what is in a vault, or in a Managed HSM by its own verbs."""
    return sorted(
        name
        for name, function in public_operations().items()
        if name not in NOT_ON_DATA
        # `hsm` beside `vault` is where a key goes.
        and place == next((one for one in ("vault", "hsm") if one in inspect.signature(function).parameters), "")
    )


def call(service: VaultService, name: str, caller: Caller, **place: str) -> VaultError | KvstackError | None:
    """Do an operation; return how it was refused."""
    parameters = inspect.signature(public_operations()[name]).parameters.values()
    given = {**GIVEN, **ALSO_GIVEN.get(name, {}), "caller": caller, **place}
    arguments = {one.name: given[one.name] for one in parameters if one.default is one.empty and one.name != "self"}
    positional = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD and one.name in arguments]
    keywords = {key: value for key, value in arguments.items() if key not in positional}
    try:
        getattr(service, name)(*(arguments[key] for key in positional), **keywords)
    except KvstackError as error:
        return error
    return None


def stopped(error: KvstackError | None) -> bool:
    """Tell whether it was the network rules that refused."""
    return isinstance(error, VaultError) and (error.status, error.inner) == (403, "ForbiddenByFirewall")


def test_every_operation_is_either_on_data_or_listed_as_not() -> None:
    """A new operation takes a `vault` or an `hsm` and is tried below, or is listed above with those that are not."""
    assert {*on_data("vault"), *on_data("hsm"), "fingerprints", *NOT_ON_DATA} == set(public_operations())
    assert len(on_data("vault")) > 50


@pytest.fixture
def shut(stocked: World) -> World:
    stocked.service.update_vault(stocked.operator, VAULT, network=SHUT)
    return stocked


@pytest.mark.parametrize("name", [*on_data("vault"), "fingerprints"])
def test_an_operation_on_data_is_stopped_from_outside_and_not_from_where_the_rules_let_in(
    shut: World, name: str
) -> None:
    service, operator = shut.service, shut.operator
    before = service.snapshot(operator)
    for trusted in (False, True):
        outside = Caller(operator.id, "operator", address=OUTSIDE, trusted=trusted)
        error = call(service, name, outside, vault=VAULT)
        assert stopped(error), error
        assert error is not None
        assert f"the firewall of vault `{VAULT}` does not let {OUTSIDE} in" in str(error)
        (newest,) = shut.unlocked.audit.records(newest_first=True, limit=1)
        assert (newest.result, newest.status, newest.caller) == ("ForbiddenByFirewall", 403, operator.id)
    assert service.snapshot(operator) == before
    inside = Caller(operator.id, "operator", address=INSIDE)
    assert not stopped(call(service, name, inside, vault=VAULT))
    service.update_vault(operator, VAULT, network=msgspec.structs.replace(SHUT, bypass="trusted_services"))
    service_of_ours = Caller(operator.id, "operator", address=OUTSIDE, trusted=True)
    assert not stopped(call(service, name, service_of_ours, vault=VAULT))
    assert stopped(call(service, name, Caller(operator.id, "operator", address=OUTSIDE), vault=VAULT))


@pytest.mark.parametrize("name", [*on_data("vault"), "fingerprints"])
def test_an_address_that_is_let_in_and_a_trusted_service_have_no_right_by_that(shut: World, name: str) -> None:
    shut.service.update_vault(shut.operator, VAULT, network=msgspec.structs.replace(SHUT, bypass="trusted_services"))
    for address in (INSIDE, OUTSIDE):
        nobody = Caller("00000000-0000-4000-8000-0000000000cd", address=address, trusted=True)
        error = call(shut.service, name, nobody, vault=VAULT)
        # Who has no right is told no more from outside than from inside.
        assert isinstance(error, VaultError)
        assert (error.status, error.inner, error.summary) == (403, "ForbiddenByRbac", "denied")


def test_managing_the_vault_is_not_behind_its_network_rules(shut: World) -> None:
    service, outside = shut.service, Caller(shut.operator.id, "operator", address=OUTSIDE)
    assert service.get_vault(outside, VAULT).network == SHUT
    assert [one.name for one in service.list_vaults(outside)] == [VAULT]
    given = service.create_role_assignment(
        outside, shut.scope(VAULT), role="Key Vault Reader", principal_id=shut.person().id, principal_type="user"
    )
    service.delete_role_assignment(outside, given.id)
    service.delete_vault(outside, VAULT)
    service.recover_vault(outside, VAULT)
    # Whoever locked himself out can mend it.
    service.update_vault(outside, VAULT, network=NetworkRules())
    assert service.get_secret(outside, VAULT, "db-password").name == "db-password"


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[PoolWorld]:
    if find_module() is None:
        pytest.skip("NO PKCS#11 MODULE: install SoftHSM2 to test Managed HSMs")
    made = PoolWorld.made(tmp_path / "store")
    made.pool()
    yield made
    made.unlocked.close()


def test_what_is_inside_a_managed_hsm_is_behind_its_rules_too(pool: PoolWorld) -> None:
    """No command sets network rules of a Managed HSM; a row that has them is heeded."""
    service, operator = pool.service, pool.operator
    with service._store.transaction() as tx:
        registry = service._current_registry(tx)
        home = registry.vault(POOL)
        assert home is not None
        registry.set_mark(tx)
        registry.put_vault(tx, msgspec.structs.replace(home, network=SHUT))
    outside = Caller(operator.id, "operator", address=OUTSIDE)
    first = next(one.id for one in service.list_local_assignments(operator, POOL) if one.role_id == ADMINISTRATOR)
    for name in on_data("hsm"):
        assert stopped(call(service, name, outside, hsm=POOL, id=first)), name
    for name in ("list_keys", "create_key", "random_bytes", "sign"):
        assert stopped(call(service, name, outside, vault=POOL)), name
    # Who has a right at one key only is let see what is given there, from inside.
    auditor = pool.local("Managed HSM Crypto Auditor", scope="/keys/k")
    assert len(service.list_local_assignments(auditor, POOL)) == 1
    assert stopped(call(service, "list_local_assignments", msgspec.structs.replace(auditor, address=OUTSIDE), hsm=POOL))
    unread = {(one.vault, one.kind): one.reason for one in service.snapshot(outside).unread}
    assert set(unread) == {(POOL, "keys"), (POOL, "role_assignments")}
    assert all("firewall" in reason for reason in unread.values())
    assert not stopped(call(service, "list_keys", operator, vault=POOL))
