"""What deletion of a thing in a vault means: how long it can be recovered, and whether it can be purged."""

from typing import Literal

RecoveryLevel = Literal[
    "Recoverable+Purgeable", "Recoverable", "CustomizedRecoverable+Purgeable", "CustomizedRecoverable"
]


def recovery_level(retention_days: int, purge_protection: bool) -> RecoveryLevel:
    """Return Azure's word for a vault's settings. Source: azure/facts.md, soft delete and purge protection."""
    match (retention_days == 90, purge_protection):
        case (True, False):
            return "Recoverable+Purgeable"
        case (True, True):
            return "Recoverable"
        case (False, False):
            return "CustomizedRecoverable+Purgeable"
        case _:
            return "CustomizedRecoverable"
