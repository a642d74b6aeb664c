"""Whether a plan may be applied: what of it waits for whose approval, and which approvals it has."""

from collections.abc import Iterable, Mapping

from kvstack.backends.protocol import Approves, Backend
from kvstack.declare.graph import Node
from kvstack.plan import approval
from kvstack.plan.change import Change, GivenApproval, NeedsApproval, Plan
from kvstack.terms.address import Address
from kvstack.terms.approval import Given
from kvstack.terms.diagnostic import Diagnostic, InvalidInput, KvstackError
from kvstack.terms.principal import Principal


def how(*, destroy: bool) -> str:
    """Return the steps from a plan that waits to its apply. destroy: it is the end of everything."""
    plan = "kvstack plan --destroy --out FILE" if destroy else "kvstack plan --out FILE"
    return (
        f"Save the plan by `{plan}`; one of them approves it by `kvstack approve FILE`; `kvstack apply FILE` does it."
    )


def needed(
    made: Plan,
    backend: Backend,
    nodes: Mapping[Address, Node],
    declared: Mapping[str, Principal],
    known: Mapping[str, Principal],
) -> tuple[NeedsApproval, ...]:
    """Return what of a plan waits for an approval. declared: principals by name; known: those of the backend, by id."""
    done = approval.deeds(made.changes, made.principals, known)
    if not done or not isinstance(backend, Approves):
        return ()
    held = backend.held_up(tuple(dict.fromkeys(deed for _, deed in done)))
    names = {one.id: one.name for one in (*declared.values(), *known.values())}
    return tuple(approval.needs(done, held, made.changes, nodes, names))


def given(backend: Backend, digest: str) -> tuple[Given, ...]:
    """Return the approvals of a saved plan as they count now."""
    return backend.approvals_of(digest) if isinstance(backend, Approves) else ()


def shown(approvals: Iterable[Given]) -> tuple[GivenApproval, ...]:
    """Return approvals as a plan shows them."""
    return tuple(GivenApproval(one.approver, one.until, one.problem) for one in approvals)


def require_approved(made: Plan, approvals: Iterable[Given], digest: str) -> None:
    """Refuse a plan of which anything waits for an approval still: nothing of it is touched. digest: of the saved plan,
    empty for one that is not. Raises InvalidInput, naming each."""
    counting = [one for one in approvals if not one.problem]
    missing = [need for need in made.needs_approval if not any(_allows(one, need) for one in counting)]
    if not missing:
        return
    found = [
        Diagnostic(
            summary=f"{need.deed.text} waits for an approval by {' or '.join(need.names)}",
            detail=f"The approval rule of vault `{need.vault}` wants it.",
            address=need.address,
        )
        for need in missing
    ]
    told = "; ".join(f"the approval by {one.approver} {one.problem}" for one in approvals if one.problem)
    why = f"Of this very plan, {told}. " if told else "Nobody has approved this very plan. " if digest else ""
    raise InvalidInput((*found, Diagnostic(summary="nothing was changed", detail=why + how(destroy=made.destroy))))


def _allows(one: Given, need: NeedsApproval) -> bool:
    text = need.deed.text
    return text in one.settled or (text in one.covers and bool(one.acting & {*need.by}))


def require_brings_no_rule(changes: Iterable[Change], backend: Backend) -> None:
    """Refuse approval rules where the backend has no approvals. Raises KvstackError."""
    if isinstance(backend, Approves):
        return
    for change in changes:
        resource = change.node.resource if change.node is not None else None
        if getattr(resource, "approval", None) is not None:
            raise KvstackError(
                f"the backend `{backend.name}` has no approvals", "Take `approval` out.", address=change.address
            )
