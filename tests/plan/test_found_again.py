"""A thing declared under another address is the same thing: one name in a vault is one thing."""

from kvstack.terms.action import Action
from tests.plan.world import PEOPLE, World

TWO = """\
vaults:
  dev: {keys: {sign: {type: EC}}}
  test: {}
"""


def test_a_vault_declared_under_another_address_moves_with_what_is_in_it() -> None:
    found = World.applied(TWO).declare(TWO.replace("dev: {", "prod: {name: dev, ")).changes()
    assert {address: (change.action, change.moved_from) for address, change in found.items()} == {
        "prod": (Action.MOVE, "dev"),
        "prod/keys/sign": (Action.MOVE, "dev/keys/sign"),
    }


def test_a_key_declared_under_another_address_moves_and_is_not_made_anew() -> None:
    found = World.applied(TWO).declare(TWO.replace("sign: {", "seal: {name: sign, ")).changes()
    assert {address: change.action for address, change in found.items()} == {"dev/keys/seal": Action.MOVE}


def test_names_change_hands_in_two_steps() -> None:
    swapped = "vaults: {dev: {name: test}, test: {name: dev}}\n"
    found = World.applied("vaults: {dev: {}, test: {}}\n").declare(swapped).changes()
    assert {change.action for change in found.values()} == {Action.REFUSE}
    assert found["dev"].reasons[0] == "its name in the vault is that of `test` as applied last"


def test_access_to_a_vault_that_ends_is_refused() -> None:
    wide = PEOPLE + "access: [{principal: api, role: Key Vault Reader, scope: vault/dev}]\n"
    text = wide + "vaults: {dev: {}}\n"
    change = (
        World.applied(text)
        .declare(wide.replace("api, role", "bob, role"))
        .changes()["access/bob/key-vault-reader/vault/dev"]
    )
    assert change.action is Action.REFUSE
    assert change.reasons[0] == "it needs the vault `dev`, which is no longer declared and ends"


def test_a_name_is_not_taken_over_by_what_had_another_at_the_last_apply() -> None:
    found = World.applied("vaults: {dev: {}, test: {}}\n").declare("vaults: {dev: {name: test}}\n").changes()
    assert found["dev"].action is Action.REFUSE
    assert found["dev"].reasons[0] == "its name in the vault is that of `test` as applied last"


def test_a_vault_is_replaced_after_what_it_lets_go_of() -> None:
    text = "vaults: {dev: {lifecycle: {purge_on_delete: true}, keys: {sign: {type: EC}}}}\n"
    kept = "vaults: {dev: {location: elsewhere, lifecycle: {purge_on_delete: true}}}\n"
    found = World.applied(text).declare(kept + "removed: [{address: dev/keys/sign, destroy: false}]\n").changes()
    assert (found["dev"].action, found["dev/keys/sign"].action) == (Action.REPLACE, Action.FORGET)
    assert found["dev"].depends_on == ("dev/keys/sign",)
    assert found["dev/keys/sign"].depends_on == ()
