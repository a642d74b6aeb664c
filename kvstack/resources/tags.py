"""Tags as a stack declares them: thirteen of its own, none that says whose a thing is."""

from collections.abc import Iterator, Mapping

from kvstack.schema.resource import Problem
from kvstack.terms import limits, tags

MOST = limits.TAGS - limits.OWNER_TAGS


def problems(declared: Mapping[str, str], *, secret: bool = False) -> Iterator[Problem]:
    """Yield what is wrong with declared tags."""
    if not declared:
        return
    if len(declared) > MOST:
        yield Problem(
            ("tags",),
            f"{len(declared)} tags: a stack has {MOST}",
            f"A vault takes {limits.TAGS}; kvstack keeps {limits.OWNER_TAGS} to tell whose a thing is.",
        )
    for name in (tags.STACK_TAG, tags.ADDRESS_TAG):
        if name in declared:
            yield Problem(("tags", name), f"the tag `{name}` is kvstack's own", "Take the line out: kvstack sets it.")
    for name, summary in tags.problems(declared, secret=secret):
        if name:
            yield Problem(("tags", name), summary)
