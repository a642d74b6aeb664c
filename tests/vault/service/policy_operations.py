"""Every operation of the vault on the data of a vault under access policies, each with the permissions that are enough
for it, as Azure's reference names them: `tests/vault/service/test_policy_permissions.py` tries each with each."""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from kvstack.hsm.plain_key import of_oct
from kvstack.terms.certificate import CertificatePolicy
from kvstack.terms.duration import duration
from kvstack.terms.generator import Generator
from kvstack.terms.key import KeySpecification
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.certificates.rows import Contact
from kvstack.vault.service import VaultService
from tests.vault.certificates.policies import EC, ROOT, Outside, leaf, pem
from tests.vault.service.test_key_release import AUTHORITY, ENVIRONMENT, MET, NOW, POLICY
from tests.vault.service.world import START, World

LEGACY = "legacy"
DIGEST = hashlib.sha256(b"message").digest()
SELF = CertificatePolicy(subject="CN=one.example.com", key=EC)
_VALUE = SecretValue(b"v" * 16)
Known = dict[str, Any]
Deed = Callable[[VaultService, Caller, Known], object]


class Operation(msgspec.Struct, frozen=True):
    """One operation: what does it, and the permissions each of which is enough. name: of the service's method; also:
    what else the caller needs, when what does it does more than one thing."""

    name: str
    enough: str
    does: Deed
    also: str = ""


def stocked(world: World) -> Known:
    """Fill a vault with one thing of each sort, and return what the operations need to know of it; then let it go by
    its access policies."""
    service, operator = world.service, world.operator
    service.create_vault(operator, LEGACY)
    service.trust_authority(operator, AUTHORITY.url, AUTHORITY.jwks())
    ec, known = KeySpecification("EC", None, "P-256"), Known()
    for name, specification in (
        ("sign", ec),
        ("rsa", KeySpecification("RSA", 2048, None)),
        ("kem", KeySpecification("ML-KEM-768", None, None)),
        ("gone", ec),
        ("saved", ec),
    ):
        service.create_key(operator, LEGACY, name, specification=specification)
    service.create_key(operator, LEGACY, "leaves", specification=ec, exportable=True, release_policy=POLICY)
    for name in ("s", "gone", "saved"):
        service.set_secret(operator, LEGACY, name, _VALUE)
    service.create_certificate(operator, LEGACY, "ca", policy=ROOT)
    service.create_certificate(operator, LEGACY, "web", policy=leaf(issuer=f"{LEGACY}/certificates/ca"))
    for name in ("cgone", "csaved"):
        service.create_certificate(operator, LEGACY, name, policy=SELF)
    service.create_certificate(operator, LEGACY, "pending", policy=leaf(issuer="Unknown"))
    outside = Outside("Outer Root", START)
    known["signed"] = pem(outside.sign(service.get_pending_certificate(operator, LEGACY, "pending").csr))
    known["signed"] += outside.pem
    known["pfx"] = service.get_secret(operator, LEGACY, "csaved").value
    for save, remove, purge, name in (
        (service.backup_key, service.delete_key, service.purge_key, "saved"),
        (service.backup_secret, service.delete_secret, service.purge_secret, "saved"),
        (service.backup_certificate, service.delete_certificate, service.purge_certificate, "csaved"),
    ):
        known[save.__name__] = save(operator, LEGACY, name)
        remove(operator, LEGACY, name)
        purge(operator, LEGACY, name)
    service.delete_key(operator, LEGACY, "gone")
    service.delete_secret(operator, LEGACY, "gone")
    service.delete_certificate(operator, LEGACY, "cgone")
    service.put_issuer(operator, LEGACY, "own", authority=f"{LEGACY}/certificates/ca")
    service.set_contacts(operator, LEGACY, [Contact("a@example.com")])
    known["serial"] = service.list_issued(operator, LEGACY, "ca")[0].serial
    known["signature"] = service.sign(operator, LEGACY, "sign", algorithm="ES256", digest=DIGEST).value
    hidden: list[tuple[Any, Any]] = [(service.encrypt, {"plaintext": _VALUE}), (service.wrap_key, {"key": _VALUE})]
    for verb, said in hidden:
        known[verb.__name__] = verb(operator, LEGACY, "rsa", algorithm="RSA-OAEP-256", **said).ciphertext
    known["encapsulate"] = service.encapsulate(operator, LEGACY, "kem", algorithm="ML-KEM-768").ciphertext
    service.publish_revocation_list(operator, LEGACY, "ca")
    service.release_certificate(operator, LEGACY)
    service.update_vault(operator, LEGACY, access_model="access_policies")
    return known


def _release(service: VaultService, caller: Caller, known: Known) -> object:
    token = AUTHORITY.token(ENVIRONMENT.claims(AUTHORITY.url, NOW, **MET))
    return service.release_key(caller, LEGACY, "leaves", target_attestation_token=token)


def _create(service: VaultService, caller: Caller, known: Known, **more: Any) -> object:
    return service.create_key(caller, LEGACY, "new", specification=KeySpecification("EC", None, "P-256"), **more)


_EVERY_90 = RotationPolicy(every=duration("P90D"))
_OAEP: dict[str, Any] = {"algorithm": "RSA-OAEP-256"}

KEY_OPERATIONS = (
    Operation("get_key", "keys/get", lambda s, c, k: s.get_key(c, LEGACY, "sign")),
    Operation("get_deleted_key", "keys/get", lambda s, c, k: s.get_deleted_key(c, LEGACY, "gone")),
    Operation("random_bytes", "keys/get", lambda s, c, k: s.random_bytes(c, LEGACY, 8)),
    Operation("release_certificate", "keys/get", lambda s, c, k: s.release_certificate(c, LEGACY)),
    Operation("list_keys", "keys/list", lambda s, c, k: s.list_keys(c, LEGACY)),
    Operation("list_page keys", "keys/list", lambda s, c, k: s.list_page(c, LEGACY, "keys")),
    Operation("list_page deleted keys", "keys/list", lambda s, c, k: s.list_page(c, LEGACY, "keys", deleted=True)),
    Operation("list_key_versions", "keys/list", lambda s, c, k: s.list_key_versions(c, LEGACY, "sign")),
    Operation("list_deleted_keys", "keys/list", lambda s, c, k: s.list_deleted_keys(c, LEGACY)),
    Operation("create_key", "keys/create", _create),
    Operation(
        "create_key with rotation",
        "keys/setrotationpolicy",
        lambda s, c, k: _create(s, c, k, rotation=_EVERY_90),
        also="keys/create",
    ),
    Operation("import_key", "keys/import", lambda s, c, k: s.import_key(c, LEGACY, "new", of_oct(bytes(32)))),
    Operation("update_key", "keys/update", lambda s, c, k: s.update_key(c, LEGACY, "sign", enabled=False)),
    Operation("rotate_key", "keys/rotate", lambda s, c, k: s.rotate_key(c, LEGACY, "sign")),
    Operation("delete_key", "keys/delete", lambda s, c, k: s.delete_key(c, LEGACY, "sign")),
    Operation("recover_key", "keys/recover", lambda s, c, k: s.recover_key(c, LEGACY, "gone")),
    Operation("purge_key", "keys/purge", lambda s, c, k: s.purge_key(c, LEGACY, "gone")),
    Operation("backup_key", "keys/backup", lambda s, c, k: s.backup_key(c, LEGACY, "sign")),
    Operation("restore_key", "keys/restore", lambda s, c, k: s.restore_key(c, LEGACY, k["backup_key"])),
    Operation("release_key", "keys/release", _release),
    Operation("sign", "keys/sign", lambda s, c, k: s.sign(c, LEGACY, "sign", algorithm="ES256", digest=DIGEST)),
    Operation(
        "verify",
        "keys/verify",
        lambda s, c, k: s.verify(c, LEGACY, "sign", algorithm="ES256", digest=DIGEST, signature=k["signature"]),
    ),
    Operation("encrypt", "keys/encrypt", lambda s, c, k: s.encrypt(c, LEGACY, "rsa", plaintext=_VALUE, **_OAEP)),
    Operation("decrypt", "keys/decrypt", lambda s, c, k: s.decrypt(c, LEGACY, "rsa", ciphertext=k["encrypt"], **_OAEP)),
    Operation("wrap_key", "keys/wrapKey", lambda s, c, k: s.wrap_key(c, LEGACY, "rsa", key=_VALUE, **_OAEP)),
    Operation(
        "unwrap_key", "keys/unwrapKey", lambda s, c, k: s.unwrap_key(c, LEGACY, "rsa", wrapped=k["wrap_key"], **_OAEP)
    ),
    Operation("encapsulate", "keys/wrapKey", lambda s, c, k: s.encapsulate(c, LEGACY, "kem", algorithm="ML-KEM-768")),
    Operation(
        "decapsulate",
        "keys/unwrapKey",
        lambda s, c, k: s.decapsulate(c, LEGACY, "kem", algorithm="ML-KEM-768", ciphertext=k["encapsulate"]),
    ),
    Operation(
        "get_rotation_policy",
        "keys/getrotationpolicy",
        lambda s, c, k: s.get_rotation_policy(c, LEGACY, "keys", "sign"),
    ),
    Operation(
        "set_rotation_policy",
        "keys/setrotationpolicy",
        lambda s, c, k: s.set_rotation_policy(c, LEGACY, "keys", "sign", _EVERY_90),
    ),
)
SECRET_OPERATIONS = (
    Operation("get_secret", "secrets/get", lambda s, c, k: s.get_secret(c, LEGACY, "s")),
    Operation("get_deleted_secret", "secrets/get", lambda s, c, k: s.get_deleted_secret(c, LEGACY, "gone")),
    Operation(
        "get_secret_properties", "secrets/get secrets/list", lambda s, c, k: s.get_secret_properties(c, LEGACY, "s")
    ),
    Operation("list_secrets", "secrets/list", lambda s, c, k: s.list_secrets(c, LEGACY)),
    Operation("list_page secrets", "secrets/list", lambda s, c, k: s.list_page(c, LEGACY, "secrets")),
    Operation(
        "list_page deleted secrets", "secrets/list", lambda s, c, k: s.list_page(c, LEGACY, "secrets", deleted=True)
    ),
    Operation("list_secret_versions", "secrets/list", lambda s, c, k: s.list_secret_versions(c, LEGACY, "s")),
    Operation("list_deleted_secrets", "secrets/list", lambda s, c, k: s.list_deleted_secrets(c, LEGACY)),
    Operation("set_secret", "secrets/set", lambda s, c, k: s.set_secret(c, LEGACY, "s", _VALUE)),
    Operation("update_secret", "secrets/set", lambda s, c, k: s.update_secret(c, LEGACY, "s", enabled=False)),
    Operation("fingerprint", "secrets/set", lambda s, c, k: s.fingerprint(c, LEGACY, "s", _VALUE)),
    Operation("delete_secret", "secrets/delete", lambda s, c, k: s.delete_secret(c, LEGACY, "s")),
    Operation("recover_secret", "secrets/recover", lambda s, c, k: s.recover_secret(c, LEGACY, "gone")),
    Operation("purge_secret", "secrets/purge", lambda s, c, k: s.purge_secret(c, LEGACY, "gone")),
    Operation("backup_secret", "secrets/backup", lambda s, c, k: s.backup_secret(c, LEGACY, "s")),
    Operation("restore_secret", "secrets/restore", lambda s, c, k: s.restore_secret(c, LEGACY, k["backup_secret"])),
    Operation(
        "get_rotation_policy of a secret",
        "secrets/get secrets/list",
        lambda s, c, k: s.get_rotation_policy(c, LEGACY, "secrets", "s"),
    ),
    Operation("rotation_status", "secrets/get secrets/list", lambda s, c, k: s.rotation_status(c, LEGACY, "s")),
    Operation(
        "set_rotation_policy of a secret",
        "secrets/set",
        lambda s, c, k: s.set_rotation_policy(c, LEGACY, "secrets", "s", _EVERY_90, generator=Generator()),
    ),
    Operation(
        "rotate_secret",
        "secrets/set",
        lambda s, c, k: (
            s.set_rotation_policy(c, LEGACY, "secrets", "s", None, generator=Generator()),
            s.rotate_secret(c, LEGACY, "s"),
        ),
    ),
)
_MANAGE = " certificates/manageissuers"
CERTIFICATE_OPERATIONS = (
    Operation("get_certificate", "certificates/get", lambda s, c, k: s.get_certificate(c, LEGACY, "web")),
    Operation("get_certificate_policy", "certificates/get", lambda s, c, k: s.get_certificate_policy(c, LEGACY, "web")),
    Operation(
        "get_deleted_certificate", "certificates/get", lambda s, c, k: s.get_deleted_certificate(c, LEGACY, "cgone")
    ),
    Operation(
        "get_pending_certificate", "certificates/get", lambda s, c, k: s.get_pending_certificate(c, LEGACY, "pending")
    ),
    Operation("list_issued", "certificates/get", lambda s, c, k: s.list_issued(c, LEGACY, "ca")),
    Operation("get_revocation_list", "certificates/get", lambda s, c, k: s.get_revocation_list(c, LEGACY, "ca")),
    Operation(
        "revoke_certificate",
        "keys/sign",
        lambda s, c, k: s.revoke_certificate(c, LEGACY, "web"),
        also="certificates/get",
    ),
    Operation(
        "revoke_issued",
        "keys/sign",
        lambda s, c, k: s.revoke_issued(c, LEGACY, "ca", k["serial"]),
    ),
    Operation("publish_revocation_list", "keys/sign", lambda s, c, k: s.publish_revocation_list(c, LEGACY, "ca")),
    Operation("list_certificates", "certificates/list", lambda s, c, k: s.list_certificates(c, LEGACY)),
    Operation("list_page certificates", "certificates/list", lambda s, c, k: s.list_page(c, LEGACY, "certificates")),
    Operation(
        "list_page deleted certificates",
        "certificates/list",
        lambda s, c, k: s.list_page(c, LEGACY, "certificates", deleted=True),
    ),
    Operation(
        "list_certificate_versions",
        "certificates/list",
        lambda s, c, k: s.list_certificate_versions(c, LEGACY, "web"),
    ),
    Operation("list_deleted_certificates", "certificates/list", lambda s, c, k: s.list_deleted_certificates(c, LEGACY)),
    Operation(
        "create_certificate", "certificates/create", lambda s, c, k: s.create_certificate(c, LEGACY, "new", policy=SELF)
    ),
    Operation(
        "create_certificate of an authority",
        "keys/sign",
        lambda s, c, k: s.create_certificate(c, LEGACY, "new", policy=leaf(issuer=f"{LEGACY}/certificates/ca")),
        also="certificates/create",
    ),
    Operation("renew_certificate", "certificates/create", lambda s, c, k: s.renew_certificate(c, LEGACY, "ca")),
    Operation(
        "merge_certificate",
        "certificates/create",
        lambda s, c, k: s.merge_certificate(c, LEGACY, "pending", k["signed"]),
    ),
    Operation(
        "import_certificate",
        "certificates/import",
        lambda s, c, k: s.import_certificate(c, LEGACY, "new", k["pfx"].reveal()),
    ),
    Operation(
        "update_certificate",
        "certificates/update",
        lambda s, c, k: s.update_certificate(c, LEGACY, "web", enabled=False),
    ),
    Operation(
        "set_certificate_policy",
        "certificates/update",
        lambda s, c, k: s.set_certificate_policy(c, LEGACY, "web", SELF),
    ),
    Operation(
        "cancel_pending_certificate",
        "certificates/update",
        lambda s, c, k: s.cancel_pending_certificate(c, LEGACY, "pending"),
    ),
    Operation("delete_certificate", "certificates/delete", lambda s, c, k: s.delete_certificate(c, LEGACY, "web")),
    Operation("recover_certificate", "certificates/recover", lambda s, c, k: s.recover_certificate(c, LEGACY, "cgone")),
    Operation("purge_certificate", "certificates/purge", lambda s, c, k: s.purge_certificate(c, LEGACY, "cgone")),
    Operation("backup_certificate", "certificates/backup", lambda s, c, k: s.backup_certificate(c, LEGACY, "web")),
    Operation(
        "restore_certificate",
        "certificates/restore",
        lambda s, c, k: s.restore_certificate(c, LEGACY, k["backup_certificate"]),
    ),
    Operation("get_contacts", "certificates/managecontacts", lambda s, c, k: s.get_contacts(c, LEGACY)),
    Operation("set_contacts", "certificates/managecontacts", lambda s, c, k: s.set_contacts(c, LEGACY, [])),
    Operation("get_issuer", "certificates/getissuers" + _MANAGE, lambda s, c, k: s.get_issuer(c, LEGACY, "own")),
    Operation(
        "list_issuers",
        "certificates/listissuers certificates/getissuers" + _MANAGE,
        lambda s, c, k: s.list_issuers(c, LEGACY),
    ),
    Operation(
        "put_issuer",
        "certificates/setissuers" + _MANAGE,
        lambda s, c, k: s.put_issuer(c, LEGACY, "other", authority=f"{LEGACY}/certificates/ca"),
    ),
    Operation(
        "delete_issuer", "certificates/deleteissuers" + _MANAGE, lambda s, c, k: s.delete_issuer(c, LEGACY, "own")
    ),
)
OPERATIONS = (*KEY_OPERATIONS, *SECRET_OPERATIONS, *CERTIFICATE_OPERATIONS)
