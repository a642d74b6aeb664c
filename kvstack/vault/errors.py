"""What the vault refuses, in Azure's codes for programs and in words for people. Source: azure/facts.md, errors."""

from collections.abc import Iterable
from datetime import datetime
from typing import Self

import msgspec

from kvstack.terms.access_policy import Enough, permission_words
from kvstack.terms.diagnostic import Diagnostic, KvstackError
from kvstack.terms.kind import with_article


class VaultError(KvstackError):
    """A refusal. status: of HTTP; code: Azure's word for it; inner: Azure's more exact word, where it has one."""

    status = 400
    code = "BadParameter"

    def __init__(
        self,
        summary: str,
        detail: str = "",
        *,
        inner: str | None = None,
        code: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(summary, detail)
        self.inner = inner
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status

    @property
    def summary(self) -> str:
        """What is wrong, in one line."""
        return self.diagnostics[0].summary

    def with_detail(self, detail: str) -> Self:
        """Return this refusal with more words on how to mend it."""
        self.diagnostics = tuple(msgspec.structs.replace(one, detail=detail) for one in self.diagnostics)
        return self


class BadParameter(VaultError):
    """What was asked for no vault would take."""

    @classmethod
    def of(cls, problems: Iterable[tuple[str, str]]) -> "BadParameter":
        """Return one refusal for all problems, given as (attribute, what is wrong)."""
        found = [f"{attribute}: {words}" if attribute else words for attribute, words in problems]
        error = cls(found[0])
        error.diagnostics = tuple(Diagnostic(summary=words) for words in found)
        return error


class Forbidden(VaultError):
    """Somebody may not do this, or nobody may now."""

    status = 403
    code = "Forbidden"


class NotFound(VaultError):
    """There is no such thing, or it is soft-deleted."""

    status = 404
    code = "NotFound"


class Conflict(VaultError):
    """What is there already stands in the way."""

    status = 409
    code = "Conflict"


class Unavailable(VaultError):
    """What this vault has no means for."""

    status = 400
    code = "HsmUnavailable"


def denied(who: str, action: str, scope: str, role: str | None) -> Forbidden:
    """Return the refusal of a caller who may know how access stands."""
    hint = f"The role `{role}` at this scope or above would allow it." if role else "No built-in role allows it."
    return Forbidden(f"{who} may not do {action} at {scope}", hint, inner="ForbiddenByRbac")


def denied_by_denial(who: str, action: str, scope: str, denial: str, at: str) -> Forbidden:
    """Return the refusal of a caller whom a deny assignment stops, whatever his roles."""
    return Forbidden(
        f"{who} may not do {action} at {scope}",
        f"The deny assignment `{denial}` at {at} forbids it, whatever roles allow.",
        inner="ForbiddenByRbac",
    )


def denied_by_policies(who: str, action: str, scope: str, vault: str, permissions: Enough) -> Forbidden:
    """Return the refusal of a caller whom no access policy of a vault permits something. permissions: what would."""
    hint = (
        f"The permission {permission_words(permissions)} in an access policy of the vault would allow it: "
        f"`kvstack vault set-policy {vault}`."
        if permissions
        else "No access policy permits it."
    )
    return Forbidden(f"{who} may not do {action} at {scope}", hint, inner="ForbiddenByPolicy")


def denied_plainly(*, by_policies: bool = False) -> Forbidden:
    """Return the refusal of a caller who may not know how access stands: it tells nothing. by_policies: he knows that
    the vault is there, and its access policies were asked."""
    return Forbidden("denied", inner="ForbiddenByPolicy" if by_policies else "ForbiddenByRbac")


def denied_locally(who: str, action: str, hsm: str, scope: str, role: str | None) -> Forbidden:
    """Return the refusal of a caller whose local roles in a Managed HSM do not allow something."""
    hint = f"The local role `{role}` there or above would allow it" if role else "No local role allows it."
    if role:
        hint += f": `kvstack managed-hsm role assign {hsm}`."
    return Forbidden(f"{who} may not do {action} at {scope} in Managed HSM `{hsm}`", hint, inner="ForbiddenByRbac")


def not_activated(hsm: str) -> Forbidden:
    """Return the refusal to use a Managed HSM whose custodians do not have its security domain yet."""
    return Forbidden(
        f"Managed HSM `{hsm}` is not activated: its security domain was never downloaded",
        f"`kvstack hsm security-domain download {hsm} --custodian FILE... --quorum N --file F` activates it.",
        inner="HsmNotActivated",
    )


def why_not_activated(hsm: str) -> str:
    """Return why nothing in such a Managed HSM can be read, and what mends it."""
    (told,) = not_activated(hsm).diagnostics
    return f"{told.summary}; {told.detail}".rstrip(".")


def keys_only(hsm: str) -> BadParameter:
    """Return the refusal to keep something else than keys in a Managed HSM."""
    return BadParameter(
        f"`{hsm}` is a Managed HSM: it holds keys, neither secrets nor certificates",
        "Keep those in a vault.",
        code="ManagedHsmHoldsKeysOnly",
    )


def wrong_kind(name: str, kind: str, verb: str) -> BadParameter:
    """Return the refusal to do with a Managed HSM what is done with a vault, or the other way round. kind: what it is;
    verb: the command that is meant."""
    return BadParameter(f"`{name}` is a {kind}", f"Its own verbs are meant: `{verb}`.")


def denied_by_firewall(vault: str, address: str) -> Forbidden:
    """Return the refusal of a caller whose network address the vault does not let in."""
    return Forbidden(
        f"the firewall of vault `{vault}` does not let {address} in",
        "Add the address to the vault's `network.ip_rules`.",
        inner="ForbiddenByFirewall",
    )


def not_found(kind: str, name: str, where: str, near: Iterable[str] = (), *, code: str | None = None) -> NotFound:
    """Return the refusal for a thing that is not there. near: names to suggest, empty for who may not list them."""
    words = " or ".join(f"`{one}`" for one in near)
    return NotFound(f"there is no {kind} `{name}`{where}", f"Did you mean {words}?" if words else "", code=code)


def already_there(kind: str, name: str, vault: str) -> "Conflict":
    """Return the refusal to make what somebody made meanwhile."""
    return Conflict(
        f"there is {with_article(kind)} `{name}` in vault `{vault}` already",
        "Somebody made it since the plan was made: run `kvstack plan` again.",
    )


def managed(kind: str, name: str, vault: str) -> Forbidden:
    """Return the refusal to touch a key or secret by itself that is a certificate's."""
    return Forbidden(
        f"the {kind} `{name}` in vault `{vault}` is its certificate's, and comes and goes with it",
        f"Change the certificate: `kvstack certificate --help`; only its own verbs touch its {kind}.",
        inner="KeyManagedByKeyVault" if kind == "key" else "SecretManagedByKeyVault",
    )


def foreign_backup(kind: str) -> BadParameter:
    """Return the refusal of a backup that does not open: one error whatever was changed."""
    return BadParameter(
        f"the backup does not open: it is none of a {kind}, of another vault's store, or it was changed",
        "A backup is restored only into the subscription it was made in, by the store that made it.",
    )


def deleted_but_recoverable(kind: str, name: str, where: str, until: datetime) -> Conflict:
    """Return the refusal to make something whose name a soft-deleted namesake still holds."""
    return Conflict(
        f"the {kind} `{name}`{where} is soft-deleted and keeps its name until {day(until)}",
        f"Recover the deleted {kind}, or purge it.",
        inner="ObjectIsDeletedButRecoverable",
    )


def purge_protected(kind: str, name: str, vault: str, until: datetime) -> Forbidden:
    """Return the refusal to purge what a vault's purge protection keeps."""
    return Forbidden(
        f"the {kind} `{name}` cannot be purged before {day(until)}: vault `{vault}` is purge-protected",
        "Nobody can switch purge protection off or shorten it; recover what was deleted, or wait.",
        inner="ForbiddenByPurgeProtection",
    )


def clock_stepped(kind: str, name: str, words: str) -> Forbidden:
    """Return the refusal to let time purge something while it is not sure what time it is."""
    return Forbidden(
        f"the {kind} `{name}` is not purged: {words}",
        "When the clock is right, confirm it with a reason; then what is due is purged.",
        inner="ClockNotConfirmed",
    )


def day(moment: datetime) -> str:
    """Return a moment as people read it in a message."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
