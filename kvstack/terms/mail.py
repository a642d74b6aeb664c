"""An event as people read it, in a mail."""

from email.message import EmailMessage
from typing import Final

from kvstack.terms.event import Event

_WHAT: Final = {
    "NewVersionCreated": "has a new version",
    "NearExpiry": "is about to expire",
    "Expired": "has expired",
    "AccessChanged": "was given, taken or changed",
    "VaultAccessPolicyChanged": "has other access policies",
    "ApplyFinished": "was applied",
    "ApplyFailed": "could not be applied as a whole",
    "DriftFound": "is not as it was applied",
    "Alert": "was raised",
    "PurgeScheduled": "was deleted, and is purged when its retention ends",
}


def mail(event: Event, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """Return a mail about an event. Names only: there is nothing else in an event."""
    from datetime import UTC, datetime

    data, what = event.data, _summary(event)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(recipients), f"[kvstack] {what}"
    message["Date"] = event.time
    message["Message-ID"] = f"<{event.id}@kvstack.local>"
    message["Auto-Submitted"] = "auto-generated"
    lines = [
        f"{what}.",
        "",
        f"Event     {event.type}",
        f"Thing     {data.id}",
        *([f"What      {data.version}"] if data.object_type == "Alert" else []),
        f"Time      {event.time:%Y-%m-%d %H:%M} UTC",
    ]
    if data.exp is not None:
        lines.append(f"Expires   {datetime.fromtimestamp(data.exp, UTC):%Y-%m-%d %H:%M} UTC")
    message.set_content("\n".join((*lines, f"Id        {event.id}", "")))
    return message


def _summary(event: Event) -> str:
    data = event.data
    where = f" in {data.vault_name}" if data.vault_name and data.vault_name != data.object_name else ""
    kind = data.object_type
    told = next((words for ending, words in _WHAT.items() if event.type.endswith(f"{kind}{ending}")), "")
    told = told or next((words for ending, words in _WHAT.items() if event.type.endswith(f".{ending}")), event.type)
    return f"{kind} {data.object_name}{where} {told}"
