"""Secret values on their way from where they come from into the vault: read, drawn or run, never written down."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from kvstack.resources.value_source import Generate, ValueFrom
from kvstack.schema.obstacle import ValueSource
from kvstack.terms import limits
from kvstack.terms.diagnostic import Diagnostic, InvalidInput, KvstackError
from kvstack.terms.generator import generated
from kvstack.terms.secret import SecretValue

COMMAND_SECONDS = 600


class Values:
    """Gets values. directory: the stack's folder, where files are looked for and commands run; environ: the
    environment; random: draws random bytes; allow_files: whether a file may lie outside the folder."""

    def __init__(
        self,
        directory: Path,
        *,
        environ: Mapping[str, str],
        random: Callable[[int], bytes] = os.urandom,
        allow_files: bool = False,
    ) -> None:
        self._directory = directory
        self._environ = environ
        self._random = random
        self._allow_files = allow_files

    def offered(self, source: ValueSource) -> SecretValue | None:
        """Return the value that `env` or `file` offers now; None where it is not there. Runs nothing."""
        match source:
            case ValueFrom(env=str(name)):
                return SecretValue(os.fsencode(self._environ[name])) if name in self._environ else None
            case ValueFrom(file=str(file)):
                return self._file(file)
            case _:
                return None

    def problems(self, source: ValueSource) -> tuple[Diagnostic, ...]:
        """Return why there is no value to set now, of those that have to be there already. Runs nothing."""
        match source:
            case ValueFrom(env=str(name)) if name not in self._environ:
                missing = f"the environment variable {name} is not set"
            case ValueFrom(file=str(file)) if not (self._directory / file).exists():
                missing = f"there is no file {file}"
            case ValueFrom(env=str()) | ValueFrom(file=str()):
                value = self.offered(source)
                if value is None or len(value) <= limits.SECRET_BYTES:
                    return ()
                most = f"A vault takes {limits.SECRET_BYTES // 1024} KiB."
                return (Diagnostic(summary=f"the value from {source} is too long", detail=most),)
            case _:
                return ()
        return (Diagnostic(summary=missing, detail="The secret's value comes from there."),)

    def made(self, source: ValueSource) -> SecretValue:
        """Return a new value. Raises KvstackError where there is none; only apply calls this: it may run a command."""
        match source:
            case ValueFrom(generate=Generate() as specification):
                return generated(specification.generator, self._random)
            case ValueFrom(command=tuple(command)):
                return self._output(command)
            case _:
                value = self.offered(source)
        if value is None:
            raise InvalidInput(self.problems(source))
        return value

    def _file(self, file: str) -> SecretValue | None:
        path = self._directory / file
        if not self._allow_files and not path.resolve().is_relative_to(self._directory.resolve()):
            raise KvstackError(
                f"the file {file} lies outside the stack's folder", "Move it inside, or allow it with `--allow-file`."
            )
        try:
            with path.open("rb") as opened:
                # A byte more than there may be is enough to know that it is too long.
                return SecretValue(opened.read(limits.SECRET_BYTES + 1))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KvstackError(f"the file {file} cannot be read: {error.strerror}") from None

    def _output(self, command: tuple[str, ...]) -> SecretValue:
        import subprocess  # running what the declaration names is the point, and only apply does it

        try:
            finished = subprocess.run(  # no shell: the arguments are a list
                command,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C is ours to take: what is in flight is finished
                capture_output=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except OSError as error:
            raise KvstackError(f"the command {command[0]} cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise KvstackError(f"the command {command[0]} did not finish in {COMMAND_SECONDS} seconds") from None
        if finished.returncode:
            raise KvstackError(
                f"the command {command[0]} failed with exit code {finished.returncode}",
                "What it printed is not shown, it may hold the secret: run it by hand to see.",
            )
        return SecretValue(finished.stdout.removesuffix(b"\n").removesuffix(b"\r"))
