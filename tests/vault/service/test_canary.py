"""No secret value in anything but the answer that was asked for."""

import base64
from pathlib import Path

import msgspec
import pytest

from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.key import KeySpecification
from kvstack.terms.secret import SecretValue
from kvstack.vault.errors import VaultError
from tests.vault.service.world import World

VAULT = "payments-dev"
CANARY = "canary-7f3d9c1e5b"
TRACES = (CANARY.encode(), base64.b64encode(CANARY.encode())[:-4], CANARY.encode().hex().encode())


def test_a_value_is_in_no_record_repr_error_audit_or_file(dev: World, tmp_path: Path) -> None:
    value = SecretValue(CANARY)
    service, operator = dev.service, dev.operator
    shown: list[object] = [service.set_secret(operator, VAULT, "s", value)]
    shown.append(service.get_secret(operator, VAULT, "s"))
    shown += service.list_secrets(operator, VAULT)
    shown += service.list_secret_versions(operator, VAULT, "s")
    shown.append(service.fingerprint(operator, VAULT, "s", value))
    service.create_key(operator, VAULT, "k", specification=KeySpecification("oct", 256))
    made = service.encrypt(operator, VAULT, "k", algorithm="A256GCM", plaintext=value)
    shown += [
        made,
        service.decrypt(
            operator, VAULT, "k", algorithm="A256GCM", ciphertext=made.ciphertext, iv=made.iv, tag=made.tag
        ),
    ]
    wrapped = service.wrap_key(operator, VAULT, "k", algorithm="A256KW", key=SecretValue(CANARY[:16]))
    shown += [wrapped, service.unwrap_key(operator, VAULT, "k", algorithm="A256KW", wrapped=wrapped.ciphertext)]
    for name, big in (("bad_name", value), ("s2", SecretValue(CANARY * 2000))):
        with pytest.raises(VaultError) as refused:
            service.set_secret(operator, VAULT, name, big)
        shown += [str(refused.value), repr(refused.value), refused.value.diagnostics]
    with pytest.raises(VaultError) as refused:
        service.get_secret(operator, VAULT, "t")
    shown.append(refused.value)
    shown += [service.delete_secret(operator, VAULT, "s"), service.snapshot(operator)]
    shown += list(dev.unlocked.audit.records())
    for one in shown:
        assert CANARY[:16] not in repr(one)
        assert CANARY[:16] not in str(one)
    dev.unlocked.store.close()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not any(trace in content for trace in TRACES), file


def test_a_record_with_a_value_cannot_be_written_out(dev: World) -> None:
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue(CANARY))
    with pytest.raises(TypeError):
        msgspec.json.encode(dev.service.get_secret(dev.operator, VAULT, "s"))


def test_an_error_nobody_expected_is_audited_by_its_kind_only(dev: World) -> None:
    class Broken:
        """A provider that fails with the value in its words."""

        def encrypt(self, *arguments: object, **more: object) -> None:
            raise ValueError(CANARY)

    dev.service.create_key(dev.operator, VAULT, "k", specification=KeySpecification("oct", 256))
    dev.service._providers = {"software": Broken()}  # type: ignore[dict-item]  # all it is asked for
    with pytest.raises(ValueError, match=CANARY) as refused:
        dev.service.encrypt(dev.operator, VAULT, "k", algorithm="A256GCM", plaintext=SecretValue(CANARY))
    assert not isinstance(refused.value, KvstackError)
    last = list(dev.unlocked.audit.records())[-1]
    assert (last.result, last.status, last.description) == ("InternalError", 500, "ValueError")
