"""Where a vault wants access approved: roles, what may be taken up, and denials wait like what is given."""

from pathlib import Path

from tests.cli.planning.approving import STACK, Kvstack, applied, approved, planned
from tests.e2e.command_line import ERROR, OK

LIST = "Microsoft.KeyVault/vaults/secrets/readMetadata/action"
GET = "Microsoft.KeyVault/vaults/secrets/getSecret/action"
READER = "      - {principal: api, role: Key Vault Reader}\n"


def role(*actions: str) -> str:
    return f"roles: {{own: {{assignable_scopes: [vault/shop-prod], data_actions: [{', '.join(actions)}]}}}}\n"


def access(*lines: str, deny: str = "") -> str:
    listed = "".join(f"      - {{{line}}}\n" for line in lines)
    return STACK.replace(READER, READER + listed + (f"    deny: [{{{deny}}}]\n" if deny else ""))


TERMS = "principal: bob, role: Key Vault Secrets User, eligible: {max_duration: PT4H, approvers: [alice]}"
DENIED = f"name: no reading, data_actions: [{GET}], principals: [bob], except: [alice]"
STEPS = [
    access(TERMS),
    access(TERMS.replace("PT4H", "PT2H")),
    access(TERMS.partition(", eligible")[0]),
    access(TERMS),
    access(deny=DENIED),
    access(deny=DENIED.replace(", except: [alice]", ", below: false")),
    access(deny=f"name: everybody, data_actions: [{GET}], except: [alice]"),
    access("principal: bob, role: own") + role(LIST),
    access("principal: bob, role: own") + role(LIST, GET),
    access(),
]


def test_every_change_of_access_waits_and_is_done_once_it_is_approved(folder: Path, kvstack: Kvstack) -> None:
    applied(folder, kvstack)
    for number, text in enumerate(STEPS):
        file = planned(folder, kvstack, text, name=f"{number}.plan")
        assert kvstack("apply", file).code == ERROR, text
        approved(kvstack, file)
        ran = kvstack("apply", file)
        assert ran.code == OK, f"{text}\n{ran}"
        assert kvstack("plan", "--detailed-exitcode").code == OK, text
