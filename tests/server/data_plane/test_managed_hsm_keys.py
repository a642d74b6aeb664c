"""Azure's own client for keys at a Managed HSM, unmodified: every type of key there is in it, its life, and its use."""

import base64
import hashlib
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.keys import KeyCurveName, KeyRotationLifetimeAction, KeyRotationPolicy, KeyRotationPolicyAction
from azure.keyvault.keys.crypto import EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm

from tests.server.data_plane.hsms import host, hsm_token, url
from tests.server.served import Served

V = "api-version=2025-07-01"
DIGESTS = {size: getattr(hashlib, f"sha{size}")(b"message").digest() for size in (256, 384, 512)}


class Remote:
    """Uses keys by requests alone: Azure's client would do what the public half is enough for by itself."""

    def __init__(self, served: Served) -> None:
        self.served, self.token = served, hsm_token(served)

    def __call__(self, key_id: str, word: str, **body: str) -> Any:
        path = key_id.removeprefix(url(self.served))
        answer = self.served.ask("POST", f"{path}/{word}?{V}", host=host(self.served), token=self.token, json_body=body)
        assert answer.status == 200, answer
        return answer.json


@pytest.fixture(scope="module")
def remote(active: Served) -> Remote:
    return Remote(active)


@pytest.mark.parametrize(
    ("curve", "algorithm", "size"),
    [
        (KeyCurveName.p_256, SignatureAlgorithm.es256, 256),
        (KeyCurveName.p_256_k, SignatureAlgorithm.es256_k, 256),
        (KeyCurveName.p_384, SignatureAlgorithm.es384, 384),
        (KeyCurveName.p_521, SignatureAlgorithm.es512, 512),
    ],
)
def test_ec_keys_sign(keys: Any, remote: Remote, curve: KeyCurveName, algorithm: SignatureAlgorithm, size: int) -> None:
    made = keys.create_ec_key(f"ec-{curve.value}", curve=curve, hardware_protected=True)
    assert (made.key_type, made.key.crv) == ("EC-HSM", curve.value)
    signed = keys.get_cryptography_client(made.name).sign(algorithm, DIGESTS[size])
    assert signed.key_id == made.id
    told = base64.urlsafe_b64encode(signed.signature).decode().rstrip("=")
    digest = base64.urlsafe_b64encode(DIGESTS[size]).decode().rstrip("=")
    assert remote(made.id, "verify", alg=algorithm.value, digest=digest, value=told) == {"value": True}


def test_an_rsa_key_signs_decrypts_and_unwraps(keys: Any) -> None:
    made = keys.create_rsa_key("rsa", size=2048, hardware_protected=True)
    assert made.key_type == "RSA-HSM"
    use = keys.get_cryptography_client("rsa")
    for algorithm in (SignatureAlgorithm.rs256, SignatureAlgorithm.ps256):
        assert use.verify(algorithm, DIGESTS[256], use.sign(algorithm, DIGESTS[256]).signature).is_valid
    for padding in (EncryptionAlgorithm.rsa_oaep, EncryptionAlgorithm.rsa_oaep_256):
        assert use.decrypt(padding, use.encrypt(padding, b"plain").ciphertext).plaintext == b"plain"
    wrapped = use.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, b"k" * 32)
    assert use.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped.encrypted_key).key == b"k" * 32


def test_a_symmetric_key_encrypts_and_wraps(keys: Any) -> None:
    made = keys.create_oct_key("aes", size=256, hardware_protected=True)
    assert (made.key_type, made.key.k) == ("oct-HSM", None)
    use = keys.get_cryptography_client("aes")
    sealed = use.encrypt(EncryptionAlgorithm.a256_gcm, b"plain", additional_authenticated_data=b"with")
    opened = use.decrypt(
        EncryptionAlgorithm.a256_gcm,
        sealed.ciphertext,
        iv=sealed.iv,
        authentication_tag=sealed.tag,
        additional_authenticated_data=b"with",
    )
    assert opened.plaintext == b"plain"
    wrapped = use.wrap_key(KeyWrapAlgorithm.aes_256, b"k" * 32)
    assert use.unwrap_key(KeyWrapAlgorithm.aes_256, wrapped.encrypted_key).key == b"k" * 32


def test_random_bytes_are_drawn(keys: Any) -> None:
    first, second = keys.get_random_bytes(32), keys.get_random_bytes(32)
    assert (len(first), len(second), first != second) == (32, 32, True)
    with pytest.raises(HttpResponseError):
        keys.get_random_bytes(129)


def test_a_key_lives_is_deleted_recovered_and_purged(keys: Any) -> None:
    made = keys.create_ec_key("life", hardware_protected=True, tags={"a": "b"})
    assert made.properties.recovery_level == "Recoverable+Purgeable"
    again = keys.create_ec_key("life", hardware_protected=True)
    assert {one.version for one in keys.list_properties_of_key_versions("life")} == {
        made.properties.version, again.properties.version
    }  # fmt: skip
    assert keys.update_key_properties("life", enabled=False).properties.enabled is False
    assert keys.update_key_properties("life", again.properties.version, enabled=True).id == again.id
    deleted = keys.begin_delete_key("life", _polling_interval=0).result()
    assert deleted.recovery_id.endswith("/deletedkeys/life")
    assert "life" in {one.name for one in keys.list_deleted_keys()}
    with pytest.raises(ResourceExistsError):
        keys.create_ec_key("life", hardware_protected=True)
    keys.begin_recover_deleted_key("life", _polling_interval=0).wait()
    assert keys.get_key("life").id == again.id
    keys.begin_delete_key("life", _polling_interval=0).wait()
    keys.purge_deleted_key("life")
    with pytest.raises(ResourceNotFoundError):
        keys.get_deleted_key("life")


def test_one_key_is_backed_up_and_restored(keys: Any) -> None:
    made = keys.create_ec_key("saved", hardware_protected=True)
    blob = keys.backup_key("saved")
    keys.begin_delete_key("saved", _polling_interval=0).wait()
    keys.purge_deleted_key("saved")
    assert keys.restore_key_backup(blob).id == made.id


def test_a_rotation_is_by_a_policy_of_at_least_28_days(keys: Any) -> None:
    keys.create_ec_key("rotated", hardware_protected=True)
    with pytest.raises(HttpResponseError):
        keys.rotate_key("rotated")
    often = KeyRotationLifetimeAction(KeyRotationPolicyAction.rotate, time_after_create="P20D")
    with pytest.raises(HttpResponseError):
        keys.update_key_rotation_policy("rotated", KeyRotationPolicy(lifetime_actions=[often], expires_in="P60D"))
    seldom = KeyRotationLifetimeAction(KeyRotationPolicyAction.rotate, time_after_create="P40D")
    keys.update_key_rotation_policy("rotated", KeyRotationPolicy(lifetime_actions=[seldom], expires_in="P90D"))
    before = keys.get_key("rotated").properties.version
    assert keys.rotate_key("rotated").properties.version != before


@pytest.mark.parametrize("kind", ["EC", "RSA", "oct"])
def test_no_key_lives_outside_the_hsm(keys: Any, kind: str) -> None:
    with pytest.raises(HttpResponseError) as refusal:
        keys.create_key("soft", kind)
    assert refusal.value.status_code == 400
