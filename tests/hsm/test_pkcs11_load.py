"""Keys of a token under load: a bounded number held open, many threads, and what goes on without the HSM."""

import threading

import msgspec
import pytest

from kvstack.hsm import constants as ck
from kvstack.hsm.configuration import HsmConfiguration
from kvstack.hsm.connection import Connection
from kvstack.hsm.cryptoki import CryptokiError
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.protocol import HsmError, HsmUnavailable, MechanismUnsupported
from kvstack.terms.algorithm import ALGORITHMS
from tests.hsm.conftest import requires_softhsm
from tests.hsm.examples import EC, RSA, key

pytestmark = requires_softhsm


def test_rsa_oaep_256_can_be_switched_off(token: HsmConfiguration) -> None:
    module = Pkcs11Module.open(msgspec.structs.replace(token, oaep_in_software=False))
    provider = Pkcs11Keys(module)
    made = key(provider, RSA)
    sealed = provider.encrypt(made, ALGORITHMS["RSA-OAEP-256"], b"x")
    with pytest.raises(MechanismUnsupported, match=r"RSA-OAEP-256.*switched off"):
        provider.decrypt(made, ALGORITHMS["RSA-OAEP-256"], sealed.ciphertext)
    sealed = provider.encrypt(made, ALGORITHMS["RSA-OAEP"], b"x")
    assert provider.decrypt(made, ALGORITHMS["RSA-OAEP"], sealed.ciphertext) == b"x"
    module.close()


def test_a_bounded_number_of_keys_is_held_open(token: HsmConfiguration) -> None:
    module = Pkcs11Module.open(msgspec.structs.replace(token, handles=4))
    provider = Pkcs11Keys(module)
    made = [key(provider, EC) for _ in range(12)]
    for one in made:
        provider.sign(one, ALGORITHMS["ES256"], bytes(32))

    def private_keys(connection: Connection) -> int:
        session = connection.sessions.borrow()
        found = connection.cryptoki.find(session, {ck.CKA_CLASS: ck.CKO_PRIVATE_KEY})
        public = connection.cryptoki.find(session, {ck.CKA_CLASS: ck.CKO_PUBLIC_KEY})
        connection.sessions.give_back(session)
        assert not public
        return len(found)

    assert module.run(private_keys) == 4
    for one in made:
        signature = provider.sign(one, ALGORITHMS["ES256"], bytes(32))
        assert provider.verify(one, ALGORITHMS["ES256"], bytes(32), signature)
    module.close()


def test_eight_threads_sign_and_generate_with_fewer_handles_than_keys(token: HsmConfiguration) -> None:
    module = Pkcs11Module.open(msgspec.structs.replace(token, handles=3))
    provider = Pkcs11Keys(module)
    made = [key(provider, EC) for _ in range(6)]
    failures: list[object] = []

    def work(offset: int) -> None:
        try:
            for turn in range(40):
                one = made[(turn + offset) % len(made)]
                digest = bytes([turn, offset]) * 16
                if not provider.verify(
                    one, ALGORITHMS["ES256"], digest, provider.sign(one, ALGORITHMS["ES256"], digest)
                ):
                    failures.append((turn, offset))
                if turn % 10 == 0:
                    fresh = key(provider, EC)
                    provider.sign(fresh, ALGORITHMS["ES256"], digest)
                    provider.destroy(fresh)
        except (HsmError, CryptokiError) as error:
            failures.append(error)

    workers = [threading.Thread(target=work, args=(offset,)) for offset in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures
    module.close()


def test_verifying_and_rsa_encryption_need_no_hsm(token: HsmConfiguration) -> None:
    module = Pkcs11Module.open(token)
    provider = Pkcs11Keys(module)
    made = key(provider, RSA)
    signature = provider.sign(made, ALGORITHMS["PS256"], bytes(32))
    provider.close()
    provider.close()
    assert provider.verify(made, ALGORITHMS["PS256"], bytes(32), signature)
    assert provider.encrypt(made, ALGORITHMS["RSA-OAEP-256"], b"x").ciphertext
    with pytest.raises(HsmUnavailable, match="was closed"):
        provider.sign(made, ALGORITHMS["PS256"], bytes(32))
