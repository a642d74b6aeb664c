"""Which keys may leave the vault, and what of that can be changed later: Azure's rules, with its codes."""

import msgspec
from msgspec import UNSET, UnsetType

from kvstack.terms.release_policy import CONTENT_TYPE, ReleasePolicy, rules
from kvstack.vault.errors import BadParameter
from kvstack.vault.key_attributes import KeyAttributes
from kvstack.vault.records import Key


class Release(msgspec.Struct, frozen=True):
    """What was asked for about leaving the vault: what was not given stays as it is."""

    exportable: bool | UnsetType = UNSET
    policy: ReleasePolicy | UnsetType | None = UNSET


def with_release(
    attributes: KeyAttributes, asked: Release, there: Key | None, *, export_by_default: bool
) -> KeyAttributes:
    """Return the attributes with what a key, new or there already, is as one that may leave the vault.
    export_by_default: whether nobody said what it may be used for. Raises BadParameter, by Azure's rules."""
    before = there.release_policy if there is not None else None
    exportable = (there is not None and there.exportable) if asked.exportable is UNSET else asked.exportable
    policy = before if asked.policy is UNSET else asked.policy
    if there is not None and exportable != there.exportable:
        raise BadParameter(
            f"the key `{there.name}` is {'' if there.exportable else 'not '}exportable, and stays so",
            "It was decided when its first version was made; make a key of another name.",
            inner="AKV.SKR.1003",
        )
    if exportable and policy is None:
        raise BadParameter(
            "an exportable key needs a release policy", "It says who may have the key.", inner="AKV.SKR.1004"
        )
    if not exportable and policy is not None:
        raise BadParameter("a key that is not exportable has no release policy", inner="AKV.SKR.1005")
    require_changeable(before, policy)
    operations = attributes.operations
    if exportable and export_by_default:
        operations |= {"export"}
    return msgspec.structs.replace(attributes, operations=operations, exportable=exportable, release_policy=policy)


def require_changeable(before: ReleasePolicy | None, after: ReleasePolicy | None) -> None:
    """Refuse a policy no vault takes, and the change of one that was made immutable. Raises BadParameter."""
    if after is None or after == before:
        return
    if before is not None and before.immutable:
        raise BadParameter("the key's release policy is immutable: it can never be changed", inner="AKV.SKR.1020")
    if after.content_type.replace(" ", "").lower() != CONTENT_TYPE.replace(" ", ""):
        raise BadParameter(f"release_policy: its content type is `{CONTENT_TYPE}`")
    try:
        rules(after.data)
    except ValueError as error:
        raise BadParameter(f"release_policy: {error}") from None


def with_policy(item: Key, version: str | None, policy: ReleasePolicy) -> Key:
    """Return a key with another release policy. version: the one that was named, if any. Raises BadParameter."""
    if version is not None:
        raise BadParameter(
            "a release policy is a key's, not a version's", "Change it without a version.", inner="AKV.SKR.1016"
        )
    if not item.exportable:
        raise BadParameter("a key that is not exportable has no release policy", inner="AKV.SKR.1005")
    require_changeable(item.release_policy, policy)
    return msgspec.structs.replace(item, release_policy=policy)
