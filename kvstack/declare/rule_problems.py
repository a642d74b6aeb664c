"""What is wrong with the rules a stack declares for itself."""

from collections.abc import Iterator, Sequence

from kvstack.declare.rules import Rule
from kvstack.declare.variables import Located
from kvstack.resources.catalog import BY_KIND
from kvstack.schema.resource import attributes
from kvstack.terms.kind import kind_words
from kvstack.terms.near import meant


def rule_problems(rules: Sequence[Rule]) -> Iterator[Located]:
    """Yield what is wrong with rules: two of one id, and attributes that nothing of their kind has."""
    seen: dict[str, int] = {}
    for index, rule in enumerate(rules):
        if rule.id in seen:
            yield Located(("rules", index, "id"), f"there is another rule `{rule.id}`", "Give one another id.")
        seen[rule.id] = index
        known = [entry.written for entry in attributes(BY_KIND[rule.kind])]
        for part, wanted in (("where", rule.where), ("require", rule.require)):
            for path in wanted:
                first = path.split(".")[0]
                if first not in known:
                    words = f"a {kind_words(rule.kind)} has no attribute `{first}`{meant(first, known)}"
                    yield Located(("rules", index, part, path), words, at_key=True)
