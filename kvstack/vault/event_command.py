"""Events handed to a program on this machine, each on its standard input."""

from pathlib import Path

from kvstack.vault.delivery_policy import TAKEN, Answer

SECONDS = 60.0


class EventCommand:
    """A program with its arguments. folder: where it runs, the stack's; seconds: until it is ended."""

    def __init__(self, command: tuple[str, ...], folder: Path, *, seconds: float = SECONDS) -> None:
        self._command = command
        self._folder = folder
        self._seconds = seconds

    def close(self) -> None:
        """Nothing is kept open."""

    def validated(self) -> Answer:
        """The operator has said that it is to be run."""
        return TAKEN

    def post(self, identifier: str, event: bytes) -> Answer:
        """Run it for one event. What it prints is not kept: it may hold the secret it went to get."""
        import subprocess  # running what the operator applied is the point, and only delivering does it

        try:
            finished = subprocess.run(  # no shell: the arguments are a list
                self._command,
                cwd=self._folder,
                input=event,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=self._seconds,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Answer("later", f"did not finish in {self._seconds:g} seconds")
        except OSError as error:
            return Answer("later", f"cannot be run: {error.strerror}")
        return TAKEN if not finished.returncode else Answer("later", f"ended with {finished.returncode}")
