"""What a server's first process tells its workers: one JSON object a line, over a socket that only they have.

The PIN goes this way: it is in no environment, on no command line and in no file. A worker whose socket ends knows that
the first process is gone.
"""

from pathlib import Path
from typing import Any

import msgspec

from kvstack.server.certificate import CertificateFiles
from kvstack.server.configuration import ServerConfiguration


class Start(msgspec.Struct, frozen=True, tag="start"):
    """What a worker is to be. folder: of the vault; pin: the variables that are to be in the environment beside those
    it has, by name; port: where the server listens; files: the certificate to begin with; not_ready: see `NotReady`."""

    folder: Path
    isolated: bool
    pin: dict[str, str]
    configuration: ServerConfiguration
    port: int
    files: CertificateFiles
    not_ready: str

    def __repr__(self) -> str:
        return f"Start({self.folder})"  # not the PIN


class Serve(msgspec.Struct, frozen=True, tag="serve"):
    """Answer with this certificate from now on."""

    files: CertificateFiles


class Reconfigure(msgspec.Struct, frozen=True, tag="reconfigure"):
    """Answer as this says from now on."""

    configuration: ServerConfiguration


class NotReady(msgspec.Struct, frozen=True, tag="not-ready"):
    """What keeps the server from answering, empty where nothing does."""

    reason: str


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Answer what was begun, and end."""


Told = Start | Serve | Reconfigure | NotReady | Stop


def line(told: Told) -> bytes:
    """Return it as it is sent."""
    return msgspec.json.encode(told, enc_hook=str) + b"\n"


def told_by(received: bytes) -> Told:
    """Return what a line says. Raises msgspec.MsgspecError."""
    return _decoder.decode(received)


def _path(kind: type[Any], text: Any) -> Any:
    return kind(text)


_decoder: msgspec.json.Decoder[Told] = msgspec.json.Decoder(
    Start | Serve | Reconfigure | NotReady | Stop, dec_hook=_path
)
