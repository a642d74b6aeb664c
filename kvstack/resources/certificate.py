"""A certificate in a vault, with the key and the secret that come with it."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Self

import msgspec

from kvstack.resources import tags
from kvstack.resources.issuer import Issuer, certificate_authority_is_ahead, issuer_identity
from kvstack.resources.vault import Vault
from kvstack.schema.attribute import doc
from kvstack.schema.change_rule import NEW_VERSION
from kvstack.schema.obstacle import Obstacle
from kvstack.schema.resource import Problem, Resource
from kvstack.terms import certificate, key, name, name_constraint
from kvstack.terms.certificate import CertificatePolicy, ContentType, KeyUsage
from kvstack.terms.duration import DurationText, duration
from kvstack.terms.key import Curve

_OWN_ATTRIBUTES = ("key", "authority", "renew", "notify", "keep_previous")


class CertificateKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The key a certificate is for."""

    type: Annotated[
        Literal["RSA", "RSA-HSM", "EC", "EC-HSM"],
        doc("Key type; `-HSM` keys are generated in the HSM and never leave it.", "EC-HSM"),
    ] = "RSA"
    size: Annotated[Literal[2048, 3072, 4096] | None, doc("Bits of an RSA modulus; 2048 by default.", 3072)] = None
    curve: Annotated[Curve | None, doc("The curve of an EC key; P-256 by default.", "P-384")] = None
    reuse: Annotated[bool, doc("Renewals keep the key instead of making another.")] = False
    exportable: Annotated[
        bool | None,
        doc("Whether the secret holds the private key; by default it does, unless the key lives in the HSM.", False),
    ] = None


class LifetimeTrigger(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When something happens in a certificate's life; one of the two."""

    days_before_expiry: Annotated[int | None, doc("This many days before it expires.", 30)] = None
    lifetime_percentage: Annotated[int | None, doc("After this much of its life.", 80)] = None


class Authority(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a certificate authority may issue. Ahead of Azure, which has no such thing in a vault."""

    path_length: Annotated[int | None, doc("How many authorities may stand below it; any number by default.", 0)] = None
    permitted: Annotated[
        frozenset[str],
        doc(
            "The only names it issues for: a DNS name with all below it, an address range, `@domain` for e-mail.",
            ["example.com"],
        ),
    ] = frozenset()
    excluded: Annotated[frozenset[str], doc("Names it never issues for.", ["secret.example.com"])] = frozenset()
    crl_url: Annotated[
        str, doc("Where its revocation list can be had; written into what it issues.", "http://pki.example.com/ca.crl")
    ] = ""


class Certificate(Resource, frozen=True, kw_only=True, kind="certificate", collection="certificates", parent=Vault):
    """A certificate, with a key and a secret of the same name. Versions accumulate; the newest one is current."""

    versions_by_vault = True
    looks_at_in_a_vault = frozenset({"sku"})

    issuer: Annotated[
        str,
        doc(
            "`Self`; `Unknown` for a request that somebody else signs; a certificate authority in a vault as "
            "`VAULT/certificates/NAME`; or the name of an issuer of the vault.",
            "Self",
        ),
        NEW_VERSION,
    ] = certificate.SELF
    subject: Annotated[str, doc("Whom it is for.", "CN=pay.example.com, O=Example"), NEW_VERSION] = ""
    dns_names: Annotated[frozenset[str], doc("Hosts it is for.", ["pay.example.com"]), NEW_VERSION] = frozenset()
    emails: Annotated[frozenset[str], doc("E-mail addresses it is for.", ["pay@example.com"]), NEW_VERSION] = (
        frozenset()
    )
    ip_addresses: Annotated[frozenset[str], doc("IP addresses it is for.", ["192.0.2.7"]), NEW_VERSION] = frozenset()
    upns: Annotated[
        frozenset[str], doc("User principal names it is for, as Windows logs on with.", ["a@example.com"]), NEW_VERSION
    ] = frozenset()
    key: Annotated[CertificateKey, doc("The key it is for.", {"type": "EC", "curve": "P-256"}), NEW_VERSION] = (
        CertificateKey()
    )
    content_type: Annotated[ContentType, doc("What its secret is: a PFX or PEM."), NEW_VERSION] = certificate.PKCS12
    key_usage: Annotated[
        frozenset[KeyUsage] | None,
        doc("What the key may do; by default what fits it.", ["digitalSignature"]),
        NEW_VERSION,
    ] = None
    extended_key_usage: Annotated[
        frozenset[str] | None,
        doc("What the certificate is for: names as `serverAuth`, or object identifiers.", ["serverAuth"]),
        NEW_VERSION,
    ] = None
    validity_months: Annotated[int, doc("How long a version holds.", 12), NEW_VERSION] = 12
    authority: Annotated[
        Authority | None,
        doc("For a certificate that issues others: what it may issue.", {"path_length": 0}),
        NEW_VERSION,
    ] = None
    renew: Annotated[LifetimeTrigger | None, doc("When a new version is made.", {"days_before_expiry": 30})] = None
    notify: Annotated[
        LifetimeTrigger | None, doc("When the vault's contacts are told.", {"days_before_expiry": 45})
    ] = None
    keep_previous: Annotated[
        DurationText | None,
        doc(
            "How long a version, its key and its secret stay enabled once the next one is there; then they are "
            "disabled, never deleted. For ever where it is not said.",
            "P30D",
        ),
    ] = None
    enabled: Annotated[bool, doc("Whether the current version, its key and its secret may be used.")] = True
    tags: Annotated[dict[str, str], doc("Up to 13 tags; a plan shows them in clear.", {"team": "payments"})] = {}  # noqa: RUF012  # msgspec copies it

    @property
    def policy(self) -> CertificatePolicy:
        """The policy as a vault keeps it."""
        shared: dict[str, Any] = {
            field: getattr(self, field) for field in CertificatePolicy.__struct_fields__ if field not in _OWN_ATTRIBUTES
        }
        return CertificatePolicy(
            **shared,
            key=msgspec.convert(msgspec.structs.asdict(self.key), certificate.CertificateKey),
            authority=_as(self.authority, certificate.CertificateAuthority),
            renew=_as(self.renew, certificate.Trigger),
            notify=_as(self.notify, certificate.Trigger),
            keep_previous=None if self.keep_previous is None else duration(self.keep_previous),
        )

    def resolved(self) -> Self:
        """Return the certificate with names, key and usages in one spelling, as they will be."""
        return msgspec.structs.replace(self, **of_policy(certificate.resolved(self.policy)))

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about this certificate."""
        if wrong := name.item_name_problem(self.name):
            yield Problem(("name",), wrong)
        try:
            policy = self.policy
        except ValueError as error:
            yield Problem(("keep_previous",), str(error))
            return
        for path, summary in certificate.problems(policy):
            yield Problem(path, summary)
        if self.authority is not None or certificate.authority_path(self.issuer):
            yield certificate_authority_is_ahead("authority" if self.authority is not None else "issuer")
        yield from tags.problems(self.tags)

    def problems_within(self, container: Resource) -> Iterator[Problem]:
        """Yield what this vault would refuse about this certificate."""
        if key.in_hsm(self.key.type) and isinstance(container, Vault) and container.sku != "premium":
            yield Problem(
                ("key", "type"),
                f"an {self.key.type} key needs a premium vault, this one is {container.sku}",
                f"Write `sku: premium` in the vault, or `type: {key.family(self.key.type)}` for a software key.",
            )

    def needs(self, vault: str) -> tuple[str, ...]:
        """Return the authority or the vault's issuer that issues it, where one does."""
        if self.issuer in (certificate.SELF, certificate.UNKNOWN):
            return ()
        path = certificate.authority_path(self.issuer)
        if path is None:
            return (issuer_identity(vault, self.issuer),)
        return (f"vaults/{path[0].lower()}/certificates/{path[1].lower()}",)

    def obstacle_with(self, needed: Resource) -> Obstacle | None:
        """Return that who would issue it issues nothing."""
        match needed:
            case Issuer(enabled=False):
                return Obstacle(f"the issuer `{needed.name}` is disabled", "Enable it, or name another issuer.")
            case Certificate(authority=None):
                return Obstacle(f"`{needed.name}` is no certificate authority", "Name another issuer.")
            case Certificate(enabled=False):
                return Obstacle(f"the certificate authority `{needed.name}` is disabled", "Enable it, or name another.")
            case _:
                return None

    def problems_with(self, needed: Resource) -> Iterator[Problem]:
        """Yield what its authority or its vault's issuer, as declared, would not issue."""
        match needed:
            case Issuer():
                yield from self._problems_with_issuer(needed)
            case Certificate():
                yield from self._problems_with_authority(needed)

    def _problems_with_issuer(self, needed: Issuer) -> Iterator[Problem]:
        if not needed.enabled:
            yield Problem(
                ("issuer",),
                f"the issuer `{needed.name}` is disabled: it issues nothing new, and renews nothing",
                severity="warning",
            )
        elif not needed.authority:
            yield Problem(
                ("issuer",),
                f"`{needed.name}` is `{needed.provider}`, which no embedded vault can ask",
                "There, write `issuer: Unknown`, have them sign the request, and merge what they send.",
                severity="warning",
            )

    def _problems_with_authority(self, needed: "Certificate") -> Iterator[Problem]:
        if needed.authority is None:
            yield Problem(("issuer",), f"`{needed.name}` is no certificate authority", "Write `authority: {}` in it.")
            return
        if not needed.enabled:
            yield Problem(("issuer",), f"the certificate authority `{needed.name}` is disabled")
        if self.validity_months >= needed.validity_months:
            yield Problem(
                ("validity_months",) if self.validity_months != 12 else ("issuer",),
                f"its authority holds {needed.validity_months} months: what it issues has to end before it does",
                f"Write fewer than {self.validity_months} `validity_months`, or more in the authority.",
            )
        if self.authority is not None and needed.authority.path_length == 0:
            yield Problem(("authority",), f"no authority may stand below `{needed.name}`: its `path_length` is 0")
        rules = needed.policy.authority
        if rules is not None and not list(certificate.problems(self.policy)):
            for attribute, summary in name_constraint.problems(self.policy, rules):
                yield Problem((attribute,), summary)

    def refers_to(self) -> str | None:
        """Return the authority that issues it, as it is written, or its vault's issuer as `issuers/NAME`."""
        if self.issuer in (certificate.SELF, certificate.UNKNOWN):
            return None
        return self.issuer if certificate.authority_path(self.issuer) is not None else f"issuers/{self.issuer}"

    def referring(self, to: Callable[[str], str]) -> Self:
        """Return the certificate with its authority or issuer by real names."""
        if certificate.authority_path(self.issuer) is None:
            return msgspec.structs.replace(self, issuer=to(f"issuers/{self.issuer}").removeprefix("issuers/"))
        return msgspec.structs.replace(self, issuer=to(self.issuer).lower())

    def also_takes(self, vault: str) -> tuple[str, ...]:
        """Return its key's and its secret's identities: no others may have them."""
        beginning = f"vaults/{vault.lower()}"
        return f"{beginning}/keys/{self.name.lower()}", f"{beginning}/secrets/{self.name.lower()}"

    def identity(self, vault: str) -> str:
        """Return the certificate's place among all certificates."""
        return f"vaults/{vault.lower()}/certificates/{self.name.lower()}"


def of_policy(policy: CertificatePolicy) -> dict[str, Any]:
    """Return a vault's policy as a certificate's attributes."""
    shared: dict[str, Any] = {
        field: getattr(policy, field) for field in CertificatePolicy.__struct_fields__ if field not in _OWN_ATTRIBUTES
    }
    return {
        **shared,
        "key": msgspec.convert(msgspec.structs.asdict(policy.key), CertificateKey),
        "authority": _as(policy.authority, Authority),
        "renew": _as(policy.renew, LifetimeTrigger),
        "notify": _as(policy.notify, LifetimeTrigger),
        "keep_previous": None if policy.keep_previous is None else str(policy.keep_previous),
    }


def _as(part: msgspec.Struct | None, kind: Any) -> Any:
    return None if part is None else kind(**msgspec.structs.asdict(part))
