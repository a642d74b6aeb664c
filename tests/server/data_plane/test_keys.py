"""Azure's own client for keys, unmodified: their life, and their use where the key is."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.keys import (
    ApiVersion,
    JsonWebKey,
    KeyClient,
    KeyCurveName,
    KeyReleasePolicy,
    KeyRotationLifetimeAction,
    KeyRotationPolicy,
    KeyRotationPolicyAction,
)
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.server.served import APP, READER, Served

OTHER_VERSIONS = [one for one in ApiVersion if one.value != "2016-10-01"]


def client(served: Served, who: str = APP, **more: Any) -> KeyClient:
    return KeyClient(served.url(), served.credential(who), **served.transport, **more)


@pytest.fixture(scope="module")
def keys(served: Served) -> Iterator[KeyClient]:
    with client(served) as found:
        yield found


@pytest.fixture(scope="module")
def hsm_keys(hsm_served: Served) -> Iterator[KeyClient]:
    with client(hsm_served) as found:
        yield found


class Remote:
    """Uses keys by requests alone: Azure's client would do what the public half is enough for by itself."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.token = served.token()

    def __call__(self, key_id: str | None, word: str, **body: str) -> Any:
        path = str(key_id).removeprefix(self.served.url())
        answer = self.served.ask("POST", f"{path}/{word}?api-version=7.6", token=self.token, json_body=body)
        assert answer.status == 200, answer
        return answer.json


@pytest.fixture(scope="module")
def remote(served: Served) -> Remote:
    return Remote(served)


@pytest.fixture(scope="module")
def hsm_remote(hsm_served: Served) -> Remote:
    return Remote(hsm_served)


def crypto(served: Served, key: Any) -> CryptographyClient:
    return CryptographyClient(key, served.credential(), **served.transport)


def inner(error: HttpResponseError) -> str:
    return str(error.error.innererror["code"]) if error.error and error.error.innererror else ""


def part(key: Any, name: str) -> bytes:
    """A number of a key's public half."""
    found: bytes = getattr(key.key, name)
    return found


def text(value: bytes) -> str:
    import base64

    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def test_a_key_is_made_and_read_back_with_all_that_belongs_to_it(keys: KeyClient, served: Served) -> None:
    begins, ends = datetime(2026, 1, 2, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC)
    made = keys.create_rsa_key(
        "whole", size=2048, key_operations=["sign", "verify"], tags={"a": "b"}, not_before=begins, expires_on=ends
    )
    got = keys.get_key("whole")
    assert got.id == made.id == f"{served.url()}/keys/whole/{made.properties.version}"
    assert got.key_type == "RSA"
    assert sorted(got.key_operations) == ["sign", "verify"]
    assert int.from_bytes(part(got, "n"), "big").bit_length() == 2048
    assert int.from_bytes(part(got, "e"), "big") == 65537
    properties = got.properties
    assert (properties.tags, properties.not_before, properties.expires_on) == ({"a": "b"}, begins, ends)
    assert (properties.recovery_level, properties.recoverable_days) == ("Recoverable+Purgeable", 90)
    assert properties.exportable is False


@pytest.mark.parametrize("curve", list(KeyCurveName))
def test_every_curve_signs_and_azures_client_verifies_by_itself(
    keys: KeyClient, served: Served, curve: KeyCurveName
) -> None:
    algorithms = {
        "P-256": (SignatureAlgorithm.es256, "sha256"),
        "P-384": (SignatureAlgorithm.es384, "sha384"),
        "P-521": (SignatureAlgorithm.es512, "sha512"),
        "P-256K": (SignatureAlgorithm.es256_k, "sha256"),
    }
    algorithm, hashed = algorithms[curve.value]
    key = keys.create_ec_key(f"curve-{curve.value}", curve=curve)
    digest = hashlib.new(hashed, b"message").digest()
    with crypto(served, key) as used:
        signature = used.sign(algorithm, digest).signature
        assert used.verify(algorithm, digest, signature).is_valid
        assert not used.verify(algorithm, digest, signature[:-1] + bytes([signature[-1] ^ 1])).is_valid


@pytest.mark.parametrize("name", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_rsa_signs_here_and_is_verified_on_both_sides(
    keys: KeyClient, served: Served, remote: Remote, name: str
) -> None:
    key = keys.create_rsa_key("signing", size=2048)
    digest = hashlib.new(f"sha{name[2:]}", b"message").digest()
    with crypto(served, key) as used:
        signed = used.sign(SignatureAlgorithm(name), digest)
        assert signed.key_id == key.id
        assert used.verify(SignatureAlgorithm(name), digest, signed.signature).is_valid
    answer = remote(key.id, "verify", alg=name, digest=text(digest), value=text(signed.signature))
    assert answer == {"value": True}
    wrong = remote(key.id, "verify", alg=name, digest=text(bytes(len(digest))), value=text(signed.signature))
    assert wrong == {"value": False}


@pytest.mark.parametrize("name", ["RSA-OAEP", "RSA-OAEP-256", "RSA1_5"])
def test_what_azures_client_encrypts_the_vault_decrypts_and_the_other_way_round(
    keys: KeyClient, served: Served, remote: Remote, name: str
) -> None:
    key = keys.create_rsa_key("encrypting", size=2048)
    with crypto(served, key) as used:
        here = used.encrypt(EncryptionAlgorithm(name), b"plain").ciphertext
        assert used.decrypt(EncryptionAlgorithm(name), here).plaintext == b"plain"
        wrapped = used.wrap_key(KeyWrapAlgorithm(name), b"k" * 32).encrypted_key
        assert used.unwrap_key(KeyWrapAlgorithm(name), wrapped).key == b"k" * 32
        there = remote(key.id, "encrypt", alg=name, value=text(b"plain"))
        assert used.decrypt(EncryptionAlgorithm(name), _bytes(there["value"])).plaintext == b"plain"
        wrapped_there = remote(key.id, "wrapkey", alg=name, value=text(b"k" * 16))
        assert used.unwrap_key(KeyWrapAlgorithm(name), _bytes(wrapped_there["value"])).key == b"k" * 16
        changed = here[:-1] + bytes([here[-1] ^ 1])
        if name == "RSA1_5":
            # Rejected without a word, so that nobody learns from it: what comes out is nothing anybody encrypted.
            assert used.decrypt(EncryptionAlgorithm(name), changed).plaintext != b"plain"
            return
        with pytest.raises(HttpResponseError) as refusal:
            used.decrypt(EncryptionAlgorithm(name), changed)
    assert refusal.value.status_code == 400


def _bytes(value: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def test_versions_attributes_deletion_and_recovery(keys: KeyClient, served: Served) -> None:
    first = keys.create_ec_key("life")
    second = keys.create_ec_key("life")
    assert part(keys.get_key("life", first.properties.version), "x") == part(first, "x")
    assert keys.get_key("life").id == second.id
    assert {one.version for one in keys.list_properties_of_key_versions("life")} == {
        first.properties.version,
        second.properties.version,
    }
    changed = keys.update_key_properties("life", tags={"a": "b"}, key_operations=["sign"])
    assert (changed.properties.tags, list(changed.key_operations)) == ({"a": "b"}, ["sign"])
    deleted = keys.begin_delete_key("life").result()
    assert part(deleted, "x") == part(second, "x")
    assert deleted.recovery_id == f"{served.url()}/deletedkeys/life"
    assert keys.get_deleted_key("life").name == "life"
    assert "life" in [one.name for one in keys.list_deleted_keys()]
    with pytest.raises(ResourceNotFoundError):
        keys.get_key("life")
    with pytest.raises(ResourceExistsError) as conflict:
        keys.create_ec_key("life")
    assert inner(conflict.value) == "ObjectIsDeletedButRecoverable"
    assert keys.begin_recover_deleted_key("life").result().id == second.id
    keys.begin_delete_key("life").wait()
    keys.purge_deleted_key("life")
    with pytest.raises(ResourceNotFoundError):
        keys.get_deleted_key("life")


def test_a_backup_brings_a_key_back_that_still_decrypts(keys: KeyClient, served: Served) -> None:
    key = keys.create_rsa_key("backed-up", size=2048)
    with crypto(served, key) as used:
        ciphertext = used.encrypt(EncryptionAlgorithm.rsa_oaep_256, b"plain").ciphertext
    blob = keys.backup_key("backed-up")
    keys.begin_delete_key("backed-up").wait()
    keys.purge_deleted_key("backed-up")
    restored = keys.restore_key_backup(blob)
    assert restored.id == key.id
    with crypto(served, restored) as used:
        assert used.decrypt(EncryptionAlgorithm.rsa_oaep_256, ciphertext).plaintext == b"plain"


@pytest.mark.parametrize("kind", ["RSA", "EC"])
def test_a_key_made_elsewhere_is_taken_in(keys: KeyClient, served: Served, kind: str) -> None:
    def member(value: int, length: int = 0) -> bytes:
        return value.to_bytes(length or (value.bit_length() + 7) // 8, "big")

    if kind == "RSA":
        own = rsa.generate_private_key(65537, 2048).private_numbers()
        public = own.public_numbers
        jwk = JsonWebKey(
            kty="RSA",
            key_ops=["sign", "verify"],
            n=member(public.n),
            e=member(public.e),
            d=member(own.d),
            p=member(own.p),
            q=member(own.q),
            dp=member(own.dmp1),
            dq=member(own.dmq1),
            qi=member(own.iqmp),
        )
    else:
        scalar = ec.generate_private_key(ec.SECP256R1()).private_numbers()
        point = scalar.public_numbers
        jwk = JsonWebKey(
            kty="EC",
            crv="P-256",
            key_ops=["sign", "verify"],
            x=member(point.x, 32),
            y=member(point.y, 32),
            d=member(scalar.private_value, 32),
        )
    taken = keys.import_key(f"imported-{kind.lower()}", jwk)
    assert sorted(taken.key_operations) == ["sign", "verify"]
    algorithm = SignatureAlgorithm.rs256 if kind == "RSA" else SignatureAlgorithm.es256
    digest = hashlib.sha256(b"message").digest()
    with crypto(served, taken) as used:
        assert used.verify(algorithm, digest, used.sign(algorithm, digest).signature).is_valid


def test_a_rotation_policy_is_set_read_and_followed_on_demand(keys: KeyClient, served: Served) -> None:
    first = keys.create_ec_key("rotated")
    default = keys.get_key_rotation_policy("rotated")
    assert [one.action for one in default.lifetime_actions] == [KeyRotationPolicyAction.notify]
    policy = KeyRotationPolicy(
        expires_in="P90D",
        lifetime_actions=[
            KeyRotationLifetimeAction(KeyRotationPolicyAction.rotate, time_before_expiry="P30D"),
            KeyRotationLifetimeAction(KeyRotationPolicyAction.notify, time_before_expiry="P10D"),
        ],
    )
    set_ = keys.update_key_rotation_policy("rotated", policy)
    assert set_.id == f"{served.url()}/keys/rotated/rotationpolicy"
    read = keys.get_key_rotation_policy("rotated")
    assert read.expires_in == "P90D"
    assert {one.action: one.time_before_expiry for one in read.lifetime_actions} == {
        KeyRotationPolicyAction.rotate: "P30D",
        KeyRotationPolicyAction.notify: "P10D",
    }
    second = keys.rotate_key("rotated")
    assert second.properties.version != first.properties.version
    assert second.properties.expires_on is not None
    with pytest.raises(HttpResponseError, match="28 days"):
        keys.update_key_rotation_policy("rotated", KeyRotationPolicy(expires_in="P5D"))


def test_random_bytes_are_drawn(keys: KeyClient) -> None:
    one, two = keys.get_random_bytes(32), keys.get_random_bytes(32)
    assert len(one) == len(two) == 32
    assert one != two
    with pytest.raises(HttpResponseError):
        keys.get_random_bytes(129)


@pytest.mark.parametrize(
    ("change", "status", "code", "inner_code"),
    [
        ({"enabled": False}, 403, "Forbidden", "KeyDisabled"),
        ({"key_operations": ["verify"]}, 403, "Forbidden", "KeyOperationForbidden"),
    ],
)
def test_what_a_key_may_not_do_is_told_by_azures_codes(
    keys: KeyClient, remote: Remote, change: dict[str, Any], status: int, code: str, inner_code: str
) -> None:
    name = f"refusing-{inner_code.lower()}"
    key = keys.create_ec_key(name)
    keys.update_key_properties(name, key.properties.version, **change)
    body = {"alg": "ES256", "value": text(bytes(32))}
    path = str(key.id).removeprefix(remote.served.url())
    answer = remote.served.ask("POST", f"{path}/sign?api-version=7.6", token=remote.token, json_body=body)
    assert (answer.status, answer.code, answer.inner) == (status, code, inner_code)


@pytest.mark.parametrize(
    "body",
    [
        {"alg": "ES256", "value": text(b"too short")},
        {"alg": "RS256", "value": text(bytes(32))},
        {"alg": "none", "value": text(bytes(32))},
        {"alg": "ES256", "value": "*" * 40},
        {"alg": "ES256"},
        {"value": text(bytes(32))},
        {"alg": 1, "value": text(bytes(32))},
    ],
)
def test_what_cannot_be_signed_is_a_bad_parameter(keys: KeyClient, remote: Remote, body: dict[str, Any]) -> None:
    key = keys.create_ec_key("bad-input")
    path = str(key.id).removeprefix(remote.served.url())
    answer = remote.served.ask("POST", f"{path}/sign?api-version=7.6", token=remote.token, json_body=body)
    assert (answer.status, answer.code) == (400, "BadParameter"), answer


def test_an_id_without_a_version_uses_the_newest(keys: KeyClient, remote: Remote) -> None:
    key = keys.create_ec_key("newest")
    answer = remote.served.ask(
        "POST",
        "/keys/newest//sign?api-version=7.6",
        token=remote.token,
        json_body={"alg": "ES256", "value": text(bytes(32))},
    )
    assert answer.json["kid"] == key.id


def test_a_key_can_be_called_what_an_operation_is_called(keys: KeyClient) -> None:
    for name in ("restore", "versions", "create", "rng"):
        assert keys.create_ec_key(name).name == name
        assert keys.get_key(name).name == name
        assert len(list(keys.list_properties_of_key_versions(name))) == 1


@pytest.mark.parametrize(("exponent", "status"), [(65537, 200), (0, 200), (3, 400)])
def test_there_is_one_public_exponent_and_none_is_said_as_0_too(served: Served, exponent: int, status: int) -> None:
    body = {"kty": "RSA", "key_size": 2048, "public_exponent": exponent}
    answer = served.ask("POST", "/keys/exponent/create?api-version=7.6", token=served.token(), json_body=body)
    assert answer.status == status, answer


# `az` asks for keys by the last one.
@pytest.mark.parametrize("version", [*OTHER_VERSIONS, "7.6-preview.2"])
def test_every_version_of_the_api_is_spoken(served: Served, keys: KeyClient, version: str) -> None:
    keys.create_ec_key("spoken")
    with client(served, api_version=version) as found:
        assert found.get_key("spoken").name == "spoken"


def test_who_has_no_right_to_keys_is_refused(served: Served, keys: KeyClient) -> None:
    keys.create_ec_key("closed")
    with client(served, READER) as reader:
        for asked in (reader.get_key, reader.rotate_key, reader.backup_key, reader.begin_delete_key):
            with pytest.raises(HttpResponseError) as refusal:
                asked("closed")
            assert (refusal.value.status_code, inner(refusal.value)) == (403, "ForbiddenByRbac")


Makes = Callable[[KeyClient], Any]


@pytest.mark.parametrize(
    ("make", "algorithm"),
    [
        (lambda keys: keys.create_rsa_key("hsm-rsa", size=2048, hardware_protected=True), SignatureAlgorithm.rs256),
        (lambda keys: keys.create_ec_key("hsm-ec", hardware_protected=True), SignatureAlgorithm.es256),
    ],
    ids=["RSA-HSM", "EC-HSM"],
)
def test_a_key_of_the_hsm_signs_there(
    hsm_keys: KeyClient, hsm_served: Served, make: Makes, algorithm: SignatureAlgorithm
) -> None:
    key = make(hsm_keys)
    assert key.key_type.endswith("-HSM")
    digest = hashlib.sha256(b"message").digest()
    with crypto(hsm_served, key) as used:
        assert used.verify(algorithm, digest, used.sign(algorithm, digest).signature).is_valid


def test_a_symmetric_key_of_the_hsm_encrypts_and_wraps_there(hsm_keys: KeyClient, hsm_remote: Remote) -> None:
    key = hsm_keys.create_oct_key("hsm-oct", size=256, hardware_protected=True)
    made = hsm_remote(key.id, "encrypt", alg="A256GCM", value=text(b"plain"), aad=text(b"about"))
    assert made["aad"] == text(b"about")
    back = hsm_remote(
        key.id,
        "decrypt",
        alg="A256GCM",
        value=made["value"],
        iv=made["iv"],
        tag=made["tag"],
        aad=made["aad"],
    )
    assert _bytes(back["value"]) == b"plain"
    wrapped = hsm_remote(key.id, "wrapkey", alg="A256KW", value=text(b"k" * 32))
    assert _bytes(hsm_remote(key.id, "unwrapkey", alg="A256KW", value=wrapped["value"])["value"]) == b"k" * 32


def test_a_key_that_may_leave_needs_a_policy_and_is_told_with_it(keys: KeyClient) -> None:
    policy = KeyReleasePolicy(
        b'{"version":"1.0.0","anyOf":[{"authority":"https://attest.example.com",'
        b'"allOf":[{"claim":"x-ms-isolation-tee.x-ms-attestation-type","equals":"sevsnpvm"}]}]}'
    )
    made = keys.create_rsa_key("leaving", size=2048, exportable=True, release_policy=policy)
    assert made.properties.exportable
    assert made.properties.release_policy is not None
    assert made.properties.release_policy.encoded_policy == policy.encoded_policy
    with pytest.raises(HttpResponseError) as refusal:
        keys.release_key("leaving", "no.token.here")
    assert (refusal.value.status_code, inner(refusal.value)) == (403, "AttestationRefused")
    with pytest.raises(HttpResponseError):
        keys.create_rsa_key("leaving-2", size=2048, exportable=True)
