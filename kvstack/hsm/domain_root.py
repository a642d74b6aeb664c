"""The roots of a security domain in its tokens: drawn for custodians, or brought by them; never to leave a token again.

The one moment a root is outside an HSM: 32 bytes drawn from the module's own generator, split, and the two roots that
follow from them, in buffers of this process that are overwritten before anything is returned (docs/security.md).
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TypeVar

import msgspec

from kvstack.hsm import constants as ck
from kvstack.hsm.configuration import HsmConfiguration
from kvstack.hsm.connection import Connection
from kvstack.hsm.cryptoki import CryptokiError, Template
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.probe import weaknesses
from kvstack.hsm.protocol import HsmError
from kvstack.hsm.release_root import LABEL as RELEASE_LABEL
from kvstack.hsm.release_root import RELEASE_ROOT, broken_promises, release_root_identity
from kvstack.hsm.return_values import LOST
from kvstack.hsm.security_domain import (
    SECRET_BYTES,
    SecurityDomain,
    ShareOpener,
    derived,
    made,
    require_custodians,
    restored,
)
from kvstack.hsm.token import ROOT, ROOT_LABEL
from kvstack.terms.custodian import Custodian

T = TypeVar("T")


def awaiting_domain(configuration: HsmConfiguration, environ: Mapping[str, str] = os.environ) -> HsmConfiguration:
    """Take the root away that a new token has generated: its own is to come from a security domain. Returns its
    configuration, to be written. Raises HsmError where the module cannot keep wrapped keys."""
    if configuration.keys != "wrapped":
        raise HsmError(
            f"the HSM module {configuration.module} cannot be part of a security domain: it cannot wrap keys safely",
            "Use another module, or go without custodians.",
        )
    with _opened([configuration], environ) as (module,):
        module.run(lambda connection: _with_session(connection, _without_roots))
    return msgspec.structs.replace(configuration, root="", domain=True)


def roots_of(configuration: HsmConfiguration, environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Return the ids of the wrapping roots that are in a token, hexadecimal."""
    with _opened([configuration], environ) as (module,):
        return module.run(lambda connection: _with_session(connection, _root_identities))


def establish(
    configurations: Sequence[HsmConfiguration],
    custodians: Sequence[Custodian],
    *,
    quorum: int,
    name: str,
    now: datetime,
    environ: Mapping[str, str] = os.environ,
) -> SecurityDomain:
    """Draw a security domain in the first token, put its roots into all, and return its shares for the custodians.

    A root that an attempt before this one left in a token is destroyed: nobody has its domain. The caller sets `root`
    of the configurations to the domain's id. Raises HsmError, HsmUnavailable; then no token has a root.
    """
    require_custodians(custodians, quorum)
    whole = bytearray(SECRET_BYTES)
    with _opened(configurations, environ) as modules:
        try:
            identity = modules[0].run(lambda connection: _with_session(connection, _identity))
            modules[0].run(lambda connection: _with_session(connection, lambda c, s: c.cryptoki.fill(s, whole)))
            domain = made(
                whole, custodians, quorum=quorum, id=identity, name=name, now=now, random=_generator(modules[0])
            )
            _put_into(modules, whole, identity)
        finally:
            whole[:] = bytes(len(whole))
    return domain


def join(
    configurations: Sequence[HsmConfiguration],
    domain: SecurityDomain,
    keys: Sequence[ShareOpener],
    *,
    environ: Mapping[str, str] = os.environ,
) -> tuple[HsmConfiguration, ...]:
    """Put a domain's roots into tokens that have none, by a quorum of its custodians. Returns their configurations, to
    be written. Raises HsmError for too few keys or a document that was changed: no token has a root then."""
    whole = restored(domain, keys)
    try:
        with _opened(configurations, environ) as modules:
            _put_into(modules, whole, domain.id)
    finally:
        whole[:] = bytes(len(whole))
    return tuple(msgspec.structs.replace(one, root=domain.id, domain=True) for one in configurations)


def _put_into(modules: Sequence[Pkcs11Module], whole: bytearray, identity: str) -> None:
    """Make both roots in every token, or in none."""
    root, release = derived(whole, "wrapping root"), derived(whole, "release root")
    try:
        for module in modules:
            module.run(lambda connection: _with_session(connection, _without_roots))
        for module in modules:
            module.run(
                lambda connection: _with_session(connection, lambda c, s: _with_roots(c, s, root, release, identity))
            )
    except BaseException:
        for module in modules:
            _tried_to_clear(module)
        raise
    finally:
        for key in (root, release):
            key[:] = bytes(len(key))


def _with_roots(connection: Connection, session: int, root: bytearray, release: bytearray, identity: str) -> None:
    """Import the two roots, and attack them with everything a holder of the PIN could try."""
    cryptoki, module = connection.cryptoki, connection.configuration.module
    try:
        handle = cryptoki.create(session, _imported(ROOT, root, bytes.fromhex(identity)))
        beside = bytes.fromhex(release_root_identity(identity))
        release_handle = cryptoki.create(session, _imported(RELEASE_ROOT, release, beside))
    except CryptokiError as error:
        if error.code in LOST:
            raise
        raise HsmError(
            f"the HSM module {module} takes no root from outside: {error}",
            "A security domain needs a module that imports a sensitive AES key (C_CreateObject).",
        ) from None
    found = weaknesses(cryptoki, session, handle, handle)
    broken = (*found.reading, *found.wrapping, *found.holding, *broken_promises(cryptoki, session, release_handle))
    if broken:
        raise HsmError(
            f"the HSM module {module} cannot be part of a security domain: {'; '.join(dict.fromkeys(broken))}",
            "Its keys could be taken out by whoever has its PIN. Use another module.",
        )
    connection.settle()


def _without_roots(connection: Connection, session: int) -> None:
    """Destroy what an attempt that was interrupted has left."""
    cryptoki = connection.cryptoki
    for label in (ROOT_LABEL, RELEASE_LABEL):
        for handle in cryptoki.find(session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_LABEL: label}):
            cryptoki.destroy(session, handle)


def _root_identities(connection: Connection, session: int) -> frozenset[str]:
    cryptoki = connection.cryptoki
    handles = cryptoki.find(session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_LABEL: ROOT_LABEL})
    return frozenset((cryptoki.attribute(session, handle, ck.CKA_ID) or b"").hex() for handle in handles)


def _tried_to_clear(module: Pkcs11Module) -> None:
    """Leave no root behind where that can still be done; a token that cannot be reached is cleared by the next try."""
    try:
        module.run(lambda connection: _with_session(connection, _without_roots))
    except HsmError:
        return


def _imported(template: Template, value: bytearray, identity: bytes) -> Template:
    wanted = {name: setting for name, setting in template.items() if name != ck.CKA_VALUE_LEN}
    return {**wanted, ck.CKA_VALUE: value, ck.CKA_ID: identity}


def _identity(connection: Connection, session: int) -> str:
    return connection.cryptoki.random(session, 16).hex()


def _generator(module: Pkcs11Module) -> Callable[[int], bytes]:
    """Return what draws from the module's generator."""

    def drawn(count: int) -> bytes:
        return module.run(lambda connection: _with_session(connection, lambda c, s: c.cryptoki.random(s, count)))

    return drawn


def _with_session(connection: Connection, action: Callable[[Connection, int], T]) -> T:
    session = connection.keepers.borrow()
    try:
        return action(connection, session)
    finally:
        connection.keepers.give_back(session)


@contextmanager
def _opened(configurations: Sequence[HsmConfiguration], environ: Mapping[str, str]) -> Iterator[list[Pkcs11Module]]:
    """Open the modules of some tokens for the length of a block."""
    with ExitStack() as stack:
        modules = []
        for configuration in configurations:
            module = Pkcs11Module.open(configuration, environ)
            stack.callback(module.close)
            modules.append(module)
        yield modules
