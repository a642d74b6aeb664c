"""What one role allows: its patterns compiled once, its answers kept."""

import re
from functools import cache

from kvstack.terms.role import RoleDefinition


class Permissions:
    """What one role allows; what it subtracts, it subtracts from itself only.

    Its patterns are compiled when first needed, and its answers kept.
    """

    __slots__ = ("_answers", "_patterns", "role")

    def __init__(self, role: RoleDefinition) -> None:
        self.role = role
        self._answers: dict[tuple[str, bool], bool] = {}
        self._patterns: dict[bool, tuple[re.Pattern[str], re.Pattern[str]]] = {}

    def allow(self, action: str, *, data: bool) -> bool:
        """Tell whether the role allows an action; case does not count."""
        question = (action, data)
        answer = self._answers.get(question)
        if answer is None:
            allowed, subtracted = self._compiled(data)
            answer = allowed.fullmatch(action) is not None and subtracted.fullmatch(action) is None
            self._answers[question] = answer
        return answer

    def _compiled(self, data: bool) -> tuple[re.Pattern[str], re.Pattern[str]]:
        found = self._patterns.get(data)
        if found is None:
            role = self.role
            found = (
                (_pattern(role.data_actions), _pattern(role.not_data_actions))
                if data
                else (_pattern(role.actions), _pattern(role.not_actions))
            )
            self._patterns[data] = found
        return found


def _pattern(wildcards: tuple[str, ...]) -> re.Pattern[str]:
    """Compile patterns where `*` stands for anything; none at all match nothing."""
    if not wildcards:
        return re.compile(r"(?!)")
    return re.compile("|".join(re.escape(one).replace(r"\*", ".*") for one in wildcards), re.IGNORECASE | re.DOTALL)


@cache
def permissions(role: RoleDefinition) -> Permissions:
    """Return what a role allows."""
    return Permissions(role)
