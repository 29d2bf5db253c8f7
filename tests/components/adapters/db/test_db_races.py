"""Real processes at once on each database."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from components.adapters.db import Records

ROOT = Path(__file__).parents[4]
RACERS = 4


class Racers:
    """Processes that have opened the records and wait to be told what to do, all at once."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, str(Path(__file__).with_name("race.py")), url]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT, "env": environment}
        self._all = [subprocess.Popen([*command, str(number)], **pipes) for number in range(1, RACERS + 1)]
        assert [racer.stdout.readline() for racer in self._all] == ["ready\n"] * RACERS

    def __call__(self, act: str) -> list[str]:
        for racer in self._all:
            racer.stdin.write(f"{act}\n")
            racer.stdin.flush()
        return [racer.stdout.readline().strip() for racer in self._all]

    def end(self) -> None:
        for racer in self._all:
            racer.kill()
            racer.wait()
            racer.stdin.close()
            racer.stdout.close()


def test_of_many_at_once_one_wins_and_the_chain_stays_one(url: str, records: Records, press) -> None:
    for number in range(1, RACERS + 1):
        press.candidate(f"r{number}")
    race = Racers(url)
    try:
        _one_promoter_wins(race("promote"), records)
        _one_holder_wins(race("acquire"))
        _all_writers_are_kept(race("append"), records)
    finally:
        race.end()


def _one_promoter_wins(said: list[str], records: Records) -> None:
    champion = records.models.champion("press")
    assert champion is not None
    assert [text for text in said if text.startswith("won")] == [f"won {champion.version}"]
    why = f"lost: Another decision came first: the champion of 'press' is version {champion.version}, not none."
    assert said.count(why) == RACERS - 1
    assert Counter(one.status for one in records.models.list("press")) == {"champion": 1, "candidate": RACERS - 1}
    assert len(records.decisions.history("press")) == len(records.decisions.outbox()) == 1


def _one_holder_wins(said: list[str]) -> None:
    assert len([text for text in said if text.startswith("won")]) == 1
    assert len([text for text in said if text.startswith("lost: Line 'mill' is being retrained")]) == RACERS - 1


def _all_writers_are_kept(said: list[str], records: Records) -> None:
    assert said == [f"won {number}" for number in range(1, RACERS + 1)]
    assert records.ledger.verify() >= RACERS * 20
    for number in range(1, RACERS + 1):
        mine = [event.data["count"] for event in records.ledger.events() if event.actor == f"writer-{number}"]
        assert mine == list(range(20))


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_killed_writers_leave_a_whole_chain(url: str, records: Records) -> None:
    code = (
        "import sys\n"
        "from components.adapters.db import Records\n"
        "records = Records.open(sys.argv[1], busy_timeout=60)\n"
        "while True:\n"
        "    print(records.ledger.note('kill me', data={'text': 'x' * 5000}), flush=True)\n"
    )
    told = 0
    for _ in range(2):
        child = subprocess.Popen([sys.executable, "-c", code, url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        said = child.stdout.read().split()
        child.wait()
        child.stdout.close()
        told = max([told, *map(int, said[:-1])])
        assert records.ledger.verify() >= told
