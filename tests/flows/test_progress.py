"""What is told of long work, and that no bar outlives it."""

import pytest

from flows.progress import in_lines, listening, steps


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


def test_lines_tell_what_is_under_way_and_seldom():
    written, now = [], [100.0]
    tell = in_lines(written.append, pause=10.0, clock=lambda: now[0])

    def at(seconds, *said):
        now[0] = 100.0 + seconds
        tell(*said)

    at(1, "reading", 4, 4)
    at(2, "trials", 0, 20)
    at(9, "choosing patches", 100, 2139)
    assert written == []
    at(12, "choosing patches", 700, 2139)
    at(15, "choosing patches", 1400, 2139)
    at(21, "choosing patches", 2139, 2139)
    at(23, "looking", 5, 0)
    at(24, "trials", 1, 20)
    at(40, "looking", 1, 1)
    assert written == [
        "after 12 s: trials 0 of 20, choosing patches 700 of 2139",
        "after 23 s: trials 0 of 20, looking",
        "after 40 s: trials 1 of 20",
    ]


def test_lines_say_nothing_of_steps_that_ended_early():
    written = []
    tell = in_lines(written.append, pause=0.0, clock=lambda: 0.0)
    for said in (("folds", 0, 5), ("training", 13, 30), ("folds", 1, 5), ("pre-training", 5, 20)):
        tell(*said)
    assert written[1:] == [
        "after 0 s: folds 0 of 5, training 13 of 30", "after 0 s: folds 1 of 5",
        "after 0 s: folds 1 of 5, pre-training 5 of 20",
    ]  # fmt: skip


def test_lines_say_nothing_of_work_that_is_done():
    written = []
    in_lines(written.append, pause=0.0)("reading", 4, 4)
    assert written == []
