"""Deleting what was picked: asked once more, done one by one, and told of each whether it was done."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from kvstack.server.answer import Answer
from kvstack.server.portal.frame import HOME, Around, form
from kvstack.server.portal.html import Content, element
from kvstack.server.portal.parts import address, prose, told
from kvstack.server.portal.visit import Visit
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.records import Collection

_WORD: Final = {"keys": "key", "secrets": "secret", "certificates": "certificate"}


def deletion_page(visit: Visit, vault: str, collection: Collection) -> Answer:
    """Ask whether what was picked is meant; once that is said, delete it."""
    names = list(dict.fromkeys(visit.form.get("pick", [])))
    # Nothing that tells a Managed HSM from a vault: nobody has found out yet whether he may know of it.
    trail = (
        ("Vaults", HOME),
        (vault, address("vaults", vault)),
        (collection.capitalize(), address("vaults", vault, collection)),
    )
    place = Around(section="vaults", trail=trail)
    back = element("a", "Back to the list", href=address("vaults", vault, collection))
    if not names:
        return visit.page("Nothing was picked", element("p", back), around=place, status=400)
    what = counted(len(names), _WORD[collection])
    if visit.sent("sure") != "yes":
        asks = form(
            visit.who,
            address("vaults", vault, collection, "delete"),
            [element("input", type="hidden", name="pick", value=name) for name in names],
            element("input", type="hidden", name="sure", value="yes"),
            listed(names),
            element("div", element("button", f"Delete {what}", class_="danger"), back, class_="deeds"),
        )
        words = element("p", f"Out of the vault {vault}. Until its retention ends it can be recovered: Manage deleted.")
        return visit.page(f"Delete {what}?", words, asks, around=place)
    delete: Callable[..., Any] = getattr(visit.service, f"delete_{_WORD[collection]}")
    outcomes = [(name, _tried(delete, visit, vault, name)) for name in names]
    links = element(
        "p",
        back,
        " · ",
        element("a", "Manage deleted", href=address("vaults", vault, "deleted")),
    )
    return visit.page("Deleted", *outcome("Deleted", outcomes), links, around=place)


def counted(count: int, word: str) -> str:
    """Return how many."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def listed(names: Iterable[str]) -> Content:
    """Return names, one below the other."""
    return element("ul", [element("li", element("bdi", one)) for one in names])


def outcome(did: str, outcomes: Iterable[tuple[str, KvstackError | None]]) -> list[Content]:
    """Return what became of each thing."""
    all_of_them = list(outcomes)
    done = [name for name, error in all_of_them if error is None]
    found: list[Content] = []
    if done:
        found.append(told("good", f"{did}:", listed(done)))
    for name, error in all_of_them:
        if error is not None:
            words = [prose(part) for one in error.diagnostics for part in (one.summary, one.detail) if part]
            found.append(told("bad", (element("bdi", name), " was left as it is:"), *words, alert=True))
    return found


def _tried(delete: Callable[..., Any], visit: Visit, vault: str, name: str) -> KvstackError | None:
    try:
        delete(visit.caller, vault, name)
    except KvstackError as error:
        return error
    return None
