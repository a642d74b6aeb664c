"""How a certificate is to be made, as options or as a file in the shape of a stack's declaration."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kvstack.cli.words import text
from kvstack.terms.certificate import CONTENT_TYPES, KEY_USAGES, SELF, CertificatePolicy
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.key import CURVES

F = TypeVar("F", bound=Callable[..., Any])
_MOST_BYTES = 64 * 1024


def policy_options(function: F) -> F:
    """Add the options of a policy."""
    for option in reversed(
        (
            click.option("--policy", metavar="FILE", help="The policy in YAML or JSON; the other options change it."),
            click.option(
                "--issuer",
                metavar="ISSUER",
                type=text,
                help=f"`{SELF}` (default), `Unknown`, an authority as VAULT/certificates/NAME, an issuer of the vault.",
            ),
            click.option("--subject", metavar="NAME", type=text, help="Whom it is for: CN=www.example.com, O=Example."),
            _many("--dns-name", "dns_names", "A host it is for"),
            _many("--email", "emails", "An e-mail address it is for"),
            _many("--ip-address", "ip_addresses", "An IP address it is for"),
            _many("--upn", "upns", "A user principal name it is for"),
            click.option(
                "--type", "key_type", type=click.Choice(("RSA", "RSA-HSM", "EC", "EC-HSM")), help="Of its key."
            ),
            click.option("--size", type=int, help="Of an RSA key, bits: 2048 (default), 3072, 4096."),
            click.option("--curve", type=click.Choice(CURVES), help="Of an EC key; P-256 by default."),
            click.option("--reuse-key/--new-key", "reuse", default=None, help="Whether renewals keep the key."),
            click.option(
                "--exportable/--not-exportable", default=None, help="Whether its secret holds the private key."
            ),
            click.option("--content-type", type=click.Choice(CONTENT_TYPES), help="What its secret is: PFX or PEM."),
            click.option("--validity-months", type=int, metavar="MONTHS", help="How long a version holds; 12."),
            click.option("--key-usage", type=click.Choice(KEY_USAGES), multiple=True, help="What its key may do."),
            _many("--extended-key-usage", "extended_key_usage", "What it is for: serverAuth, or an identifier"),
            click.option("--renew-days-before", type=int, metavar="DAYS", help="Renew it so long before it expires."),
            click.option("--notify-days-before", type=int, metavar="DAYS", help="Tell the contacts so long before."),
            click.option(
                "--keep-previous", metavar="DURATION", type=text, help="Disable a version so long after the next: P30D."
            ),
            click.option("--authority", is_flag=True, help="Make it a certificate authority."),
            click.option("--path-length", type=int, metavar="N", help="How many authorities may stand below it."),
            _many("--permitted", "permitted", "An authority: a name it may issue for, with all below"),
            _many("--excluded", "excluded", "An authority: a name it may never issue for"),
            click.option("--crl-url", metavar="URL", type=text, help="An authority: where its revocation list is."),
        )
    ):
        function = option(function)
    return function


def written_policy(  # an option a case
    *,
    policy: str | None,
    key_type: str | None,
    size: int | None,
    curve: str | None,
    reuse: bool | None,
    exportable: bool | None,
    renew_days_before: int | None,
    notify_days_before: int | None,
    authority: bool,
    path_length: int | None,
    permitted: tuple[str, ...],
    excluded: tuple[str, ...],
    crl_url: str | None,
    **plain: Any,
) -> CertificatePolicy:
    """Return the policy that is meant. Raises KvstackError."""
    document = _file(policy) if policy is not None else {}
    document |= {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items() if value}
    key = {"type": key_type, "size": size, "curve": curve, "reuse": reuse, "exportable": exportable}
    given = {name: value for name, value in key.items() if value is not None}
    if given:
        document["key"] = {**_part(document, "key"), **given}
    rules = {"path_length": path_length, "permitted": permitted, "excluded": excluded, "crl_url": crl_url}
    stated = {name: list(v) if isinstance(v, tuple) else v for name, v in rules.items() if v not in (None, ())}
    if stated and not authority and not document.get("authority"):
        raise KvstackError("only an authority has rules on what it issues", "Write `--authority`, too.")
    if authority or stated:
        document["authority"] = {**_part(document, "authority"), **stated}
    if renew_days_before is not None:
        document["renew"] = {"days_before_expiry": renew_days_before}
    if notify_days_before is not None:
        document["notify"] = {"days_before_expiry": notify_days_before}
    return _converted(document)


def _converted(document: dict[str, Any]) -> CertificatePolicy:
    import msgspec

    from kvstack.resources.certificate import Certificate

    try:
        return msgspec.convert(document, Certificate).policy
    except (msgspec.ValidationError, ValueError) as error:
        raise KvstackError(
            f"the policy is not one: {error}", "`kvstack certificate policy VAULT/NAME` shows the shape of one."
        ) from None


def _file(path: str) -> dict[str, Any]:
    from kvstack.cli.content import taken
    from kvstack.declare.yaml import data

    found = data(taken(path, at_most=_MOST_BYTES, what="the policy"), Path(path).name)
    if not isinstance(found, dict):
        raise KvstackError(f"{path} holds no policy", "A policy is a mapping: `subject: CN=www.example.com`.")
    return dict(found)


def _part(document: dict[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name)
    return dict(found) if isinstance(found, dict) else {}


def _many(flag: str, name: str, words: str) -> Callable[[F], F]:
    return click.option(flag, name, metavar="NAME", type=text, multiple=True, help=f"{words}; may stand several times.")
