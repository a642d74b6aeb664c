"""Keys made elsewhere, taken into a vault; those for the HSM are plain only on their way there."""

from collections.abc import Mapping, Set
from datetime import datetime

from msgspec import UNSET, UnsetType

from kvstack.hsm.plain_key import PlainKey
from kvstack.hsm.protocol import InputUnfit, KeyMaterial
from kvstack.terms.key import KeySpecification, KeyType, Operation
from kvstack.terms.release_policy import ReleasePolicy
from kvstack.vault.caller import Caller
from kvstack.vault.errors import BadParameter
from kvstack.vault.items import KEY
from kvstack.vault.key_attributes import new_attributes
from kvstack.vault.keys import KeyOperations
from kvstack.vault.material import releasing
from kvstack.vault.records import KeyVersion, Vault
from kvstack.vault.release_rules import Release

IMPORT = KEY.action("import/action")

_IN_HSM: dict[KeyType, KeyType] = {"RSA": "RSA-HSM", "EC": "EC-HSM", "oct": "oct-HSM"}


class KeyImportOperations(KeyOperations):
    """Taking in keys."""

    def import_key(
        self,
        caller: Caller,
        vault: str,
        name: str,
        plain: PlainKey,
        *,
        in_hsm: bool = False,
        operations: Set[Operation] | None = None,
        enabled: bool = True,
        not_before: datetime | None = None,
        expires: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        exportable: bool | UnsetType = UNSET,
        release_policy: ReleasePolicy | UnsetType | None = UNSET,
        only_if_absent: bool = False,
    ) -> KeyVersion:
        """Keep a key as a new one, or as the newest version of one that is there. in_hsm: in the HSM, from where it
        does not come out again unless it is exportable; operations: what the key's own file says where None, else all
        its type can do; exportable, release_policy: as for `create_key`.

        The plain key is the caller's to wipe. Raises BadParameter for what no vault takes.
        """
        specification = _placed(plain.specification, in_hsm=in_hsm)
        wanted = operations if operations is not None else plain.operations
        attributes = new_attributes(specification, wanted, enabled, not_before, expires, tags, UNSET)

        def taken(specification: KeySpecification, exportable: bool, home: Vault) -> KeyMaterial:
            provider = self._provider_for(specification, home)
            try:
                if exportable:
                    return releasing(provider).import_exportable(specification, plain)
                return provider.import_key(specification, plain)
            except InputUnfit as error:
                raise BadParameter(error.diagnostics[0].summary) from None

        return self._created(
            caller,
            ("KeyImport", IMPORT),
            (vault, name),
            attributes,
            specification=specification,
            rotation=UNSET,
            release=Release(exportable, release_policy),
            export_by_default=operations is None,
            prepared=None,
            make=taken,
            only_if_absent=only_if_absent,
        )


def _placed(specification: KeySpecification, *, in_hsm: bool) -> KeySpecification:
    if not in_hsm:
        return specification
    key_type = _IN_HSM.get(specification.type)
    if key_type is None:
        raise BadParameter(f"{specification.type} keys are software keys: no HSM module takes them yet")
    return KeySpecification(key_type, specification.size, specification.curve)
