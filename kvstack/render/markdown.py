"""A plan, or the drift in it, as Markdown for a pull-request comment.

All data stands in fenced code blocks or code spans: there nothing is markup, a link, a mention or a reference.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from kvstack.plan.change import Change, Plan
from kvstack.render import access, changes, diagnostics, sections, values
from kvstack.render.escape import code_span, in_fence
from kvstack.render.layout import Line, unfitted
from kvstack.render.words import counted, drift_line, summary_line, to_do
from kvstack.terms.action import Action
from kvstack.terms.address import parent

LIMIT = 65_536  # characters GitHub takes in one comment
_NOTE = 400  # characters kept free to say what was left out

# What must not be missing comes first into a comment that cannot hold everything.
_REFUSED, _FOREVER, _DANGEROUS, _ACCESS, _UNREAD, _LISTED, _DRIFT, _COMPARED, _DETAILS = range(9)
_DANGERS = frozenset({Action.DELETE, Action.PURGE, Action.REPLACE, Action.FORGET})


class _Item(msgspec.Struct, frozen=True, gc=False):
    """One thing that is shown whole, by its first line, or not at all. change: the change it lists, if it is one."""

    lines: tuple[str, ...]
    rank: int
    change: Change | None = None


class _Section(msgspec.Struct, frozen=True):
    """Items in one fenced code block. above and below: what stands around it; quoted: whether it is in an alert."""

    above: tuple[str, ...]
    items: Sequence[_Item]
    below: tuple[str, ...] = ()
    language: str = "text"
    quoted: bool = False


def markdown(plan: Plan, *, limit: int = LIMIT) -> str:
    """Return the whole plan in at most `limit` characters. What did not fit is counted at the end."""
    head = [f"## {_title(plan)}", "", f"**{summary_line(plan)}**", ""]
    if plan.changes:
        head += [f"{code_span(unfitted(sections.legend(plan)).strip())}", ""]
    for remark in sections.remarks(plan):
        head += [code_span(unfitted(remark).strip()), ""]
    found = [*_alerts(plan), *_listed(plan), *_access(plan), *_drift(plan), *_compared(plan)]
    return _within(limit, head, found)


def drift_markdown(plan: Plan, *, limit: int = LIMIT) -> str:
    """Return what moved since the last apply, in at most `limit` characters."""
    head = [f"## kvstack drift in {_stack(plan)}", "", f"**{drift_line(plan)}**", ""]
    found = [*_errors(plan), *_unread(plan), *_warnings(plan), *_drift(plan)]
    return _within(limit, head, found)


def _title(plan: Plan) -> str:
    return f"kvstack plan {'to destroy' if plan.destroy else 'for'} {_stack(plan)}"


def _stack(plan: Plan) -> str:
    return code_span(plan.stack) + (f" ({code_span(plan.environment)})" if plan.environment is not None else "")


def _alerts(plan: Plan) -> Iterator[_Section]:
    if refused := sections.refused(plan):
        yield _alert(
            "CAUTION",
            f"{counted(len(refused), 'change is', 'changes are')} refused",
            [
                _item(_REFUSED, changes.headline(change, indent=0), changes.details(change), change)
                for change in refused
            ],
            "diff",
        )
    yield from _errors(plan)
    if forever := sections.irreversible(plan):
        items = [_item(_FOREVER, changes.headline(change, indent=0)) for change in forever[: sections.MOST_REPEATED]]
        if (more := len(forever) - sections.MOST_REPEATED) > 0:
            items.append(_Item((f"  and {more} more, marked below",), _FOREVER))
        yield _alert("CAUTION", sections.irreversible_title(len(forever)).rstrip(":"), items, "diff")
    yield from _unread(plan)
    yield from _needs_approval(plan)
    yield from _warnings(plan)


def _needs_approval(plan: Plan) -> Iterator[_Section]:
    if plan.needs_approval:
        items = [_item(_UNREAD, line) for line in sections.needs_approval(plan, indent=0)]
        yield _alert("IMPORTANT", sections.approval_title(plan).rstrip(":"), items)


def _errors(plan: Plan) -> Iterator[_Section]:
    if errors := sections.errors(plan):
        items = [_item(_REFUSED, *_first(diagnostics.lines(error))) for error in errors]
        yield _alert("CAUTION", counted(len(errors), "error"), items)


def _unread(plan: Plan) -> Iterator[_Section]:
    if plan.unread:
        items = [_item(_UNREAD, sections.unread(thing, indent=0)) for thing in plan.unread]
        yield _alert("WARNING", f"Incomplete: {counted(len(items), 'thing')} could not be read", items)


def _warnings(plan: Plan) -> Iterator[_Section]:
    if warnings := sections.warnings(plan):
        items = [_item(_UNREAD, *_first(diagnostics.lines(warning))) for warning in warnings]
        yield _alert("WARNING", counted(len(warnings), "warning"), items)


def _alert(kind: str, title: str, items: Sequence[_Item], language: str = "text") -> _Section:
    return _Section((f"[!{kind}]", f"**{title}**", ""), items, language=language, quoted=True)


def _listed(plan: Plan) -> Iterator[_Section]:
    """Yield the changes vault by vault: one line each, and below, folded, the reasons and attributes."""
    by_vault: dict[str, list[Change]] = {}
    for change in sections.to_make(plan):
        by_vault.setdefault(parent(change.address), []).append(change)
    for vault, found in by_vault.items():
        listed = [
            _item(_DANGEROUS if _is_dangerous(change) else _LISTED, changes.headline(change, indent=0), (), change)
            for change in found
        ]
        yield _Section((f"### {code_span(vault)}", ""), listed, language="diff")
        detailed = [
            _item(_DETAILS, changes.headline(change, indent=0), below)
            for change in found
            if (below := tuple(changes.details(change)))
        ]
        if detailed:
            yield _Section(
                (f"<details><summary>Reasons and attributes of {counted(len(detailed), 'change')}</summary>", ""),
                detailed,
                ("", "</details>"),
                language="diff",
            )


def _is_dangerous(change: Change) -> bool:
    return change.irreversible or change.action in _DANGERS


def _access(plan: Plan) -> Iterator[_Section]:
    """Yield who gains and loses access, all of one principal's lines together or none."""
    items = [_item(_ACCESS, block[0], block[1:]) for block in access.blocks(plan.access, indent=0)]
    if items:
        yield _Section((f"### {access.TITLE}", ""), items, language="diff")


def _drift(plan: Plan) -> Iterator[_Section]:
    if plan.drift:
        align = max(len(drifted.what) for drifted in plan.drift)
        items = [
            _item(_DRIFT, changes.drifted(drifted, indent=0, align=align), changes.drift_details(drifted))
            for drifted in plan.drift
        ]
        yield _Section((f"### {sections.DRIFT}", ""), items)


def _compared(plan: Plan) -> Iterator[_Section]:
    if plan.compared_at_apply:
        items = [_Item((in_fence(values.address(address)),), _COMPARED) for address in plan.compared_at_apply]
        yield _Section((f"### {sections.COMPARED}", "", sections.COMPARED_WHY, ""), items)


def _item(rank: int, first: Line, below: Iterable[Line] = (), change: Change | None = None) -> _Item:
    return _Item(tuple(in_fence(unfitted(line)) for line in (first, *below)), rank, change)


def _first(lines: Iterator[Line]) -> tuple[Line, Iterator[Line]]:
    return next(lines), lines


def _within(limit: int, head: list[str], found: list[_Section]) -> str:
    """Return the sections as text: all of them where they fit, or else what matters most and a count of the rest."""
    whole = "\n".join([*head, *(line for section in found for line in _written(section, section.items))])
    if len(whole) <= limit:
        return whole
    kept = _kept(limit - len("\n".join(head)) - _NOTE, found)
    shown = [line for section, items in zip(found, kept, strict=True) if items for line in _written(section, items)]
    text = "\n".join([*head, *shown, *_left_out(found, kept)])
    if len(text) <= limit:
        return text
    # A title longer than a comment: the counts are left, and how much there is to read elsewhere.
    return "\n".join([head[2], "", *_left_out(found, [[] for _ in found])])[:limit]


def _kept(room: int, found: list[_Section]) -> list[list[_Item]]:
    """Return, for each section, the items there is room for, taken by rank and shown in their own order."""
    order = sorted(
        (item.rank, at, number) for at, section in enumerate(found) for number, item in enumerate(section.items)
    )
    kept: list[dict[int, _Item]] = [{} for _ in found]
    for _, at, number in order:
        section, item = found[at], found[at].items[number]
        margin = 2 if section.quoted else 0
        frame = 0 if kept[at] else sum(len(line) + 1 for line in _written(section, ()))
        for candidate in (item, _Item(item.lines[:1], item.rank, item.change)):
            length = frame + sum(len(line) + 1 + margin for line in candidate.lines)
            if length <= room:
                kept[at][number] = candidate
                room -= length
                break
    return [[chosen[number] for number in sorted(chosen)] for chosen in kept]


def _written(section: _Section, items: Iterable[_Item]) -> list[str]:
    lines = [
        *section.above,
        f"```{section.language}",
        *(line for item in items for line in item.lines),
        "```",
        *section.below,
    ]
    return [*((f"> {line}".rstrip() if section.quoted else line) for line in lines), ""]


def _left_out(found: list[_Section], kept: list[list[_Item]]) -> list[str]:
    """Return what was not shown, counted: changes by their actions, and everything that says more of one."""
    items = [item for section in found for item in section.items]
    shown = {id(item) for chosen in kept for item in chosen}
    changed = Counter(item.change.action for item in items if item.change)
    changed -= Counter(item.change.action for chosen in kept for item in chosen if item.change)
    # One of which the first line alone is shown is another item.
    other = sum(id(item) not in shown and not item.change for item in items)
    other += sum(len(item.lines) > 1 and id(item) not in shown for item in items if item.change)
    sentences = []
    if changed:
        sentences.append(f"{counted(changed.total(), 'more change')}, see the job's log ({to_do(changed)}).")
    if other:
        sentences.append(f"{counted(other, 'more note')} (reasons, attributes, drift), see the job's log.")
    return ["> [!IMPORTANT]", f"> **Cut to fit.** {' '.join(sentences)}", ""]
