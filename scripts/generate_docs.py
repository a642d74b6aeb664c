"""The reference pages that follow from code: docs/resources/ from the resource types, docs/cli.md from the verbs,
docs/api-coverage.md from the table of Azure's operations.

`make docs` writes them; `--check` tells which are not as the code says, and a test runs that.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import api_coverage
import click

from kvstack.cli.main import VERBS, kvstack
from kvstack.declare.stack import ManagedHsmBlock, StackFile, VaultBlock
from kvstack.resources.catalog import RESOURCES, inside
from kvstack.resources.managed_hsm import ManagedHsm
from kvstack.resources.vault import Vault
from kvstack.schema.attribute import Attribute
from kvstack.schema.json_schema import Schema, json_schema, title_of
from kvstack.schema.resource import Resource, attributes
from kvstack.terms import limits, name
from kvstack.terms.kind import kind_words

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_GENERATED = "<!-- Made by `make docs` from the code. Change it there. -->\n"

# What else stands in one of these is part of its definition in the schema.
_BLOCKS: dict[type[Resource], type[Resource]] = {Vault: VaultBlock, ManagedHsm: ManagedHsmBlock}


def pages() -> dict[Path, str]:
    """Return every generated page, by where it belongs."""
    schema = json_schema(StackFile, interpolation=False)
    found = {
        DOCS / "cli.md": command_line(),
        DOCS / "api-coverage.md": f"{_GENERATED}\n{api_coverage.page()}",
        DOCS / "resources" / "README.md": index(),
    }
    for resource in RESOURCES:
        found[_page(resource)] = resource_page(resource, schema["$defs"])
    return found


def _page(resource: type[Resource]) -> Path:
    return DOCS / "resources" / f"{resource.kind.replace('_', '-')}.md"


# Resource types


def index() -> str:
    """Return the list of the resource types."""
    rows = [
        f"| [{_title(resource)}]({_page(resource).name}) | {_place(resource)} | {_first_line(resource)} |"
        for resource in RESOURCES
    ]
    return "\n".join(
        (_GENERATED, "# Resource types", "", "| Type | Where it stands | What it is |", "|---|---|---|", *rows, "")
    )


def resource_page(resource: type[Resource], definitions: dict[str, Schema]) -> str:
    """Return the page of one resource type."""
    body = _definition(resource, definitions)
    parts = [
        f"{_GENERATED}\n# {_title(resource)}",
        _words(resource.__doc__ or ""),
        f"It stands in {_place(resource)}.",
        f"```yaml\n{_example(resource)}```",
        "## Attributes of each" if resource.written_as else "## Attributes",
        _inner_attributes(body) if resource.written_as else _attributes(resource, body),
    ]
    if inside := _inside(resource):
        parts.append(f"It also holds {inside}: each has a page of its own.")
    parts += list(_nested(body, definitions, leave_out=_collections(resource)))
    if resource.forbidden:
        parts.append("## What must not be written")
        parts += [f"`{attribute}`: {_words(reason)}" for attribute, reason in resource.forbidden.items()]
    parts += ["## Names, limits, addresses", "\n".join(f"- {line}" for line in _limits(resource))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _definition(resource: type[Resource], definitions: dict[str, Schema]) -> Schema:
    """Return the schema of what is written of a thing; where that is a list, of each entry."""
    if not resource.written_as or resource.parent is None:
        return definitions[_BLOCKS.get(resource, resource).__name__]
    block = definitions[_BLOCKS[resource.parent].__name__]
    return definitions[_reference(block["properties"][resource.collection]["items"]) or ""]


def _title(resource: type[Resource]) -> str:
    return kind_words(resource.kind)[0].upper() + kind_words(resource.kind)[1:]


def _first_line(resource: type[Resource]) -> str:
    return " ".join((resource.__doc__ or "").split("\n\n")[0].split())


def _place(resource: type[Resource]) -> str:
    match resource.kind:
        case "vault" | "managed_hsm" | "identity" | "event_subscription" | "alert":
            return f"the stack's `{resource.collection}`"
        case "role_assignment" | "deny_assignment":
            return f"a vault's `{resource.collection}`, or the stack's own `{resource.collection}`"
        case "role_definition":
            return "the stack's `roles`"
        case _:
            container = "a vault" if resource.parent in (None, Vault) else "a Managed HSM"
            return f"{container}'s `{resource.collection}`"


def _words(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _example(resource: type[Resource]) -> str:
    file = DOCS / "resources" / "examples" / f"{resource.kind}.yaml"
    if not file.is_file():
        raise SystemExit(f"{file.relative_to(ROOT)}: write an example of the resource type there")
    return file.read_text()


def _attributes(resource: type[Resource], body: Schema) -> str:
    rows = [
        "| Attribute | Type | Default | When it changes | What it is |",
        "|---|---|---|---|---|",
    ]
    # What a type is about first; what all types share last.
    shared = ("name", "lifecycle")
    for attribute in sorted(attributes(resource), key=lambda each: (each.written in shared, not each.required)):
        if resource.kind in ("role_assignment", "access_policy") and attribute.written == "name":
            continue  # an assignment has no name of its own; writing one is an error
        schema = body["properties"][attribute.written]
        rows.append(
            f"| `{attribute.written}` | {_type(schema)} | {_default(attribute)} | {_rule(attribute)} | "
            f"{_cell(attribute.description)} |"
        )
    return "\n".join(rows)


def _nested(
    body: Schema,
    definitions: dict[str, Schema],
    leave_out: frozenset[str] = frozenset(),
    seen: dict[str, str] | None = None,
) -> Iterator[str]:
    """Yield a section for each mapping that stands inside a thing."""
    seen = {} if seen is None else seen
    for attribute, schema in body["properties"].items():
        listed = _reference(schema.get("items", {}))
        named = listed or _reference(schema)
        if named is None or attribute in leave_out or seen.get(named) == attribute or (listed and named in seen):
            continue
        if named in seen:
            yield f"### {attribute}\n\nAs [{seen[named]}](#{seen[named]})."
            continue
        seen[named] = attribute
        inner = definitions[named]
        # The entries of a list are called by what they are.
        heading = inner["title"] if listed else attribute
        yield f"### {heading}\n\n{_words(inner.get('description', ''))}\n\n{_inner_attributes(inner)}"
        yield from _nested(inner, definitions, seen=seen)


def _inner_attributes(inner: Schema) -> str:
    rows = ["| Attribute | Type | Default | What it is |", "|---|---|---|---|"]
    required = inner.get("required", ())
    rows += [
        f"| `{name_}` | {_type(part)} | {'required' if name_ in required else _plain_default(part)} | "
        f"{_cell(part.get('description', ''))} |"
        for name_, part in inner["properties"].items()
    ]
    return "\n".join(rows)


def _collections(resource: type[Resource]) -> frozenset[str]:
    return frozenset(inner.collection for inner in inside(resource))


def _inside(resource: type[Resource]) -> str:
    if resource.kind != "vault":
        return ""
    links = [f"[`{inner.collection}`]({_page(inner).name})" for inner in inside(resource)]
    return ", ".join(links[:-1]) + f" and {links[-1]}"


def _reference(schema: Schema) -> str | None:
    for branch in (schema, *schema.get("anyOf", ())):
        if "$ref" in branch:
            return str(branch["$ref"].rpartition("/")[2])
    return None


_PLAIN_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}


def _type(schema: Schema) -> str:
    """Return an attribute's type and constraints in words."""
    named = _reference(schema)
    if named is not None:
        return "[mapping](#" + _anchor(schema) + ")"
    if "anyOf" in schema:
        return _type({**{name: value for name, value in schema.items() if name != "anyOf"}, **schema["anyOf"][0]})
    if "enum" in schema:
        return _either([f"`{choice}`" for choice in schema["enum"] if choice is not None])
    kinds = schema.get("type", ())
    several = [kinds] if isinstance(kinds, str) else [each for each in kinds if each != "null"]
    if len(several) > 1:
        return _either([_PLAIN_TYPES[each] for each in several if each != "integer"])
    kind = several[0] if several else ""
    if schema.get("format") == "date-time":
        return "moment"
    match kind:
        case "array" if _reference(schema.get("items", {})) is not None:
            title = title_of(_reference(schema["items"]) or "")
            return (
                f"list, each a [{title.lower()}](#{title.lower().replace(' ', '-')}){_size(schema, 'Items', 'entries')}"
            )
        case "array":
            inner = schema.get("items", {})
            return f"list of {_type(inner)}{_size(schema, 'Items', 'entries')}"
        case "object":
            return f"names, each with {_type(schema.get('additionalProperties', {}))}"
        case "integer":
            return f"whole number{_range(schema)}"
        case "string" if str(schema.get("pattern", "")).startswith("^P"):
            return "duration"
        case "string":
            return f"text{_size(schema, 'Length', 'characters')}"
        case _:
            return _PLAIN_TYPES.get(kind, "anything")


def _either(choices: list[str]) -> str:
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"


def _anchor(schema: Schema) -> str:
    return str(schema["title"]).lower().replace(" ", "_")


def _range(schema: Schema) -> str:
    match schema.get("minimum"), schema.get("maximum"):
        case (None, None):
            return ""
        case (least, None):
            return f", at least {least}"
        case (None, most):
            return f", at most {most:,}"
        case (least, most):
            return f", {least} to {most:,}"


def _size(schema: Schema, what: str, unit: str) -> str:
    most = schema.get(f"max{what}")
    return "" if most is None else f", at most {most:,} {unit}"


def _default(attribute: Attribute) -> str:
    if attribute.required:
        return "required"
    match attribute.default:
        case None | "" | () | frozenset():
            return ""
        case bool() as value:
            return f"`{str(value).lower()}`"
        case int() | str() as value:
            return f"`{value}`"
        case _:
            return ""


def _plain_default(schema: Schema) -> str:
    match schema.get("default"):
        case None:
            return ""
        case bool() as value:
            return f"`{str(value).lower()}`"
        case value:
            return f"`{value}`"


def _rule(attribute: Attribute) -> str:
    if attribute.comparison == "meta":
        return "is about planning only"
    match attribute.rule.name:
        case "update":
            return "updated in place"
        case "new version":
            return "a new version"
        case "replace":
            return "replaced"
        case "fixed":
            return "refused: set once"
        case "one way":
            return f"only to `{str(attribute.rule.only_to).lower()}`; cannot be undone"


def _cell(text: str) -> str:
    return _words(text).replace("|", "\\|").replace("\n", " ")


def _limits(resource: type[Resource]) -> Iterator[str]:
    least, most = limits.RETENTION_DAYS
    match resource.kind:
        case "vault":
            yield "Name: 3 to 24 letters, digits, hyphens; begins with a letter, ends with a letter or digit, no `--`."
            yield f"Retention: {least} to {most} days. A deleted vault keeps its name as long, unless it is purged."
            yield f"At most {limits.IP_RULES:,} address rules."
            yield _tags(limits.TAG_NAME_CHARACTERS, limits.TAG_VALUE_CHARACTERS)
            yield "Address: `VAULT`, the vault's key under `vaults`."
            yield _imported("VAULT")
        case "role_assignment":
            yield "It has no name: scope, role and principal tell it from all others. Changing one of them replaces it."
            yield "Role: a built-in role of Azure Key Vault or of its resource manager, or one of the stack's `roles`."
            yield "What is given becomes what may be taken up, and back, by being replaced; the terms change in place."
            yield (
                "Address in a vault: `VAULT/access/PRINCIPAL/ROLE[/COLLECTION/NAME]`, the role in lower case with "
                "hyphens: `payments-dev/access/on-call/key-vault-crypto-officer/keys/signing`."
            )
            yield (
                "Address under the stack's own `access`: `access/PRINCIPAL/ROLE/SCOPE`: "
                "`access/on-call/key-vault-reader/subscription`."
            )
            yield _imported("ADDRESS")
        case "role_definition":
            yield "Name: 1 to 128 characters, no built-in role's; a role keeps it."
            yield "It ends once nobody has it any more, nor may take it up."
            yield "Address: `roles/NAME`."
            yield _imported("roles/NAME")
        case "deny_assignment":
            yield "Name: 1 to 128 characters. Another name is another denial; another scope replaces it."
            yield "Address in a vault: `VAULT/deny/NAME`; under the stack's own `deny`: `deny/NAME`."
            yield _imported("VAULT/deny/NAME")
        case "access_policy":
            yield "It has no name: a principal has one policy in a vault. Another principal is another policy."
            yield f"At most {limits.ACCESS_POLICIES:,} policies in a vault."
            yield "Address: `VAULT/policies/PRINCIPAL`: `legacy-dev/policies/batch`."
            yield _imported("VAULT/policies/PRINCIPAL")
        case "managed_hsm":
            yield "Name: as a vault's; the two share one space of names."
            yield "It holds at most 5,000 keys, each with at most 100 versions."
            yield _tags(limits.TAG_NAME_CHARACTERS, limits.TAG_VALUE_CHARACTERS)
            yield "Address: `MANAGED-HSM`, its key under `managed_hsms`."
            yield _imported("MANAGED-HSM")
        case "hsm_role_definition":
            yield "Name: 1 to 128 characters, no built-in role's."
            yield "Address: `MANAGED-HSM/roles/NAME`."
            yield _imported("MANAGED-HSM/roles/NAME")
        case "hsm_role_assignment":
            yield (
                "Address: `MANAGED-HSM/access/PRINCIPAL/ROLE[/SCOPE]`: "
                "`payments-hsm/access/payments-api/signer/keys/signing`."
            )
            yield _imported("MANAGED-HSM/access/PRINCIPAL/ROLE[/SCOPE]")
        case "identity":
            yield "Name: 3 to 128 letters, digits, `-` and `_`; begins with a letter or digit; not a principal's id."
            yield _tags(limits.TAG_NAME_CHARACTERS, limits.TAG_VALUE_CHARACTERS)
            yield "Address: `identities/NAME`, its key under `identities`."
            yield (
                "In access, `principal:` names one of the stack by its key, one of somebody else by "
                "`identity/RESOURCE-GROUP/NAME`. Plans show it so: its principal id is known only once it is made."
            )
            yield _imported("identities/NAME")
        case "event_subscription" | "alert":
            yield "Name: 1 to 64 letters, digits and hyphens; begins with a letter or digit."
            yield f"Address: `{resource.collection}/NAME`, its key under `{resource.collection}`."
            yield "It has no tags: the vault notes which stack it is of."
            yield _imported(f"{resource.collection}/NAME")
        case "hsm_key":
            yield _NAME
            yield _tags(limits.TAG_NAME_CHARACTERS, limits.TAG_VALUE_CHARACTERS)
            yield "Address: `MANAGED-HSM/keys/NAME`."
            yield _imported("MANAGED-HSM/keys/NAME")
        case "issuer":
            yield f"{_NAME} `Self` and `Unknown` mean something else already."
            yield "A provider, an account and an organization have at most 256 characters."
            yield "It has no tags: whose it is stands in the state alone."
            yield "Address: `VAULT/issuers/NAME`."
            yield _imported("VAULT/issuers/NAME")
        case "contact_list":
            yield "A vault has one list, of at most 100 contacts; no two have the same e-mail address, in any case."
            yield "It has no tags, and no lifecycle: whose it is stands in the state alone."
            yield "Address: `VAULT/contacts`."
            yield _imported("VAULT/contacts")
        case "secret":
            yield _NAME
            yield f"Value: at most {limits.SECRET_BYTES:,} bytes."
            yield _tags(limits.SECRET_TAG_NAME_CHARACTERS, limits.SECRET_TAG_VALUE_CHARACTERS)
            yield f"Address: `VAULT/{resource.collection}/NAME`."
            yield _imported(f"VAULT/{resource.collection}/NAME")
        case _:
            yield _NAME
            yield _tags(limits.TAG_NAME_CHARACTERS, limits.TAG_VALUE_CHARACTERS)
            yield f"Address: `VAULT/{resource.collection}/NAME`."
            yield _imported(f"VAULT/{resource.collection}/NAME")


_NAME = f"Name: 1 to 127 letters, digits and hyphens (`{name.ITEM_NAME}`). Two that differ only in case are one."


def _tags(of_name: int, of_value: int) -> str:
    most = limits.TAGS - limits.OWNER_TAGS
    return f"At most {most} tags; a name has up to {of_name} characters, a value up to {of_value}."


def _imported(address: str) -> str:
    return f"Import: `kvstack import {address}`, or `import: [{{address: {address}}}]` in the stack."


# The command line


def command_line() -> str:
    """Return the page of the command line: every verb with its options."""
    top = click.Context(kvstack, info_name="kvstack")
    parts = [
        f"{_GENERATED}\n# The command line",
        _words(kvstack.help or ""),
        "```text\nkvstack [-C DIR] [--env NAME] [--var NAME=VALUE]... VERB\n```",
        "Standard output carries the answer, standard error everything else. With `--json` the answer is one document, "
        "errors too. [plan.md](plan.md#exit-codes) has the exit codes.",
        _options(kvstack, top),
        "| Verb | |\n|---|---|\n"
        + "\n".join(f"| [`{verb}`](#kvstack-{verb}) | {_cell(words)} |" for verb, (_, words) in VERBS.items()),
    ]
    for verb in VERBS:
        command = kvstack.get_command(top, verb)
        if command is not None:
            parts += list(_verb(command, click.Context(command, parent=top, info_name=verb), level=2))
    return "\n\n".join(part for part in parts if part) + "\n"


def _verb(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    path = context.command_path
    yield f"{'#' * level} {path}"
    yield _words(command.help or "")
    if isinstance(command, click.Group):
        for verb in command.list_commands(context):
            inner = command.get_command(context, verb)
            if inner is not None:
                yield from _verb(inner, click.Context(inner, parent=context, info_name=verb), level + 1)
        return
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{path} {usage}\n```"
    yield _options(command, context)


def _options(command: click.Command, context: click.Context) -> str:
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option) and "--help" not in parameter.opts:
            rows.append(f"| `{record[0]}` | {_cell(record[1])} |")
    return "\n".join(("| Option | |", "|---|---|", *rows)) if rows else ""


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` tell which are out of date."""
    stale = [path for path, text in pages().items() if not path.is_file() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not as the code says: run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pages()[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
