"""A plan in a file: what was shown to people, kept so that exactly that is applied, or nothing."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from kvstack.hsm.private_file import write_private
from kvstack.plan.access import AccessEffects
from kvstack.plan.change import (
    AttributeChange,
    Change,
    Drifted,
    KnownAfterApply,
    NeedsApproval,
    Plan,
    Sensitive,
    UnreadThing,
)
from kvstack.render.documents import PlanDocument
from kvstack.render.json import document
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.approval import Deed
from kvstack.terms.diagnostic import Diagnostic, KvstackError, Place

FORMAT = "kvstack-plan-1"


class SavedPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a plan file holds: the plan as JSON has it, what it was made of, for which vaults and by whom. backend,
    made_by: ids; made_by is what its maker says, and nothing is allowed for it."""

    format: str
    lineage: str
    serial: int
    declaration_digest: str
    targets: tuple[Address, ...]
    destroy: bool
    refresh_only: bool
    plan: dict[str, Any]
    backend: str = ""
    made_by: str = ""


class PlanFile(msgspec.Struct, frozen=True):
    """A plan file as it was read. digest: the SHA-256 of its bytes, in hex, which is what approvals are of."""

    saved: SavedPlan
    digest: str


def save(made: Plan, path: Path, *, backend: str = "", made_by: str = "") -> PlanFile:
    """Write a plan to a file, 0600, whole or not at all. Returns what was written."""
    saved = of(made, backend=backend, made_by=made_by)
    data = msgspec.json.encode(saved)
    try:
        write_private(path, data, replace=True)
    except OSError as error:
        raise KvstackError(f"the plan {path} cannot be written: {error.strerror}") from None
    return PlanFile(saved, digest(data))


def of(made: Plan, *, backend: str = "", made_by: str = "") -> SavedPlan:
    """Return a plan as a file holds it."""
    return SavedPlan(
        format=FORMAT,
        lineage=made.lineage,
        serial=made.serial,
        declaration_digest=made.declaration_digest,
        targets=made.targets,
        destroy=made.destroy,
        refresh_only=made.refresh_only,
        plan=document(msgspec.structs.replace(made, approvals=None)),
        backend=backend,
        made_by=made_by,
    )


def digest(data: bytes) -> str:
    """Return what tells a plan file from every other."""
    return hashlib.sha256(b"kvstack plan\n" + data).hexdigest()


def read(path: Path) -> SavedPlan:
    """Read a plan file. Raises KvstackError where it is none."""
    return opened(path).saved


def opened(path: Path) -> PlanFile:
    """Read a plan file, with its digest. Raises KvstackError where it is none."""
    try:
        data = path.read_bytes()
        saved = msgspec.json.decode(data, type=SavedPlan)
        msgspec.convert(saved.plan, PlanDocument)
        plan_of(saved)
    except OSError as error:
        raise KvstackError(f"the plan {path} cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise KvstackError(
            f"{path} is no plan of kvstack: {error}", "Make one with `kvstack plan --out FILE`."
        ) from None
    if saved.format != FORMAT:
        raise KvstackError(f"{path} was made by another version of kvstack", "Make the plan again.")
    return PlanFile(saved, digest(data))


def plan_of(saved: SavedPlan) -> Plan:
    """Return a saved plan for showing it. What only apply works with is not in it."""
    shown = saved.plan
    return Plan(
        stack=shown["stack"],
        environment=shown["environment"],
        changes=tuple(_change(change) for change in shown["changes"]),
        compared_at_apply=tuple(shown.get("compared_at_apply", ())),
        drift=tuple(
            msgspec.convert({**drifted, "attributes": _attributes(drifted)}, Drifted) for drifted in shown["drift"]
        ),
        unread=msgspec.convert(shown["unread"], tuple[UnreadThing, ...]),
        diagnostics=tuple(_diagnostic(diagnostic) for diagnostic in shown["diagnostics"]),
        access=msgspec.convert(shown.get("access", {}), AccessEffects),
        needs_approval=tuple(_need(need) for need in shown.get("needs_approval", ())),
        lineage=saved.lineage,
        serial=saved.serial,
        declaration_digest=saved.declaration_digest,
        targets=saved.targets,
        destroy=saved.destroy,
        refresh_only=saved.refresh_only,
    )


def _change(shown: dict[str, Any]) -> Change:
    flags = ("irreversible", "with_vault", "purge_first", "compared_at_apply", "moved_from")
    return Change(
        address=shown["address"],
        kind=shown["kind"],
        action=Action(shown["action"]),
        reasons=tuple(shown["reasons"]),
        attributes=_attributes(shown),
        **{flag: shown[flag] for flag in flags if flag in shown},
    )


def _need(shown: dict[str, Any]) -> NeedsApproval:
    deed = Deed(**{field: shown[field] for field in Deed.__struct_fields__ if field in shown})
    return NeedsApproval(
        address=shown["address"],
        vault=shown["vault"],
        deed=deed,
        by=tuple(shown["by_ids"]),
        names=tuple(shown["by"]),
        declared=shown.get("declared", False),
    )


def _attributes(shown: dict[str, Any]) -> tuple[AttributeChange, ...]:
    return tuple(
        AttributeChange(entry["path"], _value(entry["before"]), _value(entry["after"]), entry["rule"])
        for entry in shown["attributes"]
    )


def _value(data: Any) -> Any:
    match data:
        case {"sensitive": True, "fingerprint": fingerprint}:
            return Sensitive(fingerprint)
        case "known after apply":
            return KnownAfterApply()
        case _:
            return data


def _diagnostic(shown: dict[str, Any]) -> Diagnostic:
    place = Place(shown["file"], shown["line"], shown["column"]) if shown["file"] else None
    return Diagnostic(
        severity=shown["severity"],
        summary=shown["summary"],
        detail=shown["detail"],
        place=place,
        address=shown["address"],
        code=shown.get("code"),
    )


def require_current(saved: SavedPlan, now: Plan) -> None:
    """Refuse a plan that is not what a plan made now would be. Raises KvstackError, saying what is no longer as it
    was."""
    again = "Run `kvstack plan` again, and have the new plan looked at."
    if saved.lineage != now.lineage and saved.serial:
        raise KvstackError("the plan was made for another state", again)
    if saved.serial != now.serial:
        raise KvstackError("the plan is stale: something was applied since it was made", again)
    if saved.declaration_digest != now.declaration_digest:
        raise KvstackError("the plan is stale: the declaration is another now", again)
    may_differ = {*saved.plan.get("compared_at_apply", ())}
    planned = {change["address"]: change for change in saved.plan["changes"]}
    current = {change["address"]: change for change in document(now)["changes"]}
    for address in (*planned, *(address for address in current if address not in planned)):
        if not _same(planned.get(address), current.get(address), at_apply=address in may_differ):
            raise KvstackError(
                f"the plan is stale: what would happen to `{address}` is no longer what was planned",
                f"What is there, or the secret's value, changed since. {again}",
                address=address,
            )


def _same(planned: dict[str, Any] | None, current: dict[str, Any] | None, *, at_apply: bool) -> bool:
    if planned is None and at_apply:
        # The plan said that the value is compared at apply: a new version of just that is what it announced.
        return current is None or [entry["path"] for entry in current["attributes"]] == ["value"]
    if planned is None or current is None:
        return planned is current
    return bool(_without_unknown(planned, planned) == _without_unknown(current, planned))


def _without_unknown(change: dict[str, Any], planned: dict[str, Any]) -> Any:
    """Return a change in JSON's terms, without the fingerprint of a value that was not there when the plan was made."""
    data = msgspec.json.decode(msgspec.json.encode(change))
    unknown = {
        entry["path"]
        for entry in planned["attributes"]
        if entry["path"] == "value" and entry["after"] == "known after apply"
    }
    for entry in data["attributes"]:
        if entry["path"] in unknown:
            entry["after"] = None
    return data
