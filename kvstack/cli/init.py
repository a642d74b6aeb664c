"""`kvstack init`: an embedded vault, and a first kvstack.yaml where there is none."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kvstack.cli.content import taken
from kvstack.cli.context import Context, pass_context
from kvstack.cli.custodians import custodian_in, custodians_option
from kvstack.cli.first_files import FIRST_STACK, first_stack, ignore
from kvstack.cli.key_home import KeyHomeChoice, key_home_options
from kvstack.cli.opened import require_operator
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json, warn
from kvstack.cli.table import facts
from kvstack.cli.words import text
from kvstack.terms.diagnostic import Diagnostic

if TYPE_CHECKING:
    from kvstack.vault.unlock import Unlocked

_LONGEST_PEM = 1 << 16


@click.command("init")
@key_home_options
@click.option("--recovery-key", metavar="PUBLIC.pem", help="An RSA public key every data key is also encrypted to.")
@custodians_option
@click.option("--quorum", type=int, default=0, help="How many custodians bring the keys back; at least 2.")
@click.option("--subscription", metavar="GUID", type=text, help="The subscription's id; drawn at random by default.")
@click.option("--resource-group", metavar="NAME", type=text, default="local", help="Where vaults are that name none.")
@click.option(
    "--simulated-clock", is_flag=True, help="For trying out: time stands still until `run-due --at` moves it."
)
@as_json
@pass_context
def command(
    context: Context,
    /,
    recovery_key: str | None,
    custodians: tuple[str, ...],
    quorum: int,
    subscription: str | None,
    resource_group: str,
    simulated_clock: bool,
    as_json: bool,
    **home: Any,
) -> int:
    """Make an embedded vault in DIR/.kvstack: its HSM token and keys, its operator.

    Also writes a first kvstack.yaml where there is none, and puts .kvstack into .gitignore. What is made is whole or
    not there; a vault that is there already is not touched.
    """
    require_operator(context, "init")
    from kvstack.vault.founding import initialise_access
    from kvstack.vault.initialise import initialise

    hsm, token = KeyHomeChoice(**home).chosen(isolated=context.isolated())
    public = taken(recovery_key, at_most=_LONGEST_PEM, what="the recovery key") if recovery_key is not None else None
    written: list[str] = []

    def prepare(unlocked: "Unlocked") -> None:
        # All before there is a vault: should anything fail, `init` can be run again and finds nothing half done.
        initialise_access(unlocked)
        written.extend(ignore(context.directory))
        written.extend(first_stack(context.directory, hsm="pkcs11" in unlocked.providers))

    unlocked = initialise(
        context.directory,
        hsm=hsm,
        token=token,
        recovery_key=public,
        simulated_clock=simulated_clock,
        subscription=subscription,
        resource_group=resource_group,
        custodians=[custodian_in(one) for one in custodians],
        quorum=quorum,
        prepare=prepare,
    )
    try:
        diagnostics = (*unlocked.warnings, *_cautions(unlocked))
        if as_json:
            answer_json({**_document(unlocked, written), "diagnostics": [one.document() for one in diagnostics]})
        else:
            answer(_words(unlocked, context.directory, written))
            warn(diagnostics)
    finally:
        unlocked.close()
    return 0


def _words(unlocked: "Unlocked", directory: Path, written: list[str]) -> str:
    settings, made = unlocked.settings, _keys(unlocked)
    lines = [
        f"Made a vault in {unlocked.paths.root}.",
        "",
        facts(
            [
                (
                    "  keys",
                    f"in the token `{made['token_label']}` of {made['module']}" if made["module"] else "in a file",
                ),
                ("  key file", made["key_file"]),
                ("  PIN", made["pin"]),
                ("  subscription", settings.subscription_id),
                ("  resource group", settings.resource_group),
                ("  operator", f"whoever can read this folder ({settings.operator_id})"),
                (
                    "  recovery key",
                    "there is one: keep its private half elsewhere" if settings.recovery_key else "none",
                ),
                (
                    "  clock",
                    f"simulated, it stands at {unlocked.clock.now():%Y-%m-%d %H:%M} UTC"
                    if settings.simulated_clock
                    else None,
                ),
            ]
        ),
        "",
    ]
    if written:
        lines.append(f"Wrote {' and '.join(written)}.")
    if FIRST_STACK in written or (directory / FIRST_STACK).exists():
        lines.append("`kvstack plan` shows what it will make.")
    return "\n".join(lines)


def _document(unlocked: "Unlocked", written: list[str]) -> dict[str, Any]:
    settings = unlocked.settings
    return {
        "vault": str(unlocked.paths.root.resolve()),
        "keys": _keys(unlocked),
        "tenant_id": settings.tenant_id,
        "subscription_id": settings.subscription_id,
        "resource_group": settings.resource_group,
        "operator_id": settings.operator_id,
        "recovery_key": bool(settings.recovery_key),
        "simulated_clock": settings.simulated_clock,
        "created": settings.created,
        "written": written,
    }


def _keys(unlocked: "Unlocked") -> dict[str, str | None]:
    """Return where the key-encryption key is."""
    file = unlocked.paths.root / unlocked.keys.configuration.file
    if unlocked.keys.configuration.kek == "software":
        return {"kind": "software", "module": None, "token_label": None, "pin": None, "key_file": str(file)}
    from kvstack.hsm.configuration import read_configuration

    configuration = read_configuration(file)
    source = configuration.pin_source
    return {
        "kind": "pkcs11",
        "module": configuration.module,
        "token_label": configuration.token_label,
        "pin": f"environment variable {source.environment}" if source.environment else source.file,
        "key_file": None,
    }


def _cautions(unlocked: "Unlocked") -> list[Diagnostic]:
    """Return what whoever made this vault has to know."""
    in_token = "pkcs11" in unlocked.providers
    found = []
    if not in_token:
        found.append(
            Diagnostic(
                severity="warning",
                summary="-HSM keys are unavailable in this vault: it has no PKCS#11 module",
                detail=f"{NO_MODULE} Then `kvstack init` in another folder makes a vault with an HSM.",
            )
        )
    if not unlocked.settings.recovery_key:
        what = "the token or its PIN" if in_token else "the key file"
        found.append(
            Diagnostic(
                severity="warning",
                summary=f"there is no recovery key: should {what} be lost, everything in this vault is lost",
                detail="Back up the folder .kvstack, or make the vault with `--recovery-key PUBLIC.pem`: it can "
                "be given only here. `openssl genrsa -aes256 -out recovery.pem 3072` makes one, and "
                "`openssl rsa -in recovery.pem -pubout -out PUBLIC.pem` its public half.",
            )
        )
    if unlocked.settings.custodians:
        found.append(
            Diagnostic(
                severity="warning",
                summary="-HSM keys wait for the security domain",
                detail="`kvstack hsm security-domain download --file F` draws it for the custodians.",
            )
        )
    if unlocked.settings.simulated_clock:
        found.append(
            Diagnostic(
                severity="warning",
                summary="the clock of this vault is simulated: keep nothing real in it",
                detail="`kvstack run-due --at TIME` moves it, and with it every retention and expiry.",
            )
        )
    return found


NO_MODULE = (
    "SoftHSM2 is one: `apt install softhsm2`, `dnf install softhsm`, `brew install softhsm`; "
    "or name another module by `--module FILE` or in KVSTACK_PKCS11_MODULE."
)
