"""The JSON Schema of a declaration, derived from the types it is converted to."""

import types
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

Schema = dict[str, Any]

# What stands in for a value of any other type until variables are known.
INTERPOLATION = r"^\$\{[^}]*\}$"
_SCALARS: dict[Any, str] = {str: "string", int: "integer", bool: "boolean", float: "number"}
_HOLDS_INTERPOLATION = r"\$\{"


def json_schema(root: type[msgspec.Struct], *, interpolation: bool, title: str = "", identifier: str = "") -> Schema:
    """Return the schema (2020-12) of what converts to a struct.

    interpolation: whether a `${...}` may stand for a scalar, as in a file; without it, the schema of what variables
    have been put into.
    """
    emitter = _Emitter(interpolation)
    reference = emitter.struct(root)
    schema: Schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    if identifier:
        schema["$id"] = identifier
    if title:
        schema["title"] = title
    body = emitter.definitions.pop(reference["$ref"].rpartition("/")[2])
    return {**schema, **body, "$defs": dict(sorted(emitter.definitions.items()))}


class _Emitter:
    def __init__(self, interpolation: bool) -> None:
        self.interpolation = interpolation
        self.definitions: dict[str, Schema] = {}

    def struct(self, struct: type[msgspec.Struct]) -> Schema:
        name = struct.__name__
        if name not in self.definitions:
            self.definitions[name] = {}  # taken before its attributes are looked at: structs may hold each other
            self.definitions[name] = self._body(struct)
        return {"$ref": f"#/$defs/{name}"}

    def _body(self, struct: type[msgspec.Struct]) -> Schema:
        hints = get_type_hints(struct, include_extras=True)
        fields = msgspec.structs.fields(struct)
        properties = {field.encode_name: self._property(field, hints[field.name]) for field in fields}
        schema: Schema = {"type": "object", "title": title_of(struct.__name__)}
        if struct.__doc__:
            schema["description"] = _first_paragraph(struct.__doc__)
        schema["properties"] = properties
        required = [field.encode_name for field in fields if field.required]
        if required:
            schema["required"] = required
        schema["additionalProperties"] = False
        return schema

    def _property(self, field: msgspec.structs.FieldInfo, hint: Any) -> Schema:
        schema = self.of(hint)
        # Beside a $ref only annotations may stand without changing what it means, which is all that is added here.
        schema = {"title": title_of(field.encode_name), **schema}
        default = field.default
        if isinstance(default, (bool, int, str)) and default != "":
            schema["default"] = default
        return schema

    def of(self, hint: Any) -> Schema:
        """Return the schema of one type."""
        origin = get_origin(hint)
        if origin is Annotated:
            inner, *markers = get_args(hint)
            schema = self.of(inner)
            for marker in markers:
                if isinstance(marker, msgspec.Meta):
                    schema = self._constrained(schema, marker)
            return schema
        if origin in (Union, types.UnionType):
            return self._union(get_args(hint))
        if origin is Literal:
            return self._scalar({"enum": list(get_args(hint))})
        if origin in (dict, Mapping):
            key, value = get_args(hint)
            if get_origin(key) is Literal:
                known = {name: self.of(value) for name in get_args(key)}
                return {"type": "object", "properties": known, "additionalProperties": False}
            return {"type": "object", "additionalProperties": self.of(value)}
        if origin in (list, frozenset, tuple):
            return {"type": "array", "items": self.of(get_args(hint)[0])}
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            return self.struct(hint)
        if hint is datetime:
            return self._scalar({"type": "string", "format": "date-time"})
        if hint in _SCALARS:
            return self._scalar({"type": _SCALARS[hint]})
        if hint is Any:
            return {}
        if hasattr(hint, "__supertype__"):
            return self.of(hint.__supertype__)
        raise TypeError(f"no JSON Schema for {hint!r}")

    def _union(self, hints: tuple[Any, ...]) -> Schema:
        branches = [branch for branch in hints if branch is not type(None)]
        optional = len(branches) < len(hints)
        if set(branches) == {int, float}:
            branches = [float]  # a whole number is a number
        if len(branches) > 1 and _SCALARS.keys() >= set(branches):
            # Text is among them wherever there is a choice, so that a reference needs no word of its own.
            return {"type": [*(_SCALARS[branch] for branch in branches), *(["null"] if optional else [])]}
        schemas = [self.of(branch) for branch in branches]
        return self._optional(schemas) if optional else {"anyOf": schemas}

    def _scalar(self, schema: Schema) -> Schema:
        if not self.interpolation or schema == {"type": "string"}:
            return schema
        return {"anyOf": [schema, {"type": "string", "pattern": INTERPOLATION}]}

    def _optional(self, branches: list[Schema]) -> Schema:
        match branches:
            case [{"type": str(name), **rest}]:
                return {"type": [name, "null"], **rest}
            case [{"enum": values, **rest}]:
                return {"enum": [*values, None], **rest}
            case [{"anyOf": inner, **rest}]:
                return {"anyOf": [*inner, {"type": "null"}], **rest}
            case _:
                return {"anyOf": [*branches, {"type": "null"}]}

    def _constrained(self, schema: Schema, meta: msgspec.Meta) -> Schema:
        annotations: Schema = {}
        if meta.description:
            annotations["description"] = meta.description
        if meta.examples:
            annotations["examples"] = list(meta.examples)
        return {**self._with_limits(schema, dict(_limits(meta, schema))), **annotations}

    def _with_limits(self, schema: Schema, limits: Schema) -> Schema:
        if not limits:
            return schema
        if "anyOf" in schema:
            first, *others = schema["anyOf"]
            return {**schema, "anyOf": [{**first, **limits}, *others]}
        if self.interpolation and "pattern" in limits:
            # A text may hold `${...}` anywhere: its pattern is looked at again once variables are known.
            pattern = limits.pop("pattern")
            return {**schema, **limits, "anyOf": [{"pattern": pattern}, {"pattern": _HOLDS_INTERPOLATION}]}
        return {**schema, **limits}


def _limits(meta: msgspec.Meta, schema: Schema) -> Iterator[tuple[str, Any]]:
    array = schema.get("type") == "array" or "array" in schema.get("type", ())
    table = schema.get("type") == "object"
    size = "Items" if array else "Properties" if table else "Length"
    for keyword, value in (
        ("minimum", meta.ge),
        ("maximum", meta.le),
        ("pattern", meta.pattern),
        (f"min{size}", meta.min_length),
        (f"max{size}", meta.max_length),
    ):
        if value is not None:
            yield keyword, value


def title_of(name: str) -> str:
    """Return a name as people read it: `soft_delete_retention_days` is `Soft delete retention days`."""
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in name).replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _first_paragraph(text: str) -> str:
    return " ".join(text.split("\n\n", 1)[0].split())
