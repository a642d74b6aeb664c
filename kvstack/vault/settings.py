"""What was fixed when the vault was made: who and where it is."""

from datetime import datetime

from kvstack.terms.custodian import Custodian
from kvstack.vault.faults import CorruptStore
from kvstack.vault.table import Row, Table
from kvstack.vault.transaction import Transaction


class StoreSettings(Row, frozen=True, kw_only=True):
    """The one row of settings. tenant_id, subscription_id, operator_id: GUIDs drawn at initialisation;
    resource_group: where vaults are that name none; recovery_key: the PEM of the public key data keys are also
    encrypted to, empty for none; custodians, quorum: of the security domain its own HSM keys are wrapped under, none
    where the token has made its root itself."""

    id: str = "store"
    tenant_id: str
    subscription_id: str
    resource_group: str
    operator_id: str
    operator_name: str
    created: datetime
    simulated_clock: bool = False
    recovery_key: bytes = b""
    custodians: tuple[Custodian, ...] = ()
    quorum: int = 0


SETTINGS = Table("settings", StoreSettings, key=("id",))


def read_settings(tx: Transaction) -> StoreSettings:
    """Return the settings. Raises StoreFault."""
    row = SETTINGS.get(tx, "store")
    if row is None:
        raise CorruptStore(
            f"{tx.store.path}: the vault was never completely initialised",
            "Move `.kvstack` away and run `kvstack init`.",
        )
    return row
