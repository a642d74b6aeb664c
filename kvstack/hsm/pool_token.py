"""The tokens of a Managed HSM: made without any key in them, and destroyed.

They are tokens of the same module as the store's own one, and kvstack's SoftHSM tokens lie in the same folder: a
process loads a module once, with one folder of tokens.
"""

import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec

from kvstack.hsm import constants as ck
from kvstack.hsm.configuration import HsmConfiguration, PinSource
from kvstack.hsm.connection import Connection
from kvstack.hsm.cryptoki import CryptokiError
from kvstack.hsm.failures import refused, unsupported
from kvstack.hsm.library import Library, acquired, alone, released
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.private_file import write_private
from kvstack.hsm.protocol import HsmUnavailable
from kvstack.hsm.release_root import LABEL as RELEASE_LABEL
from kvstack.hsm.softhsm_files import COPIES, keep, settle
from kvstack.hsm.token import ROOT_LABEL, made_token
from kvstack.terms.secret import SecretValue


def make_pool_token(
    folder: Path,
    own: HsmConfiguration,
    label: str,
    *,
    random: Callable[[int], bytes] = os.urandom,
) -> HsmConfiguration:
    """Make a token that waits for its security domain. folder: for its PIN's file; own: of the store's own token;
    label: at most 32 bytes. Returns its configuration, to be written. Raises HsmUnavailable, MechanismUnsupported."""
    path = folder / f"pin-{label}"
    user_pin = SecretValue(random(16).hex())
    try:
        write_private(path, user_pin.reveal(), replace=True)
    except OSError as error:
        raise HsmUnavailable(f"{path} cannot be written: {error.strerror}", "It has to belong to this user.") from None
    with alone(own.lock):
        library = _acquired(own)
        try:
            token = made_token(library.cryptoki, label, user_pin, random, Path(own.module))
            known = library.cryptoki.mechanisms(token.slot)
            for mechanism in (ck.CKM_AES_KEY_WRAP_PAD, ck.CKM_AES_GCM):
                if mechanism not in known:
                    raise unsupported(ck.mechanism_name(mechanism), own.module, "a Managed HSM needs it")
            if own.tokens:
                settle(Path(own.tokens), set())
                keep(Path(own.tokens))
        except CryptokiError as error:
            raise refused(error, own.module, label) from None
        finally:
            released(own.module, isolated=own.isolated)
    return msgspec.structs.replace(
        own,
        token_label=label,
        token_serial=token.serial,
        pin_source=PinSource(file=str(path)),
        kek="",
        root="",
        keys="wrapped",
        domain=True,
    )


def destroy_pool_token(configuration: HsmConfiguration, *, environ: Mapping[str, str] = os.environ) -> str:
    """Destroy a token and what is in it. Twice is no error. Returns what is left, in words: nothing of a token of
    kvstack's own. Raises HsmUnavailable."""
    if configuration.tokens:
        with alone(configuration.lock):
            _remove_files(Path(configuration.tokens), configuration.token_serial)
        return ""
    module = Pkcs11Module.open(configuration, environ)
    try:
        module.run(_emptied)
    finally:
        module.close()
    return (
        f"the token `{configuration.token_label}` of {configuration.module} is empty now and stays: only its security "
        "officer can take it away"
    )


def discard_token(
    own: HsmConfiguration, label: str, *, known: Collection[str] = (), since: float | None = None
) -> None:
    """Remove a token of kvstack's own of this label, whose making was interrupted; never the store's own one. There may
    be none. known, since: serials of all tokens in use, and when the making began, in seconds since 1970; what lies
    there since then and is none of those goes too: SoftHSM may have been stopped before it wrote the label. Raises
    HsmUnavailable."""
    if not own.tokens:
        return
    with alone(own.lock):
        library = _acquired(own)
        try:
            serials = [
                token.serial
                for token in library.cryptoki.tokens()
                if token.label == label and token.serial != own.token_serial
            ]
        except CryptokiError as error:
            raise refused(error, own.module, label) from None
        finally:
            released(own.module, isolated=own.isolated)
        for serial in serials:
            _remove_files(Path(own.tokens), serial)
        if since is not None:
            _remove_unfinished(Path(own.tokens), {own.token_serial, *known}, since)


def _acquired(own: HsmConfiguration) -> Library:
    return acquired(
        own.module, tokens=own.tokens, environment=own.environment, parameters=own.parameters, isolated=own.isolated
    )


def _remove_files(tokens: Path, serial: str) -> None:
    """Remove SoftHSM's files of a token, and the copy that is kept of one of them. SoftHSM names a token's folder by a
    UUID, and makes the serial number of its last 16 digits."""
    if len(serial) != 16:
        return
    for folder in tokens.iterdir():
        if folder.name.replace("-", "").endswith(serial):
            shutil.rmtree(folder)
            (tokens.parent / COPIES / f"{folder.name}.object").unlink(missing_ok=True)


def _remove_unfinished(tokens: Path, known: Collection[str], since: float) -> None:
    for folder in tokens.iterdir():
        if folder.name.replace("-", "")[-16:] not in known and folder.stat().st_mtime >= since:
            shutil.rmtree(folder)
            (tokens.parent / COPIES / f"{folder.name}.object").unlink(missing_ok=True)


def _emptied(connection: Connection) -> None:
    session = connection.keepers.borrow()
    try:
        for label in (ROOT_LABEL, RELEASE_LABEL):
            for handle in connection.cryptoki.find(session, {ck.CKA_LABEL: label, ck.CKA_TOKEN: True}):
                connection.cryptoki.destroy(session, handle)
    finally:
        connection.keepers.give_back(session)
