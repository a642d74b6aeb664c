"""`kvstack key sign`, `verify`, `encrypt`, `decrypt`, `wrap`, `unwrap`: how bytes go in and come out."""

from typing import TYPE_CHECKING

import click

from kvstack.cli.content import (
    STANDARD_INPUT,
    digested,
    fed,
    give_out,
    keep,
    keep_private,
    require_free,
    taken,
)
from kvstack.cli.context import Context, OpenVault, pass_context
from kvstack.cli.group import Verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json, version
from kvstack.cli.output import answer, answer_json, say
from kvstack.cli.thing import Thing, recover_hint, thing
from kvstack.cli.words import base64url, from_base64, hexadecimal, text
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.secret import SecretValue

if TYPE_CHECKING:
    from kvstack.terms.algorithm import Algorithm, Purpose
    from kvstack.terms.key import KeySpecification
    from kvstack.vault.key_use import Encrypted

# A key is for short things: what is longer is encrypted under a key of its own, which is then wrapped.
_LONGEST = 1 << 20
_TAG_BYTES = 16

_its_name = click.argument("written", metavar="VAULT/NAME", type=text)
_algorithm = click.option("--algorithm", metavar="NAME", type=text, help="What fits the key, where none is given.")
_data = click.option("--file", metavar="FILE", default=STANDARD_INPUT, help="The data; standard input by default.")
_digest = click.option("--digest", metavar="HEX", type=text, help="A ready digest, in place of the data.")


def add_uses(group: Verbs) -> None:
    """Give `key` the verbs that use one."""
    for verb in (sign, verify):
        group.add_command(verb)
    for name, what in (("encrypt", "data"), ("wrap", "another key's bytes")):
        group.add_command(_closing(name, what))
    for name, what in (("decrypt", "data"), ("unwrap", "another key's bytes")):
        group.add_command(_opening(name, what))


def _the(what: str) -> str:
    """Return what stands after `the`: of `another key's bytes` they are the other key's."""
    return what.removeprefix("an")


@click.command()
@_its_name
@_algorithm
@_data
@_digest
@version
@click.option("--out", metavar="FILE", help="Write the signature's bytes into a new file.")
@as_json
@pass_context
def sign(
    context: Context,
    written: str,
    algorithm: str | None,
    file: str,
    digest: str | None,
    version: str | None,
    out: str | None,
    as_json: bool,
) -> int:
    """Sign data; its digest is made here.

    By default RS256 with an RSA key, with an EC key the algorithm of its curve (ES256, ES384, ES512, ES256K). The
    signature is printed as base64url; of EC it is r and s side by side.
    """
    wanted = thing(context, written, "keys")
    require_free(out)
    with opened(context) as vault, recover_hint("key", wanted.written):
        used, fixed = _chosen(vault, wanted, "sign", algorithm, version)
        made = vault.service.sign(
            vault.caller,
            wanted.vault,
            wanted.name,
            algorithm=used.name,
            digest=_digested(vault, wanted, fixed, used, file, digest),
            version=fixed,
        )
    _tell(wanted, made.version, made.algorithm)
    if out is not None:
        keep(out, made.value)
    if as_json:
        answer_json({**_which(wanted, made.version, made.algorithm), "signature": base64url(made.value)})
    elif out is None:
        answer(base64url(made.value))
    return 0


@click.command()
@_its_name
@_algorithm
@_data
@_digest
@click.option("--signature", metavar="BASE64URL", type=text, help="The signature, as `key sign` prints it.")
@click.option(
    "--signature-file", metavar="FILE", help="A file with the signature's bytes, as `key sign --out` writes it."
)
@version
@as_json
@pass_context
def verify(
    context: Context,
    written: str,
    algorithm: str | None,
    file: str,
    digest: str | None,
    signature: str | None,
    signature_file: str | None,
    version: str | None,
    as_json: bool,
) -> int:
    """Tell whether a signature over data is the key's: `valid` (exit code 0) or `invalid` (1).

    The algorithm is chosen as for `key sign`. A signature made by an older version needs --version.
    """
    wanted = thing(context, written, "keys")
    if (signature is None) == (signature_file is None):
        raise KvstackError("give the signature, by `--signature` or by `--signature-file`")
    signed = (
        from_base64(signature, "the signature")
        if signature is not None
        else taken(signature_file or "", at_most=_LONGEST, what="the signature")
    )
    with opened(context) as vault, recover_hint("key", wanted.written):
        used, fixed = _chosen(vault, wanted, "sign", algorithm, version)
        valid = vault.service.verify(
            vault.caller,
            wanted.vault,
            wanted.name,
            algorithm=used.name,
            digest=_digested(vault, wanted, fixed, used, file, digest),
            signature=signed,
            version=fixed,
        )
    if as_json:
        answer_json({"vault": wanted.vault, "name": wanted.name, "algorithm": used.name, "valid": valid})
    else:
        answer("valid" if valid else "invalid")
    return 0 if valid else 1


def _closing(name: str, what: str) -> click.Command:
    """Return `encrypt` or `wrap`."""

    @click.command(name)
    @_its_name
    @_algorithm
    @click.option(
        "--file", metavar="FILE", default=STANDARD_INPUT, help=f"The {_the(what)}; standard input by default."
    )
    @version
    @click.option("--out", metavar="FILE", help="Write the ciphertext's bytes into a new file.")
    @as_json
    @pass_context
    def close(
        context: Context,
        written: str,
        algorithm: str | None,
        file: str,
        version: str | None,
        out: str | None,
        as_json: bool,
    ) -> int:
        wanted = thing(context, written, "keys")
        require_free(out)
        plaintext = SecretValue(taken(file, at_most=_LONGEST, what=f"the {_the(what)}"))
        with opened(context) as vault, recover_hint("key", wanted.written):
            purpose: Purpose = "encrypt" if name == "encrypt" else "wrap"
            used, fixed = _chosen(vault, wanted, purpose, algorithm, version)
            if purpose == "encrypt":
                made = vault.service.encrypt(
                    vault.caller, wanted.vault, wanted.name, algorithm=used.name, plaintext=plaintext, version=fixed
                )
            else:
                made = vault.service.wrap_key(
                    vault.caller, wanted.vault, wanted.name, algorithm=used.name, key=plaintext, version=fixed
                )
        _tell(wanted, made.version, made.algorithm)
        if out is not None:
            keep(out, _joined(made))
        if as_json:
            parts = {"ciphertext": made.ciphertext, "iv": made.iv, "tag": made.tag}
            encoded = {part: base64url(data) for part, data in parts.items() if data}
            answer_json({**_which(wanted, made.version, made.algorithm), **encoded})
        elif out is None:
            answer(base64url(_joined(made)))
        return 0

    close.help = (
        f"{name.capitalize()} {what}.\n\nBy default with RSA-OAEP-256, or the {_MODES[name]} of an oct key's size. The "
        " ciphertext is printed as base64url, or written as bytes by --out; where the algorithm has an "
        "initialisation vector it stands before, an authentication tag after. The other way needs the same version."
    )
    return close


def _opening(name: str, what: str) -> click.Command:
    """Return `decrypt` or `unwrap`."""

    @click.command(name)
    @_its_name
    @_algorithm
    @click.option(
        "--file", metavar="FILE", help="A file with the ciphertext's bytes; else base64url in standard input."
    )
    @version
    @click.option("--out", metavar="FILE", help=f"Write the {_the(what)} into a new file only its owner can read.")
    @pass_context
    def open_(
        context: Context, written: str, algorithm: str | None, file: str | None, version: str | None, out: str | None
    ) -> int:
        wanted = thing(context, written, "keys")
        require_free(out)
        content = taken(file or STANDARD_INPUT, at_most=2 * _LONGEST, what="the ciphertext")
        blob = content if file is not None else from_base64(content, "the ciphertext")
        with opened(context) as vault, recover_hint("key", wanted.written):
            purpose: Purpose = "encrypt" if name == "decrypt" else "wrap"
            used, fixed = _chosen(vault, wanted, purpose, algorithm, version)
            if purpose == "encrypt":
                iv, ciphertext, tag = _parts(used, blob)
                made = vault.service.decrypt(
                    vault.caller,
                    wanted.vault,
                    wanted.name,
                    algorithm=used.name,
                    ciphertext=ciphertext,
                    iv=iv,
                    tag=tag,
                    version=fixed,
                )
            else:
                made = vault.service.unwrap_key(
                    vault.caller, wanted.vault, wanted.name, algorithm=used.name, wrapped=blob, version=fixed
                )
        if out is not None:
            keep_private(out, made.value)
        else:
            give_out(made.value.reveal())
        return 0

    open_.help = (
        f"{name.capitalize()} {what}.\n\nStandard input is the base64url that `key {_OTHER_WAY[name]}` prints, --file "
        f"the bytes it writes by --out. Prints the {_the(what)} as bytes. The algorithm is chosen as there."
    )
    return open_


_MODES = {"encrypt": "GCM mode", "wrap": "key wrap (A256KW)"}
_OTHER_WAY = {"decrypt": "encrypt", "unwrap": "wrap"}


def _chosen(
    vault: OpenVault, wanted: Thing, purpose: "Purpose", name: str | None, version: str | None
) -> "tuple[Algorithm, str | None]":
    """Return the algorithm to use, and the version it was chosen for. Raises KvstackError."""
    from kvstack.terms.algorithm import algorithm

    fixed = version
    if name is None:
        from kvstack.vault.errors import Forbidden

        try:
            key = vault.service.get_key(vault.caller, wanted.vault, wanted.name, version=version)
        except Forbidden as error:
            hint = "An algorithm is chosen by the key's type, which may not be read: name one with `--algorithm`."
            raise error.with_detail(hint) from None
        # The same version is used as was looked at, though the key be rotated in between.
        name, fixed = _fitting(key.specification, purpose), key.version
    try:
        return algorithm(name, purpose), fixed
    except ValueError as error:
        raise KvstackError(str(error)) from None


_BY_CURVE = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "P-256K": "ES256K"}


def _fitting(specification: "KeySpecification", purpose: "Purpose") -> str:
    """Return what a key is used with where nothing else is said. RS256 is what every other program verifies unasked."""
    match specification.family, purpose:
        case "RSA", "sign":
            return "RS256"
        case "EC", "sign":
            return _BY_CURVE[specification.curve or "P-256"]
        case "RSA", _:
            return "RSA-OAEP-256"
        case "oct", "sign":
            return "HS256"
        case "ML-DSA", "sign":
            return specification.type
        case "oct", "encrypt":
            return f"A{specification.size}GCM"
        case "oct", "wrap":
            return f"A{specification.size}KW"
        case _:
            raise KvstackError(f"an {specification.type} key cannot {purpose}")


def _digested(
    vault: OpenVault, wanted: Thing, version: str | None, used: "Algorithm", file: str, digest: str | None
) -> bytes:
    if digest is not None:
        if file != STANDARD_INPUT:
            raise KvstackError("give the data by `--file`, or its digest by `--digest`, not both")
        return hexadecimal(digest, "the digest")
    if used.digest == "mu":
        from kvstack.hsm.public_half import mu_hasher

        key = vault.service.get_key(vault.caller, wanted.vault, wanted.name, version=version)
        problem = used.unfit(key.specification)
        if problem:
            raise KvstackError(problem)
        return fed(mu_hasher(key.public, used.name), file)
    return digested(file, (used.digest or "").replace("-", "").lower())


def _joined(made: "Encrypted") -> bytes:
    """Return a ciphertext as one piece."""
    return made.iv + made.ciphertext + made.tag


def _parts(used: "Algorithm", blob: bytes) -> tuple[bytes, bytes, bytes]:
    """Return initialisation vector, ciphertext and tag of one piece."""
    match used.name[4:] if used.family == "oct" else "":
        case "GCM":
            iv_bytes, tag_bytes = 12, _TAG_BYTES
        case "CBCPAD" | "CBC":
            iv_bytes, tag_bytes = 16, 0
        case _:
            return b"", blob, b""
    if len(blob) < iv_bytes + tag_bytes:
        raise KvstackError(f"the ciphertext has {len(blob)} bytes: {used.name} needs at least {iv_bytes + tag_bytes}")
    end = len(blob) - tag_bytes
    return blob[:iv_bytes], blob[iv_bytes:end], blob[end:]


def _which(wanted: Thing, version: str, algorithm: str) -> dict[str, str]:
    return {"vault": wanted.vault, "name": wanted.name, "version": version, "algorithm": algorithm}


def _tell(wanted: Thing, version: str, algorithm: str) -> None:
    say(f"with {wanted.written}, version {version}, {algorithm}")
