"""What changing one attribute costs."""

from typing import Any, Literal

import msgspec

Effect = Literal["update", "new_version", "replace", "refuse"]


class ChangeRule(msgspec.Struct, frozen=True):
    """How the planner may carry out a change of one attribute.

    name: as plans and documents print it; reason: why a change is refused or costly; only_to: the one value a one-way
    attribute may change to.
    """

    name: Literal["update", "new version", "replace", "fixed", "one way"]
    reason: str = ""
    only_to: Any = None

    def effect(self, after: Any) -> Effect:
        """Return what a change to this value means."""
        match self.name:
            case "update":
                return "update"
            case "new version":
                return "new_version"
            case "replace":
                return "replace"
            case "fixed":
                return "refuse"
            case "one way":
                return "update" if after == self.only_to else "refuse"


UPDATE = ChangeRule("update")
NEW_VERSION = ChangeRule("new version", "Versions are never changed: a new one is made, old ones stay.")
REPLACE = ChangeRule("replace", "It cannot be changed in place: the thing is deleted and made anew.")


def fixed(reason: str) -> ChangeRule:
    """Return the rule of an attribute that is set once, at creation."""
    return ChangeRule("fixed", reason)


def one_way(only_to: Any, reason: str) -> ChangeRule:
    """Return the rule of an attribute that changes in one direction only."""
    return ChangeRule("one way", reason, only_to)
