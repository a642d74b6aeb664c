"""A vault in a folder whose audit somebody works on: used for a while, closed, changed by hand, looked at again."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kvstack.terms.secret import SecretValue
from kvstack.vault.audit_anchor import Anchor, read_anchor
from kvstack.vault.audit_segments import Segment
from kvstack.vault.audit_verification import AuditProblem, AuditReport
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import Unlocked, initialise, unlock
from kvstack.vault.service import VaultService
from tests.vault.foundation.things import by_hand

VAULT = "payments-dev"


class Audited:
    """One folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def made(cls, folder: Path, *, hsm: bool = False) -> "Audited":
        """Make a vault: records 1 (access), 2 (the vault) and 3 (the signing key), a checkpoint at 3."""
        unlocked = initialise(folder, hsm=hsm, prepare=initialise_access)
        service = VaultService(unlocked)
        service.create_vault(service.operator, VAULT, sku="premium" if hsm else "standard")
        unlocked.close()
        return cls(folder)

    @property
    def database(self) -> Path:
        return self.folder / ".kvstack" / "vault" / "vault.db"

    @contextmanager
    def open(self) -> Iterator[VaultService]:
        unlocked = unlock(self.folder)
        try:
            yield VaultService(unlocked)
        finally:
            unlocked.close()

    def used(self, *names: str) -> None:
        """Set a secret of each name, in one process: a record each, and a checkpoint at the end."""
        with self.open() as service:
            for name in names:
                service.set_secret(service.operator, VAULT, name, SecretValue("v"))

    def read(self, times: int) -> None:
        """Read, which changes nothing, in a process that is killed: no checkpoint at the end."""
        unlocked = unlock(self.folder)
        service = VaultService(unlocked)
        for _ in range(times):
            service.list_vaults(service.operator)
        killed(unlocked)

    def by_hand(self, *statements: str) -> None:
        with by_hand(self.database) as database:
            for statement in statements:
                database.execute(statement)

    def report(self, *, anchor: Anchor | None = None, segments: tuple[str, ...] = ()) -> AuditReport:
        with self.open() as service:
            return service._audit.verify(anchor=anchor, segments=[Segment.opened(file) for file in segments])

    def problem(self, *, anchor: Anchor | None = None, segments: tuple[str, ...] = ()) -> AuditProblem | None:
        return self.report(anchor=anchor, segments=segments).problem

    def anchor(self) -> Anchor:
        file = self.folder.parent / f"anchor-{self.folder.name}"
        with self.open() as service:
            file.write_bytes(service.audit_anchor(service.operator))
        return read_anchor(str(file))

    def copied(self, name: str) -> "Audited":
        shutil.copytree(self.folder, self.folder.parent / name)
        return Audited(self.folder.parent / name)

    def put_back(self, other: "Audited") -> None:
        """Put another folder's files in place of this one's."""
        shutil.rmtree(self.folder)
        shutil.copytree(other.folder, self.folder)


def killed(unlocked: Unlocked) -> None:
    """Let go of the files as a process does that is killed: nothing is signed any more."""
    unlocked.store.close()
    unlocked.close()
