"""Which module, token and keys a vault uses, and where its PIN comes from: a small file without anything secret."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from kvstack.hsm.private_file import readable_by_others, write_private
from kvstack.hsm.protocol import HsmUnavailable
from kvstack.terms.secret import SecretValue

KeyHome = Literal["wrapped", "token"]

# In the file, the folder it lies in: a vault's folder can be moved as a whole.
_FOLDER = "{folder}"


class PinSource(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where the user's PIN is read each time: an environment variable's name, or a file."""

    environment: str = ""
    file: str = ""


class HsmConfiguration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One token of one PKCS#11 module.

    module: the shared library; token_serial: tells a token from another of the same label; kek, root: CKA_ID of the
    key-encryption key and of the wrapping root, hexadecimal, root empty where the module cannot wrap safely, kek where
    the token is a Managed HSM's; keys: how new keys are kept; lock: the file that keeps processes apart while they load
    and log in; tokens: kvstack's own SoftHSM tokens, empty where the module keeps them itself; environment: set while
    the module is loaded; parameters: for NSS softokn; handles: how many wrapped keys are held open at most;
    oaep_in_software: whether RSA-OAEP-256 may be unpadded outside the module where the module cannot; domain: whether
    its roots come from a security domain, so that none is ever made in the token itself; isolated: whether the module
    is loaded in a process of its own.
    """

    module: str
    token_label: str
    token_serial: str
    pin_source: PinSource
    kek: str
    root: str = ""
    keys: KeyHome = "wrapped"
    lock: str
    tokens: str = ""
    environment: dict[str, str] = {}
    parameters: str = ""
    handles: int = 256
    oaep_in_software: bool = True
    domain: bool = False
    isolated: bool = False


def write_configuration(configuration: HsmConfiguration, path: Path, folder: Path | None = None) -> None:
    """Write the file, with paths in a folder, its own where None, relative to that. Raises HsmUnavailable."""
    inside = str(folder.absolute() if folder is not None else path.absolute().parent)
    text = msgspec.json.format(msgspec.json.encode(configuration), indent=2).decode()
    try:
        write_private(path, text.replace(inside + "/", _FOLDER + "/").encode() + b"\n", replace=True)
    except OSError as error:
        raise HsmUnavailable(f"the HSM's configuration {path} cannot be written: {error.strerror}") from None


def read_configuration(path: Path, folder: Path | None = None) -> HsmConfiguration:
    """Read the file. folder: the one it was written for. Raises HsmUnavailable where it is missing or is not one of
    these."""
    inside = str(folder.absolute() if folder is not None else path.absolute().parent)
    try:
        return msgspec.json.decode(path.read_text().replace(_FOLDER, inside), type=HsmConfiguration)
    except (OSError, ValueError) as error:
        raise HsmUnavailable(
            f"the HSM's configuration {path} cannot be read",
            f"{_reason(error)}. Restore the file from a backup of the vault's folder; it holds no secret.",
        ) from None


def pin(source: PinSource, environ: Mapping[str, str]) -> SecretValue:
    """Read the PIN. Raises HsmUnavailable saying where it should have been."""
    if source.environment:
        value = environ.get(source.environment, "")
        if not value:
            raise HsmUnavailable(
                f"the HSM's PIN is not there: the environment variable {source.environment} is not set",
                f"Set {source.environment} to the token's user PIN.",
            )
        return SecretValue(value)
    path = Path(source.file)
    try:
        if readable_by_others(path):
            raise HsmUnavailable(
                f"the HSM's PIN file {path} can be read by everybody",
                f"Run `chmod 600 {path}`, and change the PIN if others use this machine.",
            )
        value = path.read_text().strip()
    except (OSError, ValueError) as error:
        raise HsmUnavailable(
            f"the HSM's PIN file {path} cannot be read",
            f"{_reason(error)}. Restore it; without it the token stays shut.",
        ) from None
    if not value:
        raise HsmUnavailable(f"the HSM's PIN file {path} is empty", "Put the token's user PIN into it.")
    return SecretValue(value)


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
