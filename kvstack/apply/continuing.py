"""Going on with an approved plan that was cut short: what is left of it now is part of what was planned, or stale."""

from typing import Any

from kvstack.apply.saved import SavedPlan
from kvstack.plan.change import Plan
from kvstack.render.json import document
from kvstack.terms.diagnostic import KvstackError

# What a planned action may have become where a run ended within it.
_LEFT = {
    "create": ("create", "update"),
    "recover": ("recover", "update"),
    "import": ("import", "update"),
    "replace": ("replace", "create", "recover", "update"),
    "delete": ("delete", "forget"),
    "purge": ("purge", "forget"),
}


def require_continues(saved: SavedPlan, now: Plan) -> None:
    """Refuse to go on with a plan where anything is left to do now that it did not say. Its serial may be another: what
    was done of it was recorded. Raises KvstackError."""
    again = "Run `kvstack plan` again, and have the new plan approved."
    if saved.declaration_digest != now.declaration_digest:
        raise KvstackError("the plan is stale: the declaration is another now", again)
    if saved.serial and saved.lineage != now.lineage:
        raise KvstackError("the plan was made for another state", again)
    planned = {change["address"]: change for change in saved.plan["changes"]}
    compared = {*saved.plan.get("compared_at_apply", ())}
    for change in document(now)["changes"]:
        address = change["address"]
        before = planned.get(address)
        if before is None and address in compared and [one["path"] for one in change["attributes"]] == ["value"]:
            continue
        if before is None or not _is_left(before, change):
            raise KvstackError(
                f"the plan was begun, and what is left to do to `{address}` is not what was planned",
                again,
                address=address,
            )


def _is_left(planned: dict[str, Any], now: dict[str, Any]) -> bool:
    if now["action"] not in _LEFT.get(planned["action"], (planned["action"],)):
        return False
    # Of something that is gone there is nothing more to come.
    if now["action"] in ("delete", "purge", "forget"):
        return True
    after = {entry["path"]: entry["after"] for entry in planned["attributes"]}
    made_anew = planned["action"] == "replace" and now["action"] in ("create", "recover")
    return all(made_anew or _same(after, entry) for entry in now["attributes"])


def _same(after: dict[str, Any], entry: dict[str, Any]) -> bool:
    path = entry["path"]
    if path not in after:
        return False
    return bool(after[path] == entry["after"]) or (path == "value" and after[path] == "known after apply")
