"""Opening a vault: its key-encryption key first, then everything that depends on it."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from kvstack.hsm.protocol import KeyProvider
from kvstack.terms.diagnostic import Diagnostic
from kvstack.vault.audit import AuditLog
from kvstack.vault.audit_signer import StoreSigner
from kvstack.vault.barrier import Barrier
from kvstack.vault.checkpointing import Checkpointing
from kvstack.vault.clock import Clock, SimulatedClock, SystemClock, TimeGuard
from kvstack.vault.key_home import KeyHome, open_key_home
from kvstack.vault.layout import Layout, layout, read_configuration
from kvstack.vault.pools import Pools
from kvstack.vault.settings import StoreSettings, read_settings
from kvstack.vault.store import Store


class Unlocked(msgspec.Struct, frozen=True):
    """A vault's parts, open. providers: by name, `software` and, where there is an HSM, `pkcs11`; warnings: what the
    user should know of how it was made."""

    store: Store
    barrier: Barrier
    audit: AuditLog
    checkpointing: Checkpointing
    clock: Clock
    time_guard: TimeGuard
    providers: Mapping[str, KeyProvider]
    settings: StoreSettings
    paths: Layout
    keys: KeyHome
    pools: Pools
    warnings: tuple[Diagnostic, ...] = ()

    def close(self) -> None:
        """Sign where the audit stands; let go of files, sessions and the module. Doing it twice is no error."""
        self.audit.stop()
        self.store.close()
        self.pools.close()
        for provider in self.providers.values():
            provider.close()
        self.keys.close()


def simulated_clock_note(vault: Unlocked) -> tuple[Diagnostic, ...]:
    """Return the warning that a vault goes by a simulated clock, where it does."""
    if not vault.settings.simulated_clock:
        return ()
    now = vault.clock.now()
    return (
        Diagnostic(
            severity="warning",
            summary=f"the clock of this vault is simulated, it stands at {now:%Y-%m-%d %H:%M} UTC",
            detail="`kvstack run-due --at TIME` moves it.",
        ),
    )


def unlock(
    directory: Path,
    *,
    clock: Clock | None = None,
    isolated: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Unlocked:
    """Open the vault of a project's folder. clock: the system's by default; a vault made with a simulated clock has
    its own. isolated: load the HSM's module in a process of its own. environ: where the PIN may be. Raises KvstackError
    where there is none, StoreFault, HsmError."""
    paths = layout(directory)
    keys = open_key_home(paths, read_configuration(paths), environ=environ, isolated=isolated)
    try:
        store = Store.open(paths.database, existing=True)
        try:
            barrier = Barrier.unlock(store, keys.kek)
            return unlocked(store, barrier, keys, paths, clock or SystemClock(), isolated=isolated)
        except BaseException:
            store.close()
            raise
    except BaseException:
        keys.close()
        raise


def unlocked(
    store: Store, barrier: Barrier, keys: KeyHome, paths: Layout, clock: Clock, *, isolated: bool = False
) -> Unlocked:
    """Put an open vault together."""
    with store.transaction() as tx:
        settings = read_settings(tx)
    barrier.with_recovery(settings.recovery_key)
    own_clock = SimulatedClock(store) if settings.simulated_clock else clock
    signer = StoreSigner(store, barrier, keys.providers, lambda: keys.kek.id, own_clock.now)
    checkpointing = Checkpointing(signer, own_clock.now, f"/subscriptions/{settings.subscription_id}")
    audit = AuditLog(store, barrier.audit_key, checkpointing=checkpointing)
    signer.made = partial(checkpointing.made_signer, audit)
    return Unlocked(
        store=store,
        barrier=barrier,
        audit=audit,
        checkpointing=checkpointing,
        clock=own_clock,
        time_guard=TimeGuard(store),
        providers=keys.providers,
        settings=settings,
        paths=paths,
        keys=keys,
        pools=Pools(paths, keys.configuration, isolated=isolated),
        warnings=keys.warnings,
    )
