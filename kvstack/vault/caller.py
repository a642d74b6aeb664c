"""Who asks the vault for something."""

from typing import Final

import msgspec


class CallerRequest(msgspec.Struct, frozen=True):
    """What the audit keeps of a request over a network. client: the program, as it names itself; uri: what it asked
    for; tls_version: as `TLSv1.3`; correlation_id: the client's own, drawn where it has none."""

    client: str = ""
    uri: str = ""
    tls_version: str = ""
    correlation_id: str = ""


class Caller(msgspec.Struct, frozen=True):
    """One authenticated principal. id: object id in lower case; groups: ids of its groups, nested ones included.

    address: the network address it calls from; None: from within this machine, which no firewall of a vault stops. mfa:
    whether it signed in with more than one factor, as far as its token says. trusted: a service of kvstack's own, let
    in from any address by a vault that trusts those; set by the server alone, never by what a caller sends. No right by
    itself. request: what it asks by, for the audit. plan: the digest of the plan it applies, under whose approvals it
    acts.
    """

    id: str
    name: str = ""
    groups: frozenset[str] = frozenset()
    address: str | None = None
    mfa: bool = False
    trusted: bool = False
    request: CallerRequest | None = None
    plan: str = ""

    @property
    def words(self) -> str:
        """The caller as people read it."""
        return f"`{self.name}` ({self.id})" if self.name else f"`{self.id}`"


# Whatever time makes due is done by nobody in particular. Its id is no GUID: no token and no `--as` can name it.
SYSTEM: Final = Caller("system", "kvstack")

# What it may do with what is in a vault: make the versions that somebody who may had it make, and nothing else.
SYSTEM_ACTIONS: Final = frozenset(
    {
        "Microsoft.KeyVault/vaults/keys/rotate/action",
        "Microsoft.KeyVault/vaults/keys/sign/action",
        "Microsoft.KeyVault/vaults/secrets/setSecret/action",
        "Microsoft.KeyVault/vaults/certificates/create/action",
    }
)
