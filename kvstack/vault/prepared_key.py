"""A key generated ahead of the batch that keeps it."""

import msgspec

from kvstack.hsm.protocol import KeyMaterial
from kvstack.terms.key import KeySpecification
from kvstack.vault.errors import BadParameter


class PreparedKey(msgspec.Struct, frozen=True):
    """A key generated ahead of the batch that keeps it. Used once; what is not used is to be given to `discard_key`."""

    specification: KeySpecification
    material: KeyMaterial
    exportable: bool = False


def require_fitting(prepared: PreparedKey, specification: KeySpecification, exportable: bool) -> None:
    """Refuse material that was made for another key than the one there is. Raises BadParameter."""
    if prepared.specification != specification:
        raise BadParameter(f"the prepared key is {prepared.specification}, not {specification}")
    if prepared.exportable != exportable:
        made, wanted = ("is", "is not") if prepared.exportable else ("is not", "is")
        raise BadParameter(
            f"the prepared key {made} exportable, the key {wanted}", "It was changed meanwhile; try again."
        )
