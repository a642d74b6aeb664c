"""How a server is to run: where it listens, under which names, and how often it looks at what is due."""

import re
from pathlib import Path
from typing import Final

import msgspec

from kvstack.server.backup_storage import BackupContainer
from kvstack.server.certificate import CertificateFiles
from kvstack.server.identity.metadata_endpoint import MetadataEndpoint
from kvstack.terms.diagnostic import KvstackError

DEFAULT_ADDRESS: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8443
DEFAULT_DOMAIN: Final = "localhost"
_MOST_WORKERS: Final = 64
# A secret has up to 25 KiB, which JSON may make six times as long; a body is in memory whole.
_SHORTEST_BODY: Final = 160 << 10
_LONGEST_BODY: Final = 64 << 20
# `*.localhost` is refused by OpenSSL, `*.vault.localhost` is not: a vault is two labels below the domain.
_DOMAIN = re.compile(r"(?=.{1,180}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


class ServerConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """One server. domain: in lower case; a vault is `NAME.vault.<domain>`, a Managed HSM `NAME.managedhsm.<domain>`.
    proxy_port: of the CONNECT proxy for names that do not resolve, None for no proxy. imds: addresses of this machine
    that stand for an identity. backups: where those of Managed HSMs may be kept. certificate: one that is given, None
    for the server's own. workers: processes that answer. counters: the file requests are counted in against Azure's
    limits, None for no limits. due_every: seconds the scheduler sleeps at most. longest_body: bytes of a request;
    seconds_to_send: that a client has for sending one."""

    address: str = DEFAULT_ADDRESS
    port: int = DEFAULT_PORT
    domain: str = DEFAULT_DOMAIN
    proxy_port: int | None = None
    imds: tuple[MetadataEndpoint, ...] = ()
    backups: tuple[BackupContainer, ...] = ()
    certificate: CertificateFiles | None = None
    workers: int = 1
    counters: Path | None = None
    due_every: float = 30.0
    longest_body: int = 1 << 20
    seconds_to_send: float = 30.0


def require_valid(configuration: ServerConfiguration) -> None:
    """Refuse what no server can run by. Raises KvstackError."""
    if not _DOMAIN.fullmatch(configuration.domain):
        raise KvstackError(
            f"`{configuration.domain}` is no domain: labels of letters, digits and hyphens, with dots between them",
            "Leave `--domain` out, or name one of yours: `--domain kv.example.com`.",
        )
    for option, port in (("--port", configuration.port), ("--proxy-port", configuration.proxy_port)):
        if port is not None and not 0 <= port <= 65535:
            raise KvstackError(f"`{option} {port}` is no port: 0 to 65535")
    places = [(one.address, one.port) for one in configuration.imds if one.port]
    if len(set(places)) != len(places):
        raise KvstackError("`--imds` gives two identities one address", "An address stands for one identity.")
    if not 1 <= configuration.workers <= _MOST_WORKERS:
        raise KvstackError(f"`--workers {configuration.workers}` is no number of processes: 1 to {_MOST_WORKERS}")
    addresses = [one.address for one in configuration.backups]
    if len(set(addresses)) != len(addresses):
        raise KvstackError("`--backups` names one container twice", "A container is one folder.")
    if configuration.due_every <= 0:
        raise KvstackError("`--due-every` is a number of seconds above 0")
    if configuration.seconds_to_send <= 0:
        raise KvstackError("`seconds_to_send` is a number of seconds above 0")
    if not _SHORTEST_BODY <= configuration.longest_body <= _LONGEST_BODY:
        raise KvstackError(f"`longest_body` is a number of bytes, {_SHORTEST_BODY} to {_LONGEST_BODY}")


def domain_of(text: str) -> str:
    """Return a domain as it is compared: in lower case, without the dot at its end."""
    return text.lower().removesuffix(".")
