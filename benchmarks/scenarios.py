"""What is done with a stack of one size, by each tool in turn."""

import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import msgspec

from benchmarks.command import Command
from benchmarks.figures import Deed, Key
from benchmarks.measure import Contender, Measurement, interleaved, sample
from benchmarks.stacks import SECRETS_ONLY, Stack, Written
from benchmarks.tools import Terraform, Tool

Say = Callable[[str], None]


class Round(msgspec.Struct, frozen=True):
    """One size, and everything its scenarios need. deeds: which of them are wanted; work: a folder to work in."""

    size: int
    tools: Sequence[Tool]
    deeds: Collection[Deed]
    repeat: int
    work: Path
    say: Say


def figures(this: Round) -> dict[Key, Measurement]:
    """Measure one size. Applies come first: they leave behind what plans then find."""
    found: dict[Key, Measurement] = {}
    if {"no-op plan", "first apply"} & set(this.deeds):
        found |= _applied_and_planned(this)
    if "validate" in this.deeds:
        found |= _validated(this, "validate", faults=False)
    if "validate with 3 faults" in this.deeds:
        found |= _validated(this, "validate with 3 faults", faults=True)
    if "first apply, secrets only" in this.deeds:
        found |= _secrets_applied(this)
    return found


def _applied_and_planned(this: Round) -> dict[Key, Measurement]:
    stack = Stack(this.size)
    folders = {tool.name: _fresh(this, tool, "apply") for tool in this.tools}
    appliers = [tool for tool in this.tools if this.size <= tool.largest_first_apply]
    # Without the figures, one apply is enough to plan on.
    repeat = this.repeat if "first apply" in this.deeds else 1
    applied = _measured(
        this, "first apply", appliers, lambda tool: _first_apply(tool, stack, folders[tool.name]), repeat=repeat
    )
    for tool in this.tools:
        if tool not in appliers:
            applied[Key("first apply", tool.name, this.size)] = Measurement(
                missing="not tried: it would take a quarter of an hour and more"
            )
    found = applied if "first apply" in this.deeds else {}
    if "no-op plan" not in this.deeds:
        return found

    planners = []
    for tool in this.tools:
        done = applied[Key("first apply", tool.name, this.size)]
        if done.samples or _seeded(tool, appliers, folders, stack):
            planners.append(tool)
        else:
            why = done.missing if tool in appliers else "no state to plan on"
            found[Key("no-op plan", tool.name, this.size)] = Measurement(missing=why)
    found |= _measured(this, "no-op plan", planners, lambda tool: tool.plan(folders[tool.name]))
    return found


def _seeded(tool: Tool, appliers: Sequence[Tool], folders: dict[str, Path], stack: Stack) -> bool:
    """Give terraform the state tofu made, where its own would take hours; return whether there is one now."""
    if not isinstance(tool, Terraform) or tool in appliers:
        return False
    for other in appliers:
        if isinstance(other, Terraform) and (folders[other.name] / "terraform.tfstate").exists():
            _written_and_initialised(tool, stack, folders[tool.name])
            tool.take_over(folders[other.name], folders[tool.name])
            return True
    return False


def _validated(this: Round, deed: Deed, *, faults: bool) -> dict[Key, Measurement]:
    # None of the tools has to be initialised for it, Terraform neither: its provider is built in.
    folders = {tool.name: _fresh(this, tool, "validate") for tool in this.tools}
    written = {tool.name: tool.write(Stack(this.size, faults=faults), folders[tool.name]) for tool in this.tools}
    return _measured(this, deed, this.tools, lambda tool: tool.validate(folders[tool.name], written[tool.name]))


def _secrets_applied(this: Round) -> dict[Key, Measurement]:
    stack = Stack(this.size, SECRETS_ONLY)
    tools = [tool for tool in this.tools if not isinstance(tool, Terraform)]  # to those, a resource is a resource
    return _measured(
        this,
        "first apply, secrets only",
        tools,
        lambda tool: _first_apply(tool, stack, _fresh(this, tool, "secrets")),
    )


def _measured(
    this: Round, deed: Deed, tools: Sequence[Tool], prepared: Callable[[Tool], Command], *, repeat: int | None = None
) -> dict[Key, Measurement]:
    def contender(tool: Tool) -> Contender:
        return Contender(tool.name, lambda: prepared(tool))

    this.say(f"{deed}, {this.size:,} resources: {', '.join(tool.name for tool in tools)}")
    measured = interleaved([contender(tool) for tool in tools], repeat or this.repeat)
    return {Key(deed, name, this.size): measurement for name, measurement in measured.items()}


def _first_apply(tool: Tool, stack: Stack, folder: Path) -> Command:
    """Return the apply of a stack nothing is there of yet: in an empty folder, with a vault just made."""
    _emptied(folder)
    _written_and_initialised(tool, stack, folder)
    return tool.apply(folder)


def _written_and_initialised(tool: Tool, stack: Stack, folder: Path) -> Written:
    written = tool.write(stack, folder)
    sample(tool.init(folder))
    return written


def _fresh(this: Round, tool: Tool, purpose: str) -> Path:
    return _emptied(this.work / f"{tool.name}-{this.size}-{purpose}")


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
