"""A thing that is due, read anew before it is done: somebody may have done it meanwhile."""

from kvstack.terms.name import folded
from kvstack.vault.due_kind import Due, NotDue
from kvstack.vault.engine import Attempt
from kvstack.vault.items import I, Kind
from kvstack.vault.records import Vault


def still_due(attempt: Attempt, due: Due, kind: Kind[I], action: str = "") -> tuple[Vault, I]:
    """Return a thing and its vault, read anew. action: what is done with it, where that takes a right. Raises NotDue
    where somebody did it meanwhile."""
    path = f"{kind.collection}/{due.name}"
    home = attempt.registry.vault(due.vault)
    if home is None or home.deletion is not None:
        raise NotDue(due)
    if action:
        home = attempt.vault(due.vault, action, path)
    item = kind.table.get(attempt.tx, home.id, folded(due.name))
    if item is None:
        raise NotDue(due)
    attempt.at_item(home, f"{kind.collection}/{item.name}")
    at = kind.table.dates(item).get(due.action)
    if at is None or at > attempt.now:
        raise NotDue(due)
    return home, item
