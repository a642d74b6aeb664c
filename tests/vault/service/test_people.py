"""People's credentials: a code counts once, wrong ones are held against who knows the secret, nothing lies in clear."""

import base64
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kvstack.terms.principal import Principal
from kvstack.terms.secret import SecretValue
from kvstack.vault.credentials import PERSON_CREDENTIALS
from kvstack.vault.errors import BadParameter, Forbidden
from kvstack.vault.people import STEP, PersonCredential, totp_code
from kvstack.vault.sign_in import SignedIn, SignInRefused
from tests.vault.service.world import World

ALICE = "91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10"
PROGRAM = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"


@pytest.fixture
def alice(world: World) -> World:
    """The world with a person."""
    world.service.put_principal(world.operator, Principal(id=ALICE, type="user", name="alice"))
    return world


def make(world: World, **more: Any) -> PersonCredential:
    return world.service.create_person_credential(world.operator, ALICE, **more)


def key(made: PersonCredential) -> bytes:
    (found,) = parse_qs(urlsplit(made.enrolment.reveal().decode()).query)["secret"]
    return base64.b32decode(found)


def code(world: World, made: PersonCredential, steps: int = 0) -> str:
    return totp_code(key(made), int(world.clock.now().timestamp()) // STEP + steps).decode()


def sign_in(world: World, made: PersonCredential, given: str, **more: Any) -> SignedIn:
    said: dict[str, Any] = {"name": "alice", "secret": made.secret, "client_id": PROGRAM} | more
    return world.service.signed_in_person(said.pop("name"), said.pop("secret"), given, **said)


def refused(world: World, made: PersonCredential, given: str, **more: Any) -> None:
    with pytest.raises(SignInRefused):
        sign_in(world, made, given, **more)


# RFC 6238, appendix B, the last six of its eight digits.
@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (59, b"287082"),
        (1111111109, b"081804"),
        (1111111111, b"050471"),
        (1234567890, b"005924"),
        (2000000000, b"279037"),
        (20000000000, b"353130"),
    ],
)
def test_codes_are_those_of_the_standard(second: int, expected: bytes) -> None:
    assert totp_code(b"12345678901234567890", second // STEP) == expected


def test_a_secret_and_a_code_are_the_person_however_the_secret_is_typed(alice: World) -> None:
    made = make(alice)
    found = sign_in(alice, made, code(alice, made))
    assert (found.caller.id, found.caller.mfa, found.client_id) == (ALICE, True, PROGRAM)
    assert found.credential == f"person/{made.id}"
    typed = SecretValue(made.secret.reveal().lower().replace(b"-", b" "))
    assert sign_in(alice, made, code(alice, made, 1), secret=typed).caller.id == ALICE
    assert alice.service.standing(ALICE, found.credential) is not None


def test_a_code_is_good_a_step_early_or_late_and_each_once(alice: World) -> None:
    made = make(alice)
    for steps in (-2, 2, 10):
        refused(alice, make(alice), code(alice, made, steps))
    for steps in (-1, 0, 1):
        given = code(alice, made, steps)
        sign_in(alice, made, given)
        refused(alice, made, given)
    alice.clock.advance(timedelta(seconds=STEP))
    refused(alice, made, code(alice, made, -1))


def test_who_knows_the_secret_gets_five_guesses_and_then_ever_fewer(alice: World) -> None:
    made = make(alice)
    right = code(alice, made)
    for _ in range(5):
        refused(alice, made, "no code")
    refused(alice, made, right)
    alice.clock.advance(timedelta(seconds=61))
    refused(alice, made, "no code")
    alice.clock.advance(timedelta(seconds=61))
    refused(alice, made, code(alice, made))
    alice.clock.advance(timedelta(seconds=61))
    assert sign_in(alice, made, code(alice, made)).caller.id == ALICE
    refused(alice, made, "no code")
    assert sign_in(alice, made, code(alice, made, 1)).caller.id == ALICE, "what was wrong before is forgiven"


def test_who_does_not_know_the_secret_locks_nobody_out(alice: World) -> None:
    made = make(alice)
    for _ in range(50):
        refused(alice, made, "no code", secret=SecretValue("AAAA-AAAA"))
    assert sign_in(alice, made, code(alice, made)).caller.id == ALICE


@pytest.mark.parametrize("name", ["", "Alice", "bob", "operator", "91aa0c5e", " "])
def test_nobody_else_is_taken_for_the_person(alice: World, name: str) -> None:
    made = make(alice)
    refused(alice, made, code(alice, made), name=name)


def test_a_name_two_people_have_is_nobodys_and_the_id_is_enough(alice: World) -> None:
    made = make(alice)
    other = Principal(id="11111111-2222-4333-8444-555555555555", type="user", name="alice")
    alice.service.put_principal(alice.operator, other)
    refused(alice, made, code(alice, made))
    refused(alice, made, code(alice, made), name=other.id)
    assert sign_in(alice, made, code(alice, made), name=ALICE.upper()).caller.id == ALICE


def test_neither_secret_nor_key_lies_in_clear_anywhere(alice: World) -> None:
    made = make(alice)
    sign_in(alice, made, code(alice, made))
    refused(alice, made, "no code")
    plain = made.secret.reveal().replace(b"-", b"")
    with alice.unlocked.store.transaction() as tx:
        (row,) = PERSON_CREDENTIALS.scan(tx, principal_id=ALICE)
    assert key(made) not in row.totp
    assert "****" in repr(row)
    assert plain.decode() not in repr(made)
    for file in alice.unlocked.paths.root.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert plain not in content, file
            assert key(made) not in content, file
            assert base64.b32encode(key(made)) not in content, file
    assert plain.decode() not in repr(list(alice.unlocked.audit.records()))


def test_only_a_person_has_one_and_only_for_a_while(alice: World) -> None:
    made = make(alice, expires=alice.clock.now() + timedelta(days=1))
    for expires in (alice.clock.now(), alice.clock.now() + timedelta(days=732)):
        with pytest.raises(BadParameter, match="lives up to"):
            make(alice, expires=expires)
    alice.clock.advance(timedelta(days=1))
    refused(alice, made, code(alice, made))
    assert alice.service.standing(ALICE, f"person/{made.id}") is None
    alice.service.put_principal(alice.operator, Principal(id=PROGRAM, type="service_principal", name="app"))
    with pytest.raises(BadParameter, match="only a user"):
        alice.service.create_person_credential(alice.operator, PROGRAM)


@pytest.mark.parametrize("role", ["Key Vault Administrator", "Contributor", "Reader"])
def test_who_may_not_give_rights_signs_in_as_nobody_who_has_them(alice: World, role: str) -> None:
    person = alice.person(role)
    with pytest.raises(Forbidden):
        alice.service.create_person_credential(person, ALICE)
    with pytest.raises(Forbidden):
        alice.service.set_sign_in_rules(person, ALICE, enabled=True)
    with pytest.raises(Forbidden):
        alice.service.delete_credential(person, ALICE, PROGRAM)
    with pytest.raises(Forbidden):
        alice.service.add_client_certificate(person, ALICE, _CERTIFICATE)
    with pytest.raises(Forbidden):
        alice.service.add_federated_credential(person, ALICE, "name", issuer="https://a.example", subject="s")


def _certificate() -> bytes:
    from tests.server.identity.assertions import certified

    return certified().public_pem


_CERTIFICATE = _certificate()
