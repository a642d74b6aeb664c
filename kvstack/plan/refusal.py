"""What cannot be done, said with the reason and how to mend it, before anything is touched."""

from datetime import datetime
from typing import Any

from kvstack.backends.protocol import Actual
from kvstack.plan.change import AttributeChange
from kvstack.plan.situation import Decision, Missing, Situation
from kvstack.schema.differences import Difference
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.kind import kind_words, with_article


def refused(situation: Situation, summary: str, mend: str = "", shown: tuple[AttributeChange, ...] = ()) -> Decision:
    """Return a refusal."""
    reasons = (summary, mend) if mend else (summary,)
    return Decision(situation.change(action=Action.REFUSE, reasons=reasons, attributes=shown))


def prevented(situation: Situation, verb: str) -> Decision:
    """Return the refusal that `prevent_destroy` asks for."""
    return refused(
        situation,
        f"`lifecycle: {{prevent_destroy: true}}` stands in the way: the plan would {verb} it",
        "Take the line out, or put back what would change.",
    )


def foreign(situation: Situation) -> Decision:
    """Return the refusal to take somebody else's thing."""
    owner = situation.there.owner
    whose = f"the stack `{owner.stack}`'s" if owner else "not this stack's"
    return refused(
        situation,
        f"{with_article(kind_words(situation.kind))} of that name is there, and {whose}",
        f"Take it over with `kvstack import {situation.address}`, or choose another name.",
    )


def deleted_foreign(situation: Situation) -> Decision:
    """Return the refusal of a name that somebody else's soft-deleted thing keeps."""
    deletion = situation.there.deletion
    until = f" until {day(deletion.purge_at)}" if deletion is not None else ""
    return refused(
        situation,
        f"a soft-deleted {kind_words(situation.kind)} that is not this stack's keeps the name{until}",
        f"Recover it and take it over with `kvstack import {situation.address}`, purge it, or choose another name.",
    )


def nothing_to_be_for(situation: Situation, missing: Missing) -> Decision:
    """Return the refusal of something for a vault, or a thing in one, that is not there nor declared, or that ends."""
    match missing.identity.split("/"):
        case ["vaults", vault, collection, name]:
            what = f"{collection.removesuffix('s')} `{name}` in vault `{vault}`"
        case ["identities", group, name]:
            what = f"managed identity `{name}` in the resource group `{group}`"
        case ["roles", name]:
            what = f"role `{name}`"
        case _:
            what = f"vault `{missing.identity.rpartition('/')[2]}`"
    if missing.ends:
        return refused(
            situation,
            f"it needs the {what}, which is no longer declared and ends",
            "Declare it, or correct what names it.",
        )
    return refused(
        situation, f"there is no {what}", "Declare it, make it by other means first, or correct what names it."
    )


def still_needed(situation: Situation, by: Actual[Any]) -> Decision:
    """Return the refusal of an end that something else stands in the way of."""
    place = f"{kind_words(by.kind)} {by.id}" + (f" in vault `{by.vault}`" if by.vault else "")
    return refused(
        situation,
        f"it cannot end while something needs it: the {place}",
        "Take that away first, or keep this declared.",
    )


def name_held(situation: Situation, other: Address) -> Decision:
    """Return the refusal of a name that another address had at the last apply, and gives up in the same plan."""
    return refused(
        situation,
        f"its name in the vault is that of `{other}` as applied last",
        "Names change hands in two steps: free the name and apply, then take it and apply again.",
    )


def name_stays_taken(situation: Situation, reason: str, shown: tuple[AttributeChange, ...]) -> Decision:
    """Return the refusal of a replacement whose name nobody can free."""
    return refused(
        situation,
        f"it would have to be replaced, and {reason}",
        "Give the new one another `name`, or put the attributes back.",
        shown,
    )


def purge_not_asked_for(situation: Situation, shown: tuple[AttributeChange, ...]) -> Decision:
    """Return the refusal of a replacement that would have to purge, which is never done unasked."""
    return refused(
        situation,
        "it would have to be replaced, and its name stays taken by soft delete until it is purged",
        "Write `lifecycle: {purge_on_delete: true}` to purge it for good with everything in it, or give the new one "
        "another `name`.",
        shown,
    )


def not_changeable(situation: Situation, differences: list[Difference], shown: tuple[AttributeChange, ...]) -> Decision:
    """Return the refusal of attributes that change in no way, or not in this direction."""
    names = ", ".join(f"`{difference.attribute.written}`" for difference in differences)
    words = " ".join(dict.fromkeys(difference.attribute.rule.reason for difference in differences))
    kept = " and ".join(
        f"`{difference.attribute.written}: {_as_written(difference.before)}`" for difference in differences
    )
    return refused(
        situation, f"{names} cannot be changed so. {words}".strip(), f"Write {kept} to keep what is there.", shown
    )


def day(moment: datetime) -> str:
    """Return a moment as people read a day."""
    return f"{moment:%Y-%m-%d}"


def _as_written(value: object) -> object:
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case frozenset() | tuple() | list():
            return f"[{', '.join(sorted(map(str, value)))}]"
        case _:
            return value
