"""The newest records of the audit, page by page: all of them for the operator, for anybody else what he did himself."""

from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.service import VaultService
from tests.vault.service.world import World


def pages(service: VaultService, caller: Caller, size: int) -> list[list[tuple[int, str, str]]]:
    """Read to the end. What reading itself leaves in the audit is newer than every page after the first."""
    found, before = [], None
    while True:
        recent = service.recent_audit(caller, before=before, size=size)
        found.append([(position, record.caller, record.operation) for position, record in recent.records])
        if recent.before is None:
            return found
        before = recent.before


def test_the_operator_reads_everything_newest_first_each_record_once(stocked: World) -> None:
    whole = [one for page in pages(stocked.service, stocked.operator, 3) for one in page]
    positions = [position for position, _, _ in whole]
    assert positions == sorted(set(positions), reverse=True)
    assert positions == list(range(positions[0], 0, -1))
    assert whole[0][2] == "AuditRead"
    assert "SecretSet" in {operation for _, _, operation in whole}
    assert stocked.service.recent_audit(stocked.operator).whole


def test_anybody_else_reads_what_he_did_himself(stocked: World) -> None:
    alice, bob = stocked.person("Key Vault Administrator"), stocked.person("Key Vault Secrets User")
    for number in range(7):
        stocked.service.set_secret(alice, "payments-dev", "db-password", SecretValue(f"v{number}"))
        stocked.service.get_secret(bob, "payments-dev", "db-password")
    found = pages(stocked.service, bob, 3)
    assert {caller for page in found for _, caller, _ in page} == {bob.id}
    operations = [operation for page in found for _, _, operation in page]
    assert operations.count("SecretGet") == 7
    assert operations[0] == "AuditRead"
    assert not stocked.service.recent_audit(bob).whole


def test_who_did_nothing_reads_nothing_but_that_he_reads(stocked: World) -> None:
    recent = stocked.service.recent_audit(stocked.person())
    assert [record.operation for _, record in recent.records] == ["AuditRead"]
    assert recent.before is None


def test_there_is_nothing_before_the_first_record(stocked: World) -> None:
    assert stocked.service.recent_audit(stocked.operator, before=1).records == ()
    assert stocked.service.recent_audit(stocked.operator, before=1).before is None
