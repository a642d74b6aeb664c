"""Making a vault: its token and key-encryption key, its store, its operator; whole, or not there."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from kvstack.terms.custodian import Custodian
from kvstack.terms.diagnostic import Diagnostic, KvstackError
from kvstack.terms.name import resource_group_name_problem
from kvstack.terms.principal import is_guid
from kvstack.vault import agenda, faults
from kvstack.vault.barrier import Barrier
from kvstack.vault.clock import Clock, SimulatedClock, SystemClock, TimeGuard
from kvstack.vault.data_key import recovery_public_key
from kvstack.vault.exclusive import making
from kvstack.vault.key_home import OWN_TOKEN, HsmChoice, KeyHome, Token, chosen_module, make_key_home
from kvstack.vault.layout import Layout, layout, write_configuration
from kvstack.vault.recover import Recovered, recover
from kvstack.vault.settings import SETTINGS, StoreSettings
from kvstack.vault.store import Store
from kvstack.vault.unlock import Unlocked, unlock, unlocked

__all__ = ["Recovered", "Token", "Unlocked", "initialise", "recover", "unlock"]


def initialise(
    directory: Path,
    *,
    clock: Clock | None = None,
    hsm: HsmChoice = None,
    token: Token = OWN_TOKEN,
    recovery_key: bytes | None = None,
    simulated_clock: bool = False,
    subscription: str | None = None,
    resource_group: str = "local",
    operator_name: str = "operator",
    custodians: Sequence[Custodian] = (),
    quorum: int = 0,
    prepare: Callable[[Unlocked], None] | None = None,
    environ: Mapping[str, str] = os.environ,
    random: Callable[[int], bytes] = os.urandom,
) -> Unlocked:
    """Make a vault in `directory/.kvstack`. Raises KvstackError where there is one, StoreFault, HsmError.

    clock: the system's by default; a simulated clock starts at its time. hsm: a PKCS#11 module; True to find one;
    False for software keys; None to find one and else use software keys. recovery_key: PEM of an RSA public key.
    subscription: a GUID, drawn where none is given. custodians, quorum: of the security domain that keys in the HSM are
    to be wrapped under; none for a root the token makes itself. prepare: writes what belongs to a new vault; only after
    it is there a vault. random: draws every key and id.
    """
    subscription_id = subscription.lower() if subscription is not None else _guid(random)
    _check(subscription_id, resource_group, recovery_key)
    module = chosen_module(hsm, environ)
    if custodians:
        from kvstack.hsm.security_domain import require_custodians

        require_custodians(custodians, quorum)
        if module is None:
            raise KvstackError("custodians are for keys in an HSM, and there is none", "Leave them out.")
        token = msgspec.structs.replace(token, domain=True)
    paths = layout(directory)
    paths.make_folders()
    with making(paths.lock):
        if paths.configuration.exists():
            raise KvstackError(
                f"there is a vault in {directory} already", "`kvstack plan` shows what it would change there."
            )
        warnings = _set_aside(paths, random)
        made: list[Unlocked | Store | KeyHome] = []
        try:
            keys = make_key_home(paths, module, token=token, name="", environ=environ, random=random)
            made.append(keys)
            store = Store.open(paths.database)
            made.append(store)
            barrier = Barrier.create(store, keys.kek, recovery=recovery_key or b"", random=random)
            now = (clock or SystemClock()).now()
            with store.transaction() as tx:
                SETTINGS.put(
                    tx,
                    StoreSettings(
                        tenant_id=_guid(random),
                        subscription_id=subscription_id,
                        resource_group=resource_group,
                        operator_id=_guid(random),
                        operator_name=operator_name,
                        created=now,
                        simulated_clock=simulated_clock,
                        recovery_key=recovery_key or b"",
                        custodians=tuple(custodians),
                        quorum=quorum,
                    ),
                )
                TimeGuard(store).confirm(tx, now)
                agenda.begin(tx, now)
                if simulated_clock:
                    SimulatedClock(store).set(now)
            vault = unlocked(store, barrier, keys, paths, clock or SystemClock())
            made.append(vault)
            if prepare is not None:
                prepare(vault)
            write_configuration(paths, keys.configuration)
        except BaseException:
            for part in reversed(made):
                part.close()
            _remove(paths)
            raise
    return _with_warnings(vault, warnings)


def _check(subscription: str, resource_group: str, recovery_key: bytes | None) -> None:
    if not is_guid(subscription):
        raise KvstackError(
            f"`{subscription}` is no subscription id", "It has to be a GUID; leave it out to have one drawn."
        )
    if (problem := resource_group_name_problem(resource_group)) is not None:
        raise KvstackError(problem)
    if recovery_key is not None:
        recovery_public_key(recovery_key)


def _guid(random: Callable[[int], bytes]) -> str:
    import uuid

    return str(uuid.UUID(bytes=random(16), version=4))


def _parts(paths: Layout) -> tuple[Path, ...]:
    return (paths.configuration.parent, paths.hsm, paths.keys)


def _set_aside(paths: Layout, random: Callable[[int], bytes]) -> tuple[Diagnostic, ...]:
    """Move what an unfinished initialisation left out of the way. It is kept: should only the configuration of a real
    vault have been lost, nothing else must be."""
    if not any(any(part.iterdir()) for part in _parts(paths)):
        return ()
    aside = paths.root / f"unfinished-{random(4).hex()}"
    try:
        aside.mkdir(mode=0o700)
        for part in _parts(paths):
            part.rename(aside / part.name)
    except OSError as error:
        raise faults.of_file(error, paths.root) from error
    paths.make_folders()
    summary = f"an initialisation that did not finish was set aside in {aside}"
    return (Diagnostic(severity="warning", summary=summary, detail="Remove the folder when nothing in it is missed."),)


def _remove(paths: Layout) -> None:
    """Remove what this initialisation has made: it was interrupted, and nobody has used it."""
    import shutil

    for part in _parts(paths):
        shutil.rmtree(part, ignore_errors=True)


def _with_warnings(vault: Unlocked, warnings: tuple[Diagnostic, ...]) -> Unlocked:
    import msgspec

    return msgspec.structs.replace(vault, warnings=vault.warnings + warnings)
