"""What a vault is made of when it leaves its store: its rows, with what lay under the store's barrier in clear."""

from collections.abc import Collection, Iterator
from datetime import datetime

import msgspec
from msgspec.structs import replace

from kvstack.hsm.protocol import KeyMaterial, KeyReference
from kvstack.terms.limits import ACCESS_POLICIES
from kvstack.terms.name import folded, item_name_problem
from kvstack.vault.access_policies import policy_problems
from kvstack.vault.access_policy import AccessPolicy
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.certificates.rows import (
    Certificate,
    CertificateVersionRow,
    ContactsRow,
    IssuedRow,
    Issuer,
    PendingRow,
    RevocationListRow,
)
from kvstack.vault.denial import DenyAssignment
from kvstack.vault.errors import BadParameter
from kvstack.vault.records import Key, Secret, Vault
from kvstack.vault.registry import PrincipalRow
from kvstack.vault.versions import KeyVersionRow, SecretVersionRow


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """A whole vault. The versions' and pending requests' `sealed` is a secret's value, or what a key's provider wants
    kept; principals: those the assignments and policies name, without members."""

    taken: datetime
    vault: Vault
    keys: tuple[Key, ...]
    key_versions: tuple[KeyVersionRow, ...]
    secrets: tuple[Secret, ...]
    secret_versions: tuple[SecretVersionRow, ...]
    certificates: tuple[Certificate, ...]
    certificate_versions: tuple[CertificateVersionRow, ...]
    pending: tuple[PendingRow, ...]
    issued: tuple[IssuedRow, ...]
    revocation_lists: tuple[RevocationListRow, ...]
    issuers: tuple[Issuer, ...]
    contacts: tuple[ContactsRow, ...]
    assignments: tuple[RoleAssignment, ...]
    denials: tuple[DenyAssignment, ...]
    principals: tuple[PrincipalRow, ...]
    policies: tuple[AccessPolicy, ...] = ()


class Left(msgspec.Struct, frozen=True):
    """One thing that does not come along. thing: `keys/NAME`, or words on a role; why: in words."""

    thing: str
    why: str


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A vault on its way. blob: the file; the numbers: how many are in it; left: what stays behind."""

    vault: str
    blob: bytes
    keys: int
    secrets: int
    certificates: int
    assignments: int
    policies: int = 0
    left: tuple[Left, ...] = ()


class Given(msgspec.Struct, frozen=True):
    """One role assignment that came along. name: of the principal, empty where nobody knows it."""

    role: str
    principal_id: str
    name: str
    scope: str


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """A vault that arrived. taken: when it was exported; given: the roles that came along; policies: how many access
    policies did; left: what did not."""

    vault: Vault
    taken: datetime
    keys: int
    secrets: int
    certificates: int
    given: tuple[Given, ...] = ()
    policies: int = 0
    left: tuple[Left, ...] = ()


def read(content: bytes) -> Content:
    """Return the vault a file held. Raises BadParameter where it is none, or its parts do not belong together."""
    try:
        found = msgspec.msgpack.decode(content, type=Content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadParameter(
            "the exported vault has an unknown shape", "It was made by a newer kvstack; use that one."
        ) from None
    problem = next(_problems(found), None)
    if problem is not None:
        raise BadParameter(f"the exported vault does not fit together: {problem}", "Export it anew.")
    return found


def _problems(content: Content) -> Iterator[str]:
    """Yield what no vault holds: whoever knows the password could have written the file himself."""
    names: dict[str, set[str]] = {}
    items: tuple[tuple[str, tuple[Key | Secret | Certificate, ...]], ...] = (
        ("keys", content.keys),
        ("secrets", content.secrets),
        ("certificates", content.certificates),
    )
    for collection, found in items:
        names[collection] = {one.folded for one in found}
        if len(names[collection]) != len(found):
            yield f"two {collection} have one name"
        for one in found:
            if item_name_problem(one.name) or folded(one.name) != one.folded:
                yield f"`{one.name}` is no name of one of its {collection}"
    for collection, parts in (
        ("keys", {one.folded for one in content.key_versions}),
        ("secrets", {one.folded for one in content.secret_versions}),
        (
            "certificates",
            {one.folded for one in content.certificate_versions}
            | {one.folded for one in content.pending}
            | {one.folded for one in content.issued}
            | {one.folded for one in content.revocation_lists},
        ),
    ):
        for name in parts - names[collection]:
            yield f"something is of `{name}`, which is not among its {collection}"
    for version in content.key_versions:
        if version.provider.partition("-")[0] not in ("software", "pkcs11"):
            yield f"the key `{version.folded}` is kept by `{version.provider}`, which no vault has"
        if version.specification.in_hsm == (version.provider == "software"):
            yield f"the key `{version.folded}` is not where its type says"
    if folded(content.vault.name) != content.vault.folded or content.vault.deletion or content.vault.pool:
        yield "it is of no live vault"
    group, home = content.vault.resource_group.lower(), content.vault.folded
    for scope in [*(one.scope for one in content.assignments), *(one.scope for one in content.denials)]:
        if (scope.resource_group.lower(), folded(scope.vault), scope.managed_hsm) != (group, home, False):
            yield f"a right is at {scope.path}, which is not the vault's"
    yield from _policy_problems(content.policies)
    if len(content.contacts) > 1:
        yield "its contacts are there twice"


def _policy_problems(policies: tuple[AccessPolicy, ...]) -> Iterator[str]:
    if not len(policies) == len({one.principal_id for one in policies}) <= ACCESS_POLICIES:
        yield "it has two access policies for one principal, or too many"
    for policy in policies:
        for attribute, words in policy_problems(policy):
            yield f"an access policy's {attribute}: {words}"


def materials(content: Content) -> Iterator[tuple[str, KeyReference]]:
    """Yield (folded name, key as its provider takes it) of every version and of every pending request."""
    for row in content.key_versions:
        material = KeyMaterial(row.provider, row.sealed, row.public)
        yield row.folded, KeyReference(f"{row.vault_id}/{row.folded}/{row.version}", row.specification, material)
    for one in content.pending:
        material = KeyMaterial(one.provider, one.sealed, one.public)
        yield (
            one.folded,
            KeyReference(f"{one.vault_id}/{one.folded}/{one.id}", one.policy.key.specification, material),
        )


def thing(content: Content, name: str) -> str:
    """Return what a key is called when it stays behind: of a certificate's, the certificate does."""
    for certificate in content.certificates:
        if certificate.folded == name:
            return f"certificates/{certificate.name}"
    return next((f"keys/{key.name}" for key in content.keys if key.folded == name), f"keys/{name}")


def without(content: Content, names: Collection[str]) -> Content:
    """Return the vault without the keys of these folded names, each with its certificate and that one's secret."""
    if not names:
        return content
    gone = {one.folded for one in content.certificates if one.folded in names}
    return replace(
        content,
        keys=tuple(one for one in content.keys if one.folded not in names),
        key_versions=tuple(one for one in content.key_versions if one.folded not in names),
        secrets=tuple(one for one in content.secrets if one.folded not in gone),
        secret_versions=tuple(one for one in content.secret_versions if one.folded not in gone),
        certificates=tuple(one for one in content.certificates if one.folded not in gone),
        certificate_versions=tuple(one for one in content.certificate_versions if one.folded not in gone),
        pending=tuple(one for one in content.pending if one.folded not in gone),
        issued=tuple(one for one in content.issued if one.folded not in gone),
        revocation_lists=tuple(one for one in content.revocation_lists if one.folded not in gone),
    )


def placed(content: Content, home: Vault) -> Content:
    """Return the vault's rows as those of its new home. What an authority elsewhere issued is no longer known to be
    its: the store it arrives in has another authority of that name, or none."""
    here = {"vault_id": home.id}
    own = content.vault.id

    def at_home(row: CertificateVersionRow) -> CertificateVersionRow:
        by = row.issued_by
        kept = replace(by, vault_id=home.id, vault=home.name) if by is not None and by.vault_id == own else None
        return replace(row, issued_by=kept, **here)

    return replace(
        content,
        vault=home,
        keys=tuple(replace(one, vault=home.name, **here) for one in content.keys),
        key_versions=tuple(replace(one, **here) for one in content.key_versions),
        secrets=tuple(replace(one, vault=home.name, **here) for one in content.secrets),
        secret_versions=tuple(replace(one, **here) for one in content.secret_versions),
        certificates=tuple(replace(one, vault=home.name, **here) for one in content.certificates),
        certificate_versions=tuple(at_home(one) for one in content.certificate_versions),
        pending=tuple(replace(one, **here) for one in content.pending),
        issued=tuple(replace(one, **here) for one in content.issued),
        revocation_lists=tuple(replace(one, **here) for one in content.revocation_lists),
        issuers=tuple(replace(one, **here) for one in content.issuers),
        contacts=tuple(replace(one, **here) for one in content.contacts),
        policies=tuple(replace(one, declared_by="", **here) for one in content.policies),
    )
