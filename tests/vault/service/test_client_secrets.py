"""Client secrets: shown once, kept as hashes, and good for nobody but their principal while they live."""

from datetime import timedelta

import pytest

from kvstack.terms.principal import Principal, PrincipalType
from kvstack.terms.secret import SecretValue
from kvstack.vault.client_secrets import CLIENT_SECRETS, MOST, ClientSecret
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from kvstack.vault.sign_in import SignInRefused
from tests.vault.service.world import World

APP = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"
ABSENT = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def app(world: World) -> World:
    """The world with a service principal."""
    world.service.put_principal(world.operator, Principal(id=APP, type="service_principal", name="app"))
    return world


def make(world: World, **more: object) -> ClientSecret:
    return world.service.create_client_secret(world.operator, APP, **more)  # type: ignore[arg-type]


def shown(made: ClientSecret) -> SecretValue:
    assert made.value is not None
    return made.value


def test_whoever_has_the_secret_is_the_principal(app: World) -> None:
    made = make(app)
    caller = app.service.signed_in(APP.upper(), shown(made), address="192.0.2.1").caller
    assert (caller.id, caller.name, caller.address) == (APP, "app", "192.0.2.1")


def test_the_secret_is_shown_once_and_kept_nowhere(app: World) -> None:
    made = make(app, description="for the shop")
    (listed,) = app.service.list_client_secrets(app.operator, APP)
    assert (listed.id, listed.description, listed.value) == (made.id, "for the shop", None)
    value = shown(made).reveal()
    assert len(value) == 43
    assert listed.hint == value[:4].decode()
    with app.unlocked.store.transaction() as tx:
        (row,) = CLIENT_SECRETS.scan(tx, principal_id=APP)
    assert value not in row.digest + row.salt
    assert "****" in repr(row)
    for file in app.unlocked.paths.database.parent.iterdir():
        assert value not in file.read_bytes(), file


def test_two_secrets_of_one_principal_hold_beside_each_other(app: World) -> None:
    one, two = make(app), make(app)
    app.service.delete_client_secret(app.operator, APP, one.id)
    with pytest.raises(SignInRefused):
        app.service.signed_in(APP, shown(one))
    assert app.service.signed_in(APP, shown(two)).caller.id == APP


@pytest.mark.parametrize("who", [APP, ABSENT, "nobody", ""])
def test_a_wrong_secret_and_an_absent_principal_are_refused_alike(app: World, who: str) -> None:
    made = make(app)
    with pytest.raises(SignInRefused) as refusal:
        app.service.signed_in(who, SecretValue("wrong" if who == APP else shown(made).reveal()))
    assert refusal.value.summary == "the client id and the client secret are not those of a principal of this vault"
    assert "wrong" not in str(refusal.value)


def test_a_secret_ends_when_it_was_said_to(app: World) -> None:
    made = make(app, expires=app.clock.now() + timedelta(days=1))
    app.clock.advance(timedelta(hours=23, minutes=59))
    assert app.service.signed_in(APP, shown(made)).caller.id == APP
    app.clock.advance(timedelta(minutes=1))
    with pytest.raises(SignInRefused):
        app.service.signed_in(APP, shown(made))


@pytest.mark.parametrize("days", [-1, 0, 732])
def test_it_lives_for_two_years_at_most(app: World, days: int) -> None:
    with pytest.raises(BadParameter, match="lives up to"):
        make(app, expires=app.clock.now() + timedelta(days=days))


def test_there_are_so_many_and_no_more(app: World) -> None:
    for _ in range(MOST):
        make(app)
    with pytest.raises(Conflict, match="client secrets"):
        make(app)


@pytest.mark.parametrize("kind", ["user", "group"])
def test_only_a_service_principal_has_one(world: World, kind: PrincipalType) -> None:
    world.service.put_principal(world.operator, Principal(id=APP, type=kind))
    with pytest.raises(BadParameter, match="only a service principal"):
        make(world)


def test_of_somebody_unknown_there_is_none(world: World) -> None:
    with pytest.raises(NotFound):
        make(world)
    assert world.service.list_principals(world.operator)


def test_a_secret_that_is_not_there_cannot_be_deleted(app: World) -> None:
    with pytest.raises(NotFound):
        app.service.delete_client_secret(app.operator, APP, ABSENT)


@pytest.mark.parametrize("role", ["Key Vault Administrator", "Contributor", "Reader"])
def test_who_may_not_give_rights_makes_no_secret_of_somebody_who_has_them(app: World, role: str) -> None:
    person = app.person(role)
    with pytest.raises(Forbidden):
        app.service.create_client_secret(person, APP)
    with pytest.raises(Forbidden):
        app.service.delete_client_secret(person, APP, ABSENT)


def test_what_became_a_user_signs_in_with_no_client_secret(app: World) -> None:
    made = make(app)
    app.service.put_principal(app.operator, Principal(id=APP, type="user", name="app"))
    with pytest.raises(SignInRefused):
        app.service.signed_in(APP, shown(made))


def test_every_sign_in_is_audited_without_the_secret(app: World) -> None:
    made = make(app)
    app.service.signed_in(APP, shown(made))
    with pytest.raises(SignInRefused):
        app.service.signed_in(APP, SecretValue("canary-7c1f"))
    records = [one for one in app.unlocked.audit.records() if one.operation == "SignIn"]
    assert [(one.caller, one.result, one.status) for one in records] == [
        (APP, "Success", 200),
        (APP, "invalid_client", 401),
    ]
    assert records[0].details == {"client_secret": made.id}
    assert "canary" not in repr(records)
