"""How a secret number looks wherever it is written: in both orders, in hexadecimal, in Base64, in part too."""

import base64

_WINDOW = 24


def traces(secret: bytes) -> tuple[bytes, ...]:
    """Return what to search for: 24 bytes, or as many as there are, out of the middle, so that a copy in part is found.

    secret: big-endian.
    """
    start = max(len(secret) // 2 - _WINDOW // 2, 0)
    middle = secret[start : start + _WINDOW]
    orders = (middle, middle[::-1])
    written = [form for one in orders for form in (one.hex().encode(), one.hex().upper().encode())]
    # Three bytes are four characters: whatever stands before, one of three cuts falls on such a boundary.
    for one in orders:
        for skipped in range(3):
            cut = one[skipped:]
            cut = cut[: len(cut) // 3 * 3]
            written += [base64.b64encode(cut), base64.urlsafe_b64encode(cut)]
    return (*orders, *dict.fromkeys(written))


def number(value: int) -> bytes:
    """Return a number as its bytes, big-endian."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
