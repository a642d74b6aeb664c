"""The pages on keys, secrets and certificates: a vault's list of them, and one with its versions."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar, cast

from kvstack.server.answer import Answer
from kvstack.server.portal.frame import form
from kvstack.server.portal.html import Content, Html, element
from kvstack.server.portal.parts import (
    Column,
    address,
    link,
    moment,
    number_of,
    onward,
    pages,
    pairs,
    sliced,
    state_chips,
    table,
    tags,
)
from kvstack.server.portal.vault_pages import around
from kvstack.server.portal.visit import Visit
from kvstack.vault.errors import NotFound
from kvstack.vault.records import Certificate, CertificateVersion, Collection, Key, KeyVersion, Secret, SecretVersion

SIZE: Final = 50
_VERSIONS: Final = 25
_PICK: Final = Column("Pick", pick=True)
V = TypeVar("V", KeyVersion, SecretVersion, CertificateVersion)


def items_page(visit: Visit, vault: str, collection: Collection) -> Answer:
    """A vault's keys, secrets or certificates, some at a time, in the order they were made."""
    after = number_of(visit.request, "after", 0)
    found = visit.service.list_page(visit.caller, vault, collection, after=after, size=SIZE)
    name = found.items[0].vault if found.items else vault
    rows = [
        (
            _box(one.name, deletable=not getattr(one, "managed", False)),
            link(element("bdi", one.name), "vaults", name, collection, one.name),
            state_chips(one, visit.now),
            _what(one),
            moment(one.expires, "never"),
            moment(one.updated),
            tags(one.tags),
        )
        for one in found.items
    ]
    what = "Type" if collection == "keys" else "Content" if collection == "secrets" else "Subject"
    listed = table(
        f"{collection.capitalize()} of {name}",
        (_PICK, "Name", "State", what, "Expires", "Changed", "Tags"),
        rows,
        empty=f"There are no {collection} in this vault." if not after else "Nothing follows.",
    )
    deeds = element("div", element("button", "Delete what is picked …", class_="quiet"), class_="deeds")
    here = ("vaults", name, collection)
    return visit.page(
        collection.capitalize(),
        form(visit.who, address(*here, "delete"), listed, deeds) if rows else listed,
        onward(
            address(*here) if after else None,
            address(*here, query=f"after={found.after}") if found.after is not None else None,
        ),
        around=around(name, collection, managed_hsm=bool(visit.service.is_managed_hsm(vault))),
    )


def item_page(visit: Visit, vault: str, collection: Collection, name: str) -> Answer:
    """One key, secret or certificate with its versions, the newest first."""
    service, caller = visit.service, visit.caller
    match collection:
        case "keys":
            return _page(visit, collection, _there(service.list_key_versions(caller, vault, name), "key", name), _key)
        case "secrets":
            secrets = _there(service.list_secret_versions(caller, vault, name), "secret", name)
            return _page(visit, collection, secrets, _content, partial(_reveal, visit))
        case "certificates":
            found = _there(service.list_certificate_versions(caller, vault, name), "certificate", name)
            return _page(visit, collection, found, _thumbprint)


def _page(
    visit: Visit,
    collection: Collection,
    versions: Sequence[V],
    what: Callable[[V], Content],
    deed: Callable[[V], Content] | None = None,
) -> Answer:
    """Return the page. what: what tells one version from another; deed: what can be done with it."""
    newest: KeyVersion | SecretVersion | CertificateVersion = versions[-1]
    home, name = newest.vault, newest.name
    ordered = list(reversed(versions))
    part = sliced(visit.request, len(ordered), _VERSIONS)
    rows = [
        (
            element("code", one.version),
            state_chips(one, visit.now),
            what(one),
            moment(one.created),
            moment(one.not_before, "at once"),
            moment(one.expires, "never"),
            deed(one) if deed is not None else None,
        )
        for one in ordered[part.start : part.end]
    ]
    heads = (
        "Version",
        "State",
        "What it is",
        "Created",
        "Valid from",
        "Expires",
        Column("What you can do", hidden=True),
    )
    here = ("vaults", home, collection, name)
    managed_hsm = bool(visit.service.is_managed_hsm(home))
    kind = "managedhsm" if managed_hsm else "vault"
    host = visit.request.host.authority.partition(".")[2]
    known: list[tuple[str, Content]] = [
        ("Address", element("code", f"https://{home.lower()}.{kind}.{host}/{collection}/{name}")),
        ("Newest version", moment(newest.created)),
        ("Made by rotation", "yes" if newest.by_rotation else "no"),
        ("Tags", tags(newest.tags) if newest.tags else "none"),
        *_more(newest),
    ]
    return visit.page(
        name,
        pairs(known),
        element("h2", "Versions"),
        table("The newest first", heads, rows, empty=""),
        pages(part, *here),
        _delete_form(visit, here) if not getattr(newest, "managed", False) else None,
        chips=state_chips(newest, visit.now),
        around=around(home, collection, managed_hsm=managed_hsm, item=name),
    )


def _key(one: KeyVersion) -> Content:
    return _specification(one), " ", element("span", ", ".join(sorted(one.operations)), class_="hint")


def _content(one: Secret | SecretVersion) -> Content:
    return element("bdi", one.content_type or "text")


def _thumbprint(one: CertificateVersion) -> Content:
    return element("code", one.thumbprint)


def _reveal(visit: Visit, one: SecretVersion) -> Content:
    if not one.enabled:
        return None
    return form(
        visit.who,
        address("vaults", one.vault, "secrets", one.name, "value"),
        element("input", type="hidden", name="version", value=one.version),
        element(
            "button",
            "Show its value",
            element("span", f" of version {one.version}", class_="unseen"),
            class_="quiet small",
        ),
    )


def _more(one: KeyVersion | SecretVersion | CertificateVersion) -> list[tuple[str, Content]]:
    """Return what is known of one kind of thing only."""
    match one:
        case KeyVersion():
            return [
                ("Type", _specification(one)),
                ("May leave the vault", "under its policy" if one.exportable else "no"),
            ]
        case SecretVersion():
            return [("Content", _content(one))]
        case CertificateVersion():
            from kvstack.vault.certificates.reading import certificate

            read, policy = certificate(one.der), one.policy
            names = sorted((*policy.dns_names, *policy.emails, *policy.ip_addresses, *policy.upns))
            return [
                ("Subject", read.subject.rfc4514_string() or "none"),
                ("Issued by", read.issuer.rfc4514_string() or "nobody named"),
                ("Serial number", element("code", f"{read.serial_number:x}")),
                ("Other names", element("ul", [element("li", one) for one in names]) if names else "none"),
                ("Next version is made by", policy.issuer),
            ]


def _what(one: Key | Secret | Certificate) -> Content:
    match one:
        case Key():
            return _specification(one)
        case Secret():
            return _content(one)
        case Certificate():
            return one.policy.subject or "none"


def _specification(one: Key | KeyVersion) -> str:
    found = one.specification
    return " ".join(str(part) for part in (found.type, found.size, found.curve) if part is not None)


def _box(name: str, *, deletable: bool) -> Content:
    if not deletable:
        return None
    return element("input", type="checkbox", name="pick", value=name, aria_label=f"Pick {name}")


def _delete_form(visit: Visit, here: tuple[str, ...]) -> Html:
    *above, name = here
    return form(
        visit.who,
        address(*above, "delete"),
        element("input", type="hidden", name="pick", value=name),
        element("div", element("button", f"Delete {name} …", class_="quiet"), class_="deeds"),
    )


def _there(versions: Sequence[V], kind: str, name: str) -> Sequence[V]:
    """Return versions of a thing that is there. Raises NotFound."""
    if not versions:
        raise NotFound(f"there is no {kind} `{name}` here", "It may be deleted: see Manage deleted.")
    return versions


def collection_of(word: str) -> Collection | None:
    """Return which of a vault's collections a word of a path is, None for none."""
    return cast("Collection", word) if word in ("keys", "secrets", "certificates") else None
