"""The warnings kvstack knows: what each is about, why it matters, how to mend it, and what it finds."""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from kvstack.lint.stack import Found, Stack
from kvstack.resources.hsm_role_definition import HsmRoleDefinition
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.role_definition import RoleDefinition
from kvstack.resources.vault import Vault
from kvstack.terms.address import Address
from kvstack.terms.listed import listed
from kvstack.terms.right import RIGHTS
from kvstack.vault.reach import rights_of_role


class Check(msgspec.Struct, frozen=True):
    """One warning. id: stable, it is what silences name; title: what is worth a word; why: what can go wrong; mend:
    what to do instead."""

    id: str
    title: str
    why: str
    mend: str
    find: Callable[[Stack], Iterator[Found]]


def _permanent_administrators(stack: Stack) -> Iterator[Found]:
    for address, given in stack.each(RoleAssignment):
        if given.principal_type not in ("user", "group") or given.until is not None or given.eligible is not None:
            continue
        held = _rights(stack, given)
        if "access/give" in held or held.issuperset(_EVERYTHING):
            who = stack.principal(given.principal)
            yield Found(address, f"{who} has the administrator's role `{given.role}` for good")


def _wildcards(stack: Stack) -> Iterator[Found]:
    for address, role in stack.each(HsmRoleDefinition):
        yield from _wild(address, role.name, role.data_actions)
    for address, own in stack.each(RoleDefinition):
        yield from _wild(address, own.name, own.actions | own.data_actions)


def _wild(address: Address, name: str, patterns: frozenset[str]) -> Iterator[Found]:
    for pattern in sorted(patterns):
        if "*" in pattern:
            yield Found(address, f"the role `{name}` allows `{pattern}`: what comes to match it later, too")


def _data_at_the_subscription(stack: Stack) -> Iterator[Found]:
    for address, given in stack.each(RoleAssignment):
        if given.scope.lower() == "subscription" and any(name in _DATA for name in _rights(stack, given)):
            who = stack.principal(given.principal)
            yield Found(address, f"`{given.role}` reaches the data in every vault of the subscription, for {who}")


def _deletes_and_purges(stack: Stack) -> Iterator[Found]:
    """Yield who can do both with one kind of thing, where nothing holds a purge back."""
    world = stack.access
    told: set[tuple[str, str]] = set()
    for given in world.given.values():
        address = stack.addresses.get(given.id)
        home = world.vaults.get(given.scope.split("/")[1]) if given.scope.startswith("vault/") else None
        if address is None or (home is not None and home.purge_protection):
            continue
        for principal in sorted(world.members.within(given.principal)):
            held = world.held(principal, given.scope)
            both = [kind for kind in _KINDS if f"{kind}/delete" in held and f"{kind}/purge" in held]
            if both and (principal, given.scope) not in told:
                told.add((principal, given.scope))
                yield Found(address, f"{stack.principal(principal)} can delete and purge {listed(both)}")


def _unprotected(stack: Stack) -> Iterator[Found]:
    if stack.production:
        for address, vault in stack.each(Vault):
            if not vault.purge_protection:
                yield Found(address, "a vault of production without purge protection")


def _by_policies(stack: Stack) -> Iterator[Found]:
    for address, vault in stack.each(Vault):
        if vault.access_model == "access_policies":
            yield Found(address, "the vault goes by access policies")


def _eligible_for_ever(stack: Stack) -> Iterator[Found]:
    for address, given in stack.each(RoleAssignment):
        if given.eligible is not None and given.eligible.until is None:
            who = stack.principal(given.principal)
            yield Found(address, f"{who} may take up `{given.role}` without an end")


def _open_to_all(stack: Stack) -> Iterator[Found]:
    for address, vault in stack.each(Vault):
        if vault.network.default_action == "allow":
            yield Found(address, "the vault can be reached from every network")


def _self_granting(stack: Stack) -> Iterator[Found]:
    for address, given in stack.each(RoleAssignment):
        if given.eligible is not None and given.eligible.approvers:
            continue  # somebody else has to agree each time
        held = _rights(stack, given)
        # In a vault that goes by policies, whoever may change the vault may change these.
        gives = "access/give" in held or ("vaults/update" in held and _reaches_policies(stack, given))
        if gives and not held & _DATA:
            who = stack.principal(given.principal)
            yield Found(address, f"{who} reads no value, and can give himself the right to with `{given.role}`")


def _reaches_policies(stack: Stack, given: RoleAssignment) -> bool:
    return any(
        vault.access_model == "access_policies" and stack.access.covers(given.scope.lower(), f"vault/{name}")
        for name, vault in stack.access.vaults.items()
    )


def _rights(stack: Stack, given: RoleAssignment) -> frozenset[str]:
    definition = stack.access.role(given.role)
    return frozenset() if definition is None else rights_of_role(definition)


_KINDS: Final = ("secrets", "keys", "certificates", "vaults")
_DATA: Final = frozenset(right.name for right in RIGHTS if right.data)
_EVERYTHING: Final = frozenset({"secrets/get", "secrets/delete", "keys/delete", "certificates/delete"})

CHECKS: Final = (
    Check(
        "KV001",
        "A person has an administrator's role for good",
        "Whoever takes over that person's account has everything at once, at any time.",
        "Make the role eligible, to be taken up for hours with a reason; or give it an end with `until`.",
        _permanent_administrators,
    ),
    Check(
        "KV002",
        "A role of one's own allows by a wildcard",
        "What the pattern will match tomorrow, nobody has looked at today.",
        "Name the actions.",
        _wildcards,
    ),
    Check(
        "KV003",
        "Data is reached at the scope of the subscription",
        "The assignment holds in every vault there is, and in every one made later by anybody.",
        "Give the role in the vaults that are meant, or at one thing in them.",
        _data_at_the_subscription,
    ),
    Check(
        "KV004",
        "One principal can delete and purge",
        "Nothing is left to recover once one account did both.",
        "Switch `purge_protection` on, or give purging to somebody else: `Key Vault Purge Operator`.",
        _deletes_and_purges,
    ),
    Check(
        "KV005",
        "A vault of production is without purge protection",
        "Deleted by mistake or malice and purged after it, its keys and all they encrypted are lost.",
        "Write `purge_protection: true`. It cannot be switched off again.",
        _unprotected,
    ),
    Check(
        "KV006",
        "A vault goes by access policies",
        "They hold for the whole vault at once, and whoever may change the vault may give himself every one of them.",
        "Leave `access_model` out, and give roles under `access`: at one thing, with an end, under a condition.",
        _by_policies,
    ),
    Check(
        "KV007",
        "A vault can be reached from every network",
        "A stolen token works from anywhere.",
        "Write `network: {default_action: deny, ip_rules: [...]}`.",
        _open_to_all,
    ),
    Check(
        "KV008",
        "A right that may be taken up has no end",
        "Who needed it once keeps the way to it, long after the reason is forgotten.",
        "Write `eligible: {until: ...}`, a year ahead at most, and look at it again then.",
        _eligible_for_ever,
    ),
    Check(
        "KV009",
        "Who manages access can give himself the right to values",
        "The role alone reads nothing, and takes one step to read everything. Each such step is in the audit.",
        "Give `Key Vault Data Access Administrator`, make the role eligible with an approver, or give it an end.",
        _self_granting,
    ),
)
BY_ID: Final = {check.id: check for check in CHECKS}
