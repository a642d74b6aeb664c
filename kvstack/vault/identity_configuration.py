"""What the operator says of those whose tokens are taken: a file of `.kvstack`, that no stack can change."""

import msgspec

from kvstack.terms.principal import is_guid
from kvstack.vault.federated_credentials import issuer_problem
from kvstack.vault.layout import Layout
from kvstack.vault.operator_file import names_host, operator_file


class ExternalProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An OpenID provider whose own access tokens open vaults here. issuer, audience: as `iss` and `aud` have them;
    claim: what tells its principals apart; principals: object ids here by that claim's values; tenant: as `tid` has it,
    empty where its tokens need none; mfa: the value of `amr` that stands for more than one factor."""

    issuer: str
    audience: str
    principals: dict[str, str]
    claim: str = "sub"
    tenant: str = ""
    mfa: str = "mfa"

    def __post_init__(self) -> None:
        """Refuse what would let in somebody nobody meant."""
        if wrong := issuer_problem(self.issuer):
            raise ValueError(f"`issuer` {self.issuer!r}: {wrong}")
        if not self.audience or not self.claim:
            raise ValueError("`audience` and `claim` are not empty: any other service's tokens would be taken")
        for value, principal in self.principals.items():
            if not value or not is_guid(principal):
                raise ValueError("`principals` has an object id, a GUID, for each value that is not empty")


class IdentityConfiguration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """allow: hosts of issuers (`ci.internal`, `127.0.0.1`, with `:PORT` for one port only) that may be in this machine
    or a private network; http: those of them that may be spoken to without TLS; ca_file: more authorities to trust,
    PEM; providers: whose own tokens are taken."""

    allow: tuple[str, ...] = ()
    http: tuple[str, ...] = ()
    ca_file: str = ""
    providers: tuple[ExternalProvider, ...] = ()

    def __post_init__(self) -> None:
        """Refuse two meanings of one issuer."""
        issuers = [one.issuer for one in self.providers]
        if len(set(issuers)) != len(issuers):
            raise ValueError("`providers` has an issuer twice")

    def allows(self, host: str, port: int) -> bool:
        """Tell whether a host may be one that is not on the public internet."""
        return names_host(self.allow, host, port)

    def allows_http(self, host: str, port: int) -> bool:
        """Tell whether a host may be spoken to without TLS."""
        return names_host(self.http, host, port) and self.allows(host, port)


def identity_configuration(paths: Layout) -> IdentityConfiguration:
    """Return what the operator's file says; nobody's tokens are taken where there is none. Raises KvstackError."""
    return operator_file(paths.identity, IdentityConfiguration, '{"allow": ["ci.internal:8443"]}')
