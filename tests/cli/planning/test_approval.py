"""Where a vault wants an approval, apply does what somebody else has approved, or nothing at all."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from kvstack.vault.approval_rows import APPROVER_KEYS
from kvstack.vault.unlock import unlock
from tests.cli.planning.approving import ALICE, RULE, STACK, WITHOUT, Kvstack, applied, approved, planned, secrets
from tests.e2e.command_line import CHANGES, ERROR, OK, write


@pytest.fixture
def shop(folder: Path, kvstack: Kvstack) -> Path:
    applied(folder, kvstack)
    return folder


def test_a_new_vault_comes_with_its_rule_and_what_is_in_it(shop: Path, kvstack: Kvstack) -> None:
    assert kvstack("plan", "--detailed-exitcode").code == OK
    assert kvstack("drift").code == OK
    shown = kvstack("vault", "show", "shop-prod", "--json").json
    assert shown["approval"]["for"] == ["access", "delete", "purge"]
    assert "access, delete, purge wait for an approval by on-call" in kvstack("approvals", "rule", "shop-prod").told


def test_apply_without_a_saved_plan_stops_before_anything_and_tells_how(shop: Path, kvstack: Kvstack) -> None:
    write(shop, WITHOUT + "      third: {value_from: {generate: {length: 20}}}\n")
    ran = kvstack("apply", "--yes")
    assert ran.code == ERROR
    for words in (
        "delete vault/shop-prod/secrets/second waits for an approval by on-call",
        "nothing was changed",
        "`kvstack plan --out FILE`",
        "`kvstack approve FILE`",
        "`kvstack apply FILE`",
    ):
        assert words in ran.told
    assert secrets(kvstack) == ["first", "second"], "what needs no approval waits with what does"
    found = kvstack("apply", "--yes", "--json")
    assert found.code == ERROR
    assert "waits for an approval" in found.json["diagnostics"][0]["summary"]


def test_what_needs_no_approval_needs_no_saved_plan(shop: Path, kvstack: Kvstack) -> None:
    applied(shop, kvstack, STACK + "      third: {value_from: {generate: {length: 20}}}\n")


def test_a_plan_is_saved_approved_and_applied(shop: Path, kvstack: Kvstack) -> None:
    file = planned(shop, kvstack)
    waiting = kvstack("apply", file)
    assert waiting.code == ERROR
    assert "Nobody has approved this very plan." in waiting.told
    given = approved(kvstack, file, "--reason", "seen with bob")
    ran = kvstack("apply", file)
    assert ran.code == OK, str(ran)
    assert secrets(kvstack) == ["first"]
    shown = kvstack("approvals", "show", given, "--json").json
    assert (shown["status"], shown["approver"], shown["made_by"]) == ("used", "alice", "operator")
    assert shown["deeds"][0]["used"] is not None
    assert kvstack("plan", "--detailed-exitcode").code == OK
    audited = kvstack("audit", "tail", "--json", "-n", "400").out
    for operation in ("PlanApprove", "PlanBegin", "PlanEnd"):
        assert operation in audited


def test_the_plan_says_what_waits_for_whom_and_how_it_stands(shop: Path, kvstack: Kvstack) -> None:
    file = planned(shop, kvstack)
    assert "1 step needs an approval" in kvstack("plan").told
    assert "It needs an approval. Save the plan by `kvstack plan --out FILE`" in kvstack("plan").err
    assert "second delete of vault/shop-prod/secrets/second by on-call" in kvstack("plan").told
    assert "# nobody has approved this very plan" in kvstack("plan", "--out", file).told
    (need,) = kvstack("plan", "--json").json["needs_approval"]
    assert need == {
        "address": "shop-prod/secrets/second",
        "vault": "shop-prod",
        "operation": "delete",
        "where": "vault/shop-prod/secrets/second",
        "by": ["on-call"],
        "by_ids": ["91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c12"],
    }
    assert "needs an approval" in kvstack("plan", "--markdown").out
    approved(kvstack, file)
    for ran in (kvstack("plan", "--out", file), kvstack("show", file)):
        assert "# approved by alice, until" in ran.told, "the same plan made anew is the same to the byte"
    assert kvstack("show", file, "--json").json["approvals"][0]["approver"] == "alice"


def test_approve_shows_what_it_is_about_and_asks(shop: Path, kvstack: Kvstack) -> None:
    file = planned(shop, kvstack, WITHOUT + "      third: {value_from: {generate: {length: 20}}}\n")
    ran = kvstack("--as", "alice", "approve", file)
    assert ran.code == ERROR, "there is nobody to ask"
    assert "nothing was approved" in ran.told
    assert "delete of vault/shop-prod/secrets/second" in ran.told
    assert "1 more change is in this plan" in ran.told
    assert kvstack("approvals", "list", "--json").json == {"approvals": []}


@pytest.mark.parametrize("who", ["operator", "alice"])
def test_nobody_approves_his_own_plan(shop: Path, kvstack: Kvstack, who: str) -> None:
    write(shop, WITHOUT)
    file = str(shop / "saved.plan")
    acting = ("--as", "alice") if who == "alice" else ()
    if who == "alice":
        change = STACK.replace(
            "- {principal: api, role: Key Vault Reader}",
            "- {principal: api, role: Key Vault Reader}\n      - {principal: alice, role: Owner}\n"
            "      - {principal: alice, role: Key Vault Administrator}",
        )
        first = planned(shop, kvstack, change)
        approved(kvstack, first)
        assert kvstack("apply", first).code == OK
        write(shop, change.replace("      second: {value_from: {generate: {length: 20}}}\n", ""))
    assert kvstack(*acting, "plan", "--out", file).code == OK
    ran = kvstack(*acting, "approve", file, "--yes")
    assert ran.code == ERROR
    assert "nobody approves his own plan" in ran.told
    # Nor does it help to say that somebody else made it: then he does not apply it.
    forged = msgspec.json.decode(Path(file).read_bytes()) | {"made_by": "91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c11"}
    Path(file).write_bytes(msgspec.json.encode(forged))
    ran = kvstack(*acting, "approve", file, "--yes")
    if who == "alice":
        assert ran.code == OK
        ran = kvstack(*acting, "apply", file)
        assert "is of whoever applies the plan" in ran.told
    assert ran.code == ERROR
    assert "second" in secrets(kvstack)


def reformatted(file: Path) -> None:
    file.write_bytes(msgspec.json.format(file.read_bytes(), indent=1))


def another_action(file: Path) -> None:
    plan = msgspec.json.decode(file.read_bytes())
    plan["plan"]["changes"][0]["reasons"] = ["harmless"]
    file.write_bytes(msgspec.json.encode(plan))


def another_deed(file: Path) -> None:
    plan = msgspec.json.decode(file.read_bytes())
    plan["plan"]["needs_approval"][0]["where"] = "vault/shop-prod/secrets/first"
    file.write_bytes(msgspec.json.encode(plan))


@pytest.mark.parametrize("changed", [reformatted, another_action, another_deed])
def test_a_plan_file_with_other_bytes_is_another_plan(
    shop: Path, kvstack: Kvstack, changed: Callable[[Path], None]
) -> None:
    file = planned(shop, kvstack)
    approved(kvstack, file)
    changed(Path(file))
    ran = kvstack("apply", file)
    assert ran.code == ERROR
    assert "second" in secrets(kvstack)


@pytest.mark.parametrize("forged", [another_deed])
def test_approving_other_deeds_than_the_changes_allows_none_of_them(
    shop: Path, kvstack: Kvstack, forged: Callable[[Path], None]
) -> None:
    file = planned(shop, kvstack)
    forged(Path(file))
    approved(kvstack, file)
    ran = kvstack("apply", file)
    assert ran.code == ERROR
    assert "delete vault/shop-prod/secrets/second waits for an approval" in ran.told
    assert secrets(kvstack) == ["first", "second"]


def test_an_approval_for_one_environment_is_none_for_another(shop: Path, kvstack: Kvstack) -> None:
    file = planned(shop, kvstack)
    approved(kvstack, file)
    for environment in ("dev", "prod"):
        ran = kvstack("--env", environment, "apply", file)
        assert ran.code == ERROR
        assert "stale" in ran.told or "another state" in ran.told
    assert secrets(kvstack) == ["first", "second"]


def test_a_stale_plan_is_stale_though_it_is_approved(shop: Path, kvstack: Kvstack) -> None:
    file = planned(shop, kvstack)
    approved(kvstack, file)
    write(shop, WITHOUT + "      third: {value_from: {generate: {length: 20}}}\n")
    ran = kvstack("apply", file)
    assert ran.code == ERROR
    assert "stale" in ran.told


def test_a_used_approval_is_used(shop: Path, kvstack: Kvstack) -> None:
    file = planned(shop, kvstack)
    approved(kvstack, file)
    assert kvstack("apply", file).code == OK
    assert kvstack("secret", "recover", "shop-prod/second").code == OK
    ran = kvstack("apply", file)
    assert ran.code == ERROR
    assert secrets(kvstack) == ["first", "second"]


def test_a_plan_that_failed_in_part_goes_on_and_others_do_not(shop: Path, kvstack: Kvstack) -> None:
    command = "      third: {value_from: {command: [cat, " + str(shop / "value") + "]}}\n"
    file = planned(shop, kvstack, WITHOUT + command)
    approved(kvstack, file)
    ran = kvstack("apply", file)
    assert ran.code == ERROR
    assert "1 deleted. 1 failed." in ran.told
    (shop / "value").write_text("from a file")
    write(shop, WITHOUT + command + "      fourth: {value_from: {generate: {length: 20}}}\n")
    ran = kvstack("apply", file)
    assert ran.code == ERROR
    assert "the declaration is another now" in ran.told
    write(shop, WITHOUT + command)
    ran = kvstack("apply", file)
    assert ran.code == OK, str(ran)
    assert secrets(kvstack) == ["first", "third"]
    assert [one["status"] for one in kvstack("approvals", "list", "--json").json["approvals"]] == ["used"]


def test_what_came_back_in_between_is_not_deleted_a_second_time(shop: Path, kvstack: Kvstack) -> None:
    file = planned(shop, kvstack, WITHOUT + "      third: {value_from: {command: [cat, nothing]}}\n")
    approved(kvstack, file)
    assert kvstack("apply", file).code == ERROR
    assert kvstack("secret", "recover", "shop-prod/second").code == OK
    ran = kvstack("apply", file)
    assert ran.code == ERROR
    assert "delete vault/shop-prod/secrets/second waits for an approval" in ran.told
    assert secrets(kvstack) == ["first", "second"]


def test_a_revoked_approval_counts_no_more(shop: Path, kvstack: Kvstack) -> None:
    file = planned(shop, kvstack)
    given = approved(kvstack, file)
    assert kvstack("--as", "alice", "approvals", "revoke", given, "--reason", "too early").code == OK
    ran = kvstack("apply", file)
    assert ran.code == ERROR
    assert "the approval by alice was revoked on" in ran.told
    assert [one["status"] for one in kvstack("approvals", "list", "--json").json["approvals"]] == ["revoked"]


def test_the_rule_goes_with_approval_only_and_takes_nothing_along(shop: Path, kvstack: Kvstack) -> None:
    file = planned(shop, kvstack, WITHOUT.replace(RULE, ""))
    ran = kvstack("apply", file)
    assert ran.code == ERROR
    assert "access vault/shop-prod: no approval rule waits for an approval by on-call" in ran.told
    assert "delete vault/shop-prod/secrets/second waits for an approval by on-call" in ran.told
    approved(kvstack, file)
    assert kvstack("apply", file).code == OK
    assert secrets(kvstack) == ["first"]
    assert kvstack("secret", "delete", "shop-prod/first").code == OK


def test_who_is_an_approver_by_the_new_declaration_only_approves_nothing_of_it(shop: Path, kvstack: Kvstack) -> None:
    file = planned(shop, kvstack, WITHOUT.replace("by: [on-call]", "by: [bob]"))
    ran = kvstack("--as", "bob", "approve", file, "--yes")
    assert ran.code == ERROR
    assert "is no approver of anything in this plan" in ran.told
    approved(kvstack, file)
    assert kvstack("apply", file).code == OK, "the whole plan is held up by the rule there was when it began"
    assert secrets(kvstack) == ["first"]
    assert kvstack("approvals", "rule", "shop-prod").told.endswith("by bob")


def test_a_plan_that_takes_the_approver_out_of_the_group_is_done_to_its_end(shop: Path, kvstack: Kvstack) -> None:
    file = planned(shop, kvstack, WITHOUT.replace("members: [alice]", "members: [bob]"))
    assert "principals/on-call access at subscription" in kvstack("show", file).told
    approved(kvstack, file)
    ran = kvstack("apply", file)
    assert ran.code == OK, str(ran)
    assert secrets(kvstack) == ["first"]


def test_a_rule_that_the_plan_brings_counts_for_the_plan(folder: Path, kvstack: Kvstack) -> None:
    applied(folder, kvstack, STACK.replace(RULE, ""))
    file = planned(folder, kvstack, WITHOUT)
    assert kvstack("apply", "--yes").code == ERROR
    assert kvstack("apply", file).code == ERROR
    # Anybody may say yes to it; only whom the rule names is heard.
    assert kvstack("--as", "bob", "approve", file, "--yes").code == OK
    assert kvstack("apply", file).code == ERROR
    approved(kvstack, file)
    assert kvstack("apply", file).code == OK
    assert secrets(kvstack) == ["first"]


@pytest.mark.parametrize(
    "command",
    [
        ("secret", "delete", "shop-prod/first"),
        ("key", "delete", "shop-prod/signing"),
        ("vault", "delete", "shop-prod"),
        ("access", "assign", "--principal", "bob", "--role", "Owner", "--scope", "vault/shop-prod"),
        ("access", "assign", "--principal", "bob", "--role", "Owner", "--scope", "subscription"),
        ("access", "revoke", "--principal", "api", "--role", "Key Vault Reader", "--scope", "vault/shop-prod"),
        ("approvals", "rule", "shop-prod", "--none"),
        ("approvals", "rule", "shop-prod", "--by", "bob"),
        ("destroy", "--yes"),
    ],
    ids=" ".join,
)
def test_commands_are_no_way_around(shop: Path, kvstack: Kvstack, command: tuple[str, ...]) -> None:
    before = kvstack("vault", "show", "shop-prod", "--json").json
    ran = kvstack(*command)
    assert ran.code == ERROR
    assert "`kvstack approve FILE`" in ran.told
    if command[0] == "destroy":
        assert "`kvstack plan --destroy --out FILE`" in ran.told
    assert kvstack("vault", "show", "shop-prod", "--json").json == before
    assert kvstack("plan", "--detailed-exitcode").code == OK


def test_everything_ends_by_an_approved_plan(shop: Path, kvstack: Kvstack) -> None:
    file = str(shop / "end.plan")
    assert kvstack("plan", "--destroy", "--out", file).code == OK
    approved(kvstack, file)
    ran = kvstack("apply", file)
    assert ran.code == OK, str(ran)
    refused = kvstack("vault", "purge", "shop-prod", "--yes")
    assert refused.code == ERROR
    assert "needs an approval" in refused.told


def test_a_rule_is_set_and_shown_by_command(folder: Path, kvstack: Kvstack) -> None:
    applied(folder, kvstack, STACK.replace(RULE, ""))
    assert "nothing in vault shop-prod waits" in kvstack("approvals", "rule", "shop-prod").told
    set_ = kvstack("approvals", "rule", "shop-prod", "--by", "alice", "--for", "purge", "--json")
    assert set_.json["approval"] == {"by": [ALICE], "for": ["purge"]}
    assert kvstack("plan", "--detailed-exitcode").code == CHANGES, "the stack does not say so"
    for wrong in (("--none", "--by", "alice"), ("--for", "purge"), ("--by", "nobody")):
        assert kvstack("approvals", "rule", "shop-prod", *wrong).code == ERROR


@pytest.mark.slow
def test_an_approvers_key_lives_in_the_hsm_where_there_is_one(hsm_folder: Path, hsm_kvstack: Kvstack) -> None:
    applied(hsm_folder, hsm_kvstack)
    file = planned(hsm_folder, hsm_kvstack)
    approved(hsm_kvstack, file)
    ran = hsm_kvstack("apply", file)
    assert ran.code == OK, str(ran)
    unlocked = unlock(hsm_folder)
    try:
        with unlocked.store.transaction() as tx:
            (key,) = APPROVER_KEYS.scan(tx)
    finally:
        unlocked.close()
    assert (key.specification.type, key.provider) == ("EC-HSM", "pkcs11-wrapped")


def test_a_managed_identity_is_given_and_loses_what_was_approved(shop: Path, kvstack: Kvstack) -> None:
    identity = STACK + "identities: {batch: {}}\n"
    applied(shop, kvstack, identity)
    giving = identity.replace(
        "    access:\n", "    access:\n      - {principal: batch, role: Key Vault Secrets User}\n"
    )
    for number, text in enumerate((giving, identity)):
        file = planned(shop, kvstack, text, name=f"{number}.plan")
        assert "of identity/local/batch waits for an approval" in kvstack("apply", file).told
        approved(kvstack, file)
        ran = kvstack("apply", file)
        assert ran.code == OK, str(ran)


def test_a_plan_that_needs_none_cannot_be_approved(shop: Path, kvstack: Kvstack) -> None:
    file = planned(shop, kvstack, STACK + "      third: {value_from: {generate: {length: 20}}}\n")
    ran = kvstack("--as", "alice", "approve", file, "--yes")
    assert ran.code == ERROR
    assert "does nothing that waits for an approval" in ran.told


def test_a_plan_for_other_vaults_is_not_approved_here(shop: Path, kvstack: Kvstack) -> None:
    file = Path(planned(shop, kvstack))
    plan = msgspec.json.decode(file.read_bytes()) | {"backend": "embedded/00000000-0000-4000-8000-000000000000"}
    file.write_bytes(msgspec.json.encode(plan))
    ran = kvstack("--as", "alice", "approve", str(file), "--yes")
    assert ran.code == ERROR
    assert "was made for other vaults" in ran.told
