"""The command line itself: fast to start, one clear line on error, complete in the shell."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {"dvc", "evidently", "matplotlib", "mlflow", "optuna", "pandas", "prefect", "shap", "sklearn", "torch"}

RUN = """
import json, sys
from flows.cli import main
codes = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["linewright", *arguments]
    try:
        main()
        codes.append(0)
    except SystemExit as end:
        codes.append(end.code or 0)
print(json.dumps([codes, sorted({name.partition(".")[0] for name in sys.modules})]), file=sys.stderr)
"""


def loaded(*commands: list[str], home: Path) -> tuple[str, set[str]]:
    """What commands print, one after the other in a new process, and the packages that they loaded."""
    found = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(commands)],
        capture_output=True,
        text=True,
        check=True,
        cwd=home.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LINEWRIGHT_HOME": str(home), "COLUMNS": "200"},
    )
    codes, modules = json.loads(found.stderr.splitlines()[-1])
    assert set(codes) == {0}, found.stderr
    return found.stdout, set(modules)


def test_help_loads_nothing_heavy(tmp_path):
    out, modules = loaded(["--help"], ["retrain", "--help"], ["line", "add", "--help"], home=tmp_path / "none")
    assert not modules & (HEAVY | {"numpy.linalg", "alembic"})
    for command in ("init", "ingest", "retrain", "approve", "rollback", "lineage", "doctor", "up"):
        assert command in out


@pytest.mark.server
@pytest.mark.xdist_group("spine")
def test_a_retrain_that_changes_nothing_never_loads_prefect(story, linewright):
    out, modules = loaded(
        ["retrain", "pump", "--budget", "1", "--json"], ["retrain", "pump", "--budget", "1"], home=linewright.home
    )
    first, rest = out.split("\n", 1)
    assert json.loads(first) == {"line": "pump", "version": 2, "changed": False}
    assert "nothing changed since v2" in rest
    assert not modules & (HEAVY - {"pandas"})


@pytest.mark.server
@pytest.mark.xdist_group("spine")
def test_looking_loads_nothing_heavy(story, linewright):
    commands = (["status"], ["candidates"], ["show", "pump", "1"], ["line", "list", "--json"])
    assert not loaded(*commands, ["lineage", "pump"], home=linewright.home)[1] & (HEAVY - {"pandas"})


@pytest.mark.server
@pytest.mark.xdist_group("spine")
def test_score_never_loads_prefect(story, linewright):
    source = linewright.folder / "sources" / "pump" / "pump-1.csv"
    assert "prefect" not in loaded(["score", "pump", str(source)], home=linewright.home)[1]


@pytest.mark.server
@pytest.mark.xdist_group("spine")
def test_lines_complete_in_the_shell(story, linewright):
    script = Path(sys.executable).with_name("linewright")
    variables = {"_LINEWRIGHT_COMPLETE": "complete_bash", "COMP_WORDS": "linewright show p", "COMP_CWORD": "2"}
    found = subprocess.run([script], capture_output=True, text=True, env={**linewright.environment, **variables})
    assert found.stdout.split() == ["pump"]


@pytest.mark.server
@pytest.mark.xdist_group("spine")
def test_doctor_finds_the_workspace_whole(story, linewright):
    out = linewright.good("doctor").out
    assert "chain whole" in out
    assert "missing" not in out
