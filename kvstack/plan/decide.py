"""The one place that chooses an action: a flat match over what is declared, what is recorded, and what is there."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from kvstack.backends.protocol import Actual
from kvstack.declare.graph import Node, Removal
from kvstack.plan import attributes, value
from kvstack.plan.change import AttributeChange, Change
from kvstack.plan.standing import Standing
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.secret import Secret
from kvstack.resources.vault import Vault
from kvstack.schema.differences import Difference, differences
from kvstack.schema.resource import Lifecycle, Resource
from kvstack.state.state import Intend, Record
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import Diagnostic


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that bears on one address.

    node: as declared, None where it is not. record: as applied last. intent: what a run that ended early was about to
    make. actual: what is under the declared (or else the recorded) identity. before: what is under the recorded
    identity, where that is another. vault: what is decided about the vault it is in, None where nothing changes there.
    destroyed: as declared, where the plan is to destroy it all the same.
    """

    address: Address
    kind: str
    node: Node | None
    record: Record | None
    intent: Intend | None
    actual: Actual[Resource] | None
    before: Actual[Resource] | None
    standing: Standing
    owner: str
    offered: str | None
    imported: bool
    removal: Removal | None
    moved_from: Address | None
    vault: Change | None
    now: datetime
    destroyed: Node | None


class Decision(msgspec.Struct, frozen=True):
    """The change, and what else has to be said about it."""

    change: Change
    diagnostics: tuple[Diagnostic, ...] = ()


def decision(situation: Situation, others: tuple[Actual[Resource], ...]) -> Decision:
    """Choose what happens to one thing. others: what in a vault to delete is somebody else's."""
    made_anew = situation.vault is not None and situation.vault.action in (Action.CREATE, Action.REPLACE)
    match (situation.node, situation.record, situation.standing):
        case (Node() as node, _, _) if made_anew and situation.kind != "vault":
            return _created(situation, node)
        case (Node() as node, Record() as record, _) if (
            record.identity != node.identity and situation.before is not None
        ):
            return _renamed(situation, node, situation.before)
        case (Node() as node, _, Standing.ABSENT):
            return _created(situation, node)
        case (Node() as node, _, Standing.OURS):
            return _compared(situation, node, _there(situation))
        case (Node() as node, _, Standing.FOREIGN) if situation.imported:
            return _imported(situation, node, _there(situation))
        case (Node(), _, Standing.FOREIGN):
            return _refused(situation, *_foreign_words(situation))
        case (Node() as node, _, Standing.DELETED):
            return _recovered(situation, node, _there(situation))
        case (Node() as node, _, Standing.DELETED_FOREIGN) if situation.imported:
            return _recovered(situation, node, _there(situation))
        case (Node(), _, Standing.DELETED_FOREIGN):
            return _refused(situation, *_deleted_foreign_words(situation, _there(situation)))
        case (None, _, Standing.ABSENT):
            return _forgotten(situation, "it is gone already")
        case (None, _, Standing.DELETED | Standing.DELETED_FOREIGN) if _purges(situation):
            return _purged(situation, _there(situation))
        case (None, _, Standing.DELETED | Standing.DELETED_FOREIGN):
            return _forgotten(situation, "it is deleted already")
        case (None, _, _) if situation.removal is not None and not situation.removal.destroy:
            return _forgotten(situation, "`removed` keeps it: only this stack lets go of it")
        case (None, _, _):
            return _deleted(situation, _there(situation), others)
    raise AssertionError(f"no case for {situation.standing}")


def _there(situation: Situation) -> Actual[Resource]:
    assert situation.actual is not None  # noqa: S101  # every standing but ABSENT has one
    return situation.actual


def _created(situation: Situation, node: Node) -> Decision:
    resource = node.resource
    match resource:
        case Secret(value_from=None):
            return _refused(
                situation,
                "the secret is not there, and nothing says what its value is",
                "Write `value_from`, or set the secret by other means first.",
            )
        case RoleAssignment(until=datetime() as until) if until <= situation.now:
            return _refused(
                situation,
                f"the assignment would have ended before it began, on {_day(until)}",
                "Change `until`, or delete the line.",
            )
        case _:
            pass
    shown = attributes.of_new(resource)
    if isinstance(resource, Secret):
        shown = (value.attribute_change(resource.value_from, None, situation.offered), *shown)
    reasons = []
    replaced = situation.vault is not None and situation.vault.action is Action.REPLACE and situation.record is not None
    if replaced:
        reasons.append("its vault is replaced")
    elif situation.record is not None:
        reasons.append("it was there at the last apply and is gone")
    return Decision(
        Change(
            address=situation.address,
            kind=situation.kind,
            action=Action.REPLACE if replaced else Action.CREATE,
            irreversible=replaced,
            with_vault=replaced,
            reasons=tuple(reasons),
            attributes=shown,
            node=node,
            record=situation.record,
        )
    )


def _compared(situation: Situation, node: Node, actual: Actual[Resource]) -> Decision:
    """Decide about a thing that is there and ours: by the rules of the attributes that differ."""
    found = tuple(_to_change(node.resource, actual.resource))
    shown = list(attributes.changes(found))
    reasons: list[str] = []
    changed = {difference.attribute.name for difference in found}
    effects: set[str] = {difference.attribute.rule.effect(difference.after) for difference in found}
    compared_at_apply = False
    if isinstance(node.resource, Secret):
        match value.verdict(node.resource, situation.record, situation.intent, actual, situation.offered):
            case "same":
                pass
            case "compared at apply":
                compared_at_apply = True
            case other:
                effects.add("new_version")
                reasons.append(_VALUE_REASONS[other])
                shown.insert(0, value.attribute_change(node.resource.value_from, actual.fingerprint, situation.offered))
    owner_words = _owner_words(situation, actual)
    if owner_words is not None:
        changed.add("owner")
        reasons.append(owner_words)
    comes_back = actual.deletion is not None
    if comes_back:
        reasons.append("it comes back with its vault")
    refusals = [difference for difference in found if difference.attribute.rule.effect(difference.after) == "refuse"]
    if refusals:
        words = " ".join(dict.fromkeys(difference.attribute.rule.reason for difference in refusals))
        names = ", ".join(f"`{difference.attribute.written}`" for difference in refusals)
        return _refused(situation, f"{names} cannot be changed so. {words}".strip(), _keep(refusals), tuple(shown))
    if "replace" in effects:
        return _replaced_in_place(situation, node, actual, tuple(shown))
    action = _action(effects, changed, situation, comes_back=comes_back)
    change = Change(
        address=situation.address,
        kind=situation.kind,
        action=action,
        irreversible=any(difference.attribute.rule.name == "one way" for difference in found),
        reasons=tuple(reasons) if action is not Action.NO_OP else (),
        attributes=tuple(shown),
        moved_from=situation.moved_from if action is not Action.NO_OP else None,
        with_vault=comes_back and action is Action.RECOVER,
        compared_at_apply=compared_at_apply,
        node=node,
        actual=actual,
        record=situation.record,
        changed=frozenset(changed),
        new_version="new_version" in effects,
    )
    return Decision(change, tuple(_hints(situation, node)))


def _action(effects: set[str], changed: set[str], situation: Situation, *, comes_back: bool) -> Action:
    if "new_version" in effects:
        return Action.ROTATE
    if changed - {"owner"}:
        return Action.UPDATE
    if comes_back:
        return Action.RECOVER
    if situation.moved_from is not None:
        return Action.MOVE
    return Action.UPDATE if changed else Action.NO_OP


def _recovered(situation: Situation, node: Node, actual: Actual[Resource]) -> Decision:
    compared = _compared(situation, node, msgspec.structs.replace(actual, deletion=None)).change
    if compared.action in (Action.REFUSE, Action.REPLACE):
        return Decision(compared)
    assert actual.deletion is not None  # noqa: S101  # that is what the standing says
    whose = (
        "it is soft-deleted, and ours" if situation.standing is Standing.DELETED else "it is soft-deleted, and imported"
    )
    recovered = msgspec.structs.replace(
        compared,
        action=Action.RECOVER,
        reasons=(f"{whose}; its name is taken until {_day(actual.deletion.purge_at)}", *compared.reasons),
        changed=compared.changed
        | (frozenset({"owner"}) if situation.standing is Standing.DELETED_FOREIGN else frozenset()),
        moved_from=situation.moved_from,
        actual=actual,
    )
    return Decision(recovered)


def _imported(situation: Situation, node: Node, actual: Actual[Resource]) -> Decision:
    compared = _compared(situation, node, actual).change
    if compared.action in (Action.REFUSE, Action.REPLACE):
        return Decision(compared)
    return Decision(
        msgspec.structs.replace(
            compared,
            action=Action.IMPORT,
            reasons=("it is there already, and imported", *compared.reasons),
            changed=compared.changed | {"owner"},
        )
    )


def _renamed(situation: Situation, node: Node, before: Actual[Resource]) -> Decision:
    """Decide about a thing whose real name, vault, or (for access) who, what or where, is another now."""
    if situation.moved_from is not None and situation.kind != "role_assignment":
        old = before.resource.name
        return _refused(
            situation,
            f"a move changes an address, never a name: in the vault it is `{old}`",
            f"Write `name: {old}` in it to keep it, or take the line out of `moved` to replace it.",
        )
    if _prevented(node):
        return _prevented_refusal(situation, "replace")
    if situation.standing is not Standing.ABSENT:
        return _refused(
            situation,
            "its new name is taken by another thing"
            + (", which is soft-deleted" if "DELETED" in situation.standing.name else ""),
            "Choose another name, or remove what has it.",
        )
    shown = attributes.changes(tuple(_to_change(node.resource, before.resource)))
    created = _created(situation, node)
    if created.change.action is Action.REFUSE:
        return created
    gone = (
        "the one there is deleted and can be recovered"
        if situation.kind != "role_assignment"
        else "the one there is taken away"
    )
    return Decision(
        Change(
            address=situation.address,
            kind=situation.kind,
            action=Action.REPLACE,
            reasons=(f"it cannot be changed in place: {gone}",),
            attributes=shown,
            node=node,
            actual=before,
            record=situation.record,
        )
    )


def _replaced_in_place(
    situation: Situation, node: Node, actual: Actual[Resource], shown: tuple[AttributeChange, ...]
) -> Decision:
    """Decide about a replacement under the same name, which soft delete keeps taken until it is purged."""
    if _prevented(node):
        return _prevented_refusal(situation, "replace")
    if isinstance(actual.resource, Vault) and actual.resource.purge_protection:
        return _refused(
            situation,
            "it would have to be replaced, and purge protection keeps its name taken for "
            f"{actual.resource.soft_delete_retention_days} days",
            "Give the new one another `name`, or put the attributes back.",
            shown,
        )
    if isinstance(actual.resource, Vault) and not node.resource.lifecycle.purge_on_delete:
        return _refused(
            situation,
            "it would have to be replaced, and its name stays taken by soft delete until it is purged",
            "Write `lifecycle: {purge_on_delete: true}` to purge it for good with everything in it, or give the new one "
            "another `name`.",
            shown,
        )
    purged = isinstance(actual.resource, Vault)
    return Decision(
        Change(
            address=situation.address,
            kind=situation.kind,
            action=Action.REPLACE,
            irreversible=purged,
            reasons=(
                "it cannot be changed in place"
                + (": it is deleted and purged, with everything in it" if purged else ""),
            ),
            attributes=shown,
            purge_first=purged,
            node=node,
            actual=actual,
            record=situation.record,
        )
    )


def _deleted(situation: Situation, actual: Actual[Resource], others: tuple[Actual[Resource], ...]) -> Decision:
    if situation.destroyed is not None and _prevented(situation.destroyed):
        return _prevented_refusal(situation, "delete")
    if isinstance(actual.resource, Vault) and actual.resource.lock == "delete":
        return _refused(situation, "the vault is locked against deletion", "Take its `lock` out and apply that first.")
    with_vault = situation.vault is not None and situation.vault.action in (Action.DELETE, Action.PURGE)
    if _purges(situation) and situation.kind != "role_assignment" and not with_vault:
        return _purged(situation, actual)
    reasons = []
    if with_vault:
        reasons.append("it goes with its vault")
    elif situation.record is None:
        reasons.append("it carries this stack's tags and is not declared: made just before a run ended early")
    elif situation.destroyed is None:
        reasons.append("it is no longer declared")
    if others:
        named = ", ".join(sorted(f"{other.kind} {other.resource.name}" for other in others)[:5])
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        reasons.append(f"it takes along what is not this stack's: {named}{more}")
    return Decision(
        Change(
            address=situation.address,
            kind=situation.kind,
            action=Action.DELETE,
            reasons=tuple(reasons),
            with_vault=with_vault,
            actual=actual,
            record=situation.record,
        )
    )


def _purged(situation: Situation, actual: Actual[Resource]) -> Decision:
    if situation.destroyed is not None and _prevented(situation.destroyed):
        return _prevented_refusal(situation, "purge")
    if actual.deletion is not None and not actual.deletion.purgeable:
        return _refused(
            situation,
            f"purge protection: nobody can purge it before {_day(actual.deletion.purge_at)}",
            "Take the wish to purge out: it is deleted, and its name is free on that day.",
        )
    return Decision(
        Change(
            address=situation.address,
            kind=situation.kind,
            action=Action.PURGE,
            irreversible=True,
            reasons=("asked for by `purge`: it is destroyed for good",),
            actual=actual,
            record=situation.record,
        )
    )


def _forgotten(situation: Situation, reason: str) -> Decision:
    return Decision(
        Change(
            address=situation.address,
            kind=situation.kind,
            action=Action.FORGET,
            reasons=(reason,),
            actual=situation.actual,
            record=situation.record,
        )
    )


def _refused(situation: Situation, summary: str, mend: str = "", shown: tuple[AttributeChange, ...] = ()) -> Decision:
    return Decision(
        Change(
            address=situation.address,
            kind=situation.kind,
            action=Action.REFUSE,
            reasons=(summary, mend) if mend else (summary,),
            attributes=shown,
            node=situation.node,
            actual=situation.actual,
            record=situation.record,
        )
    )


def _prevented(node: Node) -> bool:
    return node.resource.lifecycle.prevent_destroy


def _prevented_refusal(situation: Situation, verb: str) -> Decision:
    return _refused(
        situation,
        f"`lifecycle: {{prevent_destroy: true}}` stands in the way: the plan would {verb} it",
        "Take the line out, or put back what would change.",
    )


def _purges(situation: Situation) -> bool:
    recorded = situation.record.resource.lifecycle if situation.record else Lifecycle()
    asked = situation.removal is not None and situation.removal.purge
    declared = situation.destroyed.resource.lifecycle.purge_on_delete if situation.destroyed else False
    return asked or recorded.purge_on_delete or declared


def _to_change(declared: Resource, actual: Resource) -> Iterator[Difference]:
    ignored = declared.lifecycle.ignore_changes
    for difference in differences(actual, declared):
        if "all" not in ignored and difference.attribute.written not in ignored:
            yield difference


def _owner_words(situation: Situation, actual: Actual[Resource]) -> str | None:
    """Return why the owner's tags have to be written, or None. What has no tags has none to write."""
    if not hasattr(actual.resource, "tags"):
        return None
    owner = actual.owner
    if owner is not None and owner.stack == situation.owner and owner.address == situation.address:
        return None
    if situation.moved_from is not None:
        return f"it was `{situation.moved_from}`"
    if owner is None:
        return "kvstack's tags on it are lost: they are written again"
    if owner.stack != situation.owner:
        return "its tags say that it belongs to another stack, while this one's state records it"
    return "its tags name another address"


def _hints(situation: Situation, node: Node) -> Iterator[Diagnostic]:
    match node.resource:
        case RoleAssignment(until=datetime() as until) if until <= situation.now:
            yield Diagnostic(
                severity="warning",
                summary=f"the assignment ended on {_day(until)}",
                detail="It gives no access any more: delete the line.",
                address=situation.address,
            )
        case _:
            return


def _foreign_words(situation: Situation) -> tuple[str, str]:
    owner = situation.actual.owner if situation.actual else None
    whose = f"the stack `{owner.stack}`'s" if owner else "not this stack's"
    return (
        f"a {situation.kind.replace('_', ' ')} of that name is there, and {whose}",
        f"Take it over with `kvstack import {situation.address}`, or choose another name.",
    )


def _deleted_foreign_words(situation: Situation, actual: Actual[Resource]) -> tuple[str, str]:
    assert actual.deletion is not None  # noqa: S101  # that is what the standing says
    until = _day(actual.deletion.purge_at)
    return (
        f"a soft-deleted {situation.kind.replace('_', ' ')} that is not this stack's keeps the name until {until}",
        f"Recover it and take it over with `kvstack import {situation.address}`, purge it, or choose another name.",
    )


def _keep(refusals: list[Difference]) -> str:
    lines = " and ".join(f"`{difference.attribute.written}: {_written(difference.before)}`" for difference in refusals)
    return f"Write {lines} to keep what is there."


def _written(before: object) -> object:
    return (
        {True: "true", False: "false", None: "null"}.get(before, before)
        if isinstance(before, (bool, type(None)))
        else before
    )


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


_VALUE_REASONS = {
    "changed": "its value is another",
    "specification changed": "what generates its value changed",
    "drifted": "somebody set another value since the last apply",
}
