"""The one place that chooses an action: a flat match over what is declared, what is recorded, and what is there."""

from collections.abc import Callable, Iterator

import msgspec

from kvstack.backends.protocol import Actual
from kvstack.declare.graph import Node
from kvstack.plan import attributes, refusal, value
from kvstack.plan.change import AttributeChange
from kvstack.plan.situation import Decision, Inside, Situation
from kvstack.plan.standing import Standing
from kvstack.schema.differences import Difference, renaming, to_change
from kvstack.schema.obstacle import Obstacle
from kvstack.schema.resource import Resource
from kvstack.state.state import Record
from kvstack.terms.action import Action
from kvstack.terms.diagnostic import Diagnostic
from kvstack.terms.kind import kind_words


def decision(  # noqa: C901  # a case a situation
    situation: Situation, inside: Callable[[], tuple[Inside, ...]]
) -> Decision:
    """Choose what happens to one thing. inside: what it holds, looked up where that matters."""
    in_a_new_vault = situation.vault is not None and situation.vault.action in (Action.CREATE, Action.REPLACE)
    made_anew = in_a_new_vault or situation.taken_along is not None
    if situation.name_held_by is not None:
        return refusal.name_held(situation, situation.name_held_by)
    match (situation.node, situation.record, situation.standing):
        case (Node() as node, _, _) if made_anew and not situation.lives_elsewhere:
            return _created(situation, node)
        case (Node() as node, Record(), Standing.OURS) if situation.was_replaced:
            return _compared(situation, node, situation.there, inside)
        case (Node() as node, Record() as record, _) if (
            record.identity != node.identity and situation.before is not None
        ):
            return _renamed(situation, node, situation.before)
        case (Node() as node, _, Standing.ABSENT):
            return _created(situation, node)
        case (Node() as node, _, Standing.OURS):
            return _compared(situation, node, situation.there, inside)
        case (Node() as node, _, Standing.FOREIGN) if situation.imported:
            return _imported(situation, node, inside)
        case (Node(), _, Standing.FOREIGN):
            return refusal.foreign(situation)
        case (Node() as node, _, Standing.DELETED):
            return _recovered(situation, node, "it is soft-deleted, and ours", inside)
        case (Node() as node, _, Standing.DELETED_FOREIGN) if situation.imported:
            return _recovered(situation, node, "it is soft-deleted, and imported", inside)
        case (Node(), _, Standing.DELETED_FOREIGN):
            return refusal.deleted_foreign(situation)
        case (None, _, Standing.ABSENT):
            return _forgotten(situation, "it is gone already")
        case (None, _, Standing.DELETED | Standing.DELETED_FOREIGN) if situation.purges:
            return _purged(situation)
        case (None, _, Standing.DELETED | Standing.DELETED_FOREIGN):
            return _forgotten(situation, "it is deleted already")
        case (None, _, Standing.OURS) if situation.stays_deleted:
            return _forgotten(situation, "it is deleted already, with its vault")
        case (None, _, _) if situation.removal is not None and not situation.removal.destroy:
            return _forgotten(situation, "`removed` keeps it: only this stack lets go of it")
        case (None, _, _):
            return _deleted(situation, inside)
    raise AssertionError(f"no case for {situation.standing}")


def _created(situation: Situation, node: Node) -> Decision:
    resource = node.resource
    obstacle = resource.obstacle_to_creation(situation.now)
    if obstacle is not None:
        return refusal.refused(situation, obstacle.summary, obstacle.mend)
    if situation.needs_missing is not None:
        return refusal.nothing_to_be_for(situation, situation.needs_missing)
    if (obstacle := _obstacle_with_needed(situation, resource)) is not None:
        return refusal.refused(situation, obstacle.summary, obstacle.mend)
    shown = attributes.of_new(resource)
    if resource.value_source is not None:
        shown = (value.attribute_change(resource.value_source, None, situation.offered), *shown)
    applied = situation.record is not None
    with_vault = situation.vault is not None and situation.vault.action is Action.REPLACE and applied
    replaced = with_vault or (situation.taken_along is not None and applied)
    if replaced and situation.prevents_destroy:
        return refusal.prevented(situation, "replace")
    reasons: tuple[str, ...] = ()
    if with_vault:
        reasons = ("its vault is replaced",)
    elif replaced and situation.taken_along is not None:
        reasons = (f"its {kind_words(situation.taken_along.kind)} is replaced",)
    elif applied:
        reasons = ("it was there at the last apply and is gone",)
    return Decision(
        situation.change(
            action=Action.REPLACE if replaced else Action.CREATE,
            irreversible=with_vault and _destroyed_with_vault(situation, resource),
            with_vault=with_vault,
            reasons=reasons,
            attributes=shown,
            actual=None,
        )
    )


def _obstacle_with_needed(situation: Situation, resource: Resource) -> Obstacle | None:
    obstacles = (resource.obstacle_with(needed) for needed in situation.needed)
    return next((obstacle for obstacle in obstacles if obstacle is not None), None)


def _compared(
    situation: Situation, node: Node, actual: Actual[Resource], inside: Callable[[], tuple[Inside, ...]]
) -> Decision:
    """Decide about a thing that is there and ours: by the rules of the attributes that differ."""
    resource = node.resource
    found = tuple(_to_change(resource, actual.resource))
    shown = list(attributes.changes(found))
    effects: set[str] = {difference.attribute.rule.effect(difference.after) for difference in found}
    changed = {difference.attribute.name for difference in found}
    reasons: list[str] = []
    verdict = value.verdict(resource, situation.record, situation.intent, actual, situation.offered)
    if verdict in value.REASONS:
        effects.add("new_version")
        reasons.append(value.REASONS[verdict])
        shown.insert(0, value.attribute_change(resource.value_source, actual.fingerprint, situation.offered))
    owner_words = _owner_words(situation, actual)
    if owner_words is not None:
        changed.add("owner")
        reasons.append(owner_words)
    comes_back = actual.deletion is not None
    if comes_back:
        reasons.append("it comes back with its vault")
    refusals = [difference for difference in found if difference.attribute.rule.effect(difference.after) == "refuse"]
    if refusals:
        return refusal.not_changeable(situation, refusals, tuple(shown))
    missing = situation.needs_missing
    needs_another = resource.needs(node.vault) != actual.resource.needs(node.vault)
    if missing is not None and ("new_version" in effects or needs_another or missing.identity in resource.ends_with()):
        return refusal.nothing_to_be_for(situation, missing)
    if "new_version" in effects and (obstacle := _obstacle_with_needed(situation, resource)) is not None:
        return refusal.refused(situation, obstacle.summary, obstacle.mend, tuple(shown))
    if found:
        obstacle = actual.resource.obstacle_to_change(resource, (held.actual.resource for held in inside()))
        if obstacle is not None:
            return refusal.refused(situation, obstacle.summary, obstacle.mend, tuple(shown))
    if "replace" in effects:
        return _replaced_in_place(situation, actual, tuple(shown))
    action = _action(effects, changed, moved=situation.moved_from is not None, comes_back=comes_back)
    change = situation.change(
        action=action,
        irreversible=any(difference.attribute.rule.name == "one way" for difference in found),
        reasons=tuple(reasons) if action is not Action.NO_OP else (),
        attributes=tuple(shown),
        moved_from=situation.moved_from if action is not Action.NO_OP else None,
        with_vault=comes_back and action is Action.RECOVER,
        compared_at_apply=verdict == "compared at apply",
        actual=actual,
        changed=frozenset(changed),
        new_version="new_version" in effects,
    )
    return Decision(change, tuple(_hints(situation, resource, actual)))


def _action(effects: set[str], changed: set[str], *, moved: bool, comes_back: bool) -> Action:
    if "new_version" in effects:
        return Action.ROTATE
    if changed - {"owner"}:
        return Action.UPDATE
    if comes_back:
        return Action.RECOVER
    if moved:
        return Action.MOVE
    return Action.UPDATE if changed else Action.NO_OP


def _recovered(situation: Situation, node: Node, whose: str, inside: Callable[[], tuple[Inside, ...]]) -> Decision:
    actual = situation.there
    compared = _compared(situation, node, msgspec.structs.replace(actual, deletion=None), inside).change
    if compared.action in (Action.REFUSE, Action.REPLACE):
        # It is not recovered only to be deleted again: what is there is a deleted thing.
        return Decision(msgspec.structs.replace(compared, actual=actual))
    until = f"; its name is taken until {refusal.day(actual.deletion.purge_at)}" if actual.deletion is not None else ""
    adopted = frozenset({"owner"}) if situation.standing is Standing.DELETED_FOREIGN else frozenset()
    return Decision(
        msgspec.structs.replace(
            compared,
            action=Action.RECOVER,
            reasons=(whose + until, *compared.reasons),
            changed=compared.changed | adopted,
            moved_from=situation.moved_from,
            actual=actual,
        )
    )


def _imported(situation: Situation, node: Node, inside: Callable[[], tuple[Inside, ...]]) -> Decision:
    compared = _compared(situation, node, situation.there, inside).change
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
    if situation.vault is not None and situation.vault.action is Action.REFUSE:
        return refusal.refused(situation, "its vault cannot become what is declared")
    if situation.moved_from is not None and before.resource.name:
        return refusal.refused(
            situation,
            f"a move changes an address, never a name: in the vault it is `{before.resource.name}`",
            f"Write `name: {before.resource.name}` in it to keep it, or take the line out of `moved` to replace it.",
        )
    renamed = renaming(before.resource, node.resource)
    if renamed is not None and renamed.attribute.rule.effect(renamed.after) == "refuse":
        return refusal.not_changeable(situation, [renamed], attributes.changes((renamed,)))
    if situation.prevents_destroy:
        return refusal.prevented(situation, "replace")
    if situation.standing is not Standing.ABSENT:
        deleted = situation.standing in (Standing.DELETED, Standing.DELETED_FOREIGN)
        return refusal.refused(
            situation,
            "its new name is taken by another thing" + (", which is soft-deleted" if deleted else ""),
            "Choose another name, or remove what has it.",
        )
    obstacle = before.resource.obstacle_to_deletion()
    if obstacle is not None:
        return refusal.refused(situation, obstacle.summary, obstacle.mend)
    created = _created(situation, node)
    if created.change.action is Action.REFUSE:
        return created
    gone = "deleted and can be recovered" if before.resource.soft_deleted else "taken away"
    lost = before.resource.lost_when_deleted
    return Decision(
        situation.change(
            action=Action.REPLACE,
            irreversible=bool(lost),
            reasons=(f"it cannot be changed in place: the one there is {gone}", *((lost,) if lost else ())),
            attributes=attributes.changes(tuple(_to_change(node.resource, before.resource))),
            actual=before,
        )
    )


def _replaced_in_place(situation: Situation, actual: Actual[Resource], shown: tuple[AttributeChange, ...]) -> Decision:
    """Decide about a replacement under the same name, which soft delete keeps taken until it is purged."""
    if situation.prevents_destroy:
        return refusal.prevented(situation, "replace")
    purged = actual.resource.soft_deleted
    if purged:
        obstacle = actual.resource.obstacle_to_purge()
        if obstacle is not None:
            return refusal.name_stays_taken(situation, obstacle.summary, shown)
        if situation.node is None or not situation.node.resource.lifecycle.purge_on_delete:
            return refusal.purge_not_asked_for(situation, shown)
    obstacle = actual.resource.obstacle_to_deletion()
    if obstacle is not None:
        return refusal.refused(situation, obstacle.summary, obstacle.mend)
    end = ": it is deleted and purged, with everything in it" if purged else ""
    lost = actual.resource.lost_when_deleted
    return Decision(
        situation.change(
            action=Action.REPLACE,
            irreversible=purged or bool(lost),
            reasons=(f"it cannot be changed in place{end}", *((lost,) if lost else ())),
            attributes=shown,
            purge_first=purged,
            actual=actual,
        )
    )


def _deleted(situation: Situation, inside: Callable[[], tuple[Inside, ...]]) -> Decision:
    actual = situation.there
    if situation.prevents_destroy:
        return refusal.prevented(situation, "delete")
    obstacle = actual.resource.obstacle_to_deletion()
    if obstacle is not None:
        return refusal.refused(situation, obstacle.summary, obstacle.mend)
    # What is in a vault goes with it, whether another takes the vault's place or not.
    ends = (Action.DELETE, Action.PURGE, Action.REPLACE)
    vault_ends = situation.vault is not None and situation.vault.action in ends
    # What nothing marks as ours would come back with a recovered vault as somebody else's: it ends by itself.
    with_vault = vault_ends and (not actual.resource.ours_by_state or actual.deletion is not None)
    if situation.still_needed_by is not None and not with_vault:
        return refusal.still_needed(situation, situation.still_needed_by)
    if situation.purges and actual.resource.soft_deleted and not with_vault:
        return _purged(situation)
    reasons = []
    if vault_ends:
        reasons.append("it goes with its vault")
    elif situation.record is None:
        whose = "was made by a run that ended early" if actual.owner is None else "carries this stack's tags"
        whose = "was set by this stack" if actual.named_by_us else whose
        reasons.append(f"it {whose} and is neither declared nor recorded")
    elif situation.destroyed is None:
        reasons.append("it is no longer declared")
    lost = actual.resource.lost_when_deleted
    reasons += [lost] if lost else []
    # Who may do what in it has no name, and goes with it as a matter of course.
    others = [
        held.actual for held in inside() if not held.ours and held.actual.deletion is None and held.actual.resource.name
    ]
    if others:
        words = sorted(f"{kind_words(other.kind)} {other.resource.name}" for other in others)
        named = ", ".join(words[:5])
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        reasons.append(f"it takes along what is not this stack's: {named}{more}")
    return Decision(
        situation.change(
            action=Action.DELETE,
            irreversible=bool(lost) or (with_vault and _destroyed_with_vault(situation, actual.resource)),
            reasons=tuple(reasons),
            with_vault=with_vault,
        )
    )


def _destroyed_with_vault(situation: Situation, resource: Resource) -> bool:
    """Tell whether the end of its vault is the end of this for good; access is given again as it was."""
    vault = situation.vault
    return vault is not None and (vault.action is Action.PURGE or vault.purge_first) and resource.soft_deleted


def _purged(situation: Situation) -> Decision:
    actual = situation.there
    if situation.prevents_destroy:
        return refusal.prevented(situation, "purge")
    if actual.deletion is not None and not actual.deletion.purgeable:
        return refusal.refused(
            situation,
            f"purge protection: nobody can purge it before {refusal.day(actual.deletion.purge_at)}",
            "Take the wish to purge out: it is deleted, and its name is free on that day.",
        )
    for holder in (actual, situation.container):
        obstacle = holder.resource.obstacle_to_purge() if holder is not None else None
        if obstacle is not None:
            mend = "Take the wish to purge out: it can be deleted, not purged."
            return refusal.refused(situation, obstacle.summary, mend)
    return Decision(
        situation.change(
            action=Action.PURGE, irreversible=True, reasons=("asked for by `purge`: it is destroyed for good",)
        )
    )


def _forgotten(situation: Situation, reason: str) -> Decision:
    return Decision(situation.change(action=Action.FORGET, reasons=(reason,)))


def _to_change(declared: Resource, actual: Resource) -> Iterator[Difference]:
    ignored = declared.lifecycle.ignore_changes
    for difference in to_change(actual, declared):
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


def _hints(situation: Situation, resource: Resource, actual: Actual[Resource]) -> Iterator[Diagnostic]:
    for hint in (*resource.hints(situation.now), *actual.hints):
        yield Diagnostic(severity="warning", summary=hint.summary, detail=hint.detail, address=situation.address)
