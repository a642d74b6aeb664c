"""A program of its own: gives tokens a security domain, and writes out what is left of it in objects and in memory.

It is never told the secret, which is then searched for by who started it: only so is what it finds not its own.
Arguments: the folder; `establish`, `join`, or `keep`, which holds on to the secret and shows that the search finds it.
"""

import sys
from pathlib import Path

from kvstack.hsm.configuration import read_configuration
from kvstack.hsm.domain_root import establish, join
from kvstack.hsm.security_domain import custodian, custodian_key, from_document, restored, to_document
from tests.hsm.pools import NOW
from tests.vault.service.object_dump import SHORTEST, content, reachable


def main(folder: Path, what: str) -> None:
    """Do it, then write everything out."""
    kept: list[object] = []  # the collector does not know the variables of a function that runs, but it knows lists
    if what == "establish":
        tokens = [read_configuration(path) for path in sorted(folder.glob("token-*.json"))]
        people = [custodian(path.read_bytes(), path.stem) for path in sorted(folder.glob("*.public"))]
        domain = establish(tokens, people, quorum=2, name="prod", now=NOW)
        (folder / "domain").write_bytes(to_document(domain))
    else:
        domain = from_document((folder / "domain").read_bytes())
        keys = [custodian_key(path.read_bytes()) for path in sorted(folder.glob("*.private"))[:2]]
        if what == "join":
            join([read_configuration(path) for path in sorted(folder.glob("token-*.json"))], domain, keys)
        else:
            kept.append(restored(domain, keys))
    with open(folder / "objects", "wb") as out:
        for one in reachable():
            found = content(one)
            if len(found) >= SHORTEST:
                out.write(found + b"\n")
    _write_memory(folder / "memory")
    kept.clear()


def _write_memory(file: Path) -> None:
    """Copy all of this process's memory that can be written to, a piece at a time: reading it whole would be there."""
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory, open(file, "wb") as out:
        for line in maps.read().splitlines():
            span, rights, *_ = line.split()
            start, end = (int(number, 16) for number in span.split("-"))
            if "rw" in rights and "[v" not in line:
                memory.seek(start)
                out.write(memory.read(end - start))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
