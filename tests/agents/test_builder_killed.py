"""kill -9 in the middle of a search, again and again: nothing is lost, nothing stays RUNNING, the result is the same."""

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
from optuna.trial import TrialState

from components.core.errors import UnavailableError
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


def kill_within_evaluation(process: subprocess.Popen[str], calls: Path, *, begun: int, delay: float) -> None:
    """Kill when the `begun`-th evaluation has begun, `delay` seconds later."""
    deadline = time.monotonic() + 60
    while sum(word == "begin" for word, _ in evaluations(calls)) < begun and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_killed_searches_end_as_if_they_had_not_been(kind: str, tmp_path: Path) -> None:
    seed = random.randrange(10**6)  # noqa: S311 - printed with the failure
    rng = random.Random(seed)
    kills = 5 if kind == "sqlite" else 2
    try:
        with empty_database(kind, folder=tmp_path) as url:
            calls = tmp_path / "calls"
            done: list[int] = []
            for begun in range(kills):
                # From before the first byte of the evaluation to after its end.
                process = start(url, calls, pause=0.05)
                already = sum(word == "begin" for word, _ in evaluations(calls))
                kill_within_evaluation(process, calls, begun=already + 1, delay=rng.uniform(0, 0.2))
                done.append(begun)
            killed = result_of(start(url, calls, pause=0.0))
            storage = optuna.storages.RDBStorage(url)
            attempts = optuna.load_study(study_name="s", storage=storage).get_trials()
            storage.remove_session()
            storage.engine.dispose()
    except UnavailableError as error:
        pytest.skip(str(error))
    whole = result_of(start(f"sqlite:///{tmp_path / 'whole.db'}", tmp_path / "others", pause=0.0))
    assert killed == whole, f"seed {seed}"
    assert [trial["number"] for trial in killed["trials"]] == list(range(len(killed["trials"])))
    states = [trial.state for trial in attempts]
    assert set(states) <= {TrialState.COMPLETE, TrialState.FAIL}, f"seed {seed}"
    assert states.count(TrialState.COMPLETE) == len(killed["trials"])
    ended = [number for word, number in evaluations(calls) if word == "end"]
    # What ended just before the kill may not have been stored; what was stored is never evaluated again.
    assert len(ended) <= len(killed["trials"]) + kills, f"seed {seed}"
