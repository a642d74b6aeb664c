"""What `init` writes beside a new vault: a first stack, and a line in .gitignore."""

from pathlib import Path
from typing import Final

from kvstack.terms.address import slug

FIRST_STACK: Final = "kvstack.yaml"
IGNORED: Final = ".kvstack/"
_SPELLINGS = frozenset({".kvstack", ".kvstack/", "/.kvstack", "/.kvstack/", "**/.kvstack", "**/.kvstack/"})
_LONGEST_NAME = 20  # with `-dev` it still names a vault


def first_stack(directory: Path, *, hsm: bool) -> list[str]:
    """Write a first kvstack.yaml where there is none. Returns the names of what was written."""
    try:
        with (directory / FIRST_STACK).open("x", encoding="utf-8") as file:
            file.write(stack_text(stack_name(directory), hsm=hsm))
    except FileExistsError:
        return []
    return [FIRST_STACK]


def ignore(directory: Path) -> list[str]:
    """Have git ignore the vault, unless it does. Returns the names of what was written."""
    if _is_ignored(directory):
        return []
    file = directory / ".gitignore"
    there = file.read_bytes() if file.exists() else b""
    gap = b"\n" if there and not there.endswith(b"\n") else b""
    with file.open("ab") as opened:
        opened.write(gap + IGNORED.encode() + b"\n")
    return [".gitignore"]


def stack_name(directory: Path) -> str:
    """Return a name for the stack of a folder, which with `-dev` is a vault's, too."""
    letters = slug("".join(letter if letter.isascii() else " " for letter in directory.resolve().name))
    if not letters[:1].isalpha():
        letters = f"stack-{letters}"
    return letters[:_LONGEST_NAME].strip("-")


def _is_ignored(directory: Path) -> bool:
    """Tell whether a .gitignore in the folder, or above it up to the repository's, names the vault's folder."""
    here = directory.resolve()
    for folder in (here, *here.parents):
        file = folder / ".gitignore"
        lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
        for line in reversed([line.strip() for line in lines]):
            if line.removeprefix("!") in _SPELLINGS and (folder == here or not line.removeprefix("!").startswith("/")):
                return not line.startswith("!")
        if (folder / ".git").exists():
            break
    return False


def stack_text(name: str, *, hsm: bool) -> str:
    """Return a first stack: valid, small, and explained. hsm: whether the vault can make -HSM keys."""
    vault = "    sku: premium                        # for -HSM keys\n" if hsm else ""
    key = (
        "        type: RSA-HSM                   # made in the HSM, and never leaves it\n        size: 3072\n"
        if hsm
        else "        type: EC                        # with a PKCS#11 module: EC-HSM (then also `sku: premium`)\n"
        "        curve: P-256\n"
    )
    return f"""\
# What this folder's key vaults shall be. `kvstack plan` shows what would change, `kvstack apply` changes it.

stack: {name}

vaults:
  {name}-dev:
{vault}    soft_delete_retention_days: 7       # 7-90, set once: so long a deleted thing can be recovered
    # purge_protection: true            # for real use; can be switched on, never off

    keys:
      signing:
{key}        operations: [sign, verify]

    secrets:
      session-key:
        # A value never stands here: it is drawn when it is applied, or comes from `env`, `file` or `command`.
        value_from: {{generate: {{length: 48}}}}
"""
