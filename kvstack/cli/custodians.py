"""Custodians of a security domain, on the command line: their public keys in files, and their private keys."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from kvstack.cli.content import taken
from kvstack.cli.passwords import password as password_of
from kvstack.terms.diagnostic import KvstackError

if TYPE_CHECKING:
    from kvstack.hsm.security_domain import CustodianKey
    from kvstack.terms.custodian import Custodian

F = TypeVar("F", bound=Callable[..., Any])
_LONGEST_PEM: Final = 1 << 16

custodians_option = click.option(
    "--custodian",
    "custodians",
    metavar="PUBLIC.pem",
    multiple=True,
    help="A custodian's RSA certificate or public key; 3 to 10 of them.",
)


def custodian_in(file: str) -> "Custodian":
    """Read a custodian's certificate or public key. Raises KvstackError, naming the file."""
    from kvstack.hsm.protocol import HsmError
    from kvstack.hsm.security_domain import custodian

    content = taken(file, at_most=_LONGEST_PEM, what=f"the custodian's file {file}")
    try:
        return custodian(content, Path(file).name)
    except HsmError as error:
        raise _of_file(error, file) from None


def custodian_keys_in(
    files: tuple[str, ...], password_env: str | None, password_file: str | None
) -> "list[CustodianKey]":
    """Read custodians' private keys; the password is asked for where one is encrypted. Raises KvstackError."""
    from kvstack.hsm.protocol import HsmError
    from kvstack.hsm.security_domain import custodian_key

    keys = []
    for one in files:
        content = taken(one, at_most=_LONGEST_PEM, what=f"the custodian's key {one}")
        encrypted = b"ENCRYPTED" in content
        password = password_of(password_env, password_file, encrypted=encrypted, what=f"The custodian's key {one}")
        try:
            keys.append(custodian_key(content, password if encrypted else None))
        except HsmError as error:
            raise _of_file(error, one) from None
    return keys


def _of_file(error: KvstackError, file: str) -> KvstackError:
    found = error.diagnostics[0]
    return KvstackError(f"{file}: {found.summary}", found.detail)
