import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from components.core.errors import UnavailableError
from components.testing import pump_line
from flows.runtime.notes import answer, find
from flows.runtime.processes import marked
from flows.runtime.up import Service, free_port, options_of

ROOT = Path(__file__).parents[3]
FIRST_PORT = 20_000 + os.getpid() % 10_000
"""Below those that systems give to outgoing connections, one of which might take a port before its service does."""

SCRIPT = Path(sys.executable).with_name("linewright")

UP = """
import sys
from pathlib import Path
from components.core.errors import LinewrightError
from components.settings import Settings
from flows.runtime.up import up
try:
    up(Settings(home=Path(sys.argv[1])), prefect_port=int(sys.argv[2]), mlflow_port=int(sys.argv[3]))
except LinewrightError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


class Up:
    """One `up` in a process of its own."""

    def __init__(self, home, *ports, **environment):
        (home / "lines").mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-c", UP, str(home), *map(str, ports)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment},
        )

    def addresses(self):
        """Once the table is there: service → port."""
        lines = iter(self.process.stdout.readline, "")
        table = "".join(line for line in _until_logs(lines))
        assert "Logs:" in table, self.finish()
        return {name: int(port) for name, port in re.findall(r"(prefect|mlflow)\W+http://127\.0\.0\.1:(\d+)", table)}

    def finish(self, number=None):
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=90)
        return self.process.returncode, out, err


def _until_logs(lines):
    for line in lines:
        yield line
        if "Logs:" in line:
            return


@pytest.fixture
def busy():
    """Two ports that others listen on."""
    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):
            one.bind(("127.0.0.1", free_port(FIRST_PORT)))
            one.listen()
        yield first.getsockname()[1], second.getsockname()[1]


def test_a_busy_port_gives_the_next_free_one(busy):
    port = busy[0]
    found = free_port(port)
    assert found > port
    assert free_port(found) == found
    assert free_port(found, taken=frozenset({found})) > found
    with pytest.raises(UnavailableError, match="No free port from 65536"):
        free_port(65_536)


def test_odd_paths_reach_supervisor_as_they_are(tmp_path):
    run = tmp_path / "100 % of 'it' ; # {x} %(y)s"
    run.mkdir()
    services = [Service(name=name, arguments=("true",), url="", is_well=lambda: True) for name in ("one", "two")]
    options = options_of(services, run=run)
    programs = [group.process_configs[0] for group in options.process_group_configs]
    assert [program.stdout_logfile for program in programs] == [str(run / "one.log"), str(run / "two.log")]
    assert [program.priority for program in programs] == [1, 2]
    assert programs[0].command.endswith("-m flows.runtime.child one")


@pytest.mark.server
@pytest.mark.slow
def test_up_from_start_to_end(tmp_path, busy):
    """Busy ports, a line's own ingest, a second `up`, kill -9, another `up` at once, and Ctrl-C."""
    home = tmp_path / "a workspace"
    _add_pump(home, source=tmp_path / "pump")
    first = Up(home, *busy)
    ports = first.addresses()
    assert ports["prefect"] > busy[0]
    assert ports["mlflow"] > busy[1]
    assert answer(f"http://127.0.0.1:{ports['mlflow']}/health") == b"OK"
    assert find(home / "prefect") == ("up", f"http://127.0.0.1:{ports['prefect']}/api")
    assert _run_deployment(home, "ingest/pump") == "COMPLETED"
    tags = subprocess.run(["git", "-C", str(home / "data"), "tag"], check=True, capture_output=True, text=True)
    assert tags.stdout.split() == ["pump/v1"]
    assert answer(f"http://127.0.0.1:{ports['prefect']}/") is not None
    code, _, error = Up(home, *busy).finish()
    assert code != 0
    assert "ConflictError" in error
    assert f"(process {first.process.pid})" in error

    left = marked(home)
    assert len(left) >= 6
    first.finish(signal.SIGKILL)
    second = Up(home, *busy, LINEWRIGHT_TRACKING__URI="http://127.0.0.1:9")
    assert second.addresses()["mlflow"] == 9  # named by the settings: not started
    assert not [process for process in left if process.is_running()]

    code, out, error = second.finish(signal.SIGINT)
    assert (code, error) == (0, "")
    assert "Stopped." in out
    assert marked(home) == []
    assert "telemetry" not in (home / "run" / "prefect.log").read_text()
    assert find(home / "prefect") is None


def _add_pump(home, *, source):
    """A workspace with the table line `pump`, by the commands that a person uses."""
    pump_line.write_batch(source, batch=1, seed=0, rows=1_500)
    added = ["line", "add", "pump", "--modality", "table", "--window", "10", "--label", "anomaly"]
    for command in (["init"], [*added, "--timestamp", "time", "--source", str(source)]):
        environment = {**os.environ, "LINEWRIGHT_HOME": str(home)}
        subprocess.run([SCRIPT, *command], check=True, capture_output=True, env=environment)


def _run_deployment(home, name):
    """Final state of one run that the server of `up` hands to whoever serves the deployment."""
    code = (
        "import sys; from pathlib import Path; from components.settings import Settings\n"
        "from flows.runtime import garbage; garbage.look_rarely()\n"
        "from flows.runtime.server import prefect_api\n"
        "with prefect_api(Settings(home=Path(sys.argv[1]))):\n"
        "    from prefect.deployments import run_deployment\n"
        "    print(run_deployment(sys.argv[2], timeout=60, poll_interval=0.5).state.type.value)\n"
        "garbage.look_no_more()"
    )
    command = [sys.executable, "-c", code, str(home), name]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ROOT})
    return done.stdout.strip()


@pytest.mark.server
@pytest.mark.slow
def test_after_kill_9_the_services_end_by_themselves(tmp_path):
    up = Up(tmp_path, free_port(FIRST_PORT), free_port(FIRST_PORT + 1_000))
    deadline = time.monotonic() + 20
    while len(marked(tmp_path)) < 6:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    left = marked(tmp_path)
    up.finish(signal.SIGKILL)
    _, alive = psutil.wait_procs(left, timeout=20)
    assert alive == []


@pytest.mark.server
@pytest.mark.slow
def test_a_service_that_cannot_run_stops_all(tmp_path):
    # Prefect's server fails before it has imported anything, which takes it seconds; it is tried twice.
    (tmp_path / "prefect" / "migrate.lock").mkdir(parents=True)
    code, _, error = Up(
        tmp_path, free_port(FIRST_PORT), free_port(FIRST_PORT + 1_000), LINEWRIGHT_TRACKING__URI="http://127.0.0.1:9"
    ).finish()
    assert code != 0
    assert error == f"UnavailableError: prefect does not run. See {tmp_path / 'run' / 'prefect.log'}.\n"
    assert marked(tmp_path) == []


@pytest.mark.server
def test_a_real_prefect_server_must_answer(tmp_path):
    code, _, error = Up(tmp_path, 4200, 5000, LINEWRIGHT_PREFECT__API_URL="http://127.0.0.1:9/api").finish()
    assert code != 0
    assert "UnavailableError: Prefect's server at http://127.0.0.1:9/api does not answer" in error
    assert not (tmp_path / "run" / "supervisord.conf").exists()
