"""YAML 1.2 as plain data, read from libyaml's events.

Every mapping key is text and stands once; `on` and `no` are text; there are no tags, no merge keys, and aliases cannot
grow a small file into a large one.
"""

import re
from typing import Any

from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs leave libyaml's parser out
from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from kvstack.terms.diagnostic import Diagnostic, InvalidInput, Place

MOST_BYTES = 64 * 1024 * 1024
DEEPEST = 48
MOST_EXPANDED = 1_000_000  # nodes that aliases may stand for

_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
# Plain text that begins otherwise is text; the rest is looked at closely.
_SUSPICIOUS = frozenset("~nNtTfF0123456789+-.")
_WHOLE = re.compile(r"[-+]?[0-9]+")
_OTHER_WHOLE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff")
_BROKEN = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def data(content: bytes, file: str) -> Any:
    """Return what a file holds: dicts, lists, str, int, float, bool, None. Raises InvalidInput with the place of
    everything wrong."""
    text = _text(content, file)
    problems: list[Diagnostic] = []
    try:
        parser = CParser(text)
        parser.get_event()
        event = parser.get_event()
        if event.__class__ is StreamEndEvent:
            return None
        value = _document(parser, file, problems)
        event = parser.get_event()
        if event.__class__ is not DocumentEndEvent or parser.get_event().__class__ is DocumentStartEvent:
            problems.append(
                _problem(
                    file,
                    event,
                    "a second document starts here",
                    "A stack is one document: use `include` for more files.",
                )
            )
    except YAMLError as error:
        raise InvalidInput((*problems, _syntax(error, text, file))) from None
    if problems:
        raise InvalidInput(tuple(problems))
    return value


def scalar(text: str) -> Any:
    """Return what plain (unquoted) text means in YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text) if len(text) < 400 else text
    if _OTHER_WHOLE.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16) if len(text) < 400 else text
    if _BROKEN.fullmatch(text):
        return float(text)
    return text


def _document(parser: Any, file: str, problems: list[Diagnostic]) -> Any:  # noqa: C901  # a case an event
    """Read one node with everything in it. One loop and no recursion: it is what every command waits for."""
    next_event = parser.get_event
    anchors: dict[str, tuple[Any, int]] = {}
    open_anchors: list[tuple[str | None, int]] = []
    nodes = 0
    stack: list[tuple[Any, bool, Any]] = []
    # What is being filled: a list of one for the document itself, so that the root needs no case of its own.
    holder: list[Any] = []
    current: Any = holder
    in_mapping = False
    key: str | None = None
    while True:
        event = next_event()
        kind = event.__class__
        nodes += 1
        if kind is ScalarEvent:
            value = event.value
            if in_mapping and key is None:
                if value in current:
                    problems.append(
                        _problem(
                            file,
                            event,
                            f"`{_short(value)}` stands here a second time",
                            "A key stands once: join the two.",
                        )
                    )
                if not value:
                    problems.append(_problem(file, event, "a key cannot be empty", "Give it a name."))
                if value == "<<" and event.implicit[0]:
                    problems.append(
                        _problem(
                            file,
                            event,
                            "merge keys (`<<`) are not part of YAML 1.2",
                            "Use `defaults` for what things share.",
                        )
                    )
                if event.tag is not None:
                    problems.append(_tagged(file, event))
                if event.anchor is not None:
                    anchors[event.anchor] = (value, 1)
                key = value
                continue
            if event.tag is not None:
                problems.append(_tagged(file, event))
            elif event.implicit[0] and (not value or value[0] in _SUSPICIOUS):
                value = scalar(value)
            if event.anchor is not None:
                anchors[event.anchor] = (value, 1)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            if in_mapping and key is None:
                problems.append(
                    _problem(file, event, "a key is text here", "Quote it, or take the `?` or brackets out.")
                )
                key = ""
            if event.tag is not None:
                problems.append(_tagged(file, event))
            value = {} if kind is MappingStartEvent else []
            open_anchors.append((event.anchor, nodes))
            if in_mapping:
                current[key] = value
            else:
                current.append(value)
            stack.append((current, in_mapping, None))
            if len(stack) > DEEPEST:
                raise InvalidInput(
                    (
                        *problems,
                        _problem(
                            file, event, f"this is nested more than {DEEPEST} deep", "No declaration is that deep."
                        ),
                    )
                )
            current, in_mapping, key = value, kind is MappingStartEvent, None
            continue
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            name, since = open_anchors.pop()
            if name is not None:
                anchors[name] = (current, nodes - since + 1)
            current, in_mapping, key = stack.pop()
            if not stack:
                return holder[0]
            continue
        elif kind is AliasEvent:
            if event.anchor not in anchors:
                problems.append(
                    _problem(
                        file,
                        event,
                        "there is no anchor of that name before this alias",
                        "Text that begins with `*` has to be quoted.",
                    )
                )
                value = None
            else:
                value, weight = anchors[event.anchor]
                nodes += weight
                if nodes > MOST_EXPANDED:
                    raise InvalidInput(
                        (
                            *problems,
                            _problem(
                                file, event, "aliases make this file too large", f"At most {MOST_EXPANDED:,} values."
                            ),
                        )
                    )
            if in_mapping and key is None:
                if isinstance(value, str):
                    key = value
                    continue
                problems.append(
                    _problem(file, event, "a key is text here", "An alias of something else cannot be one.")
                )
                key = ""
                continue
        else:
            return holder[0] if holder else None
        if in_mapping:
            current[key] = value
            key = None
        else:
            current.append(value)
            if not stack:
                return value


def _text(content: bytes, file: str) -> str:
    if len(content) > MOST_BYTES:
        raise InvalidInput(
            (
                Diagnostic(
                    summary=f"{file} has {len(content) >> 20} MiB",
                    detail=f"A file has at most {MOST_BYTES >> 20}: use `include`.",
                    place=Place(file, 1, 1),
                ),
            )
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        place = Place(file, before.count(b"\n") + 1, len(before) - before.rfind(b"\n"))
        raise InvalidInput(
            (Diagnostic(summary="this is not UTF-8 text", detail="Save the file as UTF-8.", place=place),)
        ) from None


def _syntax(error: YAMLError, text: str, file: str) -> Diagnostic:
    match error:
        case MarkedYAMLError(problem=problem, problem_mark=mark, context=context) if mark is not None:
            detail = f"{context[:1].upper()}{context[1:]}." if context else ""
            return Diagnostic(
                summary=f"this is not YAML: {problem}", detail=detail, place=Place(file, mark.line + 1, mark.column + 1)
            )
        case _:
            # libyaml's reader does not say where: it is the first character YAML does not have.
            there = _UNPRINTABLE.search(text)
            before = text[: there.start()] if there else ""
            return Diagnostic(
                summary=f"this is not YAML: {getattr(error, 'reason', None) or 'it cannot be read'}",
                detail="Control characters have to be escaped.",
                place=Place(file, before.count("\n") + 1, len(before) - before.rfind("\n")),
            )


def _problem(file: str, event: Any, summary: str, detail: str) -> Diagnostic:
    return Diagnostic(summary=summary, detail=detail, place=place_of(file, event))


def place_of(file: str, event: Any) -> Place:
    """Return where an event begins."""
    return Place(file, event.start_mark.line + 1, event.start_mark.column + 1)


def _tagged(file: str, event: Any) -> Diagnostic:
    # It is not repeated: an unquoted password may begin so.
    return _problem(
        file, event, "tags (`!...`) have no meaning here", "Take it out; text that begins with `!` has to be quoted."
    )


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
