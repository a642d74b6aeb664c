"""An id without a version is the newest version that is enabled, whatever it is used for."""

from collections.abc import Callable
from typing import Literal

import pytest

from kvstack.terms.certificate import CertificateKey, CertificatePolicy
from kvstack.terms.key import specification
from kvstack.terms.secret import SecretValue
from kvstack.vault.errors import Forbidden
from tests.vault.service.test_events import VAULT
from tests.vault.service.world import World

POLICY = CertificatePolicy(subject="CN=x", key=CertificateKey("RSA", size=2048))


@pytest.fixture
def renewed(dev: World) -> World:
    """A key, a secret and a certificate with two versions each."""
    service, me = dev.service, dev.operator
    service.create_key(me, VAULT, "k", specification=specification("RSA", 2048, None))
    service.rotate_key(me, VAULT, "k")
    for value in ("one", "two"):
        service.set_secret(me, VAULT, "s", SecretValue(value))
    service.create_certificate(me, VAULT, "c", policy=POLICY)
    service.renew_certificate(me, VAULT, "c")
    return dev


def get_secret(world: World) -> str:
    return world.service.get_secret(world.operator, VAULT, "s").version


def get_secret_properties(world: World) -> str:
    return world.service.get_secret_properties(world.operator, VAULT, "s").version


def get_key(world: World) -> str:
    return world.service.get_key(world.operator, VAULT, "k").version


def sign(world: World) -> str:
    return world.service.sign(world.operator, VAULT, "k", algorithm="RS256", digest=b"d" * 32).version


def encrypt(world: World) -> str:
    value = SecretValue("x")
    return world.service.encrypt(world.operator, VAULT, "k", algorithm="RSA-OAEP", plaintext=value).version


def wrap(world: World) -> str:
    return world.service.wrap_key(world.operator, VAULT, "k", algorithm="RSA-OAEP", key=SecretValue("x")).version


def unwrap(world: World) -> str:
    made = world.service.wrap_key(world.operator, VAULT, "k", algorithm="RSA-OAEP", key=SecretValue("x"))
    return world.service.unwrap_key(world.operator, VAULT, "k", algorithm="RSA-OAEP", wrapped=made.ciphertext).version


def get_certificate(world: World) -> str:
    return world.service.get_certificate(world.operator, VAULT, "c").version


def certificates_secret(world: World) -> str:
    return world.service.get_secret(world.operator, VAULT, "c").version


def certificates_key(world: World) -> str:
    return world.service.sign(world.operator, VAULT, "c", algorithm="RS256", digest=b"d" * 32).version


Kind = Literal["key", "secret", "certificate"]
USES: list[tuple[Kind, Callable[[World], str]]] = [
    ("secret", get_secret),
    ("secret", get_secret_properties),
    ("key", get_key),
    ("key", sign),
    ("key", encrypt),
    ("key", wrap),
    ("key", unwrap),
    ("certificate", get_certificate),
    ("certificate", certificates_secret),
    ("certificate", certificates_key),
]


def enable(world: World, kind: Kind, version: str, enabled: bool) -> None:
    service, me = world.service, world.operator
    match kind:
        case "key":
            service.update_key(me, VAULT, "k", version=version, enabled=enabled)
        case "secret":
            service.update_secret(me, VAULT, "s", version=version, enabled=enabled)
        case "certificate":
            service.update_certificate(me, VAULT, "c", version=version, enabled=enabled)


def versions(world: World, kind: Kind) -> list[str]:
    service, me = world.service, world.operator
    match kind:
        case "key":
            return [one.version for one in service.list_key_versions(me, VAULT, "k")]
        case "secret":
            return [one.version for one in service.list_secret_versions(me, VAULT, "s")]
        case "certificate":
            return [one.version for one in service.list_certificate_versions(me, VAULT, "c")]


@pytest.mark.parametrize(("kind", "use"), USES, ids=[use.__name__ for _, use in USES])
def test_the_newest_enabled_version_is_meant(renewed: World, kind: Kind, use: Callable[[World], str]) -> None:
    first, second = versions(renewed, kind)
    assert use(renewed) == second
    enable(renewed, kind, second, enabled=False)
    assert use(renewed) == first
    enable(renewed, kind, second, enabled=True)
    assert use(renewed) == second


@pytest.mark.parametrize("use", [get_secret, sign, encrypt, wrap, certificates_secret, certificates_key])
def test_where_none_is_enabled_nothing_is_used(renewed: World, use: Callable[[World], str]) -> None:
    kinds: tuple[Kind, ...] = ("key", "secret", "certificate")
    for kind in kinds:
        for version in versions(renewed, kind):
            enable(renewed, kind, version, enabled=False)
    with pytest.raises(Forbidden):
        use(renewed)
