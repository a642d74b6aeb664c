"""A small storage with a customer-managed key: each object under a data key of its own, wrapped by a key in a vault.

An object keeps the version of the key that wrapped its data key, so that it opens after any number of rotations. When
it is read and the key has a newer version, its data key is wrapped anew; the object itself is not encrypted again.

    python storage.py put NAME < FILE     python storage.py get NAME     python storage.py rewrap
"""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_DATA_KEY_BITS = 256
_NONCE_BYTES = 12


class MasterKey(Protocol):
    """What the storage needs of a key, wherever it is. Its id has no version: the newest enabled one is meant."""

    def newest(self) -> str:
        """Return the newest version that is enabled."""
        ...

    def wrap(self, data_key: bytes) -> tuple[str, bytes]:
        """Wrap a data key with the newest version. Returns that version, and the wrapped key."""
        ...

    def unwrap(self, version: str, wrapped: bytes) -> bytes:
        """Unwrap a data key with the version that wrapped it."""
        ...


class CommandLineKey:
    """A key of the embedded vault, used through the command line. folder: the stack's; name: VAULT/NAME."""

    def __init__(self, folder: Path, name: str) -> None:
        self._start = [sys.executable, "-m", "kvstack.cli.main", "-C", str(folder), "key"]
        self._name = name

    def newest(self) -> str:
        """Return the newest version that is enabled."""
        return str(json.loads(self._run(b"", "show", "--json"))["version"])

    def wrap(self, data_key: bytes) -> tuple[str, bytes]:
        """Wrap a data key with the newest version. Returns that version, and the wrapped key."""
        made = json.loads(self._run(data_key, "wrap", "--json"))
        return made["version"], _from_base64url(made["ciphertext"])

    def unwrap(self, version: str, wrapped: bytes) -> bytes:
        """Unwrap a data key with the version that wrapped it."""
        return self._run(base64.urlsafe_b64encode(wrapped).rstrip(b"="), "unwrap", "--version", version)

    def _run(self, data: bytes, verb: str, *options: str) -> bytes:
        # Keys go through pipes: what is in an argument, everybody on this machine can read.
        done = subprocess.run([*self._start, verb, self._name, *options], input=data, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.decode().strip())
        return done.stdout


class Storage:
    """Objects in a folder, one file each."""

    def __init__(self, folder: Path, master: MasterKey) -> None:
        self._folder = folder
        self._master = master
        folder.mkdir(exist_ok=True)

    def put(self, name: str, content: bytes) -> None:
        """Store an object under a fresh data key."""
        data_key, nonce = AESGCM.generate_key(_DATA_KEY_BITS), os.urandom(_NONCE_BYTES)
        version, wrapped = self._master.wrap(data_key)
        sealed = AESGCM(data_key).encrypt(nonce, content, name.encode())
        self._write(name, {"version": version, "wrapped": wrapped, "nonce": nonce, "sealed": sealed})

    def get(self, name: str) -> bytes:
        """Return an object. Where its key was rotated since, its data key is wrapped anew on the way."""
        found = self._read(name)
        data_key = self._master.unwrap(found["version"], found["wrapped"])
        content = AESGCM(data_key).decrypt(found["nonce"], found["sealed"], name.encode())
        self._rewrap(name, found, data_key)
        return content

    def rewrap(self) -> int:
        """Wrap the data key of every object anew that an older version wrapped: before that one ends. Returns how many
        there were."""
        count = 0
        for name in self.names():
            found = self._read(name)
            if found["version"] != self._master.newest():
                count += self._rewrap(name, found, self._master.unwrap(found["version"], found["wrapped"]))
        return count

    def names(self) -> list[str]:
        """Return the names of all objects."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def version(self, name: str) -> str:
        """Return the version of the key that wrapped an object's data key."""
        return str(self._read(name)["version"])

    def _rewrap(self, name: str, found: dict[str, Any], data_key: bytes) -> bool:
        if found["version"] == self._master.newest():
            return False
        version, wrapped = self._master.wrap(data_key)
        self._write(name, {**found, "version": version, "wrapped": wrapped})
        return True

    def _read(self, name: str) -> dict[str, Any]:
        found = json.loads((self._folder / f"{name}.json").read_text())
        binary = {part: base64.b64decode(found[part]) for part in ("wrapped", "nonce", "sealed")}
        return {**found, **binary}

    def _write(self, name: str, parts: dict[str, Any]) -> None:
        text = json.dumps({part: _text(value) if isinstance(value, bytes) else value for part, value in parts.items()})
        # Whole or not at all: a crash leaves the object as it was, under a version that still unwraps.
        aside = self._folder / f".{name}.new"
        aside.write_text(text)
        aside.replace(self._folder / f"{name}.json")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    here = Path(__file__).parent
    storage = Storage(here / "objects", CommandLineKey(here, "envelope-store/master"))
    match arguments:
        case ["put", name] if name.isidentifier():
            storage.put(name, sys.stdin.buffer.read())
        case ["get", name] if name.isidentifier():
            sys.stdout.buffer.write(storage.get(name))
        case ["rewrap"]:
            sys.stdout.write(f"{storage.rewrap()} of {len(storage.names())} data keys wrapped anew\n")
        case _:
            sys.stderr.write("usage: storage.py put NAME | get NAME | rewrap\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
