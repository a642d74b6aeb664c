"""A plan, the drift in it, or what an apply came to, as the JSON of design section 9."""

from typing import Any

import msgspec

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
from kvstack.render import documents as doc
from kvstack.render.escape import encodable, in_json
from kvstack.render.events import Failed, Finished, Outcome, Skipped
from kvstack.terms.diagnostic import Diagnostic


def document(plan: Plan) -> dict[str, Any]:
    """Return the plan in the shape of schemas/plan.json."""
    return _builtins(
        doc.PlanDocument(
            format_version=doc.FORMAT_VERSION,
            stack=plan.stack,
            environment=plan.environment,
            complete=plan.complete,
            summary=_summary(plan.summary),
            changes=tuple(map(_change, plan.changes)),
            drift=tuple(map(_drifted, plan.drift)),
            unread=tuple(map(_unread, plan.unread)),
            diagnostics=tuple(map(_diagnostic, plan.diagnostics)),
            needs_approval=tuple(map(_need, plan.needs_approval)),
            approvals=tuple(
                doc.ApprovalDocument(approver=one.approver, until=one.until, problem=one.problem)
                for one in plan.approvals or ()
            ),
            destroy=plan.destroy,
            refresh_only=plan.refresh_only,
            targets=plan.targets,
            access=_access(plan.access),
            compared_at_apply=plan.compared_at_apply,
        )
    )


def drift_document(plan: Plan) -> dict[str, Any]:
    """Return what moved since the last apply in the shape of schemas/drift.json."""
    return _builtins(
        doc.DriftReportDocument(
            format_version=doc.FORMAT_VERSION,
            stack=plan.stack,
            environment=plan.environment,
            complete=plan.complete,
            drift=tuple(map(_drifted, plan.drift)),
            unread=tuple(map(_unread, plan.unread)),
            diagnostics=tuple(map(_diagnostic, plan.diagnostics)),
        )
    )


def outcome_document(outcome: Outcome, *, stack: str, environment: str | None) -> dict[str, Any]:
    """Return what an apply came to in the shape of schemas/apply.json."""
    made = {action.value: count for action, count in outcome.made.items()}
    return _builtins(
        doc.ApplyDocument(
            format_version=doc.FORMAT_VERSION,
            stack=stack,
            environment=environment,
            interrupted=outcome.interrupted,
            summary=_summary(made),
            failed=len(outcome.failed),
            skipped=len(outcome.skipped),
            results=tuple(map(_result, outcome.results)),
            diagnostics=tuple(_diagnostic(found) for failed in outcome.failed for found in failed.diagnostics),
        )
    )


def json_text(document: dict[str, Any]) -> str:
    """Return a document as JSON that a terminal or a log shows as it is, ended by a line feed."""
    return in_json(msgspec.json.format(msgspec.json.encode(document), indent=2).decode()) + "\n"


def _builtins(document: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = _encodable(msgspec.to_builtins(document))
    return found


def _encodable(data: Any) -> Any:
    match data:
        case str():
            return data if data.isascii() else encodable(data)
        case dict():
            return {_encodable(key): _encodable(item) for key, item in data.items()}
        case list() | tuple():
            return [*map(_encodable, data)]
        case _:
            return data


def _summary(counts: dict[str, int]) -> doc.SummaryDocument:
    return doc.SummaryDocument(
        **{field: counts.get(field.rstrip("_"), 0) for field in doc.SummaryDocument.__struct_fields__}
    )


def _change(change: Change) -> doc.ChangeDocument:
    return doc.ChangeDocument(
        address=change.address,
        kind=change.kind,
        action=change.action.value,
        irreversible=change.irreversible,
        reasons=change.reasons,
        attributes=tuple(map(_attribute, change.attributes)),
        moved_from=change.moved_from,
        with_vault=change.with_vault,
        purge_first=change.purge_first,
        compared_at_apply=change.compared_at_apply,
    )


def _attribute(change: AttributeChange) -> doc.AttributeDocument:
    return doc.AttributeDocument(change.path, _value(change.before), _value(change.after), change.rule)


def _value(data: Any) -> Any:
    """Return plain data as it is, and in place of what is not for a document what may be said of it."""
    match data:
        case None | bool() | int() | float() | str():
            return data
        case Sensitive(fingerprint):
            return {"sensitive": True, "fingerprint": fingerprint}
        case KnownAfterApply():
            return doc.KNOWN_AFTER_APPLY
        case list() | tuple():
            return [*map(_value, data)]
        case dict():
            return {key: _value(item) for key, item in data.items()}
        case _:
            raise TypeError(f"a plan holds no {type(data).__name__}")


def _drifted(drifted: Drifted) -> doc.DriftDocument:
    return doc.DriftDocument(
        address=drifted.address,
        kind=drifted.kind,
        what=drifted.what,
        attributes=tuple(map(_attribute, drifted.attributes)),
        by=drifted.by,
        at=drifted.at,
        operation=drifted.operation,
    )


def _access(effects: AccessEffects) -> doc.AccessDocument | None:
    if not effects:
        return None
    return msgspec.convert(effects, doc.AccessDocument, from_attributes=True)


def _need(need: NeedsApproval) -> doc.NeedsApprovalDocument:
    deed = need.deed
    return doc.NeedsApprovalDocument(
        address=need.address,
        vault=need.vault,
        operation=deed.operation,
        where=deed.where,
        what=deed.what,
        group=deed.group,
        rule=deed.rule,
        by=need.names,
        by_ids=need.by,
        declared=need.declared,
    )


def _unread(thing: UnreadThing) -> doc.UnreadDocument:
    return doc.UnreadDocument(thing.address, thing.reason)


def _diagnostic(diagnostic: Diagnostic) -> doc.DiagnosticDocument:
    return doc.DiagnosticDocument(**diagnostic.document())


def _result(result: Finished | Failed | Skipped) -> doc.ResultDocument:
    match result:
        case Finished(address, kind, action, seconds):
            return doc.ResultDocument(address, kind, action.value, "done", seconds, None)
        case Failed(address, kind, action, seconds, diagnostics):
            why = diagnostics[0].summary if diagnostics else None
            return doc.ResultDocument(address, kind, action.value, "failed", seconds, why)
        case Skipped(address, kind, action, because):
            return doc.ResultDocument(address, kind, action.value, "skipped", None, because)
