"""One declaration, whole: from the files in a folder, variables and an environment to what is desired."""

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any, TypeVar

import msgspec

from kvstack.declare.graph import Desired
from kvstack.declare.resolve import resolved
from kvstack.declare.sources import Sources
from kvstack.declare.stack import BackendChoice, DeclaredPrincipal, Environment, StackFile, Variable
from kvstack.declare.variables import NOWHERE, Located, environment_problems, interpolated, values
from kvstack.resources.catalog import BESIDE, CONTAINERS, inside
from kvstack.schema.resource import Resource
from kvstack.terms.diagnostic import Diagnostic, InvalidInput, Place
from kvstack.terms.near import meant

T = TypeVar("T")
_NAMES_PRINCIPALS = frozenset({"principal", "principals", "except", "approvers", "administrators"})


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder declares. warnings: what is allowed and yet worth a word; state_path: as written, None for the
    default; sources: the files, for the place of what a plan has to say later."""

    directory: FilePath
    desired: Desired
    backend: BackendChoice
    state_path: str | None
    warnings: tuple[Diagnostic, ...]
    sources: Any

    def places(self, paths: Mapping[str, tuple[str | int, ...]]) -> dict[str, Place]:
        """Return where things stand. paths: the path of each in the declaration, by any name."""
        found = self.sources.diagnostics(Located(path, name, at_key=True) for name, path in paths.items())
        return {diagnostic.summary: diagnostic.place for diagnostic in found if diagnostic.place is not None}


def declaration(
    directory: FilePath,
    *,
    environment: str | None = None,
    variables: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    allow_files: bool = False,
) -> Declaration:
    """Read the stack in a folder. variables: of `--var`; environ: the process's environment, for KVSTACK_VAR_NAME;
    allow_files: whether a secret's file may lie outside the folder. Raises InvalidInput with everything that is
    wrong."""
    sources = Sources(directory)
    sources.read()
    problems: list[Located] = []
    document = sources.document
    chosen = _environment(document, environment, problems)
    declared = _section(document, "variables", Variable)
    names = _names(document, "variables")
    known = values(declared, names, chosen, variables or {}, environ or {}, problems)
    # One that is declared wrong is told about already: what refers to it is not.
    known = known.with_missing(names)
    problems += environment_problems(declared, _section(document, "environments", Environment), environment, known)
    # An id may itself come from a variable: what is wrong with that is told below, with everything else.
    people = {"principals": document.get("principals")}
    if sources.interpolates:
        people, _ = interpolated(people, known, [])
    known = known.with_principals(_section(people, "principals", DeclaredPrincipal), _names(document, "principals"))
    vault_keys: dict[str, str] = {}
    if sources.interpolates:
        document, vault_keys = interpolated(document, known, problems)
    own = document
    document = _with_defaults(own)
    try:
        stack = msgspec.convert(document, StackFile)
    except msgspec.ValidationError as error:
        found = _all_problems(document, problems, str(error), allow_files, directory)
        # What is wrong with a default is wrong with all that share it: it is told once.
        once = dict.fromkeys(_as_written(problem, own, vault_keys) for problem in found)
        raise InvalidInput(sources.diagnostics(once)) from None
    desired = resolved(stack, environment if chosen else None, allow_files, problems, directory=directory)
    if stack.state is not None and "\0" in stack.state.path:
        problems.append(Located(("state", "path"), "no path has the character NUL in it"))
    diagnostics = sources.diagnostics(dict.fromkeys(_as_written(problem, own, vault_keys) for problem in problems))
    if any(diagnostic.severity == "error" for diagnostic in diagnostics):
        raise InvalidInput(diagnostics)
    return Declaration(
        directory=directory,
        desired=desired,
        backend=(chosen.backend if chosen else None) or stack.backend,
        state_path=stack.state.path if stack.state else None,
        warnings=diagnostics,
        sources=_Written(sources, own, vault_keys),
    )


class _Written:
    """The files, spoken to in the paths of the interpolated declaration."""

    def __init__(self, sources: Sources, own: Mapping[str, Any], vault_keys: Mapping[str, str]) -> None:
        self._sources = sources
        self._own = own
        self._vault_keys = vault_keys

    def diagnostics(self, problems: Any) -> tuple[Diagnostic, ...]:
        return self._sources.diagnostics(_as_written(problem, self._own, self._vault_keys) for problem in problems)


def _environment(document: Mapping[str, Any], name: str | None, problems: list[Located]) -> Environment | None:
    if name is None:
        return None
    declared = _section(document, "environments", Environment)
    if name not in declared:
        there = f"There are {', '.join(declared)}." if declared else "The stack declares none."
        problems.append(Located(NOWHERE, f"there is no environment `{name}`{meant(name, declared)}", there))
        return None
    return declared[name]


def _names(document: Mapping[str, Any], section: str) -> frozenset[str]:
    content = document.get(section)
    return frozenset(content) if isinstance(content, dict) else frozenset()


def _section(document: Mapping[str, Any], section: str, part: type[T]) -> dict[str, T]:
    """Return what of a section is as it should be; the rest the schema complains about later."""
    content = document.get(section)
    found = {}
    for name, body in content.items() if isinstance(content, dict) else ():
        try:
            found[name] = msgspec.convert(body, part)
        except msgspec.ValidationError:
            continue
    return found


def _with_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """Return the declaration with what its things share put into each; lines of a thing's own win."""
    defaults = document.get("defaults")
    if not isinstance(defaults, dict):
        return document

    def shared(kind: str, body: Any) -> Any:
        more = defaults.get(kind)
        return {**more, **(body or {})} if isinstance(more, dict) and isinstance(body, (dict, type(None))) else body

    def all_shared(resource: type[Resource], things: Any) -> Any:
        match things:
            case dict(named):
                return {key: shared(resource.kind, item) for key, item in named.items()}
            case list(listed):
                return [shared(resource.kind, item) for item in listed]
            case _:
                return things

    def whole(container: type[Resource], declared: Any) -> Any:
        body = shared(container.kind, declared)
        if not isinstance(body, dict):
            return body
        for resource in inside(container):
            if resource.collection in body:
                body = {**body, resource.collection: all_shared(resource, body[resource.collection])}
        return body

    return {
        **document,
        **{
            section: {name: whole(container, body) for name, body in document[section].items()}
            for section, container in CONTAINERS.items()
            if isinstance(document.get(section), dict)
        },
        **{
            section: all_shared(resource, document[section])
            for section, resource in BESIDE.items()
            if section in document
        },
    }


def _all_problems(
    document: dict[str, Any], problems: list[Located], verdict: str, allow_files: bool, directory: FilePath
) -> list[Located]:
    """Return what is wrong with a declaration whose shape is wrong, and with what is left of it without that."""
    from kvstack.declare.explain import shape_problems  # only a wrong declaration pays for it
    from kvstack.declare.partial import without

    told = {problem.path for problem in problems}
    shape = [problem for problem in shape_problems(document) if problem.path not in told]
    if not shape and not problems:
        # Types and schema are held against each other by a test; should they ever differ, say what is known.
        shape = [Located((), f"the stack is not what it should be: {verdict}")]
    beyond: list[Located] = []
    try:
        rest = without(document, [problem.path for problem in (*problems, *shape)])
        stack = msgspec.convert(rest.document, StackFile)
        resolved(stack, None, allow_files, beyond, directory=directory, doubtful=rest.doubtful)
        beyond = [problem for problem in beyond if rest.tells(problem.path)]
    except msgspec.ValidationError:
        beyond = []
    wrong_sections = {problem.path[0] for problem in shape if problem.path}
    return [
        *problems,
        *shape,
        *(
            problem
            for problem in beyond
            if problem.severity == "error"
            and problem.path not in told
            and not (problem.path[-1] in _NAMES_PRINCIPALS and wrong_sections & {"principals", "identities"})
            and not (problem.path[-1] == "role" and "roles" in wrong_sections)
        ),
    ]


def _as_written(problem: Located, own: Mapping[str, Any], vault_keys: Mapping[str, str]) -> Located:
    """Return a problem at the path it has in the files. own: the declaration without its defaults put in."""
    match problem.path:
        case (str(section), str(vault), str(collection), (str() | int()) as item, str(attribute), *rest) if (
            section in CONTAINERS
        ):
            things = inside(CONTAINERS[section])
            kind = next((resource.kind for resource in things if resource.collection == collection), None)
            shared: tuple[Any, ...] = ("defaults", kind, attribute, *rest)
            written: tuple[str | int, ...] = (section, vault_keys.get(vault, vault), *problem.path[2:])
            own_path: tuple[Any, ...] = (section, vault, collection, item, attribute)
        case (str(section), str(vault), str(attribute), *rest) if section in CONTAINERS:
            shared = ("defaults", CONTAINERS[section].kind, attribute, *rest)
            written = (section, vault_keys.get(vault, vault), attribute, *rest)
            own_path = (section, vault, attribute)
        case (str(section), str(vault)) if section in CONTAINERS:
            return msgspec.structs.replace(problem, path=(section, vault_keys.get(vault, vault)))
        case (str(section), (str() | int()) as item, str(attribute), *rest) if section in BESIDE:
            shared = ("defaults", BESIDE[section].kind, attribute, *rest)
            written = problem.path
            own_path = (section, item, attribute)
        case _:
            return problem
    from_defaults = not _stands(own, own_path) and _stands(own, shared[:3])
    return msgspec.structs.replace(problem, path=shared if from_defaults else written)


def _stands(document: Any, path: tuple[Any, ...]) -> bool:
    for step in path:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True
