"""Recovering a vault whose token or key file is lost, by its recovery key."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from kvstack.vault.audit import AuditRecord
from kvstack.vault.barrier import Barrier, stored_key
from kvstack.vault.clock import Clock, SystemClock
from kvstack.vault.data_key import by_recovery, recovery_private_key
from kvstack.vault.exclusive import making
from kvstack.vault.key_home import (
    OWN_TOKEN,
    HsmChoice,
    KeyHome,
    Token,
    chosen_module,
    make_key_home,
    open_key_home,
)
from kvstack.vault.layout import Layout, layout, read_configuration, write_configuration
from kvstack.vault.settings import read_settings
from kvstack.vault.store import Store
from kvstack.vault.unlock import Unlocked, unlocked


class Recovered(msgspec.Struct, frozen=True):
    """A recovered vault. data_keys: how many were wrapped anew. Versions of `-HSM` keys made by the lost token cannot
    be used until that token is restored: their material names a provider, but is wrapped by a root that is gone.
    of_domain: whether the store's security domain gives the new token that root."""

    unlocked: Unlocked
    data_keys: int
    of_domain: bool


def recover(
    directory: Path,
    private_key: bytes,
    *,
    password: bytes | None = None,
    clock: Clock | None = None,
    hsm: HsmChoice = None,
    token: Token = OWN_TOKEN,
    environ: Mapping[str, str] = os.environ,
    random: Callable[[int], bytes] = os.urandom,
) -> Recovered:
    """Make a new key-encryption key and wrap every data key by it. private_key: PEM, password where it is encrypted;
    hsm and token as for `initialise`. Raises KvstackError, StoreFault, HsmError.

    It can be interrupted at any instant and run again: what the recovery key opens is never changed, and the
    configuration, which says where the key-encryption key is, is written last. Files of the lost one are left where
    they are.
    """
    unwrapping = by_recovery(recovery_private_key(private_key, password))
    module = chosen_module(hsm, environ)
    paths = layout(directory)
    if not paths.database.exists():
        read_configuration(paths)  # says that there is no vault
    paths.make_folders()
    with making(paths.lock):
        store = Store.open(paths.database, existing=True)
        try:
            unwrapping(stored_key(store))  # is it the right key? Before anything is made
            name = f"-{random(4).hex()}"
            keys = make_key_home(paths, module, token=token, name=name, environ=environ, random=random)
            try:
                barrier = Barrier.unlock(store, keys.kek, unwrapping=unwrapping, random=random)
                with store.transaction() as tx:
                    of_domain = bool(read_settings(tx).custodians) and keys.configuration.kek == "pkcs11"
                if of_domain:
                    keys = _awaiting_domain(paths, keys, environ)
                    barrier.by_key(keys.kek)
                vault = unlocked(store, barrier, keys, paths, clock or SystemClock())
                count = _wrapped_anew(vault)
                write_configuration(paths, keys.configuration)
            except BaseException:
                keys.close()
                raise
        except BaseException:
            store.close()
            raise
    return Recovered(vault, count, of_domain)


def _awaiting_domain(paths: Layout, keys: KeyHome, environ: Mapping[str, str]) -> KeyHome:
    """Take the new token's own root away: the vault's keys are wrapped under that of its security domain."""
    from kvstack.hsm.configuration import read_configuration as read_hsm
    from kvstack.hsm.configuration import write_configuration as write_hsm
    from kvstack.hsm.domain_root import awaiting_domain

    file = paths.root / keys.configuration.file
    keys.close()
    write_hsm(awaiting_domain(read_hsm(file), environ), file)
    opened = open_key_home(paths, keys.configuration, environ=environ)
    return msgspec.structs.replace(opened, warnings=keys.warnings)


def _wrapped_anew(vault: Unlocked) -> int:
    record = AuditRecord(
        time=vault.clock.now(),
        operation="VaultRecovered",
        resource=f"/subscriptions/{vault.settings.subscription_id}",
        caller=vault.settings.operator_id,
        caller_name=vault.settings.operator_name,
        description="every data key was wrapped by a new key-encryption key",
        details={"kek": vault.keys.kek.id},
    )
    with vault.store.transaction() as tx:
        count = vault.barrier.rewrap(tx)
        vault.audit.append(tx, record)
    return count
