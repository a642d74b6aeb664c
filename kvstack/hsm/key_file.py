"""A key file of any kind as a plain key: a JSON Web Key, or PEM."""

from kvstack.hsm.plain_key import PlainKey, of_private
from kvstack.hsm.protocol import InputUnfit
from kvstack.terms.secret import SecretValue

LONGEST = 1 << 16  # an RSA-4096 key takes 3.3 kB as PEM, 4 kB as JWK


def plain_key(content: bytes, password: SecretValue | None = None) -> PlainKey:
    """Return the one private or symmetric key in a file. password: of an encrypted PEM. Raises InputUnfit, which holds
    nothing of the file."""
    if len(content) > LONGEST:
        raise InputUnfit(f"the key file has more than {LONGEST} bytes")
    if content.lstrip()[:1] == b"{":
        from kvstack.hsm.jwk import plain_key_of_jwk

        if password is not None:
            raise InputUnfit("a JSON Web Key has no password")
        return plain_key_of_jwk(content)
    if b"-----BEGIN" in content:
        return _of_pem(content, password)
    raise InputUnfit("the file holds no key: a JSON Web Key begins with `{`, PEM with `-----BEGIN`")


def _of_pem(content: bytes, password: SecretValue | None) -> PlainKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    keys = content.count(b"PRIVATE KEY-----") // 2
    if keys > 1:
        raise InputUnfit(f"the PEM file holds {keys} private keys: give it one")
    if not keys:
        raise InputUnfit("the PEM file holds no private key")
    encrypted = b"ENCRYPTED" in content
    if encrypted and password is None:
        raise InputUnfit("the PEM file is encrypted: give its password")
    if password is not None and not encrypted:
        raise InputUnfit("the PEM file is not encrypted, and a password is given")
    try:
        private = load_pem_private_key(content, password.reveal() if password is not None else None)
    except UnsupportedAlgorithm:
        raise InputUnfit("the PEM file holds a key of a kind, a curve or an encryption that is not taken") from None
    except (ValueError, TypeError):
        # What the library says could hold parts of the file.
        wrong = ", or the password is wrong" if encrypted else ""
        raise InputUnfit(f"the PEM file holds no private key that can be read{wrong}") from None
    return of_private(private)
