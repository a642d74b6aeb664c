"""The server that is measured: a vault in a folder, and `kvstack serve` on it."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

APP: Final = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"
VAULT: Final = "shop"
_AT_ONCE: Final = 500


class Server:
    """A running `kvstack serve`."""

    def __init__(self, folder: Path, workers: int, environ: Mapping[str, str]) -> None:
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "kvstack.cli.main",
                "-C",
                str(folder),
                "serve",
                "--port",
                "0",
                "--proxy-port",
                "0",
                "--workers",
                str(workers),
            ],
            stderr=subprocess.PIPE,
            env=dict(environ),
        )
        told = self._told("serving")
        self.port, self.tenant = told["port"], told["tenant"]
        self.seconds_to_start = time.perf_counter() - started
        for _ in range(workers - 1):
            self._told("a worker answers")

    def _told(self, event: str) -> dict[str, Any]:
        """Return the next line of the log that tells this. Raises RuntimeError where the server ended before."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.startswith(b"{") and (told := json.loads(line))["event"] == event:
                return dict(told)
        raise RuntimeError("the server did not start")

    def memory(self) -> float:
        """Return the resident memory of it and its children, MiB."""
        return sum(_resident(one) for one in _family(self._process.pid)) / 1024

    def processor_seconds(self) -> float:
        """Return the processor time it and its children have used."""
        return sum(_used(one) for one in _family(self._process.pid))

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate(timeout=60)


def _family(process: int) -> Iterator[int]:
    yield process
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _family(int(child))


def _resident(process: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) if found else 0


def _used(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stocked(folder: Path, secrets: int, *, hsm: bool) -> str:
    """Make the vault. Returns the client secret."""
    from kvstack.terms.key import Curve, KeySpecification, KeyType
    from kvstack.terms.principal import Principal
    from kvstack.terms.scope import Scope
    from kvstack.terms.secret import SecretValue
    from kvstack.vault.founding import initialise_access
    from kvstack.vault.initialise import initialise
    from kvstack.vault.service import VaultService

    unlocked = initialise(folder, hsm=hsm, prepare=initialise_access)
    try:
        service = VaultService(unlocked)
        operator = service.operator
        service.create_vault(operator, VAULT, sku="premium" if hsm else "standard")
        service.put_principal(operator, Principal(id=APP, type="service_principal", name="app"))
        made = service.create_client_secret(operator, APP)
        scope = Scope(unlocked.settings.subscription_id, unlocked.settings.resource_group, VAULT)
        service.create_role_assignment(
            operator, scope, role="Key Vault Administrator", principal_id=APP, principal_type="service_principal"
        )
        for start in range(0, secrets, _AT_ONCE):
            with service.batch():
                for number in range(start, min(start + _AT_ONCE, secrets)):
                    service.set_secret(operator, VAULT, f"s{number}", SecretValue("x" * 32))
        kinds: list[tuple[KeyType, int | None, Curve | None]] = [("RSA", 2048, None), ("EC", None, "P-256")]
        if hsm:
            kinds += [("RSA-HSM", 2048, None), ("EC-HSM", None, "P-256")]
        for kind, size, curve in kinds:
            service.create_key(operator, VAULT, kind, specification=KeySpecification(kind, size, curve))
        assert made.value is not None
        return made.value.reveal().decode()
    finally:
        unlocked.close()
