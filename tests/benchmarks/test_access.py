"""What is decided in the benchmark is what is meant to be: half of it allowed, the same questions at every size."""

from benchmarks.access import QUESTIONS, main


def test_the_same_questions_are_answered_at_every_size() -> None:
    few, more = main((100, 1_000)).rows
    assert (few.count, more.count) == (100, 1_000)
    # Half of them are about what a role allows; more assignments can only allow more.
    assert abs(few.allowed - 0.5) <= 10 / QUESTIONS
    assert few.allowed <= more.allowed < 1
    assert min(few.decisions, few.first, more.decisions, more.first) > 0
