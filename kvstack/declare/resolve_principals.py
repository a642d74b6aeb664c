"""Who a stack names: its principals, with the ids of those who are in a group."""

from kvstack.declare.graph import Path
from kvstack.declare.stack import StackFile
from kvstack.declare.variables import Located
from kvstack.terms.near import meant
from kvstack.terms.principal import Principal


def principals_of(stack: StackFile, problems: list[Located]) -> dict[str, Principal]:
    """Return the declared principals by name, and add what is wrong with them."""
    declared = stack.principals
    ids = {name: entry.id.lower() for name, entry in declared.items()}
    seen: dict[str, str] = {}
    found = {}
    for name, entry in declared.items():
        if ids[name] in seen:
            problems.append(Located(("principals", name, "id"), f"`{name}` and `{seen[ids[name]]}` have the same id"))
        seen[ids[name]] = name
        if entry.members and entry.type != "group":
            problems.append(Located(("principals", name, "members"), f"only a group has members, not a {entry.type}"))
        for index, member in enumerate(entry.members):
            if member not in declared:
                problems.append(_no_member(stack, member, ("principals", name, "members", index)))
        members = frozenset(ids[member] for member in entry.members if member in ids)
        found[name] = Principal(id=ids[name], type=entry.type, name=name, members=members)
    return found


def _no_member(stack: StackFile, member: str, path: Path) -> Located:
    if member in stack.identities:
        wrong = f"`{member}` is a managed identity of this stack: its id is known only once it is made"
        return Located(path, wrong, "Give the group's roles to it in `access`.")
    return Located(path, f"there is no principal `{member}`{meant(member, stack.principals)}")
