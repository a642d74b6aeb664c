"""Azure's command line, unmodified: signed in as a service principal, at vaults, what is in them, and roles."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from tests.e2e.command_line import OK, begun, ended
from tests.server.clients.installed import folder
from tests.server.identity.assertions import certified
from tests.server.served import APP, READER, SHOP, STRANGER, Served

pytestmark = pytest.mark.toolchain
SIGN_IN = ("--service-principal", "--username", APP)
DIGEST = base64.b64encode(hashlib.sha256(b"message").digest()).decode()


class Az:
    """Runs `az` in a folder of its own configuration."""

    def __init__(self, run: Callable[..., Any], configuration: Path) -> None:
        self._run = run
        # It would send what it is used for to Microsoft, in the background.
        self._more = {"AZURE_CONFIG_DIR": str(configuration), "AZURE_CORE_COLLECT_TELEMETRY": "no"}

    def __call__(self, *words: str) -> Any:
        """Return the answer to a command, None where there is none."""
        ran = self._ran(words)
        assert ran.returncode == 0, (words, ran.stderr)
        return json.loads(ran.stdout) if ran.stdout.strip() else None

    def refused(self, *words: str) -> str:
        """Return what is said of a command that fails."""
        ran = self._ran(words)
        assert ran.returncode != 0, (words, ran.stdout)
        return str(ran.stderr)

    def _ran(self, words: tuple[str, ...]) -> Any:
        return self._run(str(folder("az") / "bin" / "az"), *words, "--output", "json", **self._more)


def told_of_this_cloud(run: Callable[..., Any], configuration: Path, resource_manager: str) -> Az:
    """Return an `az` that knows no other."""
    found = Az(run, configuration)
    found("cloud", "register", "--name", "kvstack", "--endpoint-resource-manager", resource_manager)
    found("cloud", "set", "--name", "kvstack")
    return found


@pytest.fixture(scope="module")
def az(
    client_run: Callable[..., Any],
    client_environment: dict[str, str],
    installed: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Az]:
    """`az`, told of this cloud and signed in."""
    installed("az")
    told = client_environment
    found = told_of_this_cloud(client_run, tmp_path_factory.mktemp("az"), told["KVSTACK_RESOURCE_MANAGER"])
    secret = ("--password", told["AZURE_CLIENT_SECRET"], "--tenant", told["AZURE_TENANT_ID"])
    (subscription,) = found("login", *SIGN_IN, *secret)
    assert subscription["id"] == told["AZURE_SUBSCRIPTION_ID"]
    yield found
    found("logout")


def names(things: list[dict[str, Any]]) -> set[str]:
    return {one["name"] for one in things}


@pytest.mark.usefixtures("az")
def test_a_wrong_secret_signs_nobody_in(
    client_run: Callable[..., Any], client_environment: dict[str, str], tmp_path: Path
) -> None:
    nobody = told_of_this_cloud(client_run, tmp_path, client_environment["KVSTACK_RESOURCE_MANAGER"])
    tenant = client_environment["AZURE_TENANT_ID"]
    assert "AADSTS7000215" in nobody.refused("login", *SIGN_IN, "--password", "wrong", "--tenant", tenant)


def test_a_certificate_signs_in_as_well(
    az: Az,
    client_run: Callable[..., Any],
    client_environment: dict[str, str],
    everybody_served: Served,
    tmp_path: Path,
) -> None:
    by, both, alone = certified(), tmp_path / "both.pem", tmp_path / "alone.pem"
    both.write_bytes(by.pem)
    alone.write_bytes(by.public_pem)
    assert ended(begun(everybody_served.folder, "credential", "certificate", APP, "--file", str(alone))).code == OK
    another = told_of_this_cloud(client_run, tmp_path / "az", client_environment["KVSTACK_RESOURCE_MANAGER"])
    another("login", *SIGN_IN, "--certificate", str(both), "--tenant", client_environment["AZURE_TENANT_ID"])
    shown = ("keyvault", "secret", "show", "--vault-name", SHOP, "--name", "greeting")
    assert another(*shown)["value"] == az(*shown)["value"] == "hello"


def test_a_vault_is_made_changed_deleted_recovered_and_purged(az: Az) -> None:
    kv, at = "keyvault", ("--name", "paris")
    made = az(kv, "create", *at, "--resource-group", "team", "--location", "here", "--retention-days", "7")
    assert made["properties"]["enableRbacAuthorization"]
    assert made["properties"]["provisioningState"] == "Succeeded"
    assert az(kv, "show", *at)["id"] == made["id"]
    assert {"paris", SHOP} <= names(az(kv, "list"))
    assert not az(kv, "check-name", *at)["nameAvailable"]
    assert az(kv, "update", *at, "--set", "tags.a=b")["tags"] == {"a": "b"}
    az(kv, "network-rule", "add", *at, "--ip-address", "203.0.113.0/24")
    assert az(kv, "network-rule", "list", *at)["ipRules"] == [{"value": "203.0.113.0/24"}]
    changed = az(kv, "network-rule", "remove", *at, "--ip-address", "203.0.113.0/24")
    assert changed["properties"]["networkAcls"]["ipRules"] == []
    assert not az(kv, "update", *at, "--enable-rbac-authorization", "false")["properties"]["enableRbacAuthorization"]
    permitted = az(kv, "set-policy", *at, "--object-id", READER, "--secret-permissions", "get", "list")
    assert [one["permissions"]["secrets"] for one in permitted["properties"]["accessPolicies"]] == [["get", "list"]]
    by_name = az(kv, "set-policy", *at, "--spn", STRANGER, "--key-permissions", "get")
    assert {one["objectId"] for one in by_name["properties"]["accessPolicies"]} == {READER, STRANGER}
    left = az(kv, "delete-policy", *at, "--object-id", READER)["properties"]["accessPolicies"]
    assert [one["objectId"] for one in left] == [STRANGER]
    az(kv, "delete", *at)
    assert "paris" in names(az(kv, "list-deleted"))
    assert az(kv, "show-deleted", *at)["properties"]["vaultId"] == made["id"]
    assert az(kv, "recover", *at)["id"] == made["id"]
    az(kv, "delete", *at)
    az(kv, "purge", *at)
    assert az(kv, "check-name", *at)["nameAvailable"]


def test_secrets(az: Az, tmp_path: Path) -> None:
    def secret(verb: str, *more: str) -> Any:
        return az("keyvault", "secret", verb, "--vault-name", SHOP, *more)

    at, backup = ("--name", "az-secret"), tmp_path / "backup"
    first = secret("set", *at, "--value", "one", "--tags", "a=b")
    secret("set", *at, "--value", "two")
    assert secret("show", *at)["value"] == "two"
    assert {"az-secret", "greeting"} <= names(secret("list"))
    assert len(secret("list-versions", *at)) == 2
    changed = secret("set-attributes", *at, "--content-type", "text/plain", "--expires", "2030-01-01T00:00:00Z")
    assert (changed["contentType"], changed["attributes"]["expires"]) == ("text/plain", "2030-01-01T00:00:00+00:00")
    secret("download", *at, "--file", str(tmp_path / "value"))
    assert (tmp_path / "value").read_text() == "two"
    secret("backup", *at, "--file", str(backup))
    assert secret("delete", *at)["recoveryId"].endswith("/deletedsecrets/az-secret")
    assert "az-secret" in names(secret("list-deleted"))
    assert secret("show-deleted", *at)["name"] == "az-secret"
    assert "SecretNotFound" in az.refused("keyvault", "secret", "show", "--vault-name", SHOP, *at)
    secret("recover", *at)
    secret("delete", *at)
    secret("purge", *at)
    assert secret("restore", "--file", str(backup))["name"] == "az-secret"
    assert az("keyvault", "secret", "show", "--id", first["id"])["value"] == "one"


def test_keys(az: Az, tmp_path: Path) -> None:
    def key(verb: str, *more: str) -> Any:
        return az("keyvault", "key", *verb.split(), "--vault-name", SHOP, *more)

    signing, hiding = ("--name", "az-signing"), ("--name", "az-hiding")
    made = key("create", *signing, "--kty", "EC", "--curve", "P-256")
    key("create", *hiding, "--kty", "RSA", "--size", "2048")
    assert {"az-signing", "az-hiding"} <= names(key("list"))
    assert key("show", *signing)["key"]["kid"] == made["key"]["kid"]
    algorithm = ("--algorithm", "ES256", "--digest", DIGEST)
    signed = key("sign", *signing, *algorithm)
    assert key("verify", *signing, *algorithm, "--signature", signed["signature"])["isValid"]
    oaep = ("--algorithm", "RSA-OAEP-256", "--data-type")
    hidden = key("encrypt", *hiding, *oaep, "plaintext", "--value", "text")["result"]
    assert key("decrypt", *hiding, *oaep, "plaintext", "--value", hidden)["result"] == "text"
    policy = {
        "lifetimeActions": [{"trigger": {"timeAfterCreate": "P90D"}, "action": {"type": "Rotate"}}],
        "attributes": {"expiryTime": "P2Y"},
    }
    key("rotation-policy update", *signing, "--value", json.dumps(policy))
    told = key("rotation-policy show", *signing)
    rotating = [one["timeAfterCreate"] for one in told["lifetimeActions"] if one["action"] == "Rotate"]
    assert (told["expiresIn"], rotating) == ("P2Y", ["P90D"])
    assert key("rotate", *signing)["key"]["kid"] != made["key"]["kid"]
    assert len(key("list-versions", *signing)) == 2
    key("download", *signing, "--file", str(tmp_path / "public.pem"))
    assert b"PUBLIC KEY" in (tmp_path / "public.pem").read_bytes()
    assert not key("set-attributes", *signing, "--enabled", "false")["attributes"]["enabled"]
    key("delete", *signing)
    key("recover", *signing)
    key("delete", *signing)
    key("purge", *signing)
    assert "az-signing" not in names(key("list"))


def test_certificates(az: Az, tmp_path: Path) -> None:
    def certificate(verb: str, *more: str) -> Any:
        return az("keyvault", "certificate", *verb.split(), "--vault-name", SHOP, *more)

    at, pem, held = ("--name", "az-certificate"), tmp_path / "certificate.pem", tmp_path / "held.pfx"
    policy = az("keyvault", "certificate", "get-default-policy")
    assert certificate("create", *at, "--policy", json.dumps(policy))["status"] == "completed"
    assert "az-certificate" in names(certificate("list"))
    shown = certificate("show", *at)
    certificate("download", *at, "--file", str(pem))
    found = x509.load_pem_x509_certificate(pem.read_bytes())
    assert found.subject.rfc4514_string() == "CN=CLIGetDefaultPolicy"
    assert base64.b64decode(shown["cer"]) == found.public_bytes(Encoding.DER)
    secret = ("keyvault", "secret", "download", "--vault-name", SHOP)
    az(*secret, *at, "--file", str(held), "--encoding", "base64")
    assert pkcs12.load_pkcs12(held.read_bytes(), None).key is not None
    taken = certificate("import", "--name", "az-taken", "--file", str(held))
    assert taken["x509ThumbprintHex"] == shown["x509ThumbprintHex"]
    assert certificate("set-attributes", *at, "--tags", "a=b")["tags"] == {"a": "b"}
    certificate("contact add", "--email", "ops@example.com")
    assert [one["emailAddress"] for one in certificate("contact list")["contactList"]] == ["ops@example.com"]
    certificate("delete", "--name", "az-taken")
    certificate("recover", "--name", "az-taken")
    certificate("delete", "--name", "az-taken")
    certificate("purge", "--name", "az-taken")
    assert "az-taken" not in names(certificate("list"))


def test_roles_and_identities(az: Az, everybody_served: Served) -> None:
    subscription = f"/subscriptions/{everybody_served.subscription}"
    shop = f"{subscription}/resourceGroups/local/providers/Microsoft.KeyVault/vaults/{SHOP}"
    role = ("--role", "Key Vault Secrets User", "--scope", shop)
    identity = az("identity", "create", "--name", "batch", "--resource-group", "team", "--location", "here")
    who = ("--assignee-object-id", identity["principalId"], "--assignee-principal-type", "ServicePrincipal")
    made = az("role", "assignment", "create", *role, *who)
    assert (made["principalId"], made["scope"]) == (identity["principalId"], shop)
    # Whom a client id means, and what a principal is called, it asks the directory.
    (found,) = az("role", "assignment", "list", "--assignee", identity["clientId"], "--scope", shop)
    assert (found["name"], found["principalName"]) == (made["name"], identity["clientId"])
    assert found["roleDefinitionName"] == "Key Vault Secrets User"
    assert made["name"] in names(az("role", "assignment", "list", "--all"))
    assert az("ad", "sp", "show", "--id", identity["clientId"])["id"] == identity["principalId"]
    az("role", "assignment", "delete", "--assignee", identity["clientId"], *role)
    assert az("role", "assignment", "list", "--assignee", identity["clientId"], "--scope", shop) == []
    az("identity", "delete", "--name", "batch", "--resource-group", "team")

    definition = {"Name": "Looker", "Actions": ["Microsoft.KeyVault/vaults/read"], "AssignableScopes": [subscription]}
    az("role", "definition", "create", "--role-definition", json.dumps(definition))
    (looker,) = az("role", "definition", "list", "--name", "Looker")
    assert looker["permissions"][0]["actions"] == ["Microsoft.KeyVault/vaults/read"]
    az("role", "definition", "delete", "--name", "Looker")
    assert az("role", "definition", "list", "--name", "Looker") == []


def test_it_finds_what_it_asks_of_any_cloud(az: Az, everybody_served: Served) -> None:
    assert "local" in names(az("group", "list"))
    assert {SHOP} <= names(az("resource", "list", "--resource-type", "Microsoft.KeyVault/vaults"))
    assert az("provider", "show", "--namespace", "Microsoft.KeyVault")["registrationState"] == "Registered"
    assert "local" in names(az("account", "list-locations"))
