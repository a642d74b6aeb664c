"""Which attributes of a new thing are worth showing: those that are not what they would be anyway."""

from functools import cache
from typing import Any

import msgspec

from kvstack.resources.catalog import BY_KIND
from kvstack.schema.resource import attributes


def is_default(kind: str, address: str, path: str, data: Any) -> bool:
    """Tell whether an attribute of a thing of this kind has this value where nobody declares one."""
    if path == "name":
        return bool(data == address.rpartition("/")[2])
    first, *rest = path.split(".")
    if first not in (defaults := _defaults(kind)):
        return False
    default = defaults[first]
    for part in rest:
        default = default.get(part) if isinstance(default, dict) else None
    return type(data) is type(default) and bool(data == default)


@cache
def _defaults(kind: str) -> dict[str, Any]:
    """Return the defaults of a resource type's attributes, required ones left out, as plans write them."""
    if kind not in BY_KIND:
        return {}
    return {
        name: _plain(entry.default)
        for entry in attributes(BY_KIND[kind])
        if not entry.required
        for name in {entry.name, entry.written}
    }


def _plain(data: Any) -> Any:
    match data:
        case msgspec.Struct():
            return {field.encode_name: _plain(getattr(data, field.name)) for field in msgspec.structs.fields(data)}
        case frozenset() | set():
            return sorted(map(_plain, data))
        case tuple() | list():
            return [*map(_plain, data)]
        case dict():
            return {key: _plain(item) for key, item in data.items()}
        case _:
            return data
