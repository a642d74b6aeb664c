"""What a refusal tells: all to who may see access, nothing to others, and the same whether a thing exists or not."""

from collections.abc import Callable

import pytest

from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Forbidden
from tests.vault.service.giving import VAULT, give
from tests.vault.service.world import World

WAYS: dict[str, Callable[[World, Caller, str, str], object]] = {
    "read": lambda world, who, vault, name: world.service.get_secret(who, vault, name),
    "set": lambda world, who, vault, name: world.service.set_secret(who, vault, name, SecretValue("v")),
    "delete": lambda world, who, vault, name: world.service.delete_secret(who, vault, name),
    "purge": lambda world, who, vault, name: world.service.purge_secret(who, vault, name),
    "recover": lambda world, who, vault, name: world.service.recover_secret(who, vault, name),
    "see it deleted": lambda world, who, vault, name: world.service.get_deleted_secret(who, vault, name),
    "see its versions": lambda world, who, vault, name: world.service.list_secret_versions(who, vault, name),
    "list": lambda world, who, vault, name: world.service.list_secrets(who, vault),
    "delete the vault": lambda world, who, vault, name: world.service.delete_vault(who, vault),
    "see the vault": lambda world, who, vault, name: world.service.get_vault(who, vault),
    "see it deleted whole": lambda world, who, vault, name: world.service.get_deleted_vault(who, vault),
    "purge the vault": lambda world, who, vault, name: world.service.purge_vault(who, vault),
    "give a role": lambda world, who, vault, name: give(
        world, who, "Owner", who, world.scope(vault, f"secrets/{name}")
    ),
    "give no role there is": lambda world, who, vault, name: give(world, who, "Nothing", who, world.scope(vault)),
}
# Alive, soft-deleted, never there; in a vault that is soft-deleted, and in none.
THINGS = [(VAULT, "db-password"), (VAULT, "gone"), (VAULT, "nothing"), ("old", "other"), ("no-vault", "other")]


def words(world: World, who: Caller, way: str, vault: str, name: str) -> str:
    with pytest.raises(Forbidden) as refused:
        WAYS[way](world, who, vault, name)
    told = refused.value.diagnostics[0]
    assert (refused.value.status, refused.value.code, refused.value.inner) == (403, "Forbidden", "ForbiddenByRbac")
    return f"{told.summary}\n{told.detail}".replace(vault, "VAULT").replace(f"secrets/{name}", "secrets/NAME")


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_tells_who_may_see_access_all_and_others_nothing_whether_the_thing_exists_or_not(
    stocked: World, way: str
) -> None:
    service, operator = stocked.service, stocked.operator
    service.set_secret(operator, VAULT, "gone", SecretValue("v"))
    service.delete_secret(operator, VAULT, "gone")
    service.create_vault(operator, "old")
    service.delete_vault(operator, "old")
    nobody, seeing = stocked.person(), stocked.person("Key Vault Purge Operator", name="ann")
    assert {words(stocked, nobody, way, *thing) for thing in THINGS} == {"denied\n"}
    if way in ("purge the vault", "see it deleted whole"):
        return  # that is what his role is for
    told = {words(stocked, seeing, way, *thing) for thing in THINGS}
    assert len(told) == 1
    (text,) = told
    for part in (f"`ann` ({seeing.id}) may not do Microsoft.", "vaults/VAULT", "The role `", "would allow it"):
        assert part in text
