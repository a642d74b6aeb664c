"""The settings of a Managed HSM, in Azure's words. Source: azure/openapi/data-plane, settings.json."""

from typing import Any, Final

import msgspec

from kvstack.server.answer import Answer, Refusal, answered, bad_parameter, refused
from kvstack.server.data_plane.api import Operation
from kvstack.server.data_plane.context import Asked
from kvstack.vault.pool_settings import KEYS_AS_RESOURCES


class GivenSetting(msgspec.Struct, frozen=True):
    """What a setting is to be."""

    value: str


def get_settings(asked: Asked, _: tuple[str, ...]) -> Answer:
    """GetSettings: all there are, which is one."""
    return answered({"settings": [_told(asked.service.keys_as_resources(asked.caller, asked.vault))]})


def get_setting(asked: Asked, names: tuple[str, ...]) -> Answer:
    """GetSetting."""
    found = asked.service.keys_as_resources(asked.caller, asked.vault)
    _require_known(names[0])
    return answered(_told(found))


def update_setting(asked: Asked, names: tuple[str, ...]) -> Answer:
    """UpdateSetting."""
    _require_known(names[0])
    wanted = {"true": True, "false": False}.get(asked.request.document(GivenSetting).value.lower())
    if wanted is None:
        raise bad_parameter("`value` is `true` or `false`.")
    return answered(_told(asked.service.set_keys_as_resources(asked.caller, asked.vault, wanted)))


def _told(value: bool) -> dict[str, Any]:
    return {"name": KEYS_AS_RESOURCES, "value": str(value).lower(), "type": "boolean"}


def _require_known(name: str) -> None:
    if name.lower() != KEYS_AS_RESOURCES.lower():
        raise Refusal(refused(404, "SettingNotFound", f"The one setting there is: {KEYS_AS_RESOURCES}."))


_SINCE: Final = "7.4"

OPERATIONS: Final = (
    Operation("GetSettings", "GET", ("settings",), get_settings, "reading", _SINCE),
    Operation("GetSetting", "GET", ("settings", "{}"), get_setting, "reading", _SINCE),
    Operation("UpdateSetting", "PATCH", ("settings", "{}"), update_setting, "changing", _SINCE),
)
