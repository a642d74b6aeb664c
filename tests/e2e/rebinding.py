"""A name server that changes its mind, in a network of its own: run by test_rebinding.py inside new namespaces.

The network is one loopback interface with an address of the public internet beside its own. A webhook is at the public
one, a trap at 127.0.0.1. The vault is asked to deliver once for each of the name server's answers.
"""

import json
import socket
import struct
import sys
import threading
from pathlib import Path

from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import SYSTEM
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.service import VaultService
from tests.vault.service.receiver import certified, receiving

HOST = "hooks.example.com"
PUBLIC = "198.41.0.4"
_A = 1


class NameServer:
    """Answers each question for IPv4 addresses with the next of some answers; there are no IPv6 addresses."""

    def __init__(self, answers: list[list[str]]) -> None:
        self._answers = answers
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            question, whom = self._socket.recvfrom(4096)
            self._socket.sendto(self._answer(question), whom)

    def _answer(self, message: bytes) -> bytes:
        """Return a message of RFC 1035, section 4, that answers one question."""
        end = message.index(b"\0", 12) + 5
        asked = struct.unpack(">H", message[end - 4 : end - 2])[0]
        found: list[str] = []
        if asked == _A:
            found = self._answers[min(self.asked, len(self._answers) - 1)]
            self.asked += 1
        # Authoritative, recursion available, no error; each record names what was asked for, and lives for no second.
        header = message[:2] + struct.pack(">HHHHH", 0x8580, 1, len(found), 0, 0)
        records = [struct.pack(">HHHIH", 0xC00C, _A, 1, 0, 4) + socket.inet_aton(one) for one in found]
        return header + message[12:end] + b"".join(records)


def caught(trap: socket.socket) -> int:
    """Return how many connections wait at the trap."""
    trap.setblocking(False)
    count = 0
    while True:
        try:
            trap.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def main(folder: Path, answers: list[list[str]]) -> None:
    """Deliver once for each answer; print what became of it."""
    authority, certificate, key = certified(folder, HOST)
    server, trap = NameServer(answers), socket.create_server(("127.0.0.1", 443))
    unlocked = initialise(folder / "vault", hsm=False, prepare=initialise_access)
    service = VaultService(unlocked)
    unlocked.paths.events.write_text(json.dumps({"ca_file": str(authority)}))
    unlocked.paths.events.chmod(0o600)
    service.create_vault(service.operator, "dev")
    service.put_subscription(service.operator, "hook", webhook=f"https://{HOST}/")
    told = []
    with receiving(certificate=(certificate, key), place=(PUBLIC, 443)) as receiver:
        for number in range(len(answers)):
            service.set_secret(service.operator, "dev", f"s-{number}", SecretValue("v"))
            report = service.deliver_events(SYSTEM)
            told.append({"delivered": report.delivered, "why": [one.why for one in report.troubles]})
        found = {"told": told, "asked": server.asked, "reached": len(receiver.got), "caught": caught(trap)}
    unlocked.close()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
