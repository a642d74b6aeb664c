"""One call to a rotator: what it is given, and how what it answers is read."""

from typing import Any, Protocol

import msgspec

from kvstack.terms.limits import SECRET_BYTES
from kvstack.terms.rotator import Phase
from kvstack.terms.secret import SecretValue
from kvstack.vault.rotation_attempt import Answer

# A value in JSON may take several times its bytes.
MOST_BYTES = 8 * SECRET_BYTES


class RotatorCall(msgspec.Struct, frozen=True):
    """What is asked. id: the same for all calls of one attempt, the version that will be; current: the version that
    consumers have, with its value; pending: the value that is to follow it."""

    phase: Phase
    vault: str
    secret: str
    id: str
    current: tuple[str, SecretValue]
    pending: SecretValue
    generated: SecretValue

    @property
    def document(self) -> bytes:
        """The call as JSON: what a program reads, and a webhook is posted."""
        version, value = self.current
        return msgspec.json.encode(
            {
                "phase": self.phase,
                "vault": self.vault,
                "secret": self.secret,
                "id": self.id,
                "current": {"version": version, "value": _in_json(value)},
                "pending": {"version": self.id, "value": _in_json(self.pending)},
            }
        )

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """Every value there is in it, to be masked in whatever is told of it."""
        return tuple(value.reveal() for value in (self.current[1], self.pending, self.generated))


class RotatorPort(Protocol):
    """Who can be asked. A call may come again, after a kill also while the one before still runs: it has to be the same
    twice as once."""

    def ask(self, call: RotatorCall) -> Answer:
        """Ask, and wait for the answer. Raises nothing: what goes wrong is an answer, too."""
        ...


def answered(call: RotatorCall, content: bytes) -> Answer:
    """Return what a rotator that took a call answered: only in `create` it may say another value."""
    if call.phase != "create" or not content.strip():
        return Answer("taken")
    try:
        said = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Answer("failed", "answered what is no JSON document")
    if not isinstance(said, dict):
        return Answer("failed", "answered no JSON object")
    if "value" not in said:
        return Answer("taken")
    value = _value(said["value"])
    if value is None:
        return Answer("failed", 'answered a `value` that is neither a text nor {"base64": ...}')
    if not 0 < len(value) <= SECRET_BYTES:
        return Answer("failed", f"answered a value of {len(value)} bytes: a secret has 1-{SECRET_BYTES}")
    return Answer("taken", value=SecretValue(value))


def _in_json(value: SecretValue) -> str | dict[str, str]:
    try:
        return value.reveal().decode()
    except UnicodeDecodeError:
        from base64 import b64encode

        return {"base64": b64encode(value.reveal()).decode()}


def _value(said: Any) -> bytes | None:
    match said:
        case str():
            return said.encode("utf-8", errors="surrogatepass")
        case {"base64": str(text)}:
            from base64 import b64decode

            try:
                return b64decode(text, validate=True)
            except ValueError:
                return None
        case _:
            return None
