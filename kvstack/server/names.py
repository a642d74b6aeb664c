"""Which of a server's hosts a request is for: a vault, a Managed HSM, the sign-in, the portal, the machine itself."""

import re
from typing import Final, Literal

import msgspec

from kvstack.server.remembered import Remembered

HostKind = Literal["vault", "managedhsm", "management", "login", "portal", "local"]
LOGIN: Final = "login"
# Resource manager's: what makes vaults, and gives roles.
MANAGEMENT: Final = "management"
# The page for people: an origin of its own, which no other page of the server shares.
PORTAL: Final = "portal"
_PORT = re.compile(r"[0-9]{1,5}")
_ORIGIN = re.compile(r"(https://[a-z0-9.-]+):[0-9]{1,5}(/.*)?", re.DOTALL)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# What a vault's name is for: each is a label of the domain of its own.
COLLECTIVE: Final = ("vault", "managedhsm")


class Host(msgspec.Struct, frozen=True):
    """One host. name: of the vault or Managed HSM, empty for the others; authority: host and port as the client has
    them, in lower case; resource: what a token for it is for, as challenges and scopes spell it, with the client's port
    (the client compares the two); audience: the same without the port, as tokens have it."""

    kind: HostKind
    authority: str
    name: str = ""
    resource: str = ""
    audience: str = ""


class ServerNames:
    """The hosts of one domain. host: returns the host a `Host` header names, None for one that is none of them."""

    def __init__(self, domain: str) -> None:
        self.domain = domain
        self.host = Remembered(self._host, most=1024)

    def audience(self, resource: str) -> str | None:
        """Return the audience a resource (`https://vault.<domain>:8443`) stands for, None for what is none of ours."""
        rest = resource.lower().removesuffix("/")
        if not rest.startswith("https://"):
            return None
        name, port = _split(rest.removeprefix("https://"))
        if name is None or port is None:
            return None
        for kind in COLLECTIVE:
            if name == f"{kind}.{self.domain}":
                return f"https://{name}"
        return f"https://{name}" if name == f"{MANAGEMENT}.{self.domain}" else None

    @property
    def audiences(self) -> tuple[str, ...]:
        """All audiences there are."""
        return tuple(f"https://{kind}.{self.domain}" for kind in (*COLLECTIVE, MANAGEMENT))

    @property
    def certified(self) -> tuple[str, ...]:
        """The names the server's certificate has to have."""
        single = (f"{label}.{self.domain}" for label in (LOGIN, MANAGEMENT, PORTAL))
        return (*(f"*.{kind}.{self.domain}" for kind in COLLECTIVE), *single, "localhost")

    def _host(self, header: bytes) -> Host | None:
        try:
            authority = header.decode("ascii").lower()
        except UnicodeDecodeError:
            return None
        name, port = _split(authority)
        if name is None or port is None:
            return None
        if name in ("localhost", "127.0.0.1", "[::1]"):
            return Host("local", authority)
        if name == f"{LOGIN}.{self.domain}":
            return Host("login", authority)
        if name == f"{PORTAL}.{self.domain}":
            return Host("portal", authority)
        if name == f"{MANAGEMENT}.{self.domain}":
            end = f":{port}" if port else ""
            return Host("management", authority, "", f"https://{name}{end}", f"https://{name}")
        label, dot, rest = name.partition(".")
        if dot and _LABEL.fullmatch(label):
            for kind in COLLECTIVE:
                if rest == f"{kind}.{self.domain}":
                    end = f":{port}" if port else ""
                    return Host(kind, authority, label, f"https://{rest}{end}", f"https://{rest}")
        return None


def without_port(address: str) -> str:
    """Return an `https://` address as issuers and audiences are compared: whatever port its client came to."""
    found = _ORIGIN.fullmatch(address)
    return f"{found[1]}{found[2] or ''}" if found is not None else address


def _split(authority: str) -> tuple[str | None, str | None]:
    """Return the host and its port, empty for none; (None, None) for what is neither."""
    name, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return authority, ""
    return (name, port) if _PORT.fullmatch(port) else (None, None)
