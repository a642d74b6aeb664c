"""How a rotation by a rotator stands, as JSON and for people."""

from typing import TYPE_CHECKING

from kvstack.cli.documents import Document, rotator_document

if TYPE_CHECKING:
    from kvstack.cli.documents import Facts
    from kvstack.vault.rotation_status import RotationStatus


def status_document(status: "RotationStatus") -> Document:
    """Return it as JSON has it. phase: null where nothing is on its way."""
    return {
        "rotator": rotator_document(status.rotator) if status.rotator is not None else None,
        "phase": status.stage,
        "id": status.id or None,
        "began": status.began,
        "tries": status.tries,
        "next_try": status.next_try,
        "given_up": status.failures,
        "failure": {"phase": status.failed_in, "why": status.failure} if status.failure else None,
        "due": status.due,
    }


def status_facts(status: "RotationStatus") -> "Facts":
    """Return it for people."""
    last = f"{status.failed_in}: {status.failure}" if status.failure else ""
    return [
        ("rotator", status.rotator.target if status.rotator is not None else "none"),
        ("phase", status.stage or "nothing on its way"),
        ("attempt", status.id),
        ("began", status.began),
        ("tries that failed", status.tries or None),
        ("attempts given up", status.failures or None),
        ("last failure", last),
        ("asked again from", status.next_try),
        ("due", status.due),
    ]
