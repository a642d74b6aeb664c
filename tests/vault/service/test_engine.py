"""One operation, one transaction, one audit record; batches; several threads; what a process holds in memory."""

import threading
from pathlib import Path
from typing import Any

import pytest

from kvstack.terms.key import KeySpecification
from kvstack.terms.secret import SecretValue
from kvstack.vault.audit import AuditRecord
from kvstack.vault.errors import BadParameter, Forbidden, NotFound, VaultError
from kvstack.vault.initialise import unlock
from kvstack.vault.service import VaultService
from tests.vault.service.world import World

VAULT = "payments-dev"
EC256 = KeySpecification("EC", None, "P-256")


def records(world: World) -> list[AuditRecord]:
    return list(world.unlocked.audit.records())


def test_every_operation_is_audited_with_who_what_where_and_how_it_ended(dev: World) -> None:
    dev.service.set_secret(dev.operator, VAULT.upper(), "S", SecretValue("v"))
    made = records(dev)[-1]
    assert (made.operation, made.result, made.status) == ("SecretSet", "Success", 200)
    assert (made.caller, made.caller_name) == (dev.operator.id, "operator")
    assert made.resource == dev.scope(VAULT, "secrets/S").path
    assert len(made.correlation_id) == 36


@pytest.mark.parametrize(
    ("call", "arguments", "result", "status"),
    [
        ("get_secret", (VAULT, "nothing"), "SecretNotFound", 404),
        ("get_secret", ("no-vault", "s"), "VaultNotFound", 404),
        ("set_secret", (VAULT, "bad_name", SecretValue("v")), "BadParameter", 400),
        ("purge_secret", (VAULT, "s"), "SecretNotFound", 404),
        ("create_vault", (VAULT,), "VaultAlreadyExists", 409),
    ],
)
def test_a_refusal_is_audited_and_changes_nothing(
    dev: World, call: str, arguments: tuple[Any, ...], result: str, status: int
) -> None:
    before = dev.service.snapshot(dev.operator)
    with pytest.raises(VaultError):
        getattr(dev.service, call)(dev.operator, *arguments)
    last = records(dev)[-1]
    assert (last.result, last.status) == (result, status)
    after = dev.service.snapshot(dev.operator)
    assert (after.vaults, after.secrets) == (before.vaults, before.secrets)


def test_a_denial_is_audited(dev: World) -> None:
    caller = dev.person(name="mallory")
    with pytest.raises(Forbidden):
        dev.service.get_secret(caller, VAULT, "s")
    last = records(dev)[-1]
    assert (last.operation, last.result, last.status, last.caller_name) == (
        "SecretGet",
        "ForbiddenByRbac",
        403,
        "mallory",
    )


def test_the_audit_of_everything_done_verifies(dev: World) -> None:
    with dev.service.batch():
        for n in range(5):
            dev.service.set_secret(dev.operator, VAULT, f"s{n}", SecretValue("v"))
    with pytest.raises(NotFound):
        dev.service.get_secret(dev.operator, VAULT, "x")
    report = dev.unlocked.audit.verify()
    assert report.problem is None
    assert report.records == len(records(dev))


def test_in_a_batch_what_is_refused_undoes_only_itself_and_is_audited(dev: World) -> None:
    person = dev.person()
    with dev.service.batch():
        dev.service.set_secret(dev.operator, VAULT, "a", SecretValue("1"))
        with pytest.raises(BadParameter):
            dev.service.set_secret(dev.operator, VAULT, "bad_name", SecretValue("2"))
        with pytest.raises(Forbidden):
            dev.service.set_secret(person, VAULT, "b", SecretValue("3"))
        dev.service.create_vault(dev.operator, "made-in-batch")
        with pytest.raises(BadParameter):
            dev.service.create_vault(dev.operator, "1st")
        dev.service.set_secret(dev.operator, "made-in-batch", "c", SecretValue("4"))
    assert [one.name for one in dev.service.list_secrets(dev.operator, VAULT)] == ["a"]
    assert [one.name for one in dev.service.list_secrets(dev.operator, "made-in-batch")] == ["c"]
    ends = [one.result for one in records(dev) if one.operation in ("SecretSet", "VaultPut")][-6:]
    assert ends == ["Success", "BadParameter", "ForbiddenByRbac", "Success", "BadParameter", "Success"]


def test_a_batch_that_is_left_by_an_error_did_nothing(dev: World) -> None:
    def broken() -> None:
        with dev.service.batch():
            dev.service.set_secret(dev.operator, VAULT, "a", SecretValue("1"))
            dev.service.create_vault(dev.operator, "never")
            dev.person("Key Vault Reader")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert dev.service.list_secrets(dev.operator, VAULT) == ()
    assert [vault.name for vault in dev.service.list_vaults(dev.operator)] == [VAULT]
    assert len(dev.service.list_role_assignments(dev.operator)) == 2
    assert dev.unlocked.audit.verify().problem is None


def test_a_batch_that_only_reads_is_audited_and_waits_for_no_other_process(dev: World, tmp_path: Path) -> None:
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"))
    for _ in range(50):  # a process that reads a little writes no file of its own
        dev.service.get_secret(dev.operator, VAULT, "s")
    other = unlock(tmp_path)
    try:
        with other.store.transaction(), dev.service.batch(reading=True):
            assert dev.service.get_secret(dev.operator, VAULT, "s").value == SecretValue("v")
            with pytest.raises(NotFound):
                dev.service.get_secret(dev.operator, VAULT, "none")
    finally:
        other.close()
    told = [(one.operation, one.result) for one in records(dev)]
    assert told[-2:] == [("SecretGet", "Success"), ("SecretGet", "SecretNotFound")]
    assert dev.unlocked.audit.verify().problem is None


def test_nothing_is_changed_in_a_batch_that_only_reads(dev: World) -> None:
    with pytest.raises(RuntimeError), dev.service.batch(reading=True):
        dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"))
    assert dev.service.list_secrets(dev.operator, VAULT) == ()


@pytest.mark.parametrize(("specification", "brief"), [(EC256, True), (KeySpecification("EC", None, "P-521"), False)])
def test_a_key_is_used_briefly_where_its_use_takes_no_longer_than_reading_it(
    dev: World, specification: KeySpecification, brief: bool
) -> None:
    dev.service.create_key(dev.operator, VAULT, "k", specification=specification)
    assert not dev.service.is_used_briefly(VAULT, "k", None)
    algorithm, length = ("ES256", 32) if brief else ("ES512", 64)
    dev.service.sign(dev.operator, VAULT, "k", algorithm=algorithm, digest=bytes(length))
    assert dev.service.is_used_briefly(VAULT, "K", None) == brief
    assert not dev.service.is_used_briefly("nowhere", "k", None)


def test_another_process_sees_at_once_what_changed_about_access(dev: World, tmp_path: Path) -> None:
    # Two stores on one file are two processes to each other.
    other = unlock(tmp_path)
    service = VaultService(other)
    caller = dev.person()
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"))
    with pytest.raises(Forbidden):
        service.get_secret(caller, VAULT, "s")
    given = dev.service.create_role_assignment(
        dev.operator, dev.scope(VAULT), role="Key Vault Secrets User", principal_id=caller.id, principal_type="user"
    )
    service.get_secret(caller, VAULT, "s")
    service.delete_role_assignment(service.operator, given.id)
    with pytest.raises(Forbidden):
        dev.service.get_secret(caller, VAULT, "s")
    service.delete_vault(service.operator, VAULT)
    with pytest.raises(NotFound):
        dev.service.get_vault(dev.operator, VAULT)
    other.close()


def test_eight_threads_do_not_get_into_each_others_way(dev: World) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for n in range(10):
                name = f"t{number}-{n}"
                dev.service.set_secret(dev.operator, VAULT, name, SecretValue(name))
                dev.service.create_key(dev.operator, VAULT, name, specification=EC256)
                made = dev.service.sign(dev.operator, VAULT, name, algorithm="ES256", digest=b"d" * 32)
                assert dev.service.verify(
                    dev.operator, VAULT, name, algorithm="ES256", digest=b"d" * 32, signature=made.value
                )
                found = dev.service.get_secret(dev.operator, VAULT, name).value
                assert found is not None
                assert found.reveal() == name.encode()
                with dev.service.batch():
                    dev.service.set_secret(dev.operator, VAULT, "shared", SecretValue(name))
                    dev.service.delete_secret(dev.operator, VAULT, name)
        except BaseException as error:  # noqa: BLE001  # told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(dev.service.list_keys(dev.operator, VAULT)) == 80
    assert len(dev.service.list_secret_versions(dev.operator, VAULT, "shared")) == 80
    assert dev.unlocked.audit.verify().problem is None


def test_a_right_taken_away_while_a_key_works_gives_no_signature(dev: World) -> None:
    dev.service.create_key(dev.operator, VAULT, "k", specification=EC256)
    signer = dev.person("Key Vault Crypto User", at=dev.scope(VAULT))
    (given,) = dev.service.list_role_assignments(dev.operator, dev.scope(VAULT), above=False)
    provider = dev.unlocked.providers["software"]

    class Slow:
        """Signs like the provider, while somebody takes the right away."""

        def __getattr__(self, name: str) -> Any:
            return getattr(provider, name)

        def sign(self, *arguments: Any) -> bytes:
            dev.service.delete_role_assignment(dev.operator, given.id)
            return provider.sign(*arguments)

    dev.service._providers = {"software": Slow()}
    with pytest.raises(Forbidden):
        dev.service.sign(signer, VAULT, "k", algorithm="ES256", digest=b"d" * 32)
    assert records(dev)[-1].result == "ForbiddenByRbac"


def test_a_key_generated_for_nothing_is_given_back(dev: World) -> None:
    provider = dev.unlocked.providers["software"]
    destroyed: list[str] = []

    class Meanwhile:
        """Generates like the provider, while somebody deletes the vault; and notes what it is to forget."""

        def __getattr__(self, name: str) -> Any:
            return getattr(provider, name)

        def generate(self, specification: KeySpecification) -> Any:
            dev.service.delete_vault(dev.operator, VAULT)
            return provider.generate(specification)

        def destroy(self, key: Any) -> None:
            destroyed.append(key.id)

    dev.service._providers = {"software": Meanwhile()}
    with pytest.raises(NotFound):
        dev.service.create_key(dev.operator, VAULT, "k", specification=EC256)
    assert destroyed == ["discarded"]


def test_a_provider_forgets_a_purged_key_only_once_the_purge_is_durable(dev: World) -> None:
    provider = dev.unlocked.providers["software"]
    destroyed: list[str] = []

    class Noting:
        """Notes what it is to forget."""

        def __getattr__(self, name: str) -> Any:
            return getattr(provider, name)

        def destroy(self, key: Any) -> None:
            destroyed.append(key.id)

    dev.service._providers = {"software": Noting()}
    for name in ("a", "b"):
        dev.service.create_key(dev.operator, VAULT, name, specification=EC256)
        dev.service.delete_key(dev.operator, VAULT, name)

    def broken() -> None:
        with dev.service.batch():
            dev.service.purge_key(dev.operator, VAULT, "a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert destroyed == []
    with dev.service.batch():
        dev.service.purge_key(dev.operator, VAULT, "a")
        dev.service.purge_key(dev.operator, VAULT, "b")
        assert destroyed == []
    assert len(destroyed) == 2
