"""Azure's asynchronous clients, unmodified: secrets, keys and their use, certificates, from a token to the answer."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity.aio import ClientSecretCredential
from azure.keyvault.certificates import CertificatePolicy
from azure.keyvault.certificates.aio import CertificateClient
from azure.keyvault.keys import KeyCurveName, KeyRotationPolicy
from azure.keyvault.keys.aio import KeyClient
from azure.keyvault.keys.crypto import EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from azure.keyvault.keys.crypto.aio import CryptographyClient
from azure.keyvault.secrets.aio import SecretClient
from cryptography import x509

from tests.server.served import APP, READER, Served


def credential(served: Served, who: str) -> ClientSecretCredential:
    return ClientSecretCredential(
        served.tenant,
        who,
        served.secret(who),
        authority=f"https://{served.login}",
        disable_instance_discovery=True,
        **served.transport,
    )


def run(served: Served, kind: Any, use: Callable[[Any, Any], Awaitable[None]], who: str = APP) -> None:
    """Use a client of a kind in an event loop of its own."""

    async def used() -> None:
        async with credential(served, who) as signed_in, kind(served.url(), signed_in, **served.transport) as client:
            await use(client, signed_in)

    asyncio.run(used())


def test_a_secret_is_set_read_listed_deleted_recovered_and_purged(served: Served) -> None:
    async def use(secrets: SecretClient, _: Any) -> None:
        first = await secrets.set_secret("awaited", "one", tags={"a": "b"})
        await secrets.set_secret("awaited", "two")
        assert (await secrets.get_secret("awaited")).value == "two"
        assert (await secrets.get_secret("awaited", first.properties.version)).value == "one"
        assert len([one async for one in secrets.list_properties_of_secret_versions("awaited")]) == 2
        await secrets.update_secret_properties("awaited", content_type="text/plain")
        blob = await secrets.backup_secret("awaited")
        assert (await secrets.delete_secret("awaited")).deleted_date is not None
        assert "awaited" in [one.name async for one in secrets.list_deleted_secrets()]
        assert (await secrets.recover_deleted_secret("awaited")).content_type == "text/plain"
        await secrets.delete_secret("awaited")
        await secrets.purge_deleted_secret("awaited")
        assert (await secrets.restore_secret_backup(blob)).content_type == "text/plain"

    run(served, SecretClient, use)


def test_a_list_is_gone_through_page_by_page(served: Served) -> None:
    async def use(secrets: SecretClient, _: Any) -> None:
        await asyncio.gather(*(secrets.set_secret(f"awaited-{number:02}", "v") for number in range(30)))
        pages = [[one async for one in page] async for page in secrets.list_properties_of_secrets().by_page()]
        assert len(pages[0]) == 25
        found = [one.name for page in pages for one in page]
        assert len(set(found)) == len(found)
        assert {f"awaited-{number:02}" for number in range(30)} <= set(found)

    run(served, SecretClient, use)


def test_what_the_caller_may_not_do_is_refused_as_for_the_synchronous_one(served: Served) -> None:
    async def use(secrets: SecretClient, _: Any) -> None:
        assert (await secrets.get_secret("greeting")).value == "hello"
        with pytest.raises(HttpResponseError) as refusal:
            await secrets.set_secret("greeting", "mine")
        assert refusal.value.status_code == 403

    run(served, SecretClient, use, READER)


def test_a_key_is_made_used_where_it_is_and_rotated(served: Served) -> None:
    async def use(keys: KeyClient, signed_in: Any) -> None:
        key: Any = await keys.create_ec_key("awaited", curve=KeyCurveName.p_256)
        digest = hashlib.sha256(b"message").digest()
        async with CryptographyClient(key, signed_in, **served.transport) as used:
            signature = (await used.sign(SignatureAlgorithm.es256, digest)).signature
            assert (await used.verify(SignatureAlgorithm.es256, digest, signature)).is_valid
            assert not (await used.verify(SignatureAlgorithm.es256, digest, signature[::-1])).is_valid
        rsa = await keys.create_rsa_key("awaited-rsa", size=2048)
        async with CryptographyClient(rsa, signed_in, **served.transport) as used:
            hidden = (await used.encrypt(EncryptionAlgorithm.rsa_oaep_256, b"text")).ciphertext
            assert (await used.decrypt(EncryptionAlgorithm.rsa_oaep_256, hidden)).plaintext == b"text"
            wrapped = (await used.wrap_key(KeyWrapAlgorithm.rsa_oaep, b"k" * 32)).encrypted_key
            assert (await used.unwrap_key(KeyWrapAlgorithm.rsa_oaep, wrapped)).key == b"k" * 32
        policy = await keys.update_key_rotation_policy("awaited", KeyRotationPolicy(), expires_in="P90D")
        assert policy.expires_in == "P90D"
        assert (await keys.rotate_key("awaited")).properties.version != key.properties.version
        assert len([one async for one in keys.list_properties_of_key_versions("awaited")]) == 2
        await keys.delete_key("awaited")
        assert (await keys.recover_deleted_key("awaited")).name == "awaited"

    run(served, KeyClient, use)


def test_a_certificate_is_made_and_deleted(served: Served) -> None:
    async def use(certificates: CertificateClient, _: Any) -> None:
        made: Any = await certificates.create_certificate(
            "awaited-certificate", CertificatePolicy(issuer_name="Self", subject="CN=awaited.example.com")
        )
        found = x509.load_der_x509_certificate(bytes(made.cer))
        assert found.subject.rfc4514_string() == "CN=awaited.example.com"
        assert "awaited-certificate" in [one.name async for one in certificates.list_properties_of_certificates()]
        assert (await certificates.get_certificate_policy("awaited-certificate")).issuer_name == "Self"
        await certificates.delete_certificate("awaited-certificate")
        await certificates.purge_deleted_certificate("awaited-certificate")
        with pytest.raises(ResourceNotFoundError):
            await certificates.get_certificate("awaited-certificate")

    run(served, CertificateClient, use)
