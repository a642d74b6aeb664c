"""What of an attribute differs: the entries of maps and sets, not the whole of them twice."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from kvstack.plan.change import AttributeChange
from kvstack.render import values

Side = Literal["both", "after", "before"]


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One line of a difference. name: dotted; sign: `+` an entry more (in after), `-` one less (in before), "" a value
    that was before and is after; with one side shown only, the value is in that one, and the other is None."""

    name: str
    sign: Literal["", "+", "-"]
    before: str | None
    after: str | None


def entries(change: AttributeChange, side: Side = "both") -> tuple[Entry, ...]:
    """Return an attribute change as its entries, one at least."""
    name = values.name(change.path)
    match side:
        case "after":
            return tuple(Entry(path, "", None, text) for path, text in _leaves(name, change.after))
        case "before":
            return tuple(Entry(path, "", text, None) for path, text in _leaves(name, change.before))
        case "both":
            # A change of which nothing can be told apart is shown as it came.
            return tuple(_differences(name, change.before, change.after)) or (
                _changed(name, change.before, change.after),
            )


def _leaves(name: str, data: Any) -> Iterator[tuple[str, str]]:
    if isinstance(data, dict) and data:
        for key, item in data.items():
            yield from _leaves(_below(name, key), item)
    else:
        yield name, values.value(data)


def _differences(name: str, before: Any, after: Any) -> Iterator[Entry]:
    match before, after:
        case (dict(), dict()) | (dict(), None) | (None, dict()) if before or after:
            yield from _of_maps(name, before or {}, after or {})
        case (list() | tuple(), list() | tuple()) | (list() | tuple(), None) | (None, list() | tuple()) if (
            before or after
        ):
            found = tuple(_of_lists(name, before or (), after or ()))
            # The same entries in another order.
            yield from found or ((_changed(name, before, after),) if _text(before) != _text(after) else ())
        case _ if type(before) is not type(after) or before != after:
            yield _changed(name, before, after)


def _of_maps(name: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Entry]:
    for key in (*before, *(key for key in after if key not in before)):
        path = _below(name, key)
        if key not in before:
            for leaf, text in _leaves(path, after[key]):
                yield Entry(leaf, "+", None, text)
        elif key not in after:
            for leaf, text in _leaves(path, before[key]):
                yield Entry(leaf, "-", text, None)
        else:
            yield from _differences(path, before[key], after[key])


def _of_lists(name: str, before: Iterable[Any], after: Iterable[Any]) -> Iterator[Entry]:
    # By their texts: entries may be maps, which no set can hold.
    was, becomes = [*map(values.value, before)], [*map(values.value, after)]
    less, more = Counter(was) - Counter(becomes), Counter(becomes) - Counter(was)
    yield from (Entry(name, "-", text, None) for text in was if _taken(less, text))
    yield from (Entry(name, "+", None, text) for text in becomes if _taken(more, text))


def _taken(counts: Counter[str], text: str) -> bool:
    counts[text] -= 1
    return counts[text] >= 0


def _changed(name: str, before: Any, after: Any) -> Entry:
    return Entry(name, "", *values.pair(before, after))


def _text(data: Any) -> str | None:
    return None if data is None else values.value(data)


def _below(name: str, key: str) -> str:
    # A dot in a key would look like one more level.
    return f"{name}.{values.quoted(key) if '.' in key else values.name(key)}"
