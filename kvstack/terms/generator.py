"""How a secret's value is generated, and generating one: every character equally likely."""

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from kvstack.terms import limits
from kvstack.terms.secret import SecretValue

Characters = Literal["alphanumeric", "printable", "hex", "digits"]
CHARACTERS: dict[Characters, str] = {
    "alphanumeric": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "printable": "".join(chr(code) for code in range(33, 127)),
    "hex": "0123456789abcdef",
    "digits": "0123456789",
}


class Generator(msgspec.Struct, frozen=True):
    """What a value is like. length: characters; characters: what it is drawn from. Nothing secret."""

    length: int = 32
    characters: Characters = "alphanumeric"


def problems(generator: Generator) -> Iterator[tuple[str, str]]:
    """Yield (attribute, what is wrong) for what no vault takes."""
    if not 1 <= generator.length <= limits.SECRET_BYTES:
        yield "length", f"a generated value has 1-{limits.SECRET_BYTES} characters, not {generator.length}"


def generated(generator: Generator, random: Callable[[int], bytes]) -> SecretValue:
    """Draw a value. random: draws random bytes."""
    alphabet = CHARACTERS[generator.characters].encode()
    # Bytes from the incomplete last round would favour the alphabet's first characters: they are drawn again.
    usable = 256 - 256 % len(alphabet)
    drawn = bytearray()
    while len(drawn) < generator.length:
        drawn += bytes(alphabet[byte % len(alphabet)] for byte in random(generator.length + 16) if byte < usable)
    return SecretValue(bytes(drawn[: generator.length]))
