"""To whom an exportable key may be released, as a stack declares it: Azure's policy, written out or in a file."""

from collections.abc import Iterator
from typing import Annotated

import msgspec

from kvstack.schema.attribute import doc
from kvstack.schema.resource import Problem
from kvstack.terms import release_policy
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.release_policy import ReleasePolicy, ReleaseRules

_NotEmpty = Annotated[str, msgspec.Meta(min_length=1)]


class KeyReleasePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A release policy: one of `policy` and `file`."""

    policy: Annotated[
        ReleaseRules | None,
        doc(
            "The policy in Azure's grammar.",
            {
                "version": "1.0.0",
                "anyOf": [
                    {
                        "authority": "https://attest.example.com",
                        "allOf": [{"claim": "x-ms-attestation-type", "equals": "sevsnpvm"}],
                    }
                ],
            },
        ),
    ] = None
    file: Annotated[
        _NotEmpty | None, doc("A JSON file with the policy, inside the stack's folder.", "policies/enclave.json")
    ] = None
    immutable: Annotated[bool, doc("Whether it can never be changed again; it cannot be taken back.")] = False

    def with_content(self, content: bytes) -> "KeyReleasePolicy":
        """Return the policy its file holds. Raises ValueError."""
        return KeyReleasePolicy(policy=release_policy.rules(content), immutable=self.immutable)

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about this policy."""
        if (self.policy is None) == (self.file is None):
            yield Problem(("release_policy",), "a release policy is written out in `policy`, or it is in a `file`")
        if self.policy is not None:
            for path, summary in release_policy.problems(self.policy):
                yield Problem(("release_policy", "policy", *path), summary)


def kept(declared: KeyReleasePolicy | None) -> ReleasePolicy | None:
    """Return the policy as a vault keeps it."""
    if declared is None or declared.policy is None:
        return None
    return ReleasePolicy(release_policy.encoded(declared.policy), declared.immutable)


def written(policy: ReleasePolicy | None) -> KeyReleasePolicy | None:
    """Return a vault's policy as a stack declares it."""
    if policy is None:
        return None
    try:
        return KeyReleasePolicy(release_policy.rules(policy.data), immutable=policy.immutable)
    except ValueError as error:
        raise KvstackError(
            f"a key's release policy cannot be read: {error}", "A newer kvstack has written it; use that one."
        ) from None
