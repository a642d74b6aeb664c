"""The pages on vaults as a whole: which there are, and how one of them is set."""

from kvstack.server.answer import Answer, bad_parameter
from kvstack.server.portal.frame import HOME, Around, leads_to
from kvstack.server.portal.html import Content, element
from kvstack.server.portal.parts import (
    Column,
    address,
    link,
    moment,
    pages,
    pairs,
    prose,
    sliced,
    table,
    tags,
    told,
    vault_chips,
)
from kvstack.server.portal.visit import Visit
from kvstack.terms.name import vault_name_problem
from kvstack.vault.errors import VaultError
from kvstack.vault.records import Vault

SIZE = 100


def vaults_page(visit: Visit) -> Answer:
    """Every vault he may list, those in which he was given a right, and a way to any other by its name."""
    wanted = visit.request.query.get("vault", "").strip()
    if wanted:
        problem = vault_name_problem(wanted)
        if problem:
            raise bad_parameter(f"No vault can be called so: {problem}.")
        return leads_to(address("vaults", wanted))
    there = (*visit.service.list_vaults(visit.caller), *visit.service.list_managed_hsms(visit.caller))
    there = tuple(sorted(there, key=lambda one: one.folded))
    part = sliced(visit.request, len(there), SIZE)
    rows = [
        (
            link(element("bdi", one.name), "vaults", one.name),
            vault_chips(one),
            one.resource_group,
            f"{one.soft_delete_retention_days} days",
            moment(one.created),
        )
        for one in there[part.start : part.end]
    ]
    listed = table(
        "Vaults you may list",
        ("Vault", Column("State", hidden=True), "Resource group", "Deleted things are kept", "Created"),
        rows,
        empty="There is no vault whose settings you may see. One in which you have a right is opened by its name.",
    )
    return visit.page(
        "Vaults",
        listed,
        pages(part),
        _others(visit, {one.folded for one in there}),
        element("h2", "Open a vault by its name"),
        _by_name(),
        around=Around(section="vaults"),
    )


def vault_page(visit: Visit, name: str) -> Answer:
    """One vault: its settings, where he may see them, and the ways into it."""
    try:
        home = _home(visit, name)
    except VaultError as error:
        words = told(
            "calm", "You may not see the settings of a vault of this name, if there is one.", prose(error.summary)
        )
        return visit.page(
            name,
            words,
            element("p", "What is in it, you see as far as you have been given rights there.", class_="hint"),
            around=around(name),
        )
    rules = home.network
    deletion = f"{home.soft_delete_retention_days} days; " + (
        "before that nobody may purge it" if home.purge_protection else "it may be purged before that"
    )
    known: list[tuple[str, Content]] = [
        ("Kind", home.kind if home.pool is not None else f"vault, {home.sku}"),
        ("Address", element("code", _host(visit, home))),
        ("Resource group", home.resource_group),
        ("Location", home.location),
        ("What is deleted is kept", deletion),
        ("Rights to its data", "local roles" if home.pool is not None else _model(home)),
        ("Network", _network(rules.default_action, rules.ip_rules)),
        ("Lock", "against deletion" if home.lock is not None else "none"),
        ("Changes that wait for an approval", ", ".join(home.approval.operations) if home.approval else "none"),
        ("Created", moment(home.created)),
        ("Changed", moment(home.updated)),
        ("Tags", tags(home.tags) if home.tags else "none"),
    ]
    place = around(home.name, managed_hsm=home.pool is not None)
    return visit.page(home.name, pairs(known), chips=vault_chips(home), around=place)


def around(name: str, part: str = "", *, managed_hsm: bool = False, item: str = "") -> Around:
    """Return where a page of a vault stands. part: `keys` or another of its pages; item: of a page on one thing."""
    parts = ("keys",) if managed_hsm else ("keys", "secrets", "certificates")
    found = [("Overview", address("vaults", name))]
    found += [(one.capitalize(), address("vaults", name, one)) for one in (*parts, "deleted", "access")]
    trail = [("Vaults", HOME)] + ([(name, address("vaults", name))] if part else [])
    if item:
        trail.append((part.capitalize(), address("vaults", name, part)))
    here = address("vaults", name, *((part,) if part else ()))
    return Around(section="vaults", trail=trail, parts=found, part="" if item else here, parts_of=name)


def _home(visit: Visit, name: str) -> Vault:
    if visit.service.is_managed_hsm(name):
        return visit.service.get_managed_hsm(visit.caller, name)
    return visit.service.get_vault(visit.caller, name)


def _others(visit: Visit, listed: set[str]) -> Content:
    """Return the vaults in which he was given a right, and that he may not list."""
    own = visit.caller.id
    given = [grant.assignment.scope.vault for grant in visit.service.grants_of(visit.caller, own)]
    given += [grant.vault for grant in visit.service.policies_of(visit.caller, own)]
    found = sorted({name.lower(): name for name in given if name and name.lower() not in listed}.values())
    if not found:
        return None
    rows = [(link(element("bdi", name), "vaults", name),) for name in found]
    return element("h2", "Vaults in which you have been given a right"), table(
        "Their settings you may not see", ("Vault",), rows, empty=""
    )


def _by_name() -> Content:
    field = element(
        "div",
        element("label", "Name of the vault", for_="vault"),
        element("input", id="vault", name="vault", type="text", required=True, maxlength=127, autocomplete="off"),
    )
    return element("form", field, element("button", "Open", class_="quiet"), method="get", action=HOME, class_="inline")


def _host(visit: Visit, home: Vault) -> str:
    host = visit.request.host.authority.partition(".")[2]
    return f"https://{home.folded}.{'vault' if home.pool is None else 'managedhsm'}.{host}"


def _model(home: Vault) -> str:
    return "by roles" if home.access_model == "rbac" else "by the vault's access policies"


def _network(default: str, addresses: tuple[str, ...]) -> Content:
    if default == "allow":
        return "anybody may come from anywhere"
    return "only from " + ", ".join(addresses) if addresses else "from nowhere but this machine's own programs"
