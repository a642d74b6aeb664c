"""What a resource type is: one frozen definition from which schema, diff, documents and bindings are derived."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_type_hints

import msgspec

from kvstack.schema.attribute import META, Attribute, attribute, doc
from kvstack.schema.change_rule import REPLACE
from kvstack.schema.obstacle import Hint, Obstacle, ValueSource

R = TypeVar("R", bound="Resource")


class Lifecycle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What planning may do to a thing."""

    prevent_destroy: Annotated[
        bool, doc("Refuse every plan that would delete, replace or purge this thing while this line stands.")
    ] = False
    ignore_changes: Annotated[
        tuple[str, ...],
        doc(
            "Attributes that others may change: neither corrected nor reported as drift; `all` is every one.", ["tags"]
        ),
    ] = ()
    purge_on_delete: Annotated[
        bool, doc("Purge after deleting, so that the name is free at once. Refused where purge protection is on.")
    ] = False


class ResourceMeta(msgspec.StructMeta):
    """Takes a resource type's class keywords: kind, collection, parent, words for attributes that must not be written,
    and the one attribute that stands for all of it."""

    def __new__(
        mcs,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        kind: str = "",
        collection: str = "",
        parent: "type[Resource] | None" = None,
        forbidden: Mapping[str, str] | None = None,
        written_as: str = "",
        **options: Any,
    ) -> Any:
        """Make the class. kind: its name in plans and state; collection: where it stands in a declaration."""
        if kind:
            namespace.update(
                kind=kind,
                collection=collection,
                parent=parent,
                forbidden=dict(forbidden or {}),
                written_as=written_as,
            )
        always = {"frozen": True, "kw_only": True, "omit_defaults": True, "forbid_unknown_fields": True}
        return super().__new__(mcs, name, bases, namespace, **{**always, **options})


class Problem(msgspec.Struct, frozen=True):
    """Something wrong with a declared thing: where below it (`("rotation", "every")`), what, and how to mend it."""

    path: tuple[str | int, ...]
    summary: str
    detail: str = ""
    severity: str = "error"


class Resource(msgspec.Struct, metaclass=ResourceMeta, frozen=True, kw_only=True):
    """A thing as declared, as recorded, and as read from a vault: the same attributes each time.

    listed: it stands in a list, and its address is made of what it says; else it stands under a name. written_as: a
    vault has one at most, without a name, and what is written is this attribute alone. soft_deleted: a deleted one can
    be recovered, and keeps its name taken. ours_by_state: nothing in a vault says whose it is. versions_by_vault: a new
    version with the declared attributes is nobody's drift, the vault makes them itself. stands_for_what_it_needs: it is
    but another name for that. stays_while_needed: nobody can delete it while something that needs it is there.
    lost_when_deleted: what no new one would bring back, in words, empty for nothing. names: the attributes in which two
    spellings are one name. gives_access: it gives the right to what else is in its vault, which is made after it,
    therefore, and ends before it. schema_version: of its attributes as a state keeps them; it grows when an attribute
    changes its meaning.
    """

    listed: ClassVar[bool] = False
    soft_deleted: ClassVar[bool] = True
    ours_by_state: ClassVar[bool] = False
    stands_for_what_it_needs: ClassVar[bool] = False
    versions_by_vault: ClassVar[bool] = False
    gives_access: ClassVar[bool] = False
    schema_version: ClassVar[int] = 1
    looks_at_in_a_vault: ClassVar[frozenset[str]] = frozenset()  # the attributes `problems_within` depends on
    stays_while_needed: ClassVar[bool] = False
    lost_when_deleted: ClassVar[str] = ""
    names: ClassVar[frozenset[str]] = frozenset({"name"})
    kind: ClassVar[str]
    collection: ClassVar[str]
    parent: ClassVar["type[Resource] | None"]
    forbidden: ClassVar[dict[str, str]]
    written_as: ClassVar[str]

    name: Annotated[
        str,
        doc("The real name in the vault; by default the last part of the address. Nothing can be renamed."),
        REPLACE,
    ] = ""
    lifecycle: Annotated[Lifecycle, doc("What planning may do to this thing."), META] = Lifecycle()

    def resolved(self) -> Self:
        """Return the same declaration with the defaults that depend on other attributes filled in."""
        return self

    def named_file(self) -> tuple[tuple[str, ...], str] | None:
        """Return the file of the stack that holds a part of the declaration, and where it is named; None for none."""
        return None

    def with_content(self, content: bytes) -> Self:
        """Return it with what that file holds. Raises ValueError, with words for people."""
        raise NotImplementedError(f"a {self.kind} names no file")

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about this thing alone."""
        yield from ()

    def problems_within(self, container: "Resource") -> Iterator[Problem]:
        """Yield what the vault it stands in would refuse about this thing."""
        yield from ()

    def address_parts(self) -> tuple[str, ...]:
        """Return what a listed thing is called after its collection's name."""
        raise NotImplementedError(f"a {self.kind} stands under a name")

    @property
    def value_source(self) -> ValueSource | None:
        """Where its value comes from, for what has a value that no plan may know."""
        return None

    def obstacle_to_creation(self, now: datetime) -> Obstacle | None:
        """Return why it could not be made as declared."""
        return None

    def needs(self, vault: str) -> tuple[str, ...]:
        """Return the identities of what has to be there, declared or not, before this can be made. vault: the real name
        of the one it is in."""
        return ()

    def made_after(self) -> tuple[str, ...]:
        """Return the identities of what is made or changed before this where one plan does both."""
        return ()

    def obstacle_with(self, needed: "Resource") -> Obstacle | None:
        """Return why it could not be made with what it needs, as that is declared or else as it is."""
        return None

    def ends_with(self) -> tuple[str, ...]:
        """Return the identities of what takes this along when it ends, beside the vault it is in."""
        return ()

    def placed(self, resource_group: str) -> Self:
        """Return it as it is in the backend's own resource group, where none is named."""
        return self

    def told_by(self, principals: Mapping[str, str]) -> Self:
        """Return it with its principal as the backend tells it. principals: by id, for those it tells otherwise."""
        return self

    def comes_first(self) -> str:
        """Return what has to be done once it is made, before anything can be put into it; empty for nothing."""
        return ""

    def refers_to(self) -> str | None:
        """Return the address (or real names) of another thing that it names, as it is written."""
        return None

    def referring(self, to: Callable[[str], str]) -> Self:
        """Return it with what it refers to by real names. to: returns them for what is written."""
        return self

    def with_real_vaults(self, real: Callable[[str], str]) -> Self:
        """Return it with the real names of other vaults that it names. real: returns one for what is written."""
        return self

    def problems_with(self, needed: "Resource") -> Iterator[Problem]:
        """Yield what is wrong with this and what it needs, where both are declared."""
        yield from ()

    def also_takes(self, vault: str) -> tuple[str, ...]:
        """Return identities of other things that come with it, and that nothing else may have therefore."""
        return ()

    def obstacle_to_change(self, declared: "Resource", inside: Iterable["Resource"]) -> Obstacle | None:
        """Return why it, as it is, cannot become what is declared. inside: what it holds now."""
        return None

    def obstacle_to_deletion(self) -> Obstacle | None:
        """Return why it, as it is, cannot be deleted."""
        return None

    def obstacle_to_purge(self) -> Obstacle | None:
        """Return why it, as it is, could not be purged once it is deleted."""
        return None

    def grants(self, vault: str) -> tuple[str, str] | None:
        """Return, of what is about access, the scope it is at and what it gives there, as `terms.approval.words` has
        it: what an approval of access changes is about. None for everything else. vault: the real name of the one it is
        in."""
        return None

    def redefined(self, declared: "Resource | None") -> Iterator[tuple[str, str]]:
        """Yield, of what others' access goes by, each scope at which that changes, and what it becomes. declared: as it
        will be, None where it ends."""
        yield from ()

    def hints(self, now: datetime) -> tuple[Hint, ...]:
        """Return what is worth a word about it, although nothing has to change."""
        return ()

    def left_to_the_vault(self) -> frozenset[str]:
        """Return the attributes that a vault sets by itself under this declaration, and that are not compared
        therefore."""
        return frozenset()

    def identity(self, vault: str) -> str:
        """Return what tells this thing from all others in a backend; the same for two spellings of one name."""
        raise NotImplementedError(f"{type(self).__name__} has no identity of its own")


@cache
def attributes(resource: type[Resource]) -> tuple[Attribute, ...]:
    """Return a resource type's attributes, in the order they are declared."""
    hints = get_type_hints(resource, include_extras=True)
    return tuple(
        attribute(
            field.name,
            field.encode_name,
            hints[field.name],
            required=field.required,
            default=msgspec.UNSET if field.required else _default(field),
        )
        for field in msgspec.structs.fields(resource)
    )


def with_ignored(declared: R, actual: Resource) -> R:
    """Return what is declared, with the attributes that are others' business as they are."""
    ignored = declared.lifecycle.ignore_changes
    if not ignored:
        return declared
    kept = {
        entry.name: getattr(actual, entry.name)
        for entry in attributes(type(declared))
        if entry.comparison == "compared" and ("all" in ignored or entry.written in ignored)
    }
    return msgspec.structs.replace(declared, **kept)


@cache
def compared(resource: type[Resource]) -> Callable[[Resource], Any]:
    """Return what reads, at once, all attributes that are held against a vault: equal results mean nothing differs."""
    return attrgetter(*(entry.name for entry in attributes(resource) if entry.comparison == "compared"))


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
