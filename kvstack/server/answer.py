"""What a request is answered with: a status, headers and a body; refusals in Azure's shape."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from kvstack.hsm.protocol import DecryptionFailed, DomainUnfit, HsmError
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.errors import VaultError
from kvstack.vault.faults import StorageFull, StoreFault

Header = tuple[bytes, bytes]
JSON: Final = (b"content-type", b"application/json; charset=utf-8")
RETRY_SECONDS: Final = b"5"
_SAY: Final = "Ask whoever runs the server; its log says more."


class Answer(msgspec.Struct, frozen=True):
    """One answer. headers: beside its length and those every answer has."""

    status: int
    body: bytes = b""
    headers: tuple[Header, ...] = (JSON,)

    def __repr__(self) -> str:
        return f"Answer({self.status}, ****)"


class _Inner(msgspec.Struct, frozen=True):
    code: str


class _Error(msgspec.Struct, frozen=True, omit_defaults=True):
    code: str
    message: str
    innererror: _Inner | None = None


class _Document(msgspec.Struct, frozen=True):
    error: _Error


_encode = msgspec.json.Encoder().encode


def answered(document: Any, status: int = 200) -> Answer:
    """Return an answer with a JSON document."""
    return Answer(status, _encode(document))


NOTHING: Final = Answer(204, b"", ())


def refused(
    status: int, code: str, message: str, *, inner: str | None = None, headers: Sequence[Header] = ()
) -> Answer:
    """Return a refusal in Azure's shape."""
    body = _encode(_Document(_Error(code, message, _Inner(inner) if inner else None)))
    return Answer(status, body, (JSON, *headers))


class Refusal(Exception):
    """A request that is refused before the vault is asked."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def bad_parameter(message: str) -> Refusal:
    """Return the refusal of something no vault would take."""
    return Refusal(refused(400, "BadParameter", message))


def not_found(what: str) -> Refusal:
    """Return the refusal of a path there is nothing at."""
    return Refusal(refused(404, "NotFound", what))


def _own_code(error: VaultError) -> str:
    return error.code


def refusal_of(error: KvstackError, code: Callable[[VaultError], str] = _own_code) -> Answer:
    """Return what a vault's refusal, or a fault of it, looks like to a client. A fault tells nothing of the machine.
    code: Azure's for a refusal, where it is not the one the vault gives."""
    match error:
        case VaultError():
            if error.code == "HsmUnavailable":
                return _unavailable("HsmUnavailable", _words(error))
            return refused(error.status, code(error), _words(error), inner=error.inner)
        case DecryptionFailed() | DomainUnfit():
            return refused(400, "BadParameter", error.diagnostics[0].summary)
        case StorageFull():
            return _unavailable("StorageFull", f"The vault has no room left to write to. {_SAY}")
        case StoreFault():
            return _unavailable("ServiceUnavailable", f"The vault's store does not answer. {_SAY}")
        case HsmError():
            return _unavailable("HsmUnavailable", f"The HSM does not answer. {_SAY}")
        case _:
            return refused(500, "InternalServerError", f"The vault could not do this. {_SAY}")


def _unavailable(inner: str, message: str) -> Answer:
    return refused(503, "ServiceUnavailable", message, inner=inner, headers=((b"retry-after", RETRY_SECONDS),))


def _words(error: KvstackError) -> str:
    """Return all problems in one line: each says what is wrong, and how to mend it."""
    return " ".join(
        _sentence(one.summary) + (f" {_sentence(one.detail)}" if one.detail else "") for one in error.diagnostics
    )


def _sentence(words: str) -> str:
    return words if words.endswith((".", "!", "?", ":")) else f"{words}."
