"""A role assignment's condition, asked about one action on one thing of the vault."""

from kvstack.terms.condition import SECRET_NAME, VAULT_NAME, ConditionError, Request, holds
from kvstack.terms.condition_parser import parsed
from kvstack.terms.scope import Scope
from kvstack.vault.errors import BadParameter


def satisfied(condition: str, action: str, scope: Scope) -> bool:
    """Tell whether a condition that was checked before holds."""
    return holds(parsed(condition), request(action, scope))


def request(action: str, scope: Scope) -> Request:
    """Return what a condition may look at: the action, and the names of the vault and of the secret it is on."""
    attributes = {VAULT_NAME: scope.vault} if scope.vault else {}
    collection, _, name = scope.item.partition("/")
    if collection.lower() == "secrets" and name:
        attributes[SECRET_NAME] = name
    return Request(action, attributes)


def require_readable(condition: str) -> None:
    """Refuse a condition that cannot be read, and say where."""
    try:
        parsed(condition)
    except ConditionError as error:
        wrong = error.diagnostics[0]
        raise BadParameter(
            f"condition: character {error.offset + 1}: {wrong.summary}", wrong.detail, code="InvalidCondition"
        ) from None
