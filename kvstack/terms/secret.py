"""A value that masks itself wherever it is shown."""

import hmac
from typing import Final, NoReturn


class SecretValue:
    """Bytes nobody may read by accident: `reveal()` is the one way in, and easy to search for.

    Formatting, logging and `repr` show `SecretValue(****)`; pickling and copying into JSON are refused.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes | str) -> None:
        self._value: Final = value.encode() if isinstance(value, str) else bytes(value)

    def reveal(self) -> bytes:
        """Return the bytes themselves."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return "SecretValue(****)"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        """Compare in constant time."""
        return isinstance(other, SecretValue) and hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]  # a hash of a secret is a fingerprint without a key

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SecretValue cannot be pickled or copied")
