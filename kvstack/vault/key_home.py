"""Where a vault's key-encryption key lives: in a token, or in a file; and the key providers that come with it."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from kvstack.hsm.find import MODULE_VARIABLE, find_module
from kvstack.hsm.protocol import KeyEncryptionKey, KeyProvider
from kvstack.terms.diagnostic import Diagnostic, KvstackError
from kvstack.vault.layout import FORMAT_VERSION, Layout, VaultConfiguration

# Whether to use an HSM: its module; True to find one; False for none; None to find one and do without where there is
# none.
HsmChoice = bool | Path | None


class Token(msgspec.Struct, frozen=True):
    """How to make the token. label; adopt: take one its security officer has made instead; pin_environment, pin_file:
    where its PIN is, neither for one drawn at random and kept in a file; parameters: for NSS softokn; keys_in_token:
    keep every key in the token itself, instead of wrapped outside; domain: its root comes from a security domain;
    isolated: the module is loaded in a process of its own."""

    label: str = "kvstack"
    adopt: bool = False
    pin_environment: str = ""
    pin_file: str = ""
    parameters: str = ""
    keys_in_token: bool = False
    domain: bool = False
    isolated: bool = False


OWN_TOKEN = Token()


class KeyHome(msgspec.Struct, frozen=True):
    """An open key-encryption key. configuration: how to open it again; providers: by name, `software` and, where
    there is an HSM, `pkcs11`; warnings: what the user should know of it."""

    kek: KeyEncryptionKey
    configuration: VaultConfiguration
    providers: Mapping[str, KeyProvider]
    warnings: tuple[Diagnostic, ...] = ()
    close: Callable[[], None] = lambda: None


def chosen_module(hsm: HsmChoice, environ: Mapping[str, str]) -> Path | None:
    """Return the PKCS#11 module to use, None for software keys. Raises KvstackError where one was asked for and is
    not there."""
    match hsm:
        case Path():
            return hsm
        case False:
            return None
        case _:
            found = find_module(environ)
            if found is None and hsm:
                raise KvstackError(
                    "no PKCS#11 module is found",
                    f"Install SoftHSM2, or name a module in {MODULE_VARIABLE}; without one, use software keys.",
                )
            return found


def make_key_home(
    paths: Layout,
    module: Path | None,
    *,
    token: Token,
    name: str,
    environ: Mapping[str, str],
    random: Callable[[int], bytes] = os.urandom,
) -> KeyHome:
    """Make a new key-encryption key. name: what sets its files apart from those of an earlier one, empty for the first.
    Raises HsmError."""
    if module is None:
        return _made_file(paths, f"kek{name}", random)
    from kvstack.hsm.configuration import PinSource, write_configuration
    from kvstack.hsm.token import initialise_token

    pin_source = None
    if token.pin_environment or token.pin_file:
        pin_source = PinSource(environment=token.pin_environment, file=token.pin_file)
    folder = paths.hsm.with_name(f"{paths.hsm.name}{name}")
    made = initialise_token(
        folder,
        module=module,
        label=token.label,
        keys="token" if token.keys_in_token else "wrapped",
        pin_source=pin_source,
        adopt=token.adopt,
        parameters=token.parameters,
        isolated=token.isolated,
        environ=environ,
        random=random,
    )
    configuration = made.configuration
    if token.domain:
        from kvstack.hsm.domain_root import awaiting_domain

        configuration = awaiting_domain(configuration, environ)
    file = folder / "hsm.json"
    write_configuration(configuration, file)
    opened = open_key_home(paths, _configuration("pkcs11", paths, file), environ=environ)
    return msgspec.structs.replace(opened, warnings=made.warnings)


def open_key_home(
    paths: Layout, configuration: VaultConfiguration, *, environ: Mapping[str, str], isolated: bool = False
) -> KeyHome:
    """Open the key-encryption key of a vault. isolated: load its module in a process of its own, even where its
    configuration does not say so. Raises HsmError, HsmUnavailable."""
    from kvstack.hsm.software import SoftwareKeys

    file = paths.root / configuration.file
    if configuration.kek == "software":
        from kvstack.hsm.software_kek import SoftwareKeyEncryptionKey

        return KeyHome(SoftwareKeyEncryptionKey.open(file), configuration, {"software": SoftwareKeys()})
    from kvstack.hsm.configuration import read_configuration
    from kvstack.hsm.module import Pkcs11Module
    from kvstack.hsm.pkcs11 import Pkcs11Keys
    from kvstack.hsm.pkcs11_kek import Pkcs11KeyEncryptionKey

    token = read_configuration(file)
    if isolated:
        token = msgspec.structs.replace(token, isolated=True)
    module = Pkcs11Module.open(token, environ)
    providers: dict[str, KeyProvider] = {"software": SoftwareKeys(), "pkcs11": Pkcs11Keys(module)}
    return KeyHome(Pkcs11KeyEncryptionKey(module), configuration, providers, close=module.close)


def _made_file(paths: Layout, name: str, random: Callable[[int], bytes]) -> KeyHome:
    from kvstack.hsm.software import SoftwareKeys
    from kvstack.hsm.software_kek import SoftwareKeyEncryptionKey

    file = paths.keys / name
    kek = SoftwareKeyEncryptionKey.create(file, random=random)
    return KeyHome(kek, _configuration("software", paths, file), {"software": SoftwareKeys()})


def _configuration(kind: Literal["software", "pkcs11"], paths: Layout, file: Path) -> VaultConfiguration:
    return VaultConfiguration(format_version=FORMAT_VERSION, kek=kind, file=str(file.relative_to(paths.root)))
