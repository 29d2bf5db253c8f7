"""The command line itself: fast to start, one clear line on error, complete in the shell."""

import json
import logging
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from flows.cli import main
from flows.jobs import doctor

ROOT = Path(__file__).parents[2]
HEAVY = {"dvc", "evidently", "matplotlib", "mlflow", "optuna", "pandas", "prefect", "shap", "sklearn", "torch"}

RUN = """
import json, sys
from flows.cli import main
seen = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["linewright", *arguments]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    seen.append([code, sorted({name.partition(".")[0] for name in sys.modules})])
print(json.dumps(seen), file=sys.stderr)
"""


def loaded(*commands: list[str], home: Path) -> tuple[str, list[set[str]]]:
    """What commands print, one after the other in a new process, and after each the packages loaded by then."""
    found = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(commands)],
        capture_output=True,
        text=True,
        check=True,
        cwd=home.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LINEWRIGHT_HOME": str(home), "COLUMNS": "200"},
    )
    seen = json.loads(found.stderr.splitlines()[-1])
    assert {code for code, _ in seen} == {0}, found.stderr
    return found.stdout, [set(modules) for _, modules in seen]


def test_help_loads_nothing_heavy(tmp_path):
    out, modules = loaded(["--help"], ["retrain", "--help"], ["line", "add", "--help"], home=tmp_path / "none")
    assert not modules[-1] & (HEAVY | {"alembic"})
    for command in ("init", "ingest", "retrain", "approve", "rollback", "lineage", "doctor", "up"):
        assert command in out


@pytest.mark.parametrize(
    "arguments",
    [["score", "pump", ""], ["export", "pump", "1", "--out", ""], ["init", ""], ["--home", "", "status"]],
)
def test_an_empty_path_is_not_this_folder(arguments, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["linewright", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert "Error: An empty path names no file or folder. Name one; . is the current folder." in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, "130"), (signal.SIGTERM, "143")])
def test_an_interruption_says_so(monkeypatch, capsys, number, code):
    monkeypatch.setattr(doctor, "diagnose", lambda _: signal.raise_signal(number))
    monkeypatch.setattr(sys, "argv", ["linewright", "doctor"])
    with pytest.raises(SystemExit, match=code):
        main()
    assert capsys.readouterr().err.startswith("Interrupted. What was finished is kept")


@pytest.mark.server
def test_a_log_that_cannot_be_written_does_not_fill_the_screen(monkeypatch, capsys):
    def noted(_home):
        handler = logging.FileHandler("/dev/full")
        handler.emit(logging.makeLogRecord({"msg": "a flow began"}))
        with suppress(OSError):
            handler.close()
        return []

    monkeypatch.setattr(logging, "raiseExceptions", True)
    monkeypatch.setattr(doctor, "diagnose", noted)
    monkeypatch.setattr(sys, "argv", ["linewright", "doctor"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code or 0, capsys.readouterr().err) == (0, "")


def test_a_retrain_that_changes_nothing_never_loads_prefect(story, linewright):
    command = ["retrain", "pump", "--budget", "1"]
    out, modules = loaded([*command, "--json"], command, home=linewright.home)
    first, rest = out.split("\n", 1)
    (made,) = story["retrain 2"].json
    assert json.loads(first) == {**made, "changed": False}
    assert "nothing changed since v2" in rest
    assert not modules[-1] & (HEAVY - {"pandas"})


@pytest.mark.server
def test_looking_loads_nothing_heavy_and_scoring_no_prefect(story, linewright):
    source = linewright.folder / "sources" / "pump" / "pump-1.csv"
    shows = (["show", "pump"], ["show", "pump", "1"])
    looks = (["status"], ["candidates"], *shows, ["line", "list", "--json"], ["lineage", "pump"])
    _, modules = loaded(*looks, ["score", "pump", str(source)], home=linewright.home)
    assert not modules[len(looks) - 1] & (HEAVY - {"pandas"})
    assert "torch" in modules[-1]
    assert not modules[-1] & {"prefect", "evidently", "langgraph", "optuna"}


@pytest.mark.server
def test_lines_complete_in_the_shell(story, linewright):
    script = Path(sys.executable).with_name("linewright")
    variables = {"_LINEWRIGHT_COMPLETE": "complete_bash", "COMP_WORDS": "linewright show p", "COMP_CWORD": "2"}
    environment = {**linewright.environment, **variables}
    found = subprocess.run([script], capture_output=True, text=True, check=False, env=environment)
    assert found.stdout.split() == ["pump"]


@pytest.mark.server
def test_doctor_finds_the_workspace_whole(story, linewright):
    out = linewright.good("doctor").out
    assert "chain whole" in out
    assert "not ok" not in out
