"""A file that belongs to a stack: inside its folder, short, and a file."""

from pathlib import Path

LONGEST = 1 << 20


def stack_file(directory: Path, name: str) -> bytes:
    """Return what a file of the stack holds. Raises ValueError, with words for people, also for one that lies outside:
    a declaration could otherwise read any file of whoever plans it."""
    if "\0" in name:
        raise ValueError("no `file` has the character NUL in it")
    try:
        path = (directory / name).resolve()
        if not path.is_relative_to(directory.resolve()):
            raise ValueError("the file lies outside the stack's folder")
        if not path.is_file():
            raise ValueError(f"there is no file `{name}`")
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
    except OSError as error:
        raise ValueError(f"the file `{name}` cannot be read: {error.strerror}") from None
    if len(content) > LONGEST:
        raise ValueError(f"the file `{name}` has more than {LONGEST} bytes")
    return content
