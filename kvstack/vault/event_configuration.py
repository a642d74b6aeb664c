"""What the operator allows events and rotators to reach: a file of `.kvstack`, that no stack can change."""

from typing import Annotated, Literal

import msgspec

from kvstack.vault.layout import Layout
from kvstack.vault.operator_file import names_host, operator_file


class MailServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The server mail goes to. sender: who it is from; security: how it is spoken to; password_env, password_file:
    where the user's password is: it never stands in this file."""

    host: str
    sender: str
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password_env: str = ""
    password_file: str = ""

    def __post_init__(self) -> None:
        """Refuse what would send a password in clear, or has none."""
        if self.user and self.security == "none":
            raise ValueError("a password is not sent without TLS")
        if self.user and bool(self.password_env) == bool(self.password_file):
            raise ValueError("a user has a password, by `password_env` or by `password_file`")


class EventConfiguration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """allow: hosts (`hooks.internal`, `127.0.0.1`, with `:PORT` for one port only) that may be in this machine or a
    private network; http: those of them that may be spoken to without TLS; ca_file: more authorities to trust, PEM;
    origin: what a subscriber is asked to allow, as CloudEvents' handshake has it; smtp: the server mail goes to;
    rotator_seconds: how long a rotator may take for one call."""

    allow: tuple[str, ...] = ()
    http: tuple[str, ...] = ()
    ca_file: str = ""
    origin: str = "kvstack.local"
    smtp: MailServer | None = None
    rotator_seconds: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 60.0

    def allows(self, host: str, port: int) -> bool:
        """Tell whether a host may be one that is not on the public internet."""
        return names_host(self.allow, host, port)

    def allows_http(self, host: str, port: int) -> bool:
        """Tell whether a host may be spoken to without TLS."""
        return names_host(self.http, host, port) and self.allows(host, port)


def event_configuration(paths: Layout) -> EventConfiguration:
    """Return what the operator's file says; nothing is allowed where there is none. Raises KvstackError."""
    return operator_file(paths.events, EventConfiguration, '{"allow": ["hooks.internal:8443"]}')
