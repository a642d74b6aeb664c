"""What a plan says of access where roles are one's own, taken up for a while, or forbidden."""

import pytest

from kvstack.plan.access import Hold
from tests.plan.test_effects import END, lines, told
from tests.plan.world import PEOPLE, World

LIST = "Microsoft.KeyVault/vaults/secrets/readMetadata/action"
GET = "Microsoft.KeyVault/vaults/secrets/getSecret/action"


def role(*actions: str) -> str:
    return f"roles: {{own: {{assignable_scopes: [subscription], data_actions: [{', '.join(actions)}]}}}}\n"


def vault(access: str = "", deny: str = "") -> str:
    return f"vaults: {{pay: {{access: [{access}], deny: [{deny}]}}}}\n"


OWN = "{principal: api, role: own}"
USER = "{principal: api, role: Key Vault Secrets User}"


def plan(before: str, after: str) -> list[str]:
    return lines(told(World.applied(PEOPLE + before).declare(PEOPLE + after)))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (vault(), role(LIST) + vault(OWN), ["api gains list secrets @ vault/pay"]),
        (role(LIST) + vault(OWN), role(LIST, GET) + vault(OWN), ["api gains read secrets @ vault/pay"]),
        (
            role(LIST, GET) + vault(OWN),
            role(LIST) + vault(OWN),
            ["api loses read secrets @ vault/pay", "nobody read secrets @ vault/pay"],
        ),
        (
            role(LIST) + vault(OWN),
            "vaults: {pay: {}}\n",
            ["api loses list secrets @ vault/pay", "nobody list secrets @ vault/pay"],
        ),
        # A role nobody has changes nothing for anybody.
        (vault(), role(LIST) + vault(), []),
        (role(LIST) + vault(), role(GET) + vault(), []),
    ],
)
def test_what_a_role_of_ones_own_comes_to(before: str, after: str, expected: list[str]) -> None:
    assert plan(before, after) == expected


def test_what_has_to_be_taken_up_is_told_so() -> None:
    terms = f"eligible: {{until: {END:%Y-%m-%dT%H:%M:%SZ}, max_duration: PT4H}}"
    world = World.applied(PEOPLE + vault())
    world.declare(PEOPLE + vault(USER.replace("}", f", {terms}}}")))
    (one,) = told(world).principals
    (change,) = one.changes
    assert (change.verb, change.words, change.hold) == ("gains", "read, list secrets", Hold(until=END, on_request=True))


def test_what_was_held_for_good_and_has_to_be_taken_up_now_is_kept_otherwise() -> None:
    world = World.applied(PEOPLE + vault(USER)).declare(PEOPLE + vault(USER.replace("}", ", eligible: {}}")))
    (one,) = told(world).principals
    (change,) = one.changes
    assert (change.verb, change.before, change.hold) == ("keeps", Hold(), Hold(on_request=True))


def wide(more: str = "") -> str:
    return f"deny: [{{name: d, scope: subscription, data_actions: [{GET}]{more}}}]\n"


DENIED = f"{{name: d, data_actions: [{GET}]}}"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (vault(USER), vault(USER, DENIED), ["api loses read secrets @ vault/pay", "nobody read secrets @ vault/pay"]),
        (vault(USER, DENIED), vault(USER), ["api gains read secrets @ vault/pay"]),
        (vault(USER), vault(USER, DENIED.replace("}", ", except: [api]}")), []),
        (vault(USER), vault(USER, DENIED.replace("}", ", principals: [bob]}")), []),
        (vault("", DENIED), vault(USER, DENIED), ["api gains list secrets @ vault/pay"]),
        (
            vault(USER),
            vault(USER) + wide(", below: false"),
            [],
        ),
        (
            vault(USER),
            vault(USER) + wide(),
            ["api loses read secrets @ vault/pay", "nobody read secrets @ vault/pay"],
        ),
        (
            vault() + "access: [{principal: api, role: Key Vault Secrets User, scope: subscription}]\n",
            vault("", DENIED) + "access: [{principal: api, role: Key Vault Secrets User, scope: subscription}]\n",
            ["api loses read secrets @ vault/pay", "nobody read secrets @ vault/pay"],
        ),
        (vault(USER, DENIED), "vaults: {}\n", ["api loses list secrets @ vault/pay"]),
    ],
)
def test_what_a_denial_takes_and_its_end_gives(before: str, after: str, expected: list[str]) -> None:
    assert plan(before, after) == expected
