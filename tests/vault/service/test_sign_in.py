"""What a sign-in rests on: it holds while that is there, in every process, and what was shown once is told apart."""

from datetime import timedelta
from hashlib import sha256

import pytest

from kvstack.terms.principal import Principal
from kvstack.vault.credentials import USED_ASSERTIONS, ClientCertificateRow
from kvstack.vault.errors import BadParameter, Conflict, NotFound
from kvstack.vault.service import VaultService
from kvstack.vault.sign_in import Proven, SignInRefused
from kvstack.vault.unlock import unlock
from tests.server.identity.assertions import certified
from tests.vault.service.world import World

APP = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"
OTHER = "7a1d8d1f-4b1f-4c1f-8c1d-3e4e6e1e2b22"


@pytest.fixture
def app(world: World) -> World:
    """The world with two service principals."""
    for identifier, name in ((APP, "app"), (OTHER, "other")):
        world.service.put_principal(world.operator, Principal(id=identifier, type="service_principal", name=name))
    return world


def register(world: World, principal: str = APP) -> ClientCertificateRow:
    by = certified(begins=timedelta(days=-9000), ends=timedelta(days=9000))
    return world.service.add_client_certificate(world.operator, principal, by.public_pem)


def proven(certificate: ClientCertificateRow, number: int, left: timedelta = timedelta(minutes=10)) -> Proven:
    return Proven(credential=certificate, digest=sha256(b"%d" % number).hexdigest(), left=left)


def test_what_is_proven_is_good_once_and_for_its_own_client(app: World) -> None:
    certificate = register(app)
    assert app.service.signed_in_by_assertion(APP.upper(), proven(certificate, 1)).caller.id == APP
    for client, given in ((APP, proven(certificate, 1)), (OTHER, proven(certificate, 2)), (APP, None), ("x", None)):
        with pytest.raises(SignInRefused):
            app.service.signed_in_by_assertion(client, given)
    assert app.service.signed_in_by_assertion(APP, proven(certificate, 2)).credential == f"certificate/{certificate.id}"


def test_what_was_shown_is_forgotten_only_once_it_has_ended(app: World) -> None:
    certificate = register(app)
    for number in range(5):
        app.service.signed_in_by_assertion(APP, proven(certificate, number))
    app.clock.advance(timedelta(minutes=9))
    app.service.signed_in_by_assertion(APP, proven(certificate, 5))
    with pytest.raises(SignInRefused):
        app.service.signed_in_by_assertion(APP, proven(certificate, 0))
    app.clock.advance(timedelta(minutes=2))
    app.service.signed_in_by_assertion(APP, proven(certificate, 6))
    with app.unlocked.store.transaction() as tx:
        assert USED_ASSERTIONS.count(tx) == 2


def test_a_certificate_that_was_deleted_meanwhile_signs_nobody_in(app: World) -> None:
    certificate = register(app)
    app.service.delete_credential(app.operator, APP, certificate.id.upper())
    with pytest.raises(SignInRefused):
        app.service.signed_in_by_assertion(APP, proven(certificate, 1))
    with pytest.raises(NotFound):
        app.service.delete_credential(app.operator, APP, certificate.id)
    assert app.service.standing(APP, f"certificate/{certificate.id}") is None


@pytest.mark.parametrize(
    "credential", ["", "secret/", "certificate/x", "federated/x", "person/x", "nothing/x", "SECRET/x"]
)
def test_a_token_for_nothing_that_is_there_does_not_hold(app: World, credential: str) -> None:
    assert app.service.standing(APP, credential) is None
    assert app.service.standing("11111111-2222-4333-8444-555555555555", "address/") is None


def test_what_another_process_changes_is_another_mark_here(app: World) -> None:
    certificate = register(app)
    standing, mark = f"certificate/{certificate.id}", app.service.sign_in_mark()
    assert app.service.sign_in_mark() == mark
    other = unlock(app.unlocked.paths.root.parent)
    try:
        there = VaultService(other)
        for change in (
            lambda: there.set_sign_in_rules(there.operator, APP, enabled=False),
            lambda: there.set_sign_in_rules(there.operator, APP, enabled=True),
            lambda: there.create_client_secret(there.operator, APP),
            lambda: there.add_federated_credential(
                there.operator, APP, "cluster", issuer="https://a.example", subject="s"
            ),
            lambda: there.delete_credential(there.operator, APP, certificate.id),
        ):
            change()
            found = app.service.sign_in_mark()
            assert found != mark
            mark = found
        assert app.service.standing(APP, standing) is None
    finally:
        other.close()


def test_a_sign_in_ends_with_its_credential_and_after_what_the_rules_say(app: World) -> None:
    made = app.service.create_client_secret(app.operator, APP, expires=app.clock.now() + timedelta(minutes=20))
    assert made.value is not None
    assert app.service.signed_in(APP, made.value).life == timedelta(minutes=20)
    app.service.set_sign_in_rules(app.operator, APP, longest=timedelta(minutes=5))
    assert app.service.signed_in(APP, made.value).life == timedelta(minutes=5)
    for longest in (timedelta(minutes=4), timedelta(hours=2)):
        with pytest.raises(BadParameter, match="5 minutes at least"):
            app.service.set_sign_in_rules(app.operator, APP, longest=longest)
    with pytest.raises(BadParameter, match="neither an address nor a range"):
        app.service.set_sign_in_rules(app.operator, APP, networks=["here"])
    for address, fits in (("203.0.113.7", True), ("::ffff:203.0.113.7", True), ("192.0.2.1", False), (None, True)):
        app.service.set_sign_in_rules(app.operator, APP, networks=["203.0.113.0/24"])
        if fits:
            assert app.service.signed_in(APP, made.value, address=address).caller.id == APP
        else:
            with pytest.raises(SignInRefused):
                app.service.signed_in(APP, made.value, address=address)


def test_one_certificate_is_registered_once_and_there_are_so_many(app: World) -> None:
    by = certified(begins=timedelta(days=-9000), ends=timedelta(days=9000))
    app.service.add_client_certificate(app.operator, APP, by.public_pem)
    with pytest.raises(Conflict, match="already"):
        app.service.add_client_certificate(app.operator, APP, by.public_pem)
    app.service.add_client_certificate(app.operator, OTHER, by.public_pem)


def test_two_federated_credentials_do_not_say_the_same(app: World) -> None:
    def federate(name: str, subject: str) -> None:
        app.service.add_federated_credential(app.operator, APP, name, issuer="https://a.example", subject=subject)

    federate("cluster", "s")
    for name, subject in (("Cluster", "t"), ("another", "s")):
        with pytest.raises(Conflict):
            federate(name, subject)
    for name, subject in (("x", "t"), ("another", ""), ("another", "a\nb"), ("another", "x" * 601)):
        with pytest.raises(BadParameter):
            federate(name, subject)


def test_an_identity_that_is_deleted_leaves_no_credential(app: World) -> None:
    identity = app.service.create_identity(app.operator, "batch")
    made = app.service.create_client_secret(app.operator, identity.principal_id)
    assert made.value is not None
    assert app.service.signed_in_by_header(made.value).client_id == identity.client_id
    assert app.service.signed_in_by_address(identity.principal_id).credential == "address/"
    app.service.delete_identity(app.operator, "batch")
    with pytest.raises(SignInRefused):
        app.service.signed_in_by_header(made.value)
    with pytest.raises(SignInRefused):
        app.service.signed_in_by_address(identity.principal_id)
    assert app.service.standing(identity.principal_id, "address/") is None
