"""What an approval is about: deeds, in words that a plan and a vault write alike, and the vaults that hold them up."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, get_args

import msgspec

from kvstack.terms.role import RoleDefinition

Approvable = Literal["access", "delete", "purge"]
APPROVABLE: tuple[Approvable, ...] = get_args(Approvable)

LASTS: Final = timedelta(hours=24)
SHORTEST: Final = timedelta(minutes=5)
LONGEST: Final = timedelta(days=7)


class Deed(msgspec.Struct, frozen=True, order=True, omit_defaults=True):
    """One thing that is done, exactly: two deeds are the same where every word is.

    where: a scope as a stack writes it, in lower case: `vault/payments-prod/secrets/db-password`; what: of `access`,
    what changes; group: the group whose members change, in lower case; rule: the vault's approval rule itself changes.
    """

    operation: Approvable
    where: str
    what: str = ""
    group: str = ""
    rule: bool = False

    @property
    def text(self) -> str:
        """The deed in one line, which is what is signed."""
        return f"{self.operation} {self.where}" + (f": {self.what}" if self.what else "")


class Held(msgspec.Struct, frozen=True):
    """A deed that a vault's rule holds up. vault: its real name; by: ids of its approvers, principals and groups."""

    deed: Deed
    vault: str
    by: tuple[str, ...]


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """One approval of a plan, as it counts now. acting: every id the approver acts under now; problem: why it does not
    count, empty where it does; covers: the texts of the deeds it still allows; settled: those of them it allows whoever
    is an approver now, since the plan itself changed that; begun: the plan was begun under it, and is not done."""

    id: str
    approver: str
    acting: frozenset[str]
    until: datetime
    problem: str = ""
    covers: frozenset[str] = frozenset()
    settled: frozenset[str] = frozenset()
    begun: bool = False


def deletion(identity: str) -> Deed:
    """Return the deletion of a vault or of a thing in one. identity: `vaults/NAME` or `vaults/NAME/secrets/NAME`."""
    return Deed("delete", _where(identity))


def purge(identity: str) -> Deed:
    """Return the end of a deleted vault, or of a deleted thing in one, for good."""
    return Deed("purge", _where(identity))


def access(where: str, verb: str, what: str) -> Deed:
    """Return a change of access at a scope. verb: `give`, `take`, `change`; what: as `words` has it."""
    return Deed("access", where.lower(), f"{verb} {what}")


def membership(group: str, members: Iterable[str]) -> Deed:
    """Return a change of who is in a group: the group's roles are theirs, and its approvals."""
    return Deed("access", "subscription", words("group", group, members=members), group=group.lower())


def ruling(vault: str, by: Iterable[str], operations: Iterable[str]) -> Deed:
    """Return a change of a vault's own approval rule; an empty `by` takes it away."""
    what = words("approval rule", by=by, operations=operations) if by else "no approval rule"
    return Deed("access", f"vault/{vault.lower()}", what, rule=True)


def words(*what: str, **terms: object) -> str:
    """Return what changes, and on which terms, in one spelling: `role reader 6f0c..., until 2027-01-31T00:00:00+00:00`.
    Terms that are empty are left out."""
    found = [f"{name.replace('_', ' ')} {text}" for name, value in sorted(terms.items()) if (text := _text(value))]
    return ", ".join([" ".join(map(_quoted, what)).lower(), *found])


def role_words(role: str, principal: str, starts: datetime | None, until: datetime | None, condition: str) -> str:
    """Return a role assignment as an approval is about it. role: its name; principal: an id."""
    return words("role", role, "of", principal, starts=starts, until=until, condition=condition)


def eligibility_words(
    role: str,
    principal: str,
    *,
    starts: datetime | None,
    until: datetime | None,
    max_duration: timedelta,
    justification: bool,
    mfa: bool,
    approvers: Iterable[str],
    condition: str,
) -> str:
    """Return a role that may be taken up, and on which terms, as an approval is about it."""
    return words(
        "eligibility",
        role,
        "of",
        principal,
        starts=starts,
        until=until,
        max_duration=max_duration,
        justification=justification,
        mfa=mfa,
        approvers=tuple(approvers),
        condition=condition,
    )


def denial_words(denial: RoleDefinition, principals: Iterable[str], excluded: Iterable[str], *, below: bool) -> str:
    """Return a denial as an approval is about it. denial: its name, and what it denies as a role would allow it."""
    return words(
        "denial",
        denial.name,
        principals=tuple(principals),
        excluded=tuple(excluded),
        actions=denial.actions,
        not_actions=denial.not_actions,
        data_actions=denial.data_actions,
        not_data_actions=denial.not_data_actions,
        below=below,
    )


def definition_words(name: str, changed: RoleDefinition | None) -> str:
    """Return another meaning of a role as an approval is about it, or its end. name: as it is called until then."""
    if changed is None:
        return words("role definition", name)
    return words(
        "role definition",
        name,
        name=changed.name,
        actions=changed.actions,
        not_actions=changed.not_actions,
        data_actions=changed.data_actions,
        not_data_actions=changed.not_data_actions,
    )


def policy_words(principal: str, keys: Iterable[str], secrets: Iterable[str], certificates: Iterable[str]) -> str:
    """Return an access policy as an approval is about it. principal: an id."""
    given = {"keys": frozenset(keys), "secrets": frozenset(secrets), "certificates": frozenset(certificates)}
    return words("access policy of", principal, **given)


def switching(vault: str, model: str) -> Deed:
    """Return a vault's change to another access model: who has access by the one it had loses it."""
    return access(f"vault/{vault}", "change", words("access model to", model))


def _where(identity: str) -> str:
    return identity.replace("vaults/", "vault/", 1).lower()


def _text(value: object) -> str:
    match value:
        case None | "" | False:
            return ""
        case True:
            return "yes"
        case datetime():
            return value.astimezone(UTC).isoformat()
        case str():
            return _quoted(value)
        case frozenset() | set() | tuple() | list():
            return " ".join(sorted(_quoted(str(entry), whole=True) for entry in value))
        case _:
            return str(value)


def _quoted(text: str, *, whole: bool = False) -> str:
    """Return text as it is, in quotes where it could be taken for more than one thing. whole: a space ends it."""
    plain = text.isascii() and all(letter.isalnum() or letter in " ./:*+-_()" for letter in text)
    if whole and (" " in text or not text):
        plain = False
    return text if plain else msgspec.json.encode(text).decode()


def lasting_problems(lasts: timedelta) -> Iterator[str]:
    """Yield what is wrong with how long an approval is to last."""
    if not SHORTEST <= lasts <= LONGEST:
        yield "an approval lasts 5 minutes to 7 days"
