"""Rotation by a rotator: a value nobody gets before it works, tried again, taken up, and rolled back."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from kvstack.terms.generator import Generator
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.rotator import Rotator
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import SYSTEM, Caller
from kvstack.vault.due import DueReport
from kvstack.vault.errors import BadParameter, Forbidden, NotFound
from kvstack.vault.exclusive import alone
from kvstack.vault.rotation_attempt import ATTEMPTS, Answer
from kvstack.vault.rotator_call import RotatorCall
from kvstack.vault.rotator_runs import RotatorFailed
from tests.vault.service.rotators import FAILED, MONTHLY, PROGRAM, REFUSED, TAKEN, VAULT, Database, rotating
from tests.vault.service.world import World

WHOLE = ["create", "set", "test", "finish"]


def value(world: World) -> str:
    found = world.service.get_secret(world.operator, VAULT, "s").value
    assert found is not None
    return found.reveal().decode()


def versions(world: World) -> int:
    return len(world.service.list_secret_versions(world.operator, VAULT, "s"))


def run(world: World) -> DueReport:
    return world.service.run_due(SYSTEM)


def did(world: World) -> list[str]:
    report = run(world)
    assert report.failed == ()
    return [one.action for one in report.done if one.name == "s"]


def failures(world: World) -> list[str]:
    return [one.diagnostic.summary for one in run(world).failed]


def later(world: World, **by: float) -> None:
    world.clock.advance(timedelta(**by))


@pytest.fixture
def database(dev: World) -> Database:
    return rotating(dev)


def test_what_is_due_goes_through_the_rotator_once(dev: World, database: Database) -> None:
    assert did(dev) == []
    dev.days(31)
    assert did(dev) == ["rotate"]
    assert database.phases == WHOLE
    assert value(dev) in database.works - {"user:first"}
    assert versions(dev) == 2
    assert did(dev) == []
    dev.days(7)
    assert did(dev) == ["disable-previous"]
    assert value(dev) in database.works


def test_the_version_has_the_id_by_which_the_rotator_knew_it(dev: World, database: Database) -> None:
    before = dev.service.get_secret(dev.operator, VAULT, "s").version
    dev.days(31)
    run(dev)
    now = dev.service.get_secret(dev.operator, VAULT, "s")
    assert {call.id for call in database.calls} == {now.version}
    assert {call.current[0] for call in database.calls} == {before}
    assert {call.current[1].reveal() for call in database.calls} == {b"user:first"}
    created, *others = (call.pending for call in database.calls)
    assert now.value is not None
    assert len(created) == 20
    assert [one.reveal() for one in others] == [now.value.reveal()] * 3
    assert now.by_rotation


def test_nobody_sees_the_value_before_its_test_has_passed(dev: World, database: Database) -> None:
    seen: list[tuple[str, int]] = []

    def look(call: RotatorCall) -> None:
        seen.append((value(dev), versions(dev)))

    database.hears = look
    dev.days(31)
    run(dev)
    assert seen[:3] == [("user:first", 1)] * 3
    assert seen[3] == (value(dev), 2)


def test_a_machine_asleep_for_half_a_year_makes_one_version(dev: World, database: Database) -> None:
    dev.days(180)
    assert did(dev) == ["rotate"]
    assert (versions(dev), database.phases) == (2, WHOLE)


@pytest.mark.parametrize("phase", WHOLE)
def test_what_fails_is_asked_again_later_with_the_same_id(dev: World, database: Database, phase: str) -> None:
    answers = [FAILED]
    database.hears = lambda call: answers.pop() if call.phase == phase and answers else None
    dev.days(31)
    (told,) = failures(dev)
    assert f"did not take `{phase}`: ended with 1" in told
    assert run(dev).failed == ()
    assert database.phases == WHOLE[: WHOLE.index(phase) + 1]
    later(dev, seconds=11)
    assert did(dev) == ["settle-rotation" if phase == "finish" else "rotate"]
    assert database.phases == WHOLE[: WHOLE.index(phase) + 1] + WHOLE[WHOLE.index(phase) :]
    assert len({call.id for call in database.calls}) == 1
    assert versions(dev) == 2


@pytest.mark.parametrize("phase", ["create", "set", "test"])
def test_what_fails_for_good_is_rolled_back_and_begun_anew(dev: World, database: Database, phase: str) -> None:
    database.hears = lambda call: FAILED if call.phase == phase else None
    dev.days(31)
    for _ in range(3):
        assert len(failures(dev)) == 1
        later(dev, minutes=2)
    assert database.phases == [*WHOLE[: WHOLE.index(phase)], phase, phase, phase, "rollback"]
    assert (value(dev), versions(dev), database.works) == ("user:first", 1, {"user:first"})
    assert did(dev) == []
    with dev.unlocked.store.transaction() as tx:
        (row,) = ATTEMPTS.scan(tx)
    assert (row.stage, row.generated, row.pending, row.failures) == ("waiting", b"", b"", 1)
    # An hour later with another id, and after the next failure two hours later.
    database.hears = lambda call: REFUSED if call.phase == phase else None
    later(dev, hours=1)
    assert len(failures(dev)) == 1
    later(dev, hours=1.5)
    assert run(dev).failed == ()
    database.hears = lambda _: None
    later(dev, hours=0.6)
    assert did(dev) == ["rotate"]
    assert len({call.id for call in database.calls}) == 3
    assert (versions(dev), value(dev) in database.works) == (2, True)


def test_a_rollback_is_asked_until_it_is_taken(dev: World, database: Database) -> None:
    database.hears = lambda call: REFUSED if call.phase in ("test", "rollback") else None
    dev.days(31)
    (told,) = failures(dev)
    assert "did not take `test`" in told
    assert "did not take `rollback`" in told
    for _ in range(6):
        later(dev, hours=2)
        assert len(failures(dev)) == 1
    database.hears = lambda _: None
    later(dev, hours=2)
    assert did(dev) == ["settle-rotation"]
    assert database.works == {"user:first"}
    later(dev, hours=2)
    assert did(dev) == ["rotate"]


def test_that_a_rotation_was_given_up_is_told_and_audited(dev: World, database: Database) -> None:
    dev.service.put_subscription(dev.operator, "told", command=("true",))
    database.hears = lambda call: REFUSED if call.phase == "test" else None
    dev.days(31)
    run(dev)
    types = [event.type for event in dev.service.list_events(dev.operator) if event.subject == "s"]
    assert types == ["kvstack.RotationFailed"]
    records = [one for one in dev.unlocked.audit.records() if one.operation.startswith("SecretRot")]
    assert [(one.operation, one.details["phase"]) for one in records] == [
        ("SecretRotatorAsk", "create"),
        ("SecretRotatorAnswer", "create"),
        ("SecretRotatorAsk", "set"),
        ("SecretRotatorAnswer", "set"),
        ("SecretRotatorAsk", "test"),
        ("SecretRotationFailed", "test"),
        ("SecretRotatorAsk", "rollback"),
        ("SecretRotatorAnswer", "rollback"),
    ]
    assert records[5].details["why"] == "ended with 65"
    assert {one.caller for one in records} == {SYSTEM.id}


def test_a_new_version_is_told_once(dev: World, database: Database) -> None:
    dev.service.put_subscription(dev.operator, "told", command=("true",))
    answers = [FAILED, FAILED]
    database.hears = lambda call: answers.pop() if call.phase == "finish" and answers else None
    dev.days(31)
    for _ in range(4):
        run(dev)
        later(dev, hours=1)
    types = [event.type for event in dev.service.list_events(dev.operator) if event.subject == "s"]
    assert types == ["Microsoft.KeyVault.SecretNewVersionCreated"]


def test_by_hand_it_goes_through_the_rotator_too(dev: World, database: Database) -> None:
    made = dev.service.rotate_secret(dev.operator, VAULT, "s")
    assert database.phases == WHOLE
    assert (made.version, versions(dev)) == (database.calls[0].id, 2)
    database.hears = lambda call: FAILED if call.phase == "test" else None
    with pytest.raises(RotatorFailed, match="did not take `test`"):
        dev.service.rotate_secret(dev.operator, VAULT, "s")
    # What is on its way is gone on with at once.
    database.hears = lambda _: None
    again = dev.service.rotate_secret(dev.operator, VAULT, "s")
    assert database.phases == [*WHOLE, "create", "set", "test", "test", "finish"]
    assert again.version == database.calls[-1].id


def test_by_hand_what_was_not_finished_is_finished_first(dev: World, database: Database) -> None:
    database.hears = lambda call: FAILED if call.phase == "finish" else None
    first = dev.service.rotate_secret(dev.operator, VAULT, "s")
    assert dev.service.rotation_status(dev.operator, VAULT, "s").stage == "finish"
    database.hears = lambda _: None
    second = dev.service.rotate_secret(dev.operator, VAULT, "s")
    assert database.phases == [*WHOLE, "finish", *WHOLE]
    assert first.version != second.version
    assert dev.service.rotation_status(dev.operator, VAULT, "s").stage is None


def test_who_sets_another_value_meanwhile_is_right(dev: World, database: Database) -> None:
    def mend(call: RotatorCall) -> None:
        if call.phase == "test" and versions(dev) == 1:
            database.works.add("user:mended")
            dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("user:mended"))

    database.hears = mend
    dev.days(31)
    (told,) = failures(dev)
    assert "somebody set another value meanwhile" in told
    assert database.phases == ["create", "set", "test", "rollback"]
    assert database.calls[-1].current[1].reveal() == b"user:mended"
    assert value(dev) == "user:mended"
    assert database.works == {"user:first", "user:mended"}
    # The next one counts from then.
    assert did(dev) == []
    dev.days(31)
    assert "rotate" in did(dev)


def test_what_is_disabled_waits_and_goes_on_when_it_is_back(dev: World, database: Database) -> None:
    answers = [FAILED]
    database.hears = lambda call: answers.pop() if call.phase == "test" and answers else None
    dev.days(31)
    failures(dev)
    dev.service.update_secret(dev.operator, VAULT, "s", enabled=False)
    later(dev, hours=1)
    assert did(dev) == []
    dev.service.update_secret(dev.operator, VAULT, "s", enabled=True)
    assert did(dev) == ["rotate"]
    assert database.phases == ["create", "set", "test", "test", "finish"]


@pytest.mark.parametrize("phase", ["create", "set", "test"])
def test_what_is_disabled_while_the_rotator_works_waits_there(dev: World, database: Database, phase: str) -> None:
    def disable(call: RotatorCall) -> None:
        if call.phase == phase and database.phases.count(phase) == 1:
            dev.service.update_secret(dev.operator, VAULT, "s", enabled=False)

    database.hears = disable
    dev.days(31)
    assert run(dev).failed == ()
    assert versions(dev) == 1
    later(dev, hours=1)
    assert did(dev) == []
    dev.service.update_secret(dev.operator, VAULT, "s", enabled=True)
    assert did(dev) == ["rotate"]
    assert (versions(dev), value(dev) in database.works) == (2, True)


@pytest.mark.parametrize("whole", [False, True])
def test_what_is_deleted_meanwhile_waits_until_it_is_back(dev: World, database: Database, whole: bool) -> None:
    def delete(call: RotatorCall) -> None:
        if call.phase == "set" and len(database.calls) == 2:
            if whole:
                dev.service.delete_vault(dev.operator, VAULT)
            else:
                dev.service.delete_secret(dev.operator, VAULT, "s")

    database.hears = delete
    dev.days(31)
    run(dev)
    assert did(dev) == []
    if whole:
        dev.service.recover_vault(dev.operator, VAULT)
    else:
        dev.service.recover_secret(dev.operator, VAULT, "s")
    assert did(dev) == ["rotate"]
    assert database.phases == ["create", "set", "test", "finish"]
    assert value(dev) in database.works


def test_with_a_purge_what_is_on_its_way_is_gone(dev: World, database: Database) -> None:
    database.hears = lambda call: FAILED if call.phase == "test" else None
    dev.days(31)
    run(dev)
    dev.service.delete_secret(dev.operator, VAULT, "s")
    dev.service.purge_secret(dev.operator, VAULT, "s")
    with dev.unlocked.store.transaction() as tx:
        assert ATTEMPTS.count(tx) == 0
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"))
    later(dev, days=1)
    assert did(dev) == []


def test_a_purge_while_the_rotator_works_is_noticed(dev: World, database: Database) -> None:
    def purge(call: RotatorCall) -> None:
        if call.phase == "test":
            dev.service.delete_secret(dev.operator, VAULT, "s")
            dev.service.purge_secret(dev.operator, VAULT, "s")

    database.hears = purge
    dev.days(31)
    run(dev)
    with pytest.raises(NotFound):
        dev.service.get_secret(dev.operator, VAULT, "s")
    with dev.unlocked.store.transaction() as tx:
        assert ATTEMPTS.count(tx) == 0


def test_without_its_rotator_what_is_on_its_way_is_discarded(dev: World, database: Database) -> None:
    database.hears = lambda call: FAILED if call.phase == "set" else None
    dev.days(31)
    run(dev)
    plain = replace(MONTHLY, rotator=None, enabled=False)
    dev.service.set_rotation_policy(dev.operator, VAULT, "secrets", "s", plain)
    later(dev, days=1)
    assert did(dev) == []
    status = dev.service.rotation_status(dev.operator, VAULT, "s")
    assert (status.rotator, status.stage, status.id) == (None, None, "")


def test_a_rotator_that_is_mended_goes_on_with_the_attempt(dev: World, database: Database) -> None:
    database.hears = lambda call: FAILED if call.phase == "create" else None
    dev.days(31)
    run(dev)
    mended = replace(MONTHLY, rotator=Rotator(command=("another",)))
    dev.service.set_rotation_policy(dev.operator, VAULT, "secrets", "s", mended)
    database.hears = lambda _: None
    later(dev, minutes=1)
    assert did(dev) == ["rotate"]
    assert database.phases == ["create", "create", "set", "test", "finish"]
    assert len({call.id for call in database.calls}) == 1


def test_while_another_process_speaks_with_rotators_nothing_is_done_twice(dev: World, database: Database) -> None:
    dev.days(31)
    with alone(dev.unlocked.paths.rotators) as held:
        assert held
        assert did(dev) == []
        with pytest.raises(Exception, match="another kvstack is speaking with a rotator"):
            dev.service.rotate_secret(dev.operator, VAULT, "s")
    assert database.calls == []
    assert did(dev) == ["rotate"]


def test_how_it_stands_is_shown_without_values(dev: World, database: Database) -> None:
    database.hears = lambda call: FAILED if call.phase == "test" else None
    dev.days(31)
    run(dev)
    status = dev.service.rotation_status(dev.person("Key Vault Reader"), VAULT, "s")
    assert (status.stage, status.tries, status.failed_in, status.failure) == ("test", 1, "test", "ended with 1")
    assert status.next_try == dev.clock.now() + timedelta(seconds=10)
    assert (status.rotator, status.id) == (PROGRAM, database.calls[0].id)
    assert database.calls[1].pending.reveal().decode() not in repr(status)
    with pytest.raises(Forbidden):
        dev.service.rotation_status(dev.person(), VAULT, "s")


@pytest.mark.parametrize(
    "answer",
    [
        Answer("taken", value=SecretValue(b"\xff\x00binary")),
        Answer("taken", value=SecretValue(b'{"user": "b", "password": "p"}')),
    ],
)
def test_the_value_is_what_the_rotator_says_it_is(dev: World, database: Database, answer: Answer) -> None:
    database.hears = lambda call: answer if call.phase == "create" else TAKEN
    dev.service.rotate_secret(dev.operator, VAULT, "s")
    found = dev.service.get_secret(dev.operator, VAULT, "s").value
    assert found == answer.value


def test_a_pending_value_in_another_place_is_refused(dev: World, database: Database) -> None:
    answers = [FAILED]
    database.hears = lambda call: answers.pop() if call.phase == "test" and answers else None
    dev.days(31)
    run(dev)
    pending = database.calls[-1].pending.reveal()
    assert not any(pending in path.read_bytes() for path in dev.unlocked.paths.root.rglob("*") if path.is_file())
    with dev.unlocked.store.transaction() as tx:
        (row,) = ATTEMPTS.scan(tx)
        assert repr(row) == f"RotationAttempt(s, {row.id}, test, ****)"
        ATTEMPTS.put(tx, replace(row, pending=row.generated))
    later(dev, minutes=1)
    assert len(failures(dev)) == 1
    assert (versions(dev), value(dev)) == (1, "user:first")


# Who may declare one


def declare(world: World, caller: Caller, policy: RotationPolicy) -> None:
    world.service.set_rotation_policy(caller, VAULT, "secrets", "s", policy)


def hook() -> RotationPolicy:
    return replace(MONTHLY, rotator=Rotator(webhook="https://x.example.com/", secret_vault=VAULT, secret="hook-key"))


def test_a_program_is_the_operators_alone_to_name(dev: World) -> None:
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"), generator=Generator())
    officer = dev.person("Key Vault Administrator")
    with pytest.raises(Forbidden, match="for the operator of its store to name"):
        declare(dev, officer, MONTHLY)
    with pytest.raises(Forbidden, match="for the operator of its store to name"):
        dev.service.set_secret(officer, VAULT, "t", SecretValue("v"), rotation=MONTHLY, generator=Generator())
    declare(dev, dev.operator, MONTHLY)
    # What the operator has named stays, whoever changes the rest.
    declare(dev, officer, replace(MONTHLY, keep_previous=None))


def test_who_has_values_sent_somewhere_has_to_have_the_right_to_read_them(dev: World) -> None:
    for name in ("s", "hook-key"):
        dev.service.set_secret(dev.operator, VAULT, name, SecretValue("v"), generator=Generator())
    actions = ["setSecret/action", "update/action", "readMetadata/action"]
    dev.service.put_role_definition(
        dev.operator,
        "setter",
        assignable_scopes=[dev.scope()],
        data_actions=[f"Microsoft.KeyVault/vaults/secrets/{one}" for one in actions],
    )
    blind = dev.person("setter")
    with pytest.raises(Forbidden):
        declare(dev, blind, hook())
    reads_s = dev.person("setter")
    reads_both = dev.person("setter")
    for caller, name in ((reads_s, "s"), (reads_both, "s"), (reads_both, "hook-key")):
        dev.service.create_role_assignment(
            dev.operator,
            dev.scope(VAULT, f"secrets/{name}"),
            role="Key Vault Secrets User",
            principal_id=caller.id,
            principal_type="user",
        )
    with pytest.raises(Forbidden):
        declare(dev, reads_s, hook())
    declare(dev, reads_both, hook())


@pytest.mark.parametrize(
    ("rotator", "wrong"),
    [
        (Rotator(), "one of both"),
        (Rotator(command=("a",), webhook="https://x.example.com"), "one of both"),
        (Rotator(command=("a",), secret_vault=VAULT, secret="k"), "signs what is posted to a webhook"),
        (Rotator(command=("a\0b",)), "NUL"),
        (Rotator(command=("",)), "no name"),
        (Rotator(webhook="https://x.example.com"), "has to know who asks"),
        (Rotator(webhook="ftp://x.example.com", secret_vault=VAULT, secret="k"), "over https"),
        (Rotator(webhook="https://u:p@x.example.com", secret_vault=VAULT, secret="k"), "user or password"),
    ],
)
def test_what_no_rotator_can_be_is_refused(dev: World, rotator: Rotator, wrong: str) -> None:
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"), generator=Generator())
    with pytest.raises(BadParameter, match=wrong):
        declare(dev, dev.operator, replace(MONTHLY, rotator=rotator))


def test_only_a_generated_secret_has_a_rotator(dev: World) -> None:
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"))
    with pytest.raises(BadParameter, match="generated"):
        declare(dev, dev.operator, RotationPolicy(rotator=PROGRAM))
    with pytest.raises(BadParameter, match="only a secret has a rotator"):
        dev.service.set_rotation_policy(dev.operator, VAULT, "keys", "k", MONTHLY)


def test_a_backup_brings_no_program_back_for_others_than_the_operator(dev: World, database: Database) -> None:
    database.hears = lambda call: FAILED if call.phase == "test" else None
    dev.days(31)
    run(dev)
    blob = dev.service.backup_secret(dev.operator, VAULT, "s")
    dev.service.create_vault(dev.operator, "elsewhere")
    with pytest.raises(Forbidden, match="for the operator of its store to name"):
        dev.service.restore_secret(dev.person("Key Vault Administrator"), "elsewhere", blob)
    restored = dev.service.restore_secret(dev.operator, "elsewhere", blob)
    assert (restored.underway, restored.rotation) == (None, MONTHLY)
