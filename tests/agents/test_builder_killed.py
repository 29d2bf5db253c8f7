"""kill -9 in the middle of a search, again and again: nothing is lost or left RUNNING, and the result is the same.

A configuration that is interrupted `ATTEMPTS` times counts as failed, so the same result is promised for fewer kills.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from components.core.errors import UnavailableError
from components.search.study import ATTEMPTS
from components.testing.databases import empty_database

SEARCHER = Path(__file__).parent / "searcher.py"
ROOT = Path(__file__).parents[2]


def start(url: str, calls: Path, *, pause: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SEARCHER), url, str(calls), str(pause)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(out)
    return found


def evaluations(calls: Path) -> list[list[str]]:
    """["begin" or "end", number] of every evaluation, in order."""
    return [line.split() for line in calls.read_text().splitlines()] if calls.exists() else []


def kill_within_evaluation(process: subprocess.Popen[str], calls: Path, *, after: int, delay: float) -> None:
    """Kill `delay` seconds after the first evaluation has begun that is not among the first `after` lines."""
    deadline = time.monotonic() + 60
    while len(evaluations(calls)) <= after and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def attempts(url: str) -> list[FrozenTrial]:
    """Every attempt, as Optuna has it."""
    storage = optuna.storages.RDBStorage(url)
    trials = optuna.load_study(study_name="s", storage=storage).get_trials()
    storage.remove_session()
    storage.engine.dispose()
    return trials


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a search that nobody kills finds."""
    folder = tmp_path_factory.mktemp("whole")
    return result_of(start(f"sqlite:///{folder / 'test.db'}", folder / "calls", pause=0.0))


@pytest.mark.parametrize(("kind", "kills"), [("sqlite", ATTEMPTS - 1), ("postgresql", 1), ("mariadb", 1)])
def test_killed_searches_end_as_if_they_had_not_been(
    kind: str, kills: int, tmp_path: Path, whole: dict[str, Any]
) -> None:
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    calls = tmp_path / "calls"
    settled: list[tuple[int, int]] = []
    try:
        with empty_database(kind, folder=tmp_path) as url:
            for _ in range(kills):
                already = len(evaluations(calls))
                # From before the first byte of the evaluation to after its end.
                process = start(url, calls, pause=0.05)
                kill_within_evaluation(process, calls, after=already, delay=rng.uniform(0, 0.2))
                complete = [t.user_attrs["number"] for t in attempts(url) if t.state == TrialState.COMPLETE]
                settled += [(len(evaluations(calls)), number) for number in complete]
            killed = result_of(start(url, calls, pause=0.0))
            states = [trial.state for trial in attempts(url)]
    except UnavailableError as error:
        pytest.skip(str(error))
    assert killed == whole, f"seed {seed}"
    assert [trial["number"] for trial in killed["trials"]] == list(range(7))
    assert set(states) <= {TrialState.COMPLETE, TrialState.FAIL}, f"seed {seed}"
    assert states.count(TrialState.COMPLETE) == 7
    for place, number in settled:
        assert ["begin", str(number)] not in evaluations(calls)[place:], f"seed {seed}: trial {number} ran again"
