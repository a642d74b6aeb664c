"""How the two processes speak: one request, one answer, over a socket both inherited; MessagePack, length first.

A request is the name of a method of `Cryptoki` and its arguments; an answer is what it returned, or what the module
refused. A mechanism travels as how it is made, a template as it is.
"""

import socket
import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from kvstack.hsm import cryptoki
from kvstack.hsm.cryptoki import Mechanism, Template

LENGTH: Final = struct.Struct(">I")
LONGEST: Final = 1 << 28

RETURNED, REFUSED, FAILED = 0, 1, 2  # how an answer begins


class Request(msgspec.Struct, frozen=True, array_like=True):
    """One call. method: of `Cryptoki`; arguments: in their order."""

    method: str
    arguments: tuple[Any, ...]


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What came of it. outcome: RETURNED with the value, REFUSED with function and code, FAILED with words."""

    outcome: int
    value: Any = None


class Lost(Exception):
    """The other process is gone."""


_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(Request)
_answers = msgspec.msgpack.Decoder(Answer)


def send(connection: socket.socket, message: Request | Answer) -> None:
    """Send a message, and wipe the buffer it was written into: it may hold a key on its way in. Raises Lost."""
    buffer = bytearray(LENGTH.size)
    _encoder.encode_into(message, buffer, LENGTH.size)
    LENGTH.pack_into(buffer, 0, len(buffer) - LENGTH.size)
    try:
        connection.sendall(buffer)
    except OSError:
        raise Lost from None
    finally:
        buffer[:] = bytes(len(buffer))


def received_request(connection: socket.socket) -> Request:
    """Return the next request. Raises Lost."""
    return _requests.decode(_received(connection))


def received_answer(connection: socket.socket) -> Answer:
    """Return the answer. Raises Lost."""
    return _answers.decode(_received(connection))


def received_bytes(connection: socket.socket, buffer: bytearray) -> bool:
    """Put the bytes of an answer into a buffer of their length, and wipe what they came in. Returns whether it was such
    an answer. Raises Lost."""
    body = _received(connection)
    try:
        # An array of two, RETURNED, and the bytes, which end it.
        if body[:2] != b"\x92\x00" or len(body) <= len(buffer):
            return False
        buffer[:] = memoryview(body)[-len(buffer) :]
        return True
    finally:
        body[:] = bytes(len(body))


def _received(connection: socket.socket) -> bytearray:
    head = bytearray(LENGTH.size)
    _fill(connection, memoryview(head))
    (length,) = LENGTH.unpack(head)
    if length > LONGEST:
        raise Lost
    body = bytearray(length)
    _fill(connection, memoryview(body))
    return body


def _fill(connection: socket.socket, view: memoryview) -> None:
    while view:
        try:
            count = connection.recv_into(view)
        except OSError:
            raise Lost from None
        if not count:
            raise Lost
        view = view[count:]


def packed_mechanism(mechanism: Mechanism) -> list[Any]:
    """Return how a mechanism is made."""
    return list(mechanism.recipe)


def unpacked_mechanism(recipe: Iterable[Any]) -> Mechanism:
    """Return a mechanism made so."""
    maker, *arguments = recipe
    match maker:
        case "plain":
            return cryptoki.mechanism(*arguments)
        case "pss":
            return cryptoki.pss(*arguments)
        case "oaep":
            return cryptoki.oaep(*arguments)
        case "gcm":
            return cryptoki.gcm(*arguments)
    raise ValueError(f"there is no mechanism made by {maker}")


def unpacked_template(template: Mapping[int, Any]) -> Template:
    """Return a template as it was before it travelled: a list is a tuple of mechanisms again."""
    return {
        attribute: tuple(value)
        if isinstance(value, list)
        else unpacked_template(value)
        if isinstance(value, dict)
        else value
        for attribute, value in template.items()
    }
