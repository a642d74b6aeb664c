"""Keys of Managed HSMs in the embedded vault: as a vault's, under another name of their type."""

from kvstack.backends.embedded import reading_hsm
from kvstack.backends.embedded.key import KeyHandler
from kvstack.backends.protocol import Actual
from kvstack.resources.rotation import Rotation
from kvstack.schema.resource import Resource
from kvstack.vault import records


class HsmKeyHandler(KeyHandler):
    """Creates, updates, rotates, deletes, recovers and purges keys of Managed HSMs."""

    def _read(self, key: records.Key | records.KeyVersion, rotation: Rotation | None) -> Actual[Resource]:
        return reading_hsm.of_hsm_key(key, self._places.vault(key.vault, managed_hsm=True).path, rotation)
