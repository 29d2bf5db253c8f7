"""What is told of long work, and that no bar outlives it."""

import pytest

from flows.progress import listening, steps


def told_by(act):
    told = []
    with listening(lambda *said: told.append(said)):
        act()
    return told


def test_steps_that_end_early_are_finished_with_their_work():
    def act():
        with steps() as progress:
            progress("reading", 3, 3)
            progress("training", 7, 40)
            progress("looking", 5, 0)

    assert told_by(act) == [
        ("reading", 3, 3), ("training", 7, 40), ("looking", 5, 0), ("training", 40, 40), ("looking", 1, 1),
    ]  # fmt: skip


def test_steps_that_end_in_an_error_are_finished_too():
    def failing():
        with steps() as progress:
            progress("training", 7, 40)
            raise ValueError("no")

    def act():
        with pytest.raises(ValueError, match="no"):
            failing()

    assert told_by(act)[-1] == ("training", 40, 40)
