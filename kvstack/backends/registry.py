"""Which backends there are; the only module that names them."""

from collections.abc import Callable
from pathlib import Path

from kvstack.backends.protocol import Backend
from kvstack.terms.diagnostic import KvstackError


def opened(kind: str, directory: Path, *, owner: str, principal: str | None = None, isolated: bool = False) -> Backend:
    """Open the backend a stack chose. kind: `backend.type`; owner: the stack it is opened for, as its owner tags have
    it; principal: who acts, None for whoever runs the command line; isolated: whether the stack wants the HSM's module
    in a process of its own. Raises KvstackError where it is not there, or is not part of this version."""
    match kind:
        case "embedded":
            from kvstack.backends.embedded.backend import EmbeddedBackend

            open_it: Callable[..., Backend] = EmbeddedBackend.opened
            return open_it(directory, owner=owner, principal=principal, isolated=isolated)
        case _:
            raise KvstackError(
                f"this version of kvstack has no backend `{kind}`",
                "The declaration is valid; plan and apply work with `backend: {type: embedded}`.",
            )
