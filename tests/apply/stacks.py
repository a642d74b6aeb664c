"""Stacks opened on the backend in memory."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from kvstack.apply.workspace import Workspace
from kvstack.declare.declaration import declaration
from kvstack.plan.change import Plan
from kvstack.render.events import Event, Outcome
from tests.declare.stacks import write
from tests.fakes.backend import MemoryBackend

STACK = """\
stack: s
principals: {api: {type: service_principal, id: 6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11}}
vaults:
  dev:
    access: [{principal: api, role: Key Vault Reader}]
    keys: {sign: {type: EC}, wrap: {type: EC}}
    secrets:
      db: {value_from: {env: DB}}
      made: {value_from: {generate: {length: 20}}}
  test:
    keys: {sign: {type: EC}}
"""
ENVIRON = {"DB": "hunter2-db"}
ALL = {
    "dev", "dev/access/api/key-vault-reader", "dev/keys/sign", "dev/keys/wrap", "dev/secrets/db", "dev/secrets/made",
    "test", "test/keys/sign",
}  # fmt: skip


def opened(folder: Path, backend: MemoryBackend, text: str = STACK, environ: Mapping[str, str] = ENVIRON) -> Workspace:
    """Open a stack."""
    return Workspace(declaration(write(folder, text)), backend, environ=environ)


def silent(_: Event) -> None:
    return


def applied(
    stack: Workspace,
    made: Plan | None = None,
    *,
    tell: Callable[[Event], None] = silent,
    stop: threading.Event | None = None,
    workers: int | None = None,
    **options: bool,
) -> Outcome:
    """Apply a plan, or the one made now."""
    state = stack.state()
    return stack.apply(
        made or stack.plan(state=state, **options),  # type: ignore[arg-type]  # flags of plan
        state,
        tell=tell,
        stop=stop or threading.Event(),
        workers=workers,
    )


def done(outcome: Outcome) -> dict[str, str]:
    """Return what came of each change, by address: finished, failed, skipped."""
    return {result.address: type(result).__name__.lower() for result in outcome.results}
