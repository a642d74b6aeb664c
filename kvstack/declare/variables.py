"""Variables: which value each has, and `${var.x}` and `${principals.x.id}` put into a declaration."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from kvstack.declare.graph import Path
from kvstack.declare.stack import DeclaredPrincipal, Environment, Variable, VariableValue
from kvstack.resources.catalog import CONTAINERS
from kvstack.schema.resource import Problem
from kvstack.terms.near import meant

ENVIRONMENT_PREFIX = "KVSTACK_VAR_"
_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}|\$\{")
_LIKE_A_REFERENCE = re.compile(r"\$\{\s*[a-z_]{1,20}(\.[\w-]{1,60}){1,2}\s*\}")
# What is read before variables are known.
_NOT_INTERPOLATED = frozenset({"stack", "variables", "environments", "include"})


# The path of what was said on the command line: no line of a file is wrong.
NOWHERE: Path = ("",)


class Located(msgspec.Struct, frozen=True):
    """A problem with its whole path in the declaration. at_key: the key is wrong, not its value."""

    path: Path
    summary: str
    detail: str = ""
    severity: str = "error"
    at_key: bool = False

    @classmethod
    def below(cls, path: Path, problem: Problem) -> "Located":
        """Return a thing's problem under the path of the thing."""
        return cls((*path, *problem.path), problem.summary, problem.detail, problem.severity)


class Values(msgspec.Struct, frozen=True):
    """What can be interpolated: variables and principals' ids. missing: declared, but without a value."""

    variables: Mapping[str, VariableValue]
    principals: Mapping[str, str]
    missing: frozenset[str] = frozenset()
    missing_principals: frozenset[str] = frozenset()

    def with_missing(self, names: frozenset[str]) -> "Values":
        """Return the same values; these variables are there, whatever is wrong with them."""
        return msgspec.structs.replace(self, missing=self.missing | names)

    def with_principals(self, declared: Mapping[str, DeclaredPrincipal], names: frozenset[str]) -> "Values":
        """Return the same values, and principals' ids. names: of all principals, whatever is wrong with them."""
        ids = {name: principal.id.lower() for name, principal in declared.items()}
        return msgspec.structs.replace(self, principals=ids, missing_principals=names)


def values(
    declared: Mapping[str, Variable],
    names: frozenset[str],
    environment: Environment | None,
    given: Mapping[str, str],
    environ: Mapping[str, str],
    problems: list[Located],
) -> Values:
    """Return every variable's value: `--var` before KVSTACK_VAR_NAME before the environment's before the default.

    names: of all variables, whatever is wrong with their declarations.
    """
    problems.extend(
        Located(NOWHERE, f"`--var {name}=...`: there is no variable `{name}`{meant(name, declared)}")
        for name in given
        if name not in names
    )
    known: dict[str, VariableValue] = {}
    missing = set()
    for name, variable in declared.items():
        text = given.get(name)
        if text is None:
            text = environ.get(
                ENVIRONMENT_PREFIX + name, environ.get(ENVIRONMENT_PREFIX + name.upper().replace("-", "_"))
            )
        value: VariableValue | None
        if text is not None:
            value = _typed(text, variable)
        elif environment is not None and name in environment.variables:
            value = environment.variables[name]
        else:
            value = variable.default
        if value is None and text is None:
            missing.add(name)
            problems.append(
                Located(
                    ("variables", name),
                    f"the variable `{name}` has no value",
                    f"Give one by `--var {name}=VALUE`, {ENVIRONMENT_PREFIX}{name}, an environment, or a `default`.",
                )
            )
        elif value is None or not _fits(value, variable):
            missing.add(name)
            problems.append(
                Located(
                    ("variables", name),
                    f"the variable `{name}` is a {variable.type}: it cannot be `{text if value is None else value}`",
                )
            )
        elif isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            missing.add(name)
            problems.append(Located(("variables", name), f"the variable `{name}` is no UTF-8 text"))
        elif variable.allowed and value not in variable.allowed:
            missing.add(name)
            problems.append(
                Located(("variables", name), f"the variable `{name}` cannot be `{value}`", _allowed(variable))
            )
        else:
            known[name] = value
    return Values(known, {}, frozenset(missing))


def environment_problems(
    declared: Mapping[str, Variable], environments: Mapping[str, Environment], chosen: str | None, known: Values
) -> Iterator[Located]:
    """Yield what is wrong with the values that environments give; what the chosen one's come to is told by `values`."""
    for environment, body in environments.items():
        for name, value in body.variables.items():
            where = ("environments", environment, "variables", name)
            variable = declared.get(name)
            if variable is None:
                if name in known.missing:
                    continue
                yield Located(where, f"there is no variable `{name}`{meant(name, declared)}", at_key=True)
            elif environment != chosen and not _fits(value, variable):
                yield Located(where, f"the variable `{name}` is a {variable.type}: it cannot be `{value}`")
            elif environment != chosen and variable.allowed and value not in variable.allowed:
                yield Located(where, f"the variable `{name}` cannot be `{value}`", _allowed(variable))


def interpolated(
    document: dict[str, Any], known: Values, problems: list[Located]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the document with every reference replaced, and which vault's key came from which text."""
    vault_keys: dict[str, str] = {}
    whole: dict[str, Any] = {}
    for section, content in document.items():
        if section in _NOT_INTERPOLATED:
            whole[section] = content
        elif section in CONTAINERS and isinstance(content, dict):
            containers: dict[str, Any] = {}
            for written, body in content.items():
                name = (
                    str(_text(written, known, (section, written), problems, at_key=True))
                    if "${" in written
                    else written
                )
                if name in containers:
                    problems.append(
                        Located(
                            (section, written), f"`{written}` and `{vault_keys[name]}` are both `{name}`", at_key=True
                        )
                    )
                vault_keys[name] = written
                containers[name] = _value(body, known, (section, written), problems)
            whole[section] = containers
        else:
            whole[section] = _value(content, known, (section,), problems)
    return whole, vault_keys


def _value(value: Any, known: Values, path: Path, problems: list[Located]) -> Any:
    match value:
        case str() if "${" in value:
            return _text(value, known, path, problems)
        case dict():
            return {key: _value(inner, known, (*path, key), problems) for key, inner in value.items()}
        case list():
            return [_value(inner, known, (*path, index), problems) for index, inner in enumerate(value)]
        case _:
            return value


def _text(text: str, known: Values, path: Path, problems: list[Located], *, at_key: bool = False) -> VariableValue:
    whole = _REFERENCE.fullmatch(text)
    if whole is not None and whole[1] is not None:
        # A scalar that is one reference keeps the variable's type; among other text it becomes text.
        return _referenced(whole, known, path, problems, at_key)

    def written(found: re.Match[str]) -> str:
        value = _referenced(found, known, path, problems, at_key)
        return str(value).lower() if isinstance(value, bool) else str(value)

    return _REFERENCE.sub(written, text)


def _referenced(
    found: re.Match[str], known: Values, path: Path, problems: list[Located], at_key: bool
) -> VariableValue:
    if found[0] == "$${":
        return "${"
    reference = found[1]
    match reference.split(".") if reference is not None else []:
        case ["var", name] if name in known.variables:
            return known.variables[name]
        case ["var", name] if name in known.missing:
            return found[0]  # told about already
        case ["var", name]:
            problems.append(
                Located(path, f"there is no variable `{name}`{meant(name, known.variables)}", at_key=at_key)
            )
        case ["principals", name, "id"] if name in known.principals:
            return known.principals[name]
        case ["principals", name, "id"] if name in known.missing_principals:
            return found[0]
        case ["principals", name, "id"]:
            problems.append(
                Located(path, f"there is no principal `{name}`{meant(name, known.principals)}", at_key=at_key)
            )
        case _:
            # What does not look like one at all may be part of a secret.
            shown = f"`{found[0]}`" if _LIKE_A_REFERENCE.fullmatch(found[0]) else "what begins with `${` here"
            problems.append(
                Located(
                    path,
                    f"{shown} is no reference",
                    "There are ${var.NAME} and ${principals.NAME.id}; `$${` stands for `${` itself.",
                    at_key=at_key,
                )
            )
    return found[0]


def _typed(text: str, variable: Variable) -> VariableValue | None:
    match variable.type:
        case "string":
            return text
        case "number":
            return int(text) if re.fullmatch(r"[-+]?[0-9]{1,18}", text) else None
        case "bool":
            return {"true": True, "false": False}.get(text.lower())


def _allowed(variable: Variable) -> str:
    return f"It may be {', '.join(f'`{choice}`' for choice in variable.allowed)}."


def _fits(value: VariableValue, variable: Variable) -> bool:
    match variable.type:
        case "string":
            return isinstance(value, str)
        case "number":
            return isinstance(value, int) and not isinstance(value, bool)
        case "bool":
            return isinstance(value, bool)
