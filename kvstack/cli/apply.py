"""`kvstack apply`: change it; asks first."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from kvstack.cli.context import Context, pass_context
from kvstack.cli.output import answer, answer_json, coloured, say, width
from kvstack.cli.plan import is_refused, show
from kvstack.cli.plan_options import allow_file, as_json, policies, targets
from kvstack.cli.workspace import interactive, locked, workspace
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import InvalidInput, KvstackError

if TYPE_CHECKING:
    from kvstack.apply.saved import PlanFile
    from kvstack.apply.workspace import Workspace
    from kvstack.plan.change import Plan
    from kvstack.render.events import Outcome
    from kvstack.state.state import State
    from kvstack.terms.approval import Given

INTERRUPTED = 130


@click.command("apply")
@click.argument("plan", required=False, metavar="[PLAN]", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json("What was done, as one JSON document.")
@targets
@policies
@allow_file
@pass_context
def command(
    context: Context,
    plan: Path | None,
    yes: bool,
    as_json: bool,
    targets: tuple[Address, ...],
    policies: Path | None,
    allow_files: bool,
) -> int:
    """Make what is there what is declared. With PLAN, do exactly what that plan says, or nothing."""
    file: PlanFile | None = None
    if plan is not None:
        from kvstack.apply.saved import opened

        if targets:
            raise KvstackError("a saved plan has its targets", "Leave --target out.")
        file = opened(plan)
    return applied(
        context, file=file, yes=yes, as_json=as_json, targets=targets, policies=policies, allow_files=allow_files
    )


def applied(
    context: Context,
    *,
    file: "PlanFile | None" = None,
    yes: bool,
    as_json: bool,
    targets: tuple[Address, ...] = (),
    policies: Path | None = None,
    allow_files: bool = False,
    destroy: bool = False,
    verb: str = "apply",
) -> int:
    """Plan, show, ask, and do it. Returns the exit code."""
    saved = file.saved if file else None
    with workspace(context, allow_files=allow_files) as opened, locked(opened.store, verb):
        state = opened.state()
        made = opened.plan(
            state=state,
            targets=saved.targets if saved else targets,
            destroy=saved.destroy if saved else destroy,
            refresh_only=saved.refresh_only if saved else False,
            with_digest=saved is not None,
            policies=policies,
        )
        made, approvals = _current(opened, file, made) if file is not None else (made, ())
        _require_applicable(made, as_json=as_json)
        if not as_json:
            show(made)
        if missing := opened.missing_values(made):
            raise InvalidInput(missing)
        if made.needs_approval:
            from kvstack.apply.approval import require_approved

            require_approved(made, approvals, file.digest if file else "")
        if not made.empty and not (yes or saved is not None):
            _ask(as_json=as_json)
        approved = file.digest if file is not None and any(not one.problem for one in approvals) else ""
        outcome = _run(opened, made, state, as_json=as_json, approved=approved)
        if not made.empty:
            opened.tell("ApplyFailed" if outcome.failed or outcome.interrupted else "ApplyFinished")
    return _told(made, outcome, as_json=as_json)


def _current(opened: "Workspace", file: "PlanFile", made: "Plan") -> "tuple[Plan, tuple[Given, ...]]":
    """Return the plan as it is now, with its approvals. Raises KvstackError where it is not what the file says, or what
    is left of that."""
    import msgspec

    from kvstack.apply import approval
    from kvstack.apply.continuing import require_continues
    from kvstack.apply.saved import require_current

    waits = file.saved.plan.get("needs_approval") or made.needs_approval
    approvals = approval.given(opened.backend, file.digest) if waits else ()
    if any(one.begun for one in approvals):
        require_continues(file.saved, made)
    else:
        require_current(file.saved, made)
    return msgspec.structs.replace(made, approvals=approval.shown(approvals)), approvals


def _require_applicable(made: "Plan", *, as_json: bool) -> None:
    """Refuse a plan that holds something that cannot be done: nothing of it is touched."""
    if not is_refused(made):
        return
    if not as_json:
        show(made)
        raise KvstackError("the plan holds what cannot be done; nothing was changed", "Mend what is marked `!` above.")
    from kvstack.render.sections import errors, refusals

    raise InvalidInput((*refusals(made), *errors(made)))


def _ask(*, as_json: bool) -> None:
    # With --json the plan was not shown: nobody can say yes to it.
    if as_json or not interactive():
        raise KvstackError(
            "nothing was changed: there is nobody to ask",
            "Look at the plan, then run it with `--yes`, or apply a saved plan.",
        )
    say("")
    typed = click.prompt("Do this? Only `yes` is taken for it", default="", show_default=False, err=True)
    if typed.strip() != "yes":
        raise KvstackError("nothing was changed")


def _run(opened: "Workspace", made: "Plan", state: "State", *, as_json: bool, approved: str) -> "Outcome":
    from kvstack.render.progress import Printer

    printer = Printer(
        _tell,
        total=len(made.changes),
        width=width(sys.stderr),
        colour=coloured(sys.stderr),
        live=sys.stderr.isatty(),
    )
    sys.stdout.flush()
    with _stoppable() as stop:
        try:
            tell = (lambda _event: None) if as_json else printer
            return opened.apply(made, state, tell=tell, stop=stop, approved=approved)
        finally:
            printer.close()
            sys.stderr.flush()


def _tell(text: str) -> None:
    """Tell whoever watches how far it is. Where nobody does any more (`2>&1 | head`), the work goes on all the same."""
    with suppress(BrokenPipeError):
        sys.stderr.write(text)


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """Take Ctrl-C as the wish to finish what is in flight and stop; a second one ends the process at once."""
    stop = threading.Event()

    def asked(_signal: int, _frame: FrameType | None) -> None:
        # Written past Python's buffers: the thread that is interrupted may be writing to them just now.
        if stop.is_set():
            os.write(2, b"\nEnded at once. What was done is in the vaults; the next apply completes it.\n")
            os._exit(INTERRUPTED)
        stop.set()
        os.write(2, b"\nStopping: what is in flight is finished and recorded. Ctrl-C again ends it at once.\n")

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _told(made: "Plan", outcome: "Outcome", *, as_json: bool) -> int:
    if as_json:
        from kvstack.render.json import outcome_document

        answer_json(outcome_document(outcome, stack=made.stack, environment=made.environment))
    elif not made.empty:
        from kvstack.render.outcome import outcome_terminal

        answer("\n" + outcome_terminal(outcome, width=width(sys.stdout), colour=coloured(sys.stdout)))
    if outcome.interrupted:
        return INTERRUPTED
    return 1 if outcome.failed else 0
