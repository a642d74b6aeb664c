"""What a plan does to one thing: the vocabulary of design section 3."""

import enum


class Action(enum.Enum):
    """One step for one address. value: the name in JSON; symbol: the one character people read."""

    CREATE = "create"
    RECOVER = "recover"
    UPDATE = "update"
    ROTATE = "rotate"
    REPLACE = "replace"
    DELETE = "delete"
    PURGE = "purge"
    FORGET = "forget"
    MOVE = "move"
    IMPORT = "import"
    REFUSE = "refuse"
    NO_OP = "no-op"

    @property
    def symbol(self) -> str:
        """The character in front of a change, as people read it."""
        return _SYMBOLS[self]


_SYMBOLS = {
    Action.CREATE: "+",
    Action.RECOVER: "^",
    Action.UPDATE: "~",
    Action.ROTATE: "↻",
    Action.REPLACE: "∓",
    Action.DELETE: "-",
    Action.PURGE: "✗",
    Action.FORGET: ".",
    Action.MOVE: "→",
    Action.IMPORT: "←",
    Action.REFUSE: "!",
    Action.NO_OP: " ",
}
