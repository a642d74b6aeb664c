"""A token that somebody else issued to a workload, shown in place of a secret.

Source: RFC 7523, 3; OpenID Connect Core 1.0, 3.1.3.7; the Microsoft identity platform's workload identity federation.
"""

from typing import Final

from kvstack.server.identity.issuer_keys import IssuerKeys
from kvstack.server.identity.signed_json import SignedJson, TokenRefused, require_signed, require_time
from kvstack.vault.attestation import ALLOWED
from kvstack.vault.sign_in import Proven, SignInKeys

# The longest that Kubernetes and the systems that run builds make them for.
LONGEST: Final = 86_400.0


def proven_by_federation(token: SignedJson, keys: SignInKeys, issuers: IssuerKeys, now: float) -> Proven:
    """Return the federated credential a token fits: issuer, subject and audience exactly. It may be shown as often as
    its workload needs, while it lives. Raises TokenRefused, KeysUnavailable."""
    for one in keys.federated:
        if (token.text("iss"), token.text("sub")) == (one.issuer, one.subject) and one.audience in token.audiences:
            break
    else:
        raise TokenRefused("no federated credential of the client fits the token")
    # What cannot be right anyhow makes us ask nobody.
    require_time(token, now, LONGEST)
    if token.header.alg not in ALLOWED:
        raise TokenRefused("the token is not signed by an algorithm that is allowed here")
    key = issuers.key(one.issuer, token)
    require_signed(token, key.public, ALLOWED, key.algorithm)
    return Proven(credential=one)
