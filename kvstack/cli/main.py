"""`kvstack`: the options every verb shares, the verbs, and how what goes wrong is told."""

import gc
import io
import os
import sys
from typing import Any

# A run is short and makes many small things that live to its end: collecting them only costs time.
gc.disable()

import click  # noqa: E402

from kvstack.cli.context import Context  # noqa: E402
from kvstack.cli.output import show_help  # noqa: E402
from kvstack.terms.diagnostic import KvstackError  # noqa: E402

TRACEBACK_VARIABLE = "KVSTACK_TRACEBACK"

# A verb is imported when it is used: verb -> (module, what `kvstack --help` says).
VERBS: dict[str, tuple[str, str]] = {
    "init": ("init", "Make an embedded vault here, and a first kvstack.yaml if there is none."),
    "validate": ("validate", "Check the declaration alone; touches nothing."),
    "lint": ("lint", "Tell what is allowed, and yet worth a warning; the stack's rules, and policies."),
    "plan": ("plan", "Show what would change."),
    "apply": ("apply", "Change it; asks first."),
    "approve": ("approve", "Approve a saved plan that a vault holds up until then."),
    "approvals": ("approvals", "Approvals of plans, and which vaults want them."),
    "destroy": ("destroy", "Plan the end of everything declared, then do it."),
    "drift": ("drift", "Tell what moved since the last apply."),
    "import": ("import_", "Take over a thing that is there already."),
    "show": ("show", "Show a saved plan, or all that is known of one thing."),
    "state": ("state", "List, show, move, forget, unlock, rebuild what was recorded."),
    "schema": ("schema", "Print the JSON Schema of a stack."),
    "run-due": ("run_due", "Do what time has made due."),
    "calendar": ("calendar", "Show what time is going to make due, and what is wrong with it."),
    "serve": ("serve", "Serve the vault over HTTPS, as Azure Key Vault is served."),
    "trust": ("trust", "The certificate authority of `kvstack serve`."),
    "env": ("env", "Print the environment by which Azure's clients find the server."),
    "credential": ("credential", "What programs sign in to the server with: secrets, certificates."),
    "run": ("run", "Start a program with chosen secrets in its environment."),
    "vault": ("vault", "Vaults, alive and soft-deleted."),
    "secret": ("secret", "Secrets and their values."),
    "key": ("key", "Keys: sign, verify, encrypt, decrypt, rotate."),
    "certificate": ("certificate", "Certificates, requests, authorities and their revocation lists."),
    "deleted": ("deleted", "What is soft-deleted anywhere: pick, recover, purge."),
    "access": ("access", "Role assignments."),
    "identity": ("identity", "Managed identities: principals that are resources."),
    "audit": ("audit", "What was done, by whom; whether the record is whole."),
    "events": ("events", "What happened, and who was told: what waits, what is dead, sent again."),
    "hsm": ("hsm", "The PKCS#11 module and what it can do."),
    "managed-hsm": ("managed_hsm", "Managed HSMs: pools of tokens under one security domain."),
}


class _Verbs(click.Group):
    """Finds a verb's module when it is asked for, so that the others cost nothing at start."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        from importlib import import_module

        command: click.Command = import_module(f"kvstack.cli.{VERBS[name][0]}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, words) for name, (_, words) in VERBS.items()])

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = click.utils.make_str(args[0])
        if name not in VERBS and not name.startswith("-"):
            from kvstack.terms.near import meant

            context.fail(f"there is no verb `{name}`{meant(name, VERBS)}")
        return super().resolve_command(context, args)


@click.command(
    cls=_Verbs,
    no_args_is_help=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("-C", "directory", metavar="DIR", default=".", help="The stack's folder; here by default.")
@click.option("--env", "environment", metavar="NAME", help="The environment, of those the stack declares.")
@click.option(
    "--var", "variables", metavar="NAME=VALUE", multiple=True, help="A variable's value; may stand several times."
)
@click.option(
    "--as", "principal", metavar="PRINCIPAL", help="Act as a principal of the vault, instead of its operator."
)
@click.version_option(package_name="kvstack", message="kvstack %(version)s")
@click.pass_context
def kvstack(
    context: click.Context, directory: str, environment: str | None, variables: tuple[str, ...], principal: str | None
) -> None:
    """Infrastructure as code for key vaults: declare, plan, apply, and watch for drift."""
    if context.invoked_subcommand is None:
        show_help(context)
    context.obj = Context.of(directory, environment, variables, principal)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave the process with design section 9's exit code."""
    if sys.stdout is None or sys.stderr is None:
        # Closed by the caller (`>&-`): what is written has to go somewhere, or the next opened file would take its
        # place.
        _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # Symbols such as `↻` are part of the answer; where the locale is ASCII they must not end the run.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def _open_closed_streams() -> None:
    nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # it stays open to the end
    sys.stdout = sys.stdout or nowhere
    sys.stderr = sys.stderr or nowhere


def run(arguments: list[str]) -> int:
    """Run the command line. Returns the exit code."""
    from kvstack.cli.output import finish, report, say

    as_json = "--json" in arguments
    try:
        code: Any = kvstack.main(args=arguments, prog_name="kvstack", standalone_mode=False)
        return finish(code if isinstance(code, int) else 0)
    except KvstackError as error:
        return report(error.diagnostics, as_json=as_json, exit_code=error.exit_code)
    except click.UsageError as error:
        return report((_usage(error),), as_json=as_json, exit_code=1)
    except click.ClickException as error:
        return report((KvstackError(error.format_message()).diagnostics[0],), as_json=as_json, exit_code=1)
    except (KeyboardInterrupt, click.Abort):
        say("interrupted")
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): there is nobody left to tell.
        sys.stderr.close()
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        wrong = KvstackError(
            f"{where}{error.strerror or error}", "Mend that and run it again; nothing is left half done."
        )
        return report(wrong.diagnostics, as_json=as_json, exit_code=1)
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        return report((_defect(error),), as_json=as_json, exit_code=1)


def _defect(error: Exception) -> Any:
    """Return what is told of an error nobody foresaw: its kind and place. Its words may hold what was worked on."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        if (module := trace.tb_frame.f_globals.get("__name__", "")).startswith("kvstack"):
            place = f"{module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return KvstackError(
        f"this is a defect in kvstack: {type(error).__name__} in {place}",
        f"What was done before is recorded. Please report it; {TRACEBACK_VARIABLE}=1 shows where it came from.",
    ).diagnostics[0]


def _usage(error: click.UsageError) -> Any:
    hint = (
        f"`{error.ctx.command_path} --help` tells how it is used."
        if error.ctx
        else "`kvstack --help` tells how it is used."
    )
    return KvstackError(error.format_message(), hint).diagnostics[0]


if __name__ == "__main__":
    main()
