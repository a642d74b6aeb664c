"""What an apply says when it is over."""

from collections.abc import Iterator

import msgspec

from kvstack.render import diagnostics, values
from kvstack.render.escape import plain
from kvstack.render.events import Outcome
from kvstack.render.layout import BOLD, BOLD_RED, BOLD_YELLOW, DIM, KEEP, PLAIN, YELLOW, Line, fitted, text_line
from kvstack.render.words import VERBS, counted, done

INTERRUPTED = "Interrupted: what was done is recorded; apply again to go on."


def outcome_terminal(outcome: Outcome, *, width: int, colour: bool) -> str:
    """Return what failed and why, what was skipped, and the summary as the last line."""
    return fitted(_outcome(outcome), width=width, colour=colour)


def outcome_line(outcome: Outcome) -> str:
    """Return the last line of an apply: `Applied: 3 created, 1 rotated. 1 failed, 2 skipped.`"""
    made = done(outcome.made)
    missed = ", ".join(
        f"{len(found)} {word}" for found, word in ((outcome.failed, "failed"), (outcome.skipped, "skipped")) if found
    )
    sentences = [f"Applied: {made}." if made else "Nothing was changed."]
    if missed:
        sentences.append(f"{missed}.")
    if outcome.interrupted:
        sentences.append(INTERRUPTED)
    elif missed:
        sentences.append("What was done is recorded; apply again for the rest.")
    return " ".join(sentences)


def _outcome(outcome: Outcome) -> Iterator[Line]:
    if outcome.failed:
        yield text_line("Failed", style=BOLD_RED)
        for failed in outcome.failed:
            verb = VERBS[failed.action]
            yield Line(((verb.style, failed.action.symbol + KEEP), (BOLD, values.address(failed.address))), 2, 6)
            for diagnostic in failed.diagnostics:
                about_it = diagnostic.place is None and diagnostic.address == failed.address
                shown = msgspec.structs.replace(diagnostic, address=None) if about_it else diagnostic
                yield from diagnostics.lines(shown, indent=6)
        yield Line()
    if outcome.skipped:
        yield text_line(f"Skipped ({counted(len(outcome.skipped), 'change')})", style=BOLD_YELLOW)
        for skipped in outcome.skipped:
            yield Line(
                (
                    (YELLOW, skipped.action.symbol + KEEP),
                    (PLAIN, values.address(skipped.address)),
                    (DIM, f"  #{KEEP}{plain(skipped.because)}"),
                ),
                2,
                6,
            )
        yield Line()
    yield text_line(outcome_line(outcome), style=BOLD)
