"""`dvc repro`'s stages give what the flow gives for the same files, parameters and seed, as often as they run."""

import json
import shutil

import pytest

from components.core.contracts import Modality
from components.core.errors import ConfigError
from flows import repro
from flows.repro import Params, Prepare, Train, read_params


@pytest.mark.server
def test_metrics_equal_the_flows_and_repeat(story, linewright, tmp_path):
    (shown,) = story["show"].json
    source = tmp_path / "source"
    source.mkdir()
    shutil.copy(linewright.folder / "sources" / "pump" / "pump-1.csv", source)
    table = {"label": "anomaly", "timestamp": "time", "window": 10}
    params = Params(
        prepare=Prepare(line="pump", source=str(source), modality=Modality.TABLE, table=table),
        train=Train(seed=shown["seed"], params=shown["params"]),
        explain=linewright.open().line("pump").explain,
    )
    found = []
    for build in (tmp_path / "one", tmp_path / "two"):
        for stage in (repro.prepare, repro.train, repro.evaluate):
            stage(params, build=build)
        found.append((build / "metrics.json").read_bytes())
    assert found[0] == found[1]
    metrics = {name: metric["value"] for name, metric in shown["metrics"].items() if name != "latency_ms"}
    assert json.loads(found[0]) == metrics
    repro.explain(params, build=tmp_path / "one")
    assert json.loads((tmp_path / "one" / "explanations" / "checks.json").read_text()) == shown["checks"]
    first, second = (tmp_path / name / "model" / "calibration_scores.json" for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()


def test_the_projects_own_parameters_can_be_read():
    assert read_params().prepare.line in repro.EMBEDDED


@pytest.mark.parametrize(
    "text", ["prepare: [", "prepare: {line: pump, colour: red}", "train: {}", "prepare: {line: 3}"]
)
def test_wrong_parameters_are_named(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"params\.yaml"):
        read_params(path)


def test_an_unknown_embedded_line_and_stage(tmp_path, capsys):
    with pytest.raises(ConfigError, match="no embedded line 'belt'"):
        repro.prepare(Params(prepare=Prepare(line="belt")), build=tmp_path)
    assert repro.main(["paint"]) == 1
    assert (
        capsys.readouterr().err == "Error: There is no stage 'paint'. Use one of: prepare, train, evaluate, explain.\n"
    )
