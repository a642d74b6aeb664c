"""The rules a stack declares for itself: data that is held against what it declares."""

from collections.abc import Iterator

from kvstack.declare.rules import Rule
from kvstack.lint.attribute import broken, like, value
from kvstack.lint.stack import Found, Stack


def breaches(stack: Stack, rule: Rule) -> Iterator[Found]:
    """Yield everything that breaks a rule, each with what about it does."""
    if rule.production is not None and rule.production != stack.production:
        return
    for address, node in stack.nodes.items():
        resource = node.resource
        if resource.kind != rule.kind or not like(address, rule.at):
            continue
        if any(broken(value(resource, path), wanted) for path, wanted in rule.where.items()):
            continue
        wrong = [
            f"`{path}` {words}"
            for path, wanted in rule.require.items()
            if (words := broken(value(resource, path), wanted)) is not None
        ]
        if wrong:
            yield Found(address, f"{rule.says.rstrip('.')}: {'; '.join(wrong)}")
