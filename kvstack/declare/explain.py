"""What is wrong with a declaration's shape, in words: the schema's verdicts, each with its path and how to mend it.

No message shows what stands where a secret's value might have been written by mistake.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from msgspec import ValidationError, convert

from kvstack.declare.graph import Path
from kvstack.declare.stack import StackFile
from kvstack.declare.variables import Located
from kvstack.resources.catalog import CONTAINERS, RESOURCES
from kvstack.resources.validity import Moment
from kvstack.schema.json_schema import Schema, json_schema, title_of
from kvstack.terms.listed import listed
from kvstack.terms.near import meant

Verdict = tuple[Path, tuple[str | int, ...], str]

_FORBIDDEN = {resource.__name__: resource.forbidden for resource in RESOURCES}
_THINGS = {
    "a vault": ("Vault", "Vault block"),
    "a Managed HSM": ("Managed hsm", "Managed hsm block"),
    "a stack": ("Stack", "Stack file"),
    "a managed identity": ("Identity",),
    **{
        f"a {title_of(resource.__name__).lower()}": (title_of(resource.__name__),)
        for resource in RESOURCES
        if resource not in CONTAINERS.values()
    },
}
_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}
# Below these, people write secrets by mistake: what stands there is not repeated.
_NEVER_SHOWN = frozenset({"value", "value_from"})


def shape_problems(document: Any) -> list[Located]:
    """Return everything the schema finds wrong with an interpolated declaration."""
    found = list(_explained(document, _schema(), ()))
    told = {problem.path for problem in found}
    found += [problem for problem in _whole_floats(document, ()) if problem.path not in told]
    return list(dict.fromkeys(found))


def _whole_floats(value: Any, path: Path) -> Iterator[Located]:
    """Yield what a JSON Schema takes for a whole number, and what it is converted to does not: `30.0`."""
    match value:
        case float() if value.is_integer():
            yield Located(path, f"`{path[-1]}` is a whole number, not a broken number", "Take the point out.")
        case dict():
            for key, inner in value.items():
                yield from _whole_floats(inner, (*path, key))
        case list():
            for index, inner in enumerate(value):
                yield from _whole_floats(inner, (*path, index))
        case _:
            return


@cache
def _schema() -> Schema:
    schema = json_schema(StackFile, interpolation=False)
    # A kvstack file says what it is by its attributes; the definition's own name is for messages.
    return {**schema, "title": "Stack"}


def _explained(instance: Any, schema: Schema, path: Path) -> Iterator[Located]:
    for where, steps, keyword in _verdicts(schema, instance):
        fragment = _followed(schema, steps[:-1])
        there = _at(instance, where)
        whole = (*path, *where)
        if keyword == "anyOf":
            # The only choice in these schemas is between something and nothing.
            branch = fragment["anyOf"][0]
            yield from _explained(there, {**branch, "$defs": schema.get("$defs", {})}, whole)
            continue
        yield from _words(keyword, fragment, there, whole)


def _verdicts(schema: Schema, instance: Any) -> Iterator[Verdict]:
    """Yield (path, path in the schema, keyword), by jsonschema-rs or, where it has no wheel, by jsonschema."""
    try:
        import jsonschema_rs  # noqa: F401  # is it there?
    except ImportError:
        return verdicts_of_jsonschema(schema, instance)
    return verdicts_of_jsonschema_rs(schema, instance)


def verdicts_of_jsonschema_rs(schema: Schema, instance: Any) -> Iterator[Verdict]:
    """Yield what jsonschema-rs finds."""
    import jsonschema_rs

    formats = {"date-time": _is_moment}
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True, formats=formats)
    for found in validator.iter_errors(instance):
        steps = tuple(found.schema_path)
        yield tuple(found.instance_path), steps, str(steps[-1])


def verdicts_of_jsonschema(schema: Schema, instance: Any) -> Iterator[Verdict]:
    """Yield what jsonschema finds."""
    import jsonschema

    formats = jsonschema.FormatChecker(())
    formats.checks("date-time")(_is_moment)
    for error in jsonschema.Draft202012Validator(schema, format_checker=formats).iter_errors(instance):
        steps = tuple(error.absolute_schema_path)
        yield tuple(error.absolute_path), steps, str(steps[-1])


def _is_moment(text: object) -> bool:
    """Tell whether a text is a moment for what a declaration is converted by."""
    if not isinstance(text, str):
        return True
    try:
        convert(text, Moment)
    except ValidationError:
        return False
    return True


def _words(keyword: str, schema: Schema, instance: Any, path: Path) -> Iterator[Located]:
    name = f"`{path[-1]}`" if path else "the stack"
    limit = schema.get(keyword)
    match keyword:
        case "additionalProperties":
            for key in [key for key in instance if key not in schema.get("properties", {})]:
                yield _unknown(key, schema, path)
        case "required":
            for key in [key for key in schema["required"] if key not in instance]:
                description = schema["properties"][key].get("description", "")
                yield Located(path, f"{_thing(schema, path)} needs `{key}`", description, at_key=True)
        case "type":
            wanted = [limit] if isinstance(limit, str) else [each for each in limit or () if each != "null"]
            expected = " or ".join(_TYPES[each] for each in wanted)
            detail = _values_hint(path) or schema.get("description", "")
            yield Located(path, f"{name} is {expected}, not {_type_of(instance)}", detail)
        case "enum":
            choices = [choice for choice in limit or () if choice is not None]
            shown = "" if _hidden(path) or isinstance(instance, (dict, list)) else f", not `{_short(instance)}`"
            hint = meant(str(instance), [str(choice) for choice in choices]) if shown else ""
            yield Located(
                path,
                f"{name} is {listed((f'`{choice}`' for choice in choices), 'or')}{shown}{hint}",
                schema.get("description", ""),
            )
        case "minimum" | "maximum":
            yield Located(path, f"{name} is {_between(schema)}, not {_short(instance)}", schema.get("description", ""))
        case "minLength" | "minItems" | "minProperties":
            yield Located(path, f"{name} cannot be empty", schema.get("description", ""))
        case "maxLength" | "maxItems" | "maxProperties":
            yield Located(path, f"{name} has more than {limit} {'characters' if keyword == 'maxLength' else 'entries'}")
        case "pattern":
            example = next(iter(schema.get("examples", ())), None)
            shown = "this" if _hidden(path) else f"`{_short(instance)}`"
            detail = f"An example: `{example}`." if example is not None else f"It has to match {limit}"
            yield Located(path, f"{name} cannot be {shown}", f"{schema.get('description', '')} {detail}".strip())
        case "format":
            yield Located(path, f"{name} is a moment such as 2027-01-31T00:00:00Z, with its time zone")
        case _:
            yield Located(path, f"{name} is not what it should be ({keyword})", schema.get("description", ""))


def _unknown(key: str, schema: Schema, path: Path) -> Located:
    definition = schema.get("title", "")
    forbidden = _FORBIDDEN.get(definition, {})
    if key in forbidden:
        return Located((*path, key), f"{_thing(schema, path)} has no `{key}` in a file", forbidden[key], at_key=True)
    known = list(schema.get("properties", {}))
    hint = meant(key, known)
    detail = "" if hint else f"It has {', '.join(known)}."
    shown = "such attribute" if _hidden(path) and not hint else f"attribute `{_short(key)}`"
    return Located((*path, key), f"{_thing(schema, path)} has no {shown}{hint}", detail, at_key=True)


def _thing(schema: Schema, path: Path) -> str:
    """Return what a mapping is, in words: a resource by its kind, any other part by where it stands."""
    definition = schema.get("title", "")
    for words, things in _THINGS.items():
        if definition in things:
            return words
    match path:
        case (*_, str(section), int()):
            return f"an entry of `{section}`"
        case (*_, str(section), str()) if section in ("principals", "variables", "environments"):
            return f"an entry of `{section}`"
        case (*_, last):
            return f"`{last}`"
        case _:
            return "a stack"


def _values_hint(path: Path) -> str:
    if path and path[-1] == "value_from":
        return (
            "Write where the value comes from: `{env: NAME}`, `{file: PATH}`, `{generate: {length: 48}}` "
            "or `{command: [PROGRAM]}`."
        )
    return ""


def _hidden(path: Path) -> bool:
    return any(step in _NEVER_SHOWN for step in path)


def _type_of(instance: Any) -> str:
    match instance:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a broken number"
        case str():
            return "text"
        case dict():
            return "a mapping"
        case _:
            return "a list"


def _between(schema: Mapping[str, Any]) -> str:
    match (schema.get("minimum"), schema.get("maximum")):
        case (int(least), int(most)):
            return f"{least} to {most}"
        case (int(least), _):
            return f"at least {least}"
        case (_, most):
            return f"at most {most}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _at(instance: Any, path: Path) -> Any:
    for step in path:
        instance = instance[step]
    return instance


def _followed(schema: Schema, steps: Sequence[str | int]) -> Schema:
    """Return the part of a schema these steps lead to; both validators' steps, with and without `$ref` named."""
    part: Any = schema
    for step in steps:
        if step == "$ref":
            part = schema["$defs"][part["$ref"].rpartition("/")[2]]
            continue
        if isinstance(part, dict) and step not in part and "$ref" in part:
            part = schema["$defs"][part["$ref"].rpartition("/")[2]]
        part = part[step]
    return part  # type: ignore[no-any-return]  # steps of a schema lead to a schema
