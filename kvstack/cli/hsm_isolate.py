"""`kvstack hsm isolate`: whether the HSM's module is loaded in a process of its own."""

import click
import msgspec

from kvstack.cli.context import Context, pass_context
from kvstack.cli.opened import require_operator
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.terms.diagnostic import KvstackError


@click.command()
@click.argument("how", metavar="on|off", type=click.Choice(["on", "off"]))
@as_json
@pass_context
def isolate(context: Context, how: str, as_json: bool) -> int:
    """Load the HSM's module in a process of its own from now on, or no longer.

    A software module keeps keys in the memory of the process that loads it: isolated, that is never the one that serves
    callers. Each call goes over a local socket then, and costs some 60 microseconds more.
    """
    require_operator(context, "hsm")
    from kvstack.hsm.configuration import read_configuration as read_hsm
    from kvstack.hsm.configuration import write_configuration
    from kvstack.vault.layout import layout, read_configuration

    paths = layout(context.directory)
    configuration = read_configuration(paths)
    if configuration.kek == "software":
        raise KvstackError("this vault has no HSM", "Its keys are software keys: there is no module to isolate.")
    if how == "off" and context.isolated():
        raise KvstackError(
            "the stack in this folder wants the HSM's module in a process of its own",
            "Take `isolated` out of its backend's `hsm` first.",
        )
    file = paths.root / configuration.file
    write_configuration(msgspec.structs.replace(read_hsm(file), isolated=how == "on"), file)
    if as_json:
        answer_json({"isolated": how == "on"})
    else:
        answer("the HSM's module is loaded " + ("in a process of its own" if how == "on" else "where it is used"))
    return 0
