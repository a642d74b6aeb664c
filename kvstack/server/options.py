"""What a server is told to be: by the options of `kvstack serve`, and by the operator's file; an option wins."""

from pathlib import Path
from typing import Any, Final

import msgspec

from kvstack.server.backup_storage import backup_container
from kvstack.server.certificate import given_files
from kvstack.server.configuration import DEFAULT_DOMAIN, ServerConfiguration, domain_of, require_valid
from kvstack.server.identity.metadata_endpoint import metadata_endpoint
from kvstack.server.trust import trust_files
from kvstack.vault.layout import Layout
from kvstack.vault.operator_file import operator_file

# What holds from a server's start to its end: where it listens, and what it is called.
_AT_START: Final = ("address", "port", "domain", "proxy_port", "imds", "workers")


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options, as they are written, None for one that is not said. As in `ServerConfiguration`; certificate, key:
    files, in the operator's file from the project's folder on; imds: each `IDENTITY=ADDRESS:PORT`; backups: each
    `URI=FOLDER`; throttle: whether Azure's limits hold."""

    address: str | None = None
    port: int | None = None
    domain: str | None = None
    proxy_port: int | None = None
    imds: tuple[str, ...] | None = None
    backups: tuple[str, ...] | None = None
    certificate: str | None = None
    key: str | None = None
    workers: int | None = None
    throttle: bool | None = None
    due_every: float | None = None
    longest_body: int | None = None
    seconds_to_send: float | None = None


def server_configuration(given: ServerOptions, paths: Layout) -> ServerConfiguration:
    """Return how a server is to run. given: on the command line. Raises KvstackError."""
    written = operator_file(paths.server, ServerOptions, '{"port": 8443, "workers": 2}')
    beside = paths.root.parent
    files = {name: str(beside / file) for name in ("certificate", "key") if (file := getattr(written, name))}
    said = _said(written) | files | _said(given)
    certificate, key = (Path(said.pop(name)) if name in said else None for name in ("certificate", "key"))
    throttled = said.pop("throttle", False)
    found = ServerConfiguration(
        **said
        | {"domain": domain_of(said.get("domain", DEFAULT_DOMAIN))}
        | {"imds": tuple(metadata_endpoint(one) for one in said.get("imds", ()))}
        | {"backups": tuple(backup_container(one) for one in said.get("backups", ()))},
        certificate=given_files(certificate, key),
        counters=trust_files(paths.root).folder / "throttle.counters" if throttled else None,
    )
    require_valid(found)
    return found


def changed(before: ServerConfiguration, now: ServerConfiguration) -> tuple[ServerConfiguration, tuple[str, ...]]:
    """Return how a running server goes on, and the options that need a start to hold. now: what it was told since."""
    kept = {name: getattr(before, name) for name in _AT_START}
    waiting = tuple(name for name, value in kept.items() if value != getattr(now, name))
    return msgspec.structs.replace(now, **kept), waiting


def _said(options: ServerOptions) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(options).items() if value is not None}
