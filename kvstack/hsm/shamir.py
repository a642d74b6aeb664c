"""A secret in shares, of which a quorum gives it back and one fewer tells nothing (Shamir 1979), over GF(2**8).

Each byte of the secret is the value at 0 of a polynomial of its own, of degree quorum - 1; a share is the values of all
of them at its number. The field is that of AES (FIPS 197, 4.2).
"""

from collections.abc import Callable, Sequence

import msgspec

MOST = 255  # shares: 0 is where the secret itself is


class Share(msgspec.Struct, frozen=True):
    """One share. number: 1-255, no two alike; value: as long as the secret."""

    number: int
    value: bytes

    def __repr__(self) -> str:
        return f"Share({self.number}, ****)"


def shares(secret: bytearray, quorum: int, count: int, random: Callable[[int], bytes]) -> tuple[Share, ...]:
    """Split a secret. quorum: how many give it back, 2 to count; count: at most 255; random: draws the coefficients.
    Raises ValueError."""
    if not 2 <= quorum <= count <= MOST:
        raise ValueError(f"a secret is split into 2 to {MOST} shares, with a quorum of at least 2 and at most all")
    values = [bytearray(len(secret)) for _ in range(count)]
    for place, byte in enumerate(secret):
        coefficients = bytearray((byte, *random(quorum - 1)))
        for number in range(1, count + 1):
            values[number - 1][place] = _at(coefficients, number)
        coefficients[:] = bytes(quorum)
    return tuple(Share(number, bytes(value)) for number, value in enumerate(values, 1))


def secret(given: Sequence[Share]) -> bytearray:
    """Return the secret of a quorum of shares; of fewer, or of shares that do not belong together, something else: who
    asks has to be able to tell. The caller wipes it. Raises ValueError for shares that cannot be of one secret."""
    numbers = [share.number for share in given]
    if len(set(numbers)) != len(numbers) or not all(1 <= number <= MOST for number in numbers):
        raise ValueError("shares have numbers from 1 to 255, no two alike")
    if len({len(share.value) for share in given}) != 1:
        raise ValueError("shares of one secret are as long as each other")
    found = bytearray(len(given[0].value))
    for share in given:
        weight = 1
        for other in numbers:
            if other != share.number:
                # Lagrange's polynomial at 0; subtraction is exclusive or.
                weight = _times(weight, _times(other, _inverse(other ^ share.number)))
        for place, byte in enumerate(share.value):
            found[place] ^= _times(weight, byte)
    return found


def _at(coefficients: bytearray, number: int) -> int:
    """Return a polynomial's value at a number (Horner)."""
    value = 0
    for coefficient in reversed(coefficients):
        value = _times(value, number) ^ coefficient
    return value


def _times(one: int, other: int) -> int:
    """Multiply in the field, in as many steps whatever the numbers are."""
    product = 0
    for _ in range(8):
        product ^= -(other & 1) & one
        one = (one << 1) ^ (-(one >> 7) & 0x11B)
        other >>= 1
    return product


def _inverse(number: int) -> int:
    """Return what times the number is 1: its 254th power."""
    power = number
    for _ in range(6):
        power = _times(_times(power, power), number)
    return _times(power, power)
