"""`kvstack import --all`: a vault somebody made by hand becomes a declaration that plans empty; nothing is lost."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.cli.context import Context
from kvstack.declare.yaml import data
from kvstack.hsm.find import find_module
from kvstack.render.declaration import flow
from kvstack.vault.records import NetworkRules
from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell

SOMEBODY = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"


def furnished(shell: Shell) -> Shell:
    """A vault with something of everything in it, and no stack."""
    (shell.folder / "kvstack.yaml").unlink(missing_ok=True)
    for name in ("on", "null", "no", "a1"):
        shell.good("secret", "set", f"{VAULT}/{name}", "--content-type", "text/x: y", "--tag", "on=true", stdin=b"v")
    shell.good("secret", "set-attributes", f"{VAULT}/a1", "--disabled")
    shell.good("key", "create", f"{VAULT}/vouch", "--type", "EC", "--curve", "P-521", "--operation", "sign")
    shell.good("certificate", "create", f"{VAULT}/web", "--subject", "CN=x, O=y: z", "--dns-name", "x.example.com")
    shell.good("certificate", "issuer", "create", VAULT, "no", "--provider", "Digi: Cert", "--account-id", "07")
    shell.good("certificate", "contact", "add", VAULT, "--email", "b@example.com", "--name", "yes")
    shell.good("certificate", "contact", "add", VAULT, "--email", "a@example.com")
    shell.good("secret", "set", f"{VAULT}/gone", stdin=b"v")
    shell.good("secret", "delete", f"{VAULT}/gone")
    for who, scope in (("operator", f"vault/{VAULT}"), (SOMEBODY, f"vault/{VAULT}/secrets/on")):
        shell.good(
            *("access", "assign", "--principal", who, "--type", "user", "--role", "Key Vault Reader"),
            *("--scope", scope, "--description", "why: because"),
        )
    return shell


def test_what_is_written_plans_empty_and_nothing_drifts(shell: Shell) -> None:
    furnished(shell)
    said = shell.good("import", "--all", VAULT)
    assert said.text.startswith(f"Wrote {shell.folder / 'kvstack.yaml'}, and imported 13 things.")
    assert "left out: secrets/gone: it is soft-deleted" in said.err
    assert shell.good("plan", "--detailed-exitcode").text == "No changes. What is there is what is declared.\n"
    shell.good("drift")
    assert "is there already" in shell.refused("import", "--all", VAULT, "--file", "kvstack.yaml")
    written = (shell.folder / "kvstack.yaml").read_text()
    assert '      - {email: "b@example.com", name: "yes"}\n' in written
    assert '    issuers:\n      "no": {provider: "Digi: Cert", account_id: "07"}\n' in written
    # It is a stack like any other from then on.
    shell.good("secret", "delete", f"{VAULT}/on")
    assert shell("drift").code == 2


LIST = "Microsoft.KeyVault/vaults/secrets/readMetadata/action"


def with_access(shell: Shell) -> Shell:
    """A vault with all there is of access: a role of its own, given and to be taken up, and denials."""
    (shell.folder / "kvstack.yaml").unlink(missing_ok=True)
    access = ("--principal", SOMEBODY, "--type", "user", "--scope", f"vault/{VAULT}")
    shell.good("access", "role", "define", "Secret Lister: all", "--scope", "subscription", "--data-action", LIST)
    shell.good("access", "role", "define", "Elsewhere", "--scope", "subscription", "--data-action", LIST)
    shell.good("access", "assign", *access, "--role", "Secret Lister: all")
    shell.good("access", "eligible", "add", *access, "--role", "Key Vault Reader")
    shell.good(
        *("access", "eligible", "add", *access, "--role", "Key Vault Secrets Officer", "--at-most", "PT4H", "--mfa"),
        *("--approver", "operator", "--no-justification", "--until", "2037-01-01T00:00:00Z"),
    )
    for name, more in (("no listing", ["--except", "operator"]), ("on", ["--principal", SOMEBODY, "--only-there"])):
        shell.good("access", "deny", "add", name, "--scope", f"vault/{VAULT}", "--data-action", LIST, *more)
    shell.good("access", "deny", "add", "on", "--scope", f"vault/{VAULT}/secrets/x", "--data-action", LIST)
    return shell


def test_access_is_written_with_the_roles_that_are_given(shell: Shell) -> None:
    with_access(shell)
    said = shell.good("import", "--all", VAULT)
    written = (shell.folder / "kvstack.yaml").read_text()
    assert "Secret Lister: all" in written
    assert "Elsewhere" not in written
    assert "left out: deny/on: another one in this vault has the name" in said.err
    assert shell.good("plan", "--detailed-exitcode").text == "No changes. What is there is what is declared.\n"
    shell.good("drift")
    # It is taken away with the stack, and nothing else is.
    shell.good("destroy", "--yes")
    roles = {
        one["name"] for one in shell.good("access", "role", "list", "--json").json["roles"] if one["kind"] == "own"
    }
    assert roles == {"Elsewhere"}
    assert shell.good("access", "eligible", "list", "--json").json == {"eligible": []}
    assert shell.good("access", "deny", "list", "--json").json == {"deny_assignments": []}


def test_a_role_the_stack_has_already_is_not_written_again(shell: Shell) -> None:
    with_access(shell)
    stack = shell.folder / "kvstack.yaml"
    role = f"{{name: 'Secret Lister: all', assignable_scopes: [subscription], data_actions: [{LIST}]}}"
    stack.write_text(f"stack: own\ninclude: [vaults/*.yaml]\nroles: {{lister: {role}}}\n")
    (shell.folder / "vaults").mkdir(exist_ok=True)
    (shell.folder / "vaults/none.yaml").write_text("vaults: {}\n")
    shell.good("import", "roles/lister")
    shell.good("import", "--all", VAULT, "--file", "vaults/dev.yaml")
    assert "roles:" not in (shell.folder / "vaults" / "dev.yaml").read_text()
    assert shell.good("plan", "--detailed-exitcode").text == "No changes. What is there is what is declared.\n"


def test_it_goes_into_a_file_that_the_stack_includes(shell: Shell) -> None:
    furnished(shell)
    stack = shell.folder / "kvstack.yaml"
    stack.write_text(f"stack: own\nprincipals: {{me: {{type: user, id: {SOMEBODY}}}}}\n")
    assert "there is a kvstack.yaml already" in shell.refused("import", "--all", VAULT)
    assert "does not include" in shell.refused("import", "--all", VAULT, "--file", "vaults/dev.yaml")
    assert not (shell.folder / "vaults" / "dev.yaml").exists()
    stack.write_text(stack.read_text() + "include: [vaults/*.yaml]\n")
    shell.good("import", "--all", VAULT, "--file", "vaults/dev.yaml")
    written = (shell.folder / "vaults" / "dev.yaml").read_text()
    assert "principal: me" in written
    assert shell.good("plan", "--detailed-exitcode").text == "No changes. What is there is what is declared.\n"


def test_what_another_stack_has_is_left_to_it(shell: Shell) -> None:
    stack = shell.folder / "kvstack.yaml"
    stack.write_text("stack: theirs\nvaults: {other-vault: {keys: {k: {type: EC}}}}\n")
    shell.good("apply", "--yes")
    stack.unlink()
    assert "vaults/other-vault is the stack `theirs`'s" in shell.refused("import", "--all", "other-vault")
    assert not stack.exists()


def test_what_another_stack_lets_go_of_is_taken_over_with_its_rotation_and_network(shell: Shell) -> None:
    stack = shell.folder / "kvstack.yaml"
    stack.write_text(
        "stack: theirs\n"
        "vaults:\n"
        "  other-vault:\n"
        "    network: {default_action: deny, ip_rules: [203.0.113.7]}\n"
        "    keys: {k: {type: EC, rotation: {every: P90D, expire_after: P120D}}}\n"
        "    secrets: {s: {value_from: {generate: {length: 20}}, rotation: {every: P30D, expire_after: P60D}}}\n"
    )
    shell.good("apply", "--yes")
    value = shell.good("secret", "show", "other-vault/s", "--value").out
    addresses = ("other-vault", "other-vault/keys/k", "other-vault/secrets/s")
    removed = ", ".join(f"{{address: {address}, destroy: false}}" for address in addresses)
    stack.write_text(f"stack: theirs\nvaults: {{}}\nremoved: [{removed}]\n")
    shell.good("apply", "--yes")
    stack.unlink()
    shell.good("import", "--all", "other-vault")
    assert "# Only the vault knows the values" in stack.read_text()
    assert shell.good("plan", "--detailed-exitcode").text == "No changes. What is there is what is declared.\n"
    shell.good("drift")
    shell.good("apply", "--yes")
    assert shell.good("secret", "show", "other-vault/s", "--value").out == value


def test_a_network_rule_written_the_short_way_plans_empty(shell: Shell) -> None:
    (shell.folder / "kvstack.yaml").unlink(missing_ok=True)
    with Context.of(str(shell.folder), None, (), None).vault() as there:
        there.service.update_vault(there.caller, VAULT, network=NetworkRules("deny", ("203.0.113.7", "10.0.0.0/8")))
    shell.good("import", "--all", VAULT)
    assert shell.good("plan", "--detailed-exitcode").text == "No changes. What is there is what is declared.\n"


@pytest.mark.parametrize("name", ["nowhere-at-all", "gone-vault"])
def test_a_vault_that_is_not_there_is_told(shell: Shell, name: str) -> None:
    (shell.folder / "kvstack.yaml").unlink(missing_ok=True)
    shell.good("vault", "create", "gone-vault")
    shell.good("vault", "delete", "gone-vault")
    assert f"the vault `{name}` is" in shell.refused("import", "--all", name)
    assert not Path(shell.folder / "kvstack.yaml").exists()


@pytest.mark.skipif(find_module() is None, reason="no PKCS#11 module: a Managed HSM needs one")
def test_a_managed_hsm_is_written_too(hsm: Shell) -> None:
    from tests.hsm.pools import public_pem

    (hsm.folder / "kvstack.yaml").unlink(missing_ok=True)
    hsm.good("managed-hsm", "create", "pool")
    download = ["hsm", "security-domain", "download", "pool", "--quorum", "2", "--file", str(hsm.folder / "domain")]
    for name in ("alice", "bob", "carol"):
        (hsm.folder / name).write_bytes(public_pem(name))
        download += ["--custodian", str(hsm.folder / name)]
    hsm.good(*download)
    for role in ("Managed HSM Crypto User", "Managed HSM Crypto Officer"):
        hsm.good("managed-hsm", "role", "assign", "pool", "--principal", "operator", "--role", role)
    hsm.good("key", "create", "pool/signing", "--type", "EC-HSM")
    hsm.good("import", "--all", "pool")
    assert hsm.good("plan", "--detailed-exitcode").text == "No changes. What is there is what is declared.\n"


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = TEXT | st.booleans() | st.integers(-5, 5) | st.sampled_from(["on", "null", "1e3", "~", "${x}"])
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


@given(VALUES)
def test_whatever_is_written_is_read_as_it_was(value: object) -> None:
    read = data(f"key: {flow(value)}\n".encode(), "x.yaml")
    assert read == {"key": value}
