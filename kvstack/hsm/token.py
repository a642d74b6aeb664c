"""Making a vault's token: the token itself, the two keys above all others, and the proof that the module keeps them."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from kvstack.hsm import constants as ck
from kvstack.hsm.configuration import HsmConfiguration, KeyHome, PinSource, pin
from kvstack.hsm.connection import logged_in
from kvstack.hsm.cryptoki import Cryptoki, CryptokiError, Template, TokenInfo, mechanism
from kvstack.hsm.failures import refused, unsupported
from kvstack.hsm.library import acquired, alone, released
from kvstack.hsm.private_file import private_folder, write_private
from kvstack.hsm.probe import Weaknesses, weaknesses
from kvstack.hsm.protocol import HsmError, HsmUnavailable
from kvstack.hsm.return_values import LOST
from kvstack.hsm.softhsm_files import keep, settle
from kvstack.terms.diagnostic import Diagnostic
from kvstack.terms.secret import SecretValue

_KEY_BYTES = 32
ROOT_LABEL = b"kvstack wrapping root"


class InitialisedToken(msgspec.Struct, frozen=True):
    """A token that is ready. configuration: to be written by the vault; warnings: what its user should know."""

    configuration: HsmConfiguration
    warnings: tuple[Diagnostic, ...] = ()


def initialise_token(
    folder: Path,
    *,
    module: Path,
    label: str = "kvstack",
    keys: KeyHome = "wrapped",
    pin_source: PinSource | None = None,
    adopt: bool = False,
    parameters: str = "",
    isolated: bool = False,
    environ: Mapping[str, str] = os.environ,
    random: Callable[[int], bytes] = os.urandom,
) -> InitialisedToken:
    """Make a token and its keys. Raises HsmUnavailable, MechanismUnsupported, HsmError for a module without secrets.

    folder: DIR/.kvstack/hsm, for the lock, the PIN (unless pin_source says where it is) and, with SoftHSM, the tokens;
    module: the shared library; adopt: take the existing token of this label, made by its security officer, instead of
    making one; keys: how new keys are to be kept, token keys being used anyway where the module fails the probe;
    parameters: for NSS softokn; isolated: load the module in a process of its own, now and always; environ: where the
    PIN may be.
    """
    if len(label.encode()) > 32:
        raise HsmError(f"a token's label has at most 32 bytes, `{label}` has {len(label.encode())}")
    if adopt and pin_source is None:
        raise HsmError("an existing token needs its PIN", "Say where it is: an environment variable or a file.")
    folder = folder.absolute()
    own_tokens = not adopt and "softhsm" in module.name
    tokens = folder / "tokens" if own_tokens else None
    try:
        private_folder(tokens or folder)
        source, user_pin = _pin(folder, pin_source, environ, random)
    except OSError as error:
        raise HsmUnavailable(
            f"the HSM's folder {folder} cannot be written: {error.strerror}", "It has to belong to this user."
        ) from None
    lock = str(folder / "lock")
    with alone(lock):
        library = acquired(
            str(module), tokens=str(tokens or ""), environment={}, parameters=parameters, isolated=isolated
        )
        try:
            cryptoki = library.cryptoki
            token = (
                _existing(cryptoki, label, module) if adopt else made_token(cryptoki, label, user_pin, random, module)
            )
            made = HsmConfiguration(
                module=str(module),
                token_label=label,
                token_serial=token.serial,
                pin_source=source,
                kek="",
                keys=keys,
                lock=lock,
                tokens=str(tokens or ""),
                parameters=parameters,
                isolated=isolated,
            )
            ready = _with_keys(cryptoki, token, user_pin, made)
            if tokens is not None:
                settle(tokens, set())
                keep(tokens)
            return ready
        except CryptokiError as error:
            raise refused(error, str(module), label) from None
        finally:
            released(str(module), isolated=isolated)


def _pin(
    folder: Path, source: PinSource | None, environ: Mapping[str, str], random: Callable[[int], bytes]
) -> tuple[PinSource, SecretValue]:
    """Return where the PIN is and what it is: the caller's, else a random one in a file of its own."""
    if source is not None:
        return source, pin(source, environ)
    path = folder / "pin"
    drawn = SecretValue(random(16).hex())
    # One from an initialisation that was interrupted belongs to a token nobody uses.
    write_private(path, drawn.reveal(), replace=True)
    return PinSource(file=str(path)), drawn


def made_token(
    cryptoki: Cryptoki, label: str, user_pin: SecretValue, random: Callable[[int], bytes], module: Path
) -> TokenInfo:
    """Initialise a token that waits for it. One that has been initialised is never touched."""
    before = cryptoki.tokens()
    blank = next((token for token in before if not token.initialised), None)
    if blank is None:
        raise HsmUnavailable(
            f"the HSM module {module} has no token that waits to be initialised",
            "Have its security officer make a token, and take that one.",
        )
    # Nobody keeps the security officer's PIN: it could only ever set another user PIN.
    officer_pin = random(16).hex().encode()
    cryptoki.initialise_token(blank.slot, officer_pin, label)
    known = {token.serial for token in before if token.initialised}
    token = next(
        token for token in cryptoki.tokens() if token.initialised and token.label == label and token.serial not in known
    )
    session = cryptoki.open_session(token.slot)
    try:
        cryptoki.login(session, officer_pin, security_officer=True)
        cryptoki.initialise_pin(session, user_pin.reveal())
        cryptoki.logout(session)
    finally:
        cryptoki.close_session(session)
    return token


def _existing(cryptoki: Cryptoki, label: str, module: Path) -> TokenInfo:
    found = [token for token in cryptoki.tokens() if token.initialised and token.label == label]
    if len(found) != 1:
        there = ", ".join(f"`{token.label}`" for token in cryptoki.tokens() if token.initialised) or "none"
        how_many = "no token" if not found else f"{len(found)} tokens"
        raise HsmUnavailable(
            f"the HSM module {module} has {how_many} of the label `{label}`; there are {there}",
            "Name one of them, or give the token a label of its own.",
        )
    return found[0]


def _with_keys(
    cryptoki: Cryptoki, token: TokenInfo, user_pin: SecretValue, configuration: HsmConfiguration
) -> InitialisedToken:
    mechanisms = cryptoki.mechanisms(token.slot)
    if ck.CKM_AES_GCM not in mechanisms:
        raise unsupported("CKM_AES_GCM", configuration.module, "the key-encryption key needs it")
    session = cryptoki.open_session(token.slot)
    made: list[int] = []
    try:
        logged_in(cryptoki, session, user_pin)
        kek, kek_identity = _made_key(cryptoki, session, _KEK)
        made.append(kek)
        root, root_identity = None, ""
        if configuration.keys == "wrapped" and ck.CKM_AES_KEY_WRAP_PAD in mechanisms:
            root, root_identity = _made_key(cryptoki, session, ROOT)
            made.append(root)
        found = weaknesses(cryptoki, session, root, kek)
        if found.reading:
            raise HsmError(
                f"the HSM module {configuration.module} does not protect its keys: {'; '.join(found.reading)}",
                "Use another module, or software keys.",
            )
        if root is not None and (found.wrapping or found.holding):
            cryptoki.destroy(session, root)
            root, root_identity = None, ""
        made.clear()
    finally:
        for handle in made:
            cryptoki.destroy(session, handle)
        cryptoki.close_session(session)
    ready = msgspec.structs.replace(
        configuration, kek=kek_identity, root=root_identity, keys="wrapped" if root_identity else "token"
    )
    return InitialisedToken(ready, _warnings(configuration, ready, found))


def _made_key(cryptoki: Cryptoki, session: int, template: Template) -> tuple[int, str]:
    """Generate an AES-256 token object under a random CKA_ID. Returns its handle and the id."""
    identity = cryptoki.random(session, 16)
    method, wanted = mechanism(ck.CKM_AES_KEY_GEN), {**template, ck.CKA_ID: identity}
    try:
        return cryptoki.generate_key(session, method, wanted), identity.hex()
    except CryptokiError as error:
        if error.code in LOST:
            raise
    # NSS softokn cannot store a list of mechanisms. What such a key lets a holder of the PIN do, the probe finds out.
    del wanted[ck.CKA_ALLOWED_MECHANISMS]
    return cryptoki.generate_key(session, method, wanted), identity.hex()


def _warnings(wanted: HsmConfiguration, ready: HsmConfiguration, found: Weaknesses) -> tuple[Diagnostic, ...]:
    warnings = []
    if found.holding:
        warnings.append(
            Diagnostic(
                severity="warning",
                summary=f"whoever has the PIN can take keys out of the HSM module {ready.module}",
                detail=f"Tried: {'; '.join(found.holding)}. Guard the PIN like a key, or use another module.",
            )
        )
    if wanted.keys != ready.keys:
        reason = "; ".join(found.wrapping + found.holding) or "it does not have CKM_AES_KEY_WRAP_PAD"
        warnings.append(
            Diagnostic(
                severity="warning",
                summary=f"keys are kept in the HSM's token itself: {ready.module} cannot wrap keys safely",
                detail=f"Tried: {reason}. More than about 1,000 token keys make every start slow.",
            )
        )
    return tuple(warnings)


_COMMON: dict[int, bool | int | bytes] = {
    ck.CKA_CLASS: ck.CKO_SECRET_KEY,
    ck.CKA_KEY_TYPE: ck.CKK_AES,
    ck.CKA_VALUE_LEN: _KEY_BYTES,
    ck.CKA_TOKEN: True,
    ck.CKA_PRIVATE: True,
    ck.CKA_SENSITIVE: True,
    ck.CKA_EXTRACTABLE: False,
    ck.CKA_MODIFIABLE: False,
    ck.CKA_SIGN: False,
    ck.CKA_VERIFY: False,
    ck.CKA_DERIVE: False,
}

# Made in a user session, never CKA_TRUSTED: on SoftHSM only its security officer can set that, on public objects, whose
# value then lies in clear in the token file.
ROOT: Template = _COMMON | {
    ck.CKA_LABEL: ROOT_LABEL,
    ck.CKA_WRAP: True,
    ck.CKA_UNWRAP: True,
    ck.CKA_ENCRYPT: False,
    ck.CKA_DECRYPT: False,
    ck.CKA_ALLOWED_MECHANISMS: (ck.CKM_AES_KEY_WRAP_PAD,),
    # Without it whoever has the PIN and a blob unwraps a readable copy.
    ck.CKA_UNWRAP_TEMPLATE: {ck.CKA_SENSITIVE: True, ck.CKA_EXTRACTABLE: False},
}

_KEK: Template = _COMMON | {
    ck.CKA_LABEL: b"kvstack key-encryption key",
    ck.CKA_ENCRYPT: True,
    ck.CKA_DECRYPT: True,
    ck.CKA_WRAP: False,
    ck.CKA_UNWRAP: False,
    ck.CKA_ALLOWED_MECHANISMS: (ck.CKM_AES_GCM,),
}
