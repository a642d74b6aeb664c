"""While an apply runs, one sees what it waits for and how much is left."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.render.events import Event, Failed, Finished, Skipped, Started, Waiting
from kvstack.render.layout import columns
from kvstack.render.outcome import outcome_terminal
from kvstack.render.progress import Printer, Progress, status
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import Diagnostic
from tests.render.example import EVENTS, OUTCOME
from tests.render.texts import texts

SIGNING = Address("payments/keys/signing")
TOKEN = Address("payments/secrets/token")
FULL = Diagnostic(summary="the disk is full", detail="Make room.")


def printed(events: tuple[Event, ...], *, live: bool, width: int = 80) -> list[str]:
    written: list[str] = []
    printer = Printer(written.append, total=12, width=width, colour=False, live=live)
    for event in events:
        printer(event)
    printer.close()
    return written


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Waiting(SIGNING, "generating RSA-4096 key"), "payments/keys/signing: generating RSA-4096 key\n"),
        (Finished(SIGNING, "key", Action.CREATE, 1.63), "payments/keys/signing: created in 1.6 s\n"),
        (
            Failed(SIGNING, "key", Action.CREATE, 0.1, (FULL,)),
            "payments/keys/signing: create failed: the disk is full\n",
        ),
        (
            Skipped(SIGNING, "key", Action.DELETE, "payments failed"),
            "payments/keys/signing: not deleted: payments failed\n",
        ),
        (Waiting(SIGNING, "a\n\x1b[2K"), "payments/keys/signing: a\\n\\x1b[2K\n"),
    ],
)
def test_where_there_is_no_terminal_each_event_is_one_line(event: Event, line: str) -> None:
    assert printed((event,), live=False, width=20) == [line]


def test_where_there_is_no_terminal_a_beginning_is_not_told() -> None:
    assert printed((Started(SIGNING, "key", Action.CREATE),), live=False, width=80) == []


def test_a_terminal_says_what_is_waited_for_and_how_much_is_left() -> None:
    progress = Progress(12, 3)
    for event in (
        Started(TOKEN, "secret", Action.CREATE),
        Started(SIGNING, "key", Action.CREATE),
        Waiting(SIGNING, "generating RSA-4096 key"),
    ):
        progress = progress.after(event)

    assert status(progress, width=80) == "3 of 12, generating RSA-4096 key payments/keys/signing, 9 left"


def test_the_status_goes_back_to_what_is_still_running() -> None:
    events: tuple[Event, ...] = (
        Started(TOKEN, "secret", Action.UPDATE),
        Started(SIGNING, "key", Action.CREATE),
        Waiting(SIGNING, "generating RSA-4096 key"),
        Finished(SIGNING, "key", Action.CREATE, 2.0),
    )

    assert printed(events, live=True)[-2:] == [
        "\r\x1b[2Kpayments/keys/signing: created in 2.0 s\n1 of 12, updating payments/secrets/token, 11 left",
        "\r\x1b[2K",
    ]


def test_where_nothing_runs_the_status_is_the_count() -> None:
    assert status(Progress(12, 12), width=80) == "12 of 12, 0 left"


@given(texts, texts, st.integers(1, 100))
def test_the_status_never_takes_a_second_line(address: str, what: str, width: int) -> None:
    progress = (
        Progress(12).after(Started(Address(address), "key", Action.CREATE)).after(Waiting(Address(address), what))
    )

    shown = status(progress, width=width)

    assert "\n" not in shown
    assert "\x1b" not in shown
    assert columns(shown) <= max(width - 1, 1)


@given(texts)
def test_no_data_adds_a_line_to_the_summary(text: str) -> None:
    def lines(data: str) -> int:
        return printed_outcome(data).count("\n")

    assert lines(text) == lines("word")
    assert "\x1b" not in printed_outcome(text)


def test_counts_only_grow() -> None:
    ended = [int(found[1]) for line in printed(EVENTS, live=True) if (found := re.search(r"(\d+) of 12", line))]

    assert all(one <= other for one, other in pairwise(ended))


def test_the_outcome_names_what_failed_first() -> None:
    shown = outcome_terminal(OUTCOME, width=100, colour=False)

    assert shown.startswith("Failed\n")
    assert "\nApplied: 1 updated, 1 rotated, 1 deleted. 1 failed, 1 skipped." in shown


def printed_outcome(data: str) -> str:
    from kvstack.render.events import outcome

    address = Address(f"a{data}")
    events: tuple[Event, ...] = (
        Failed(address, data, Action.CREATE, 1.0, (Diagnostic(summary=f"s{data}", detail=f"d{data}", address=data),)),
        Skipped(address, data, Action.DELETE, data),
    )
    return outcome_terminal(outcome(events), width=100_000, colour=False)
