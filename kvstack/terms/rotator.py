"""What makes a secret's next value known outside the vault: a program or a webhook, asked phase by phase."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from kvstack.terms.webhook import webhook_problem

# create: say what the value is to be; set: have it work; test: use it; finish: it is the newest version now; rollback:
# it will not be, undo what was set.
Phase = Literal["create", "set", "test", "finish", "rollback"]


class Rotator(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who is asked: one of both. command: a program with its arguments; webhook: an address; secret_vault, secret: what
    signs what is posted there."""

    command: tuple[str, ...] = ()
    webhook: str = ""
    secret_vault: str = ""
    secret: str = ""

    @property
    def target(self) -> str:
        """Who it is, in one line."""
        return self.webhook or " ".join(self.command)

    @property
    def signed_by(self) -> str:
        """The secret that signs, as a stack writes it; empty for none."""
        return f"{self.secret_vault}/secrets/{self.secret}" if self.secret else ""


def problems(rotator: Rotator) -> Iterator[tuple[str, str]]:
    """Yield (attribute, what is wrong): empty for the rotator as a whole."""
    if bool(rotator.command) == bool(rotator.webhook):
        yield "", "a rotator is a `command` or a `webhook`: one of both"
        return
    if rotator.command:
        if rotator.secret:
            yield "secret", "a secret signs what is posted to a webhook"
        if not rotator.command[0]:
            yield "command", "the program has no name"
        if any("\0" in word for word in rotator.command):
            yield "command", "no `command` has the character NUL in it"
        return
    if wrong := webhook_problem(rotator.webhook):
        yield "webhook", f"`{rotator.webhook}` is no address to ask a rotator at: {wrong}"
    if not rotator.secret:
        yield "secret", "a webhook that is to set passwords has to know who asks: name the `secret` that signs"
