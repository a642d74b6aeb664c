"""A vault moves to another store with all in it, under a password, all at once or not at all."""

import hashlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.terms.duration import duration
from kvstack.terms.generator import Generator
from kvstack.terms.key import KeySpecification
from kvstack.terms.principal import Principal
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.scope import Scope
from kvstack.terms.secret import SecretValue
from kvstack.vault import transfer_file
from kvstack.vault.caller import Caller
from kvstack.vault.certificates.rows import Contact
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, VaultError
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.records import NetworkRules
from kvstack.vault.service import VaultService
from kvstack.vault.transfer_rows import Content, Given, Left, read
from kvstack.vault.unlock import unlock
from tests.vault.certificates.policies import Outside, leaf
from tests.vault.service.world import StartClock, World

VAULT = "payments-dev"
EC256 = KeySpecification("EC", None, "P-256")
DIGEST = hashlib.sha256(b"message").digest()
PASSWORD = SecretValue("correct horse")
CANARY = b"canary-7f3a"
PERSON = "11111111-1111-4111-8111-111111111111"
STRANGER = "22222222-2222-4222-8222-222222222222"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work factor is not what these tests are about; one of them has the real one."""
    monkeypatch.setattr(transfer_file, "_COST", 2**4)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[World]:
    """Another store, on another machine for all it knows."""
    unlocked = initialise(
        tmp_path / "other", hsm=False, prepare=initialise_access, simulated_clock=True, clock=StartClock()
    )
    yield World(unlocked)
    unlocked.close()


def furnish(dev: World) -> None:
    """Put something of everything into the vault."""
    service, me = dev.service, dev.operator
    service.update_vault(me, VAULT, tags={"team": "a"}, network=NetworkRules("deny", ("10.0.0.0/8",)), lock="delete")
    for value in (CANARY + b"\0\xff", CANARY + b"2"):
        service.set_secret(me, VAULT, "Pass", SecretValue(value), content_type="x/y", tags={"v": "1"})
    service.set_secret(me, VAULT, "gone", SecretValue(CANARY))
    service.delete_secret(me, VAULT, "gone")
    quarterly = RotationPolicy(every=duration("P90D"), keep_previous=duration("P30D"))
    service.create_key(me, VAULT, "Signing", specification=EC256, rotation=quarterly)
    service.rotate_key(me, VAULT, "signing")
    service.set_secret(me, VAULT, "drawn", SecretValue(CANARY), rotation=quarterly, generator=Generator(40, "hex"))
    service.create_certificate(me, VAULT, "web", policy=leaf("web.example.com", issuer="Self"))
    service.create_certificate(me, VAULT, "asked", policy=leaf("asked.example.com", issuer="Unknown"))
    service.put_issuer(me, VAULT, "digicert", provider="DigiCert", account_id="7")
    service.set_contacts(me, VAULT, [Contact("ops@example.com")])
    service.put_principal(me, Principal(PERSON, "user", "ada"))
    for principal, item in ((PERSON, ""), (STRANGER, "secrets/Pass")):
        service.create_role_assignment(
            me, dev.scope(VAULT, item), role="Key Vault Secrets User", principal_id=principal, principal_type="user"
        )


def moved(dev: World, other: World) -> None:
    blob = dev.service.export_vault(dev.operator, VAULT, password=PASSWORD).blob
    other.service.import_vault(other.operator, blob, password=PASSWORD)


def test_everything_arrives_as_it_was(dev: World, other: World) -> None:
    furnish(dev)
    moved(dev, other)

    def both(operation: str, *more: str) -> tuple[object, object]:
        found = [getattr(w.service, operation)(w.operator, VAULT, *more) for w in (dev, other)]
        return tuple(_bare(one) for one in found)  # type: ignore[return-value]  # two worlds make two

    for operation, more in (
        ("list_keys", ()),
        ("list_secrets", ()),
        ("list_certificates", ()),
        ("list_deleted_secrets", ()),
        ("list_key_versions", ("signing",)),
        ("list_secret_versions", ("pass",)),
        ("list_certificate_versions", ("web",)),
        ("list_issuers", ()),
        ("get_contacts", ()),
        ("get_pending_certificate", ("asked",)),
    ):
        before, after = both(operation, *more)
        assert before == after, operation
    # What was due there is due here: the index of dates is made anew from what arrived.
    later = datetime(2099, 1, 1, tzinfo=UTC)
    due_there, due_here = (w.service.due(w.operator, at=later) for w in (dev, other))
    assert {(one.action, one.name) for one in due_here} >= {("disable-previous", "Signing"), ("rotate", "drawn")}
    assert [one for one in due_there if one.vault == VAULT] == list(due_here)
    old, new = dev.service.get_vault(dev.operator, VAULT), other.service.get_vault(other.operator, VAULT)
    assert msgspec.structs.replace(new, id=old.id) == old
    assert old.id != new.id


def _bare(found: object) -> object:
    """Return what was found without what is another store's: ids and fingerprints."""
    if isinstance(found, tuple):
        return tuple(_bare(one) for one in found)
    assert isinstance(found, msgspec.Struct)
    names = {"vault_id": "", "fingerprint": ""}
    return msgspec.structs.replace(found, **{k: v for k, v in names.items() if k in found.__struct_fields__})


def test_values_and_keys_work_there(dev: World, other: World) -> None:
    furnish(dev)
    signature = dev.service.sign(dev.operator, VAULT, "signing", algorithm="ES256", digest=DIGEST).value
    moved(dev, other)
    service, me = other.service, other.operator
    assert service.get_secret(me, VAULT, "pass").value == SecretValue(CANARY + b"2")
    assert service.verify(me, VAULT, "signing", algorithm="ES256", digest=DIGEST, signature=signature)
    again = service.sign(me, VAULT, "signing", algorithm="ES256", digest=DIGEST).value
    assert dev.service.verify(dev.operator, VAULT, "signing", algorithm="ES256", digest=DIGEST, signature=again)
    # Fingerprints are the new store's own.
    expected = service.fingerprint(me, VAULT, "pass", SecretValue(CANARY + b"2"))
    (secret,) = [one for one in service.list_secrets(me, VAULT) if one.name == "Pass"]
    assert secret.fingerprint == expected != dev.service.get_secret(dev.operator, VAULT, "pass").fingerprint
    service.recover_secret(me, VAULT, "gone")
    assert service.get_secret(me, VAULT, "gone").value == SecretValue(CANARY)


def test_role_assignments_come_along_and_are_told(dev: World, other: World) -> None:
    furnish(dev)
    blob = dev.service.export_vault(dev.operator, VAULT, password=PASSWORD).blob
    found = other.service.import_vault(other.operator, blob, password=PASSWORD)
    assert {(one.principal_id, one.name, one.role) for one in found.given} == {
        (PERSON, "ada", "Key Vault Secrets User"),
        (STRANGER, "", "Key Vault Secrets User"),
    }
    assert found.left == ()
    assert other.service.get_secret(other.service.caller(PERSON, address="10.1.1.1"), VAULT, "pass").value
    scopes = {one.scope for one in other.service.list_role_assignments(other.operator, other.scope(VAULT), above=False)}
    assert scopes == {other.scope(VAULT), other.scope(VAULT, "secrets/Pass")}


def test_access_policies_come_along_with_the_model_and_their_principals_names(dev: World, other: World) -> None:
    furnish(dev)
    dev.service.set_access_policy(dev.operator, VAULT, PERSON, secrets=["get"], keys=["all"], declared_by="a stack")
    backup: dict[str, Any] = {"keys": ["backup"], "secrets": ["backup", "get"], "certificates": ["backup"]}
    dev.service.set_access_policy(dev.operator, VAULT, dev.operator.id, **backup)
    dev.service.update_vault(dev.operator, VAULT, access_model="access_policies")
    exported = dev.service.export_vault(dev.operator, VAULT, password=PASSWORD)
    arrived = other.service.import_vault(other.operator, exported.blob, password=PASSWORD)
    assert (exported.policies, arrived.policies, arrived.vault.access_model) == (2, 2, "access_policies")
    before, after = (
        {one.principal_id: one for one in world.service.list_access_policies(world.operator, VAULT)}
        for world in (dev, other)
    )
    assert {who: one.permissions for who, one in before.items()} == {who: one.permissions for who, one in after.items()}
    # No stack of this store declared it.
    assert (after[PERSON].declared_by, after[PERSON].updated_by) == ("", other.operator.id)
    assert (PERSON, "ada") in [(one.id, one.name) for one in other.service.list_principals(other.operator)]
    assert other.service.get_secret(Caller(PERSON), VAULT, "pass").value is not None
    with pytest.raises(Forbidden):
        other.service.get_secret(Caller(STRANGER), VAULT, "pass")


def test_who_may_not_set_policies_leaves_them_out(dev: World, other: World) -> None:
    dev.service.set_access_policy(dev.operator, VAULT, PERSON, secrets=["get"])
    blob = dev.service.export_vault(dev.operator, VAULT, password=PASSWORD).blob
    other.service.put_role_definition(
        other.operator, "Maker", actions=["Microsoft.KeyVault/vaults/write"], assignable_scopes=[other.scope()]
    )
    arrived = other.service.import_vault(other.person("Maker"), blob, password=PASSWORD)
    assert [left.thing for left in arrived.left] == [f"access policy of {PERSON}"]
    assert (arrived.policies, other.service.list_access_policies(other.operator, VAULT)) == (0, ())


def test_who_may_not_give_roles_leaves_them_out(dev: World, other: World) -> None:
    furnish(dev)
    dev.service.update_vault(dev.operator, VAULT, lock=None)
    blob = dev.service.export_vault(dev.operator, VAULT, password=PASSWORD).blob
    contributor = other.person("Key Vault Contributor")
    found = other.service.import_vault(contributor, blob, password=PASSWORD)
    assert found.given == ()
    assert len(found.left) == 2
    assert not other.service.list_role_assignments(other.operator, other.scope(VAULT), above=False)


def test_a_role_the_store_does_not_have_is_left_out(dev: World, other: World) -> None:
    service, me = dev.service, dev.operator
    service.put_role_definition(
        me, "Looker", actions=["Microsoft.KeyVault/vaults/read"], assignable_scopes=[dev.scope()]
    )
    service.create_role_assignment(me, dev.scope(VAULT), role="Looker", principal_id=PERSON, principal_type="user")
    blob = service.export_vault(me, VAULT, password=PASSWORD).blob
    found = other.service.import_vault(other.operator, blob, password=PASSWORD)
    assert found.given == ()
    (left,) = found.left
    assert PERSON in left.thing
    assert "no such role" in left.why


def test_a_known_principal_keeps_its_name_and_its_groups(dev: World, other: World) -> None:
    furnish(dev)
    other.service.put_principal(other.operator, Principal(PERSON, "user", "lovelace"))
    blob = dev.service.export_vault(dev.operator, VAULT, password=PASSWORD).blob
    found = other.service.import_vault(other.operator, blob, password=PASSWORD)
    assert {one.name for one in found.given} == {"lovelace", ""}


def test_a_denial_comes_along_or_nothing_does(dev: World, other: World) -> None:
    dev.service.create_deny_assignment(dev.operator, dev.scope(VAULT), "frozen", actions=["*/delete"])
    blob = dev.service.export_vault(dev.operator, VAULT, password=PASSWORD).blob
    with pytest.raises(Forbidden):
        other.service.import_vault(other.person("Key Vault Contributor"), blob, password=PASSWORD)
    other.service.import_vault(other.operator, blob, password=PASSWORD)
    (denial,) = other.service.list_deny_assignments(other.operator)
    assert (denial.name, denial.scope) == ("frozen", other.scope(VAULT))


@pytest.mark.parametrize(
    "roles",
    [("Key Vault Reader",), ("Key Vault Secrets Officer",), ("Key Vault Administrator", "Key Vault Contributor")],
)
def test_nobody_but_the_operator_exports_whatever_roles_he_has(dev: World, roles: tuple[str, ...]) -> None:
    with pytest.raises(Forbidden):
        dev.service.export_vault(dev.person(*roles), VAULT, password=PASSWORD)
    assert dev.service.export_vault(dev.operator, VAULT, password=PASSWORD).blob


def test_import_takes_the_right_to_make_vaults(dev: World, other: World) -> None:
    blob = dev.service.export_vault(dev.operator, VAULT, password=PASSWORD).blob
    with pytest.raises(Forbidden):
        other.service.import_vault(other.person("Key Vault Administrator"), blob, password=PASSWORD)


@pytest.mark.parametrize("deleted", [False, True])
def test_a_taken_name_is_a_conflict(dev: World, deleted: bool) -> None:
    blob = dev.service.export_vault(dev.operator, VAULT, password=PASSWORD).blob
    if deleted:
        dev.service.delete_vault(dev.operator, VAULT)
    with pytest.raises(Conflict):
        dev.service.import_vault(dev.operator, blob, password=PASSWORD)


def test_a_purged_vault_comes_back_from_its_file_as_another_vault(dev: World) -> None:
    furnish(dev)
    dev.service.update_vault(dev.operator, VAULT, lock=None)
    blob = dev.service.export_vault(dev.operator, VAULT, password=PASSWORD).blob
    dev.service.delete_vault(dev.operator, VAULT)
    dev.service.purge_vault(dev.operator, VAULT)
    dev.service.import_vault(dev.operator, blob, password=PASSWORD)
    assert dev.service.get_secret(dev.operator, VAULT, "pass").value == SecretValue(CANARY + b"2")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_file_is_one_error_and_stores_nothing(dev: World, other: World, data: st.DataObject) -> None:
    blob = dev.service.export_vault(dev.operator, VAULT, password=PASSWORD).blob
    place = data.draw(st.integers(0, len(blob) - 1))
    wrong = data.draw(
        st.sampled_from(
            [blob[:place], blob + b"x", blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :], blob[place + 1 :]]
        )
        | st.binary(max_size=200)
    )
    with pytest.raises(BadParameter, match="the file does not open"):
        other.service.import_vault(other.operator, wrong, password=PASSWORD)
    assert other.service.list_vaults(other.operator) == ()


def test_another_password_does_not_open_it(dev: World, other: World) -> None:
    blob = dev.service.export_vault(dev.operator, VAULT, password=PASSWORD).blob
    with pytest.raises(BadParameter, match="the file does not open"):
        other.service.import_vault(other.operator, blob, password=SecretValue("wrong horse"))
    with pytest.raises(BadParameter, match="fewer than 8"):
        dev.service.export_vault(dev.operator, VAULT, password=SecretValue("short"))


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=300))
def test_whatever_a_password_holder_writes_is_read_or_refused(content: bytes) -> None:
    with pytest.raises(VaultError):
        read(content)


def test_a_right_elsewhere_is_not_taken_from_a_file(dev: World) -> None:
    furnish(dev)
    blob = dev.service.export_vault(dev.operator, VAULT, password=PASSWORD).blob
    content = read(transfer_file.content_of(blob, PASSWORD))
    top = msgspec.structs.replace(content.assignments[0], scope=Scope(dev.scope().subscription))
    forged = msgspec.structs.replace(content, assignments=(top,))
    with pytest.raises(BadParameter, match="which is not the vault's"):
        read(msgspec.msgpack.encode(forged))


def test_no_value_is_in_the_file_and_none_in_the_audit(dev: World) -> None:
    furnish(dev)
    exported = dev.service.export_vault(dev.operator, VAULT, password=PASSWORD)
    assert CANARY not in exported.blob
    assert b"web.example.com" not in exported.blob
    content = transfer_file.content_of(exported.blob, PASSWORD)
    assert CANARY in content
    assert CANARY.decode() not in repr(read(content))


class BreaksOff(VaultService):
    """A service whose machine dies when everything but the rights is written."""

    def _put_access(self, attempt: Attempt, content: Content) -> tuple[tuple[Given, ...], list[Left]]:
        raise OSError("the machine is gone")


def test_an_import_that_breaks_off_leaves_nothing(dev: World, other: World) -> None:
    furnish(dev)
    blob = dev.service.export_vault(dev.operator, VAULT, password=PASSWORD).blob
    with pytest.raises(OSError, match="gone"):
        BreaksOff(other.unlocked).import_vault(other.operator, blob, password=PASSWORD)
    assert other.service.list_vaults(other.operator) == ()
    other.service.import_vault(other.operator, blob, password=PASSWORD)


_KILLED = """
import os, signal, sys
from pathlib import Path
from typing import Any
from kvstack.terms.secret import SecretValue
from kvstack.vault.service import VaultService
from kvstack.vault.unlock import unlock

class Killed(VaultService):
    def _put_access(self, attempt, content):
        os.kill(os.getpid(), signal.SIGKILL)

service = Killed(unlock(Path(sys.argv[1])))
service.import_vault(service.operator, Path(sys.argv[2]).read_bytes(), password=SecretValue("correct horse"))
"""


def test_an_import_that_is_killed_leaves_nothing(dev: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_file, "_COST", 2**17)
    furnish(dev)
    (tmp_path / "file").write_bytes(dev.service.export_vault(dev.operator, VAULT, password=PASSWORD).blob)
    folder = tmp_path / "killed"
    initialise(folder, hsm=False, prepare=initialise_access).close()
    died = subprocess.run([sys.executable, "-c", _KILLED, folder, tmp_path / "file"], check=False)
    assert died.returncode == -signal.SIGKILL
    unlocked = unlock(folder)
    service = VaultService(unlocked)
    assert service.list_vaults(service.operator) == ()
    service.import_vault(service.operator, (tmp_path / "file").read_bytes(), password=PASSWORD)
    unlocked.close()


def test_a_pending_request_is_merged_where_it_arrived(dev: World, other: World) -> None:
    furnish(dev)
    moved(dev, other)
    csr = other.service.get_pending_certificate(other.operator, VAULT, "asked").csr
    signed = Outside("ca", other.clock.now()).sign(csr)
    merged = other.service.merge_certificate(other.operator, VAULT, "asked", signed.public_bytes(Encoding.PEM))
    assert not merged.pending


def test_both_are_audited(dev: World, other: World) -> None:
    moved(dev, other)
    for world, operation in ((dev, "VaultExport"), (other, "VaultImport")):
        (record, *_) = world.unlocked.audit.records(newest_first=True)
        assert (record.operation, record.result) == (operation, "Success")


def test_the_real_work_factor_opens(dev: World, other: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_file, "_COST", 2**17)
    moved(dev, other)
    assert [one.name for one in other.service.list_vaults(other.operator)] == [VAULT]
