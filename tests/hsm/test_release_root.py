"""The root of keys that may leave: made once, when it is needed, and never in the place of one that was lost."""

import os

import msgspec
import pytest

from kvstack.hsm import constants as ck
from kvstack.hsm.configuration import HsmConfiguration
from kvstack.hsm.connection import Connection
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.protocol import HsmUnavailable, KeyMaterial, KeyReference
from kvstack.hsm.release_root import LABEL, broken_promises
from kvstack.hsm.wrapped_keys import may_leave
from kvstack.terms.algorithm import ALGORITHMS
from kvstack.terms.key import KeySpecification
from tests.hsm.conftest import requires_softhsm

KIND = KeySpecification("EC-HSM", None, "P-256")


def reference(material: KeyMaterial) -> KeyReference:
    return KeyReference(os.urandom(8).hex(), KIND, material)


@requires_softhsm
def test_the_release_root_is_made_when_it_is_needed_and_found_again(token: HsmConfiguration) -> None:
    def labelled(connection: Connection) -> int:
        session = connection.keepers.borrow()
        found = connection.cryptoki.find(session, {ck.CKA_LABEL: LABEL})
        connection.keepers.give_back(session)
        return len(found)

    first = Pkcs11Module.open(token)
    keys = Pkcs11Keys(first)
    ordinary = reference(keys.generate(KIND))
    assert first.run(labelled) == 0
    made = reference(keys.generate_exportable(KIND))
    assert first.run(lambda connection: may_leave(connection, made))
    assert not first.run(lambda connection: may_leave(connection, ordinary))
    first.close()
    again = Pkcs11Module.open(token)
    try:
        keys = Pkcs11Keys(again)
        assert keys.sign(made, ALGORITHMS["ES256"], bytes(32))
        keys.generate_exportable(KIND)
        assert again.run(labelled) == 1

        def promises(connection: Connection) -> tuple[str, ...]:
            session = connection.keepers.borrow()
            found = broken_promises(connection.cryptoki, session, connection.release_root(session))
            connection.keepers.give_back(session)
            return found

        assert again.run(promises) == ()
    finally:
        again.close()


@requires_softhsm
def test_no_root_is_made_where_it_comes_from_a_security_domain(token: HsmConfiguration) -> None:
    module = Pkcs11Module.open(msgspec.structs.replace(token, domain=True))
    try:
        with pytest.raises(HsmUnavailable, match="release root"):
            Pkcs11Keys(module).generate_exportable(KIND)
    finally:
        module.close()


@requires_softhsm
def test_a_key_of_a_lost_release_root_is_not_opened_with_a_new_one(token: HsmConfiguration) -> None:
    module = Pkcs11Module.open(token)
    try:
        keys = Pkcs11Keys(module)
        made = reference(keys.generate_exportable(KIND))

        def lost(connection: Connection) -> None:
            session = connection.keepers.borrow()
            for handle in connection.cryptoki.find(session, {ck.CKA_LABEL: LABEL}):
                connection.cryptoki.destroy(session, handle)
            connection.keepers.give_back(session)
            connection._release_root = 0

        module.run(lost)
        with pytest.raises(HsmUnavailable, match="release root"):
            keys.sign(made, ALGORITHMS["ES256"], bytes(32))
    finally:
        module.close()
