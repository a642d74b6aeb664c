"""Which change waits for which."""

from collections.abc import Iterator

import msgspec

from kvstack.plan.change import Change
from kvstack.terms.action import Action
from kvstack.terms.address import Address

_ENDS = frozenset({Action.DELETE, Action.PURGE, Action.FORGET})
# After these a vault is not what it was: what ends in it one by one ends before.
_GONE = _ENDS | {Action.REPLACE}
# And purge protection may be among an update.
_PURGES_FIRST = _GONE | {Action.UPDATE}


def with_dependencies(changes: list[Change]) -> Iterator[Change]:
    """Yield the changes, each with what has to be finished before it; ends come after everything else."""
    by_address = {change.address: change for change in changes}
    makers = {change.node.identity: change.address for change in changes if change.node is not None}
    ends_in: dict[Address, list[Address]] = {}
    for change in changes:
        if change.action in _ENDS and not change.with_vault and change.vault_address is not None:
            ends_in.setdefault(change.vault_address, []).append(change.address)
    needed_by: dict[str, list[Address]] = {}
    for change in changes:
        record = change.record
        if change.action in _ENDS and record is not None:
            # What goes with its vault is gone once that is.
            gone_with = change.vault_address if change.with_vault else change.address
            for needed in record.resource.needs(record.vault):
                if gone_with is not None:
                    needed_by.setdefault(needed, []).append(gone_with)
    access_in, others_in = _by_access(changes)
    for change in sorted(changes, key=lambda change: change.action in _ENDS):
        yield msgspec.structs.replace(
            change,
            depends_on=tuple(
                dict.fromkeys(
                    (
                        *_waits_for(change, by_address, ends_in, needed_by, makers),
                        *_waits_for_access(change, by_address, access_in, others_in),
                    )
                )
            ),
        )


def _waits_for(
    change: Change,
    by_address: dict[Address, Change],
    ends_in: dict[Address, list[Address]],
    needed_by: dict[str, list[Address]],
    makers: dict[str, Address],
) -> Iterator[Address]:
    if change.node is not None:
        for needed in (*change.node.resource.needs(change.node.vault), *change.node.resource.made_after()):
            if needed in makers and makers[needed] != change.address:
                yield makers[needed]
    vault = by_address.get(change.vault_address) if change.vault_address is not None else None
    if vault is not None and not (change.action in _ENDS and not change.with_vault and _is_before(change, vault)):
        yield vault.address
    # A vault goes after what goes from it one by one; protection is switched on after what is still to be purged.
    inside = ends_in.get(change.address, ())
    if change.action in _GONE:
        yield from inside
    elif change.action is Action.UPDATE:
        yield from (address for address in inside if by_address[address].action is Action.PURGE)
    # What is needed ends after what needed it; what may not be taken from those who need it changes after them, too.
    record = change.record
    if record is not None and (change.action in _ENDS or record.resource.stays_while_needed):
        # What is needed in its own vault only, and ends before that, waits for nothing there.
        own = (change.address, change.vault_address)
        yield from (address for address in needed_by.get(record.identity, ()) if address not in own)


def _by_access(changes: list[Change]) -> tuple[dict[Address, list[Address]], dict[Address, list[Address]]]:
    """Return what gives a right to what is in a vault, by vault; and, where some of it ends, all else that changes
    there."""
    gives: dict[Address, list[Address]] = {}
    others: dict[Address, list[Address]] = {}
    ending = {change.vault_address for change in changes if _gives_access(change) and change.action is Action.DELETE}
    for change in changes:
        ends = change.action in _ENDS
        if change.vault_address is None:
            continue
        if _gives_access(change):
            if not ends:
                gives.setdefault(change.vault_address, []).append(change.address)
        elif change.vault_address in ending and not (ends and change.with_vault):
            others.setdefault(change.vault_address, []).append(change.address)
    return gives, others


def _waits_for_access(
    change: Change,
    by_address: dict[Address, Change],
    gives: dict[Address, list[Address]],
    others: dict[Address, list[Address]],
) -> Iterator[Address]:
    """Yield what gives the right to do this; of what gives a right and ends, all it may have been needed for."""
    if change.vault_address is None or change.action is Action.FORGET:
        return
    ends = change.action in _ENDS
    if _gives_access(change):
        if ends and not change.with_vault:
            yield from others.get(change.vault_address, ())
    elif not (ends and (change.with_vault or _is_before(change, by_address.get(change.vault_address)))):
        yield from gives.get(change.vault_address, ())


def _is_before(change: Change, vault: Change | None) -> bool:
    """Tell whether something ends in its vault before that changes."""
    return vault is not None and vault.action in (_PURGES_FIRST if change.action is Action.PURGE else _GONE)


def _gives_access(change: Change) -> bool:
    thing = change.node or change.record
    return thing.resource.gives_access if thing is not None else False
