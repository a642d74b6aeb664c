"""An event: what happened to a thing, as CloudEvents 1.0 has it, with Key Vault's types and data. Never a value."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

EventType = Literal[
    "Microsoft.KeyVault.SecretNewVersionCreated",
    "Microsoft.KeyVault.SecretNearExpiry",
    "Microsoft.KeyVault.SecretExpired",
    "Microsoft.KeyVault.KeyNewVersionCreated",
    "Microsoft.KeyVault.KeyNearExpiry",
    "Microsoft.KeyVault.KeyExpired",
    "Microsoft.KeyVault.CertificateNewVersionCreated",
    "Microsoft.KeyVault.CertificateNearExpiry",
    "Microsoft.KeyVault.CertificateExpired",
    "Microsoft.KeyVault.VaultAccessPolicyChanged",
    "kvstack.AccessChanged",
    "kvstack.Alert",
    "kvstack.ApplyFailed",
    "kvstack.ApplyFinished",
    "kvstack.DriftFound",
    "kvstack.PurgeScheduled",
    "kvstack.RotationFailed",
]
StackEvent = Literal["ApplyFinished", "ApplyFailed", "DriftFound"]
EVENT_TYPES: frozenset[str] = frozenset(EventType.__args__)  # type: ignore[attr-defined]

EVENT_NAME = r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$(?!\n)"
EventName = Annotated[str, msgspec.Meta(pattern=EVENT_NAME)]


def event_matches(written: str, kind: str) -> bool:
    """Tell whether a pattern stands for a type of event; `*` and `?` match, case does not count."""
    import fnmatch

    return fnmatch.fnmatchcase(kind.lower(), written.lower())


class ThingData(msgspec.Struct, frozen=True, rename="pascal", kw_only=True):
    """What Key Vault's events say of a thing. id: its path with its version; nbf, exp: seconds since 1970."""

    id: str
    vault_name: str
    object_type: str
    object_name: str
    version: str = ""
    nbf: int | None = msgspec.field(default=None, name="NBF")
    exp: int | None = msgspec.field(default=None, name="EXP")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event. source: the vault's path, or the subscription's; subject: the thing's name. Source: CloudEvents 1.0,
    section 2; the schema of Azure Key Vault's events."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: ThingData
    datacontenttype: str = "application/json"
    specversion: str = "1.0"


class Filter(msgspec.Struct, frozen=True):
    """Which events somebody wants. types: none means all; vault: its name in lower case, empty for all."""

    types: tuple[str, ...] = ()
    prefix: str = ""
    suffix: str = ""
    vault: str = ""

    def takes(self, kind: str, subject: str, vault: str) -> bool:
        """Tell whether an event of this type, of this subject in this vault, is wanted. Case does not count in names:
        no two things of a vault differ by it alone."""
        name = subject.lower()
        return (
            (not self.types or kind in self.types)
            and self.is_in(vault)
            and name.startswith(self.prefix.lower())
            and name.endswith(self.suffix.lower())
        )

    def is_in(self, vault: str) -> bool:
        """Tell whether events of this vault are wanted at all."""
        return self.vault in ("", vault.lower())


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Event).decode


def seconds(moment: datetime | None) -> int | None:
    """Return a moment as Key Vault's events have it."""
    return int(moment.timestamp()) if moment is not None else None
