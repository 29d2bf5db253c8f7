"""kill -9 in the middle of a search, again and again: nothing is lost or left RUNNING, and the result is the same.

A configuration that is interrupted `ATTEMPTS` times counts as failed, so the same result is promised for fewer kills.
"""

import importlib
import json
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from components.core.errors import UnavailableError
from components.search.study import ATTEMPTS
from components.testing.databases import empty_database


@dataclass(frozen=True)
class Search:
    """A search that was started."""

    process: BaseProcess
    target: Path

    def result(self) -> dict[str, Any]:
        self.process.join(timeout=120)
        assert self.process.exitcode == 0
        found: dict[str, Any] = json.loads(self.target.read_text())
        return found


class Start(Protocol):
    """Starts a search."""

    def __call__(self, url: str, calls: Path, *, pause: float) -> Search: ...


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Each search is a process of its own, forked from one that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["searcher"])
    here = Path(__file__).parent
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(here)
        # The fork server itself looks for modules in its environment's path only.
        patch.setenv("PYTHONPATH", f"{here.parents[1]}{os.pathsep}{here}")
        search = importlib.import_module("searcher").search

        def start(url: str, calls: Path, *, pause: float) -> Search:
            target = calls.with_suffix(".json")
            process = context.Process(target=search, args=(url, calls, pause, target))
            process.start()
            return Search(process, target)

        yield start


def evaluations(calls: Path) -> list[list[str]]:
    """["begin" or "end", number] of every evaluation, in order."""
    return [line.split() for line in calls.read_text().splitlines()] if calls.exists() else []


def kill_within_evaluation(process: BaseProcess, calls: Path, *, after: int, delay: float) -> None:
    """Kill `delay` seconds after the first evaluation has begun that is not among the first `after` lines."""
    deadline = time.monotonic() + 60
    while len(evaluations(calls)) <= after and process.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(delay)
    process.kill()
    process.join()


def attempts(url: str) -> list[FrozenTrial]:
    """Every attempt, as Optuna has it."""
    storage = optuna.storages.RDBStorage(url)
    trials = optuna.load_study(study_name="s", storage=storage).get_trials()
    storage.remove_session()
    storage.engine.dispose()
    return trials


@pytest.fixture(scope="module")
def whole(start: Start, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a search that nobody kills finds."""
    folder = tmp_path_factory.mktemp("whole")
    return start(f"sqlite:///{folder / 'test.db'}", folder / "calls", pause=0.0).result()


@pytest.mark.parametrize(("kind", "kills"), [("sqlite", ATTEMPTS - 1), ("postgresql", 1), ("mariadb", 1)])
def test_killed_searches_end_as_if_they_had_not_been(
    kind: str, kills: int, start: Start, tmp_path: Path, whole: dict[str, Any]
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
                process = start(url, calls, pause=0.05).process
                kill_within_evaluation(process, calls, after=already, delay=rng.uniform(0, 0.2))
                complete = [t.user_attrs["number"] for t in attempts(url) if t.state == TrialState.COMPLETE]
                settled += [(len(evaluations(calls)), number) for number in complete]
            killed = start(url, calls, pause=0.0).result()
            states = [trial.state for trial in attempts(url)]
    except UnavailableError as error:
        pytest.skip(str(error))
    assert killed == whole, f"seed {seed}"
    assert [trial["number"] for trial in killed["trials"]] == list(range(7))
    assert set(states) <= {TrialState.COMPLETE, TrialState.FAIL}, f"seed {seed}"
    assert states.count(TrialState.COMPLETE) == 7
    for place, number in settled:
        assert ["begin", str(number)] not in evaluations(calls)[place:], f"seed {seed}: trial {number} ran again"
