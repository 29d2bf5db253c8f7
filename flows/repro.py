"""`dvc repro`: prepare → train → evaluate → explain of one line, by the flow's own components and without a server.

Run by the stages of `dvc.yaml` at the root: `python -m flows.repro prepare`.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from components.adapters.objects import open_store
from components.core.budgets import Rate
from components.core.contracts import DatasetVersion, Modality, TableSchema, now
from components.core.errors import ConfigError, IntegrityError, LinewrightError, system_error
from components.core.hashing import sha256_bytes, sha256_file
from components.core.lines import ExplainOptions, LineConfig, declare_line
from components.core.yamlfile import read_yaml
from components.ingest.collect import collect
from components.models import registry
from components.settings import ObjectSettings
from components.version.splits import assign_splits
from flows.commands.common import tell
from flows.data import LineData
from flows.demo import declare_embedded, write_pump, write_texture
from flows.jobs import modelling

ROOT = Path(__file__).parents[1]
PARAMS = ROOT / "configs" / "params.yaml"
BUILD = ROOT / "build" / "repro"
EMBEDDED = {"texture": write_texture, "pump": write_pump}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Prepare(_Section):
    """Which line, and where its files are; an empty source makes the embedded line of that name."""

    line: str
    source: str = ""
    modality: Modality = Modality.IMAGE
    table: dict[str, Any] = {}


class Train(_Section):
    """One configuration: parameters that replace the detector's defaults, seed, declared false-alarm rate."""

    seed: int = Field(0, ge=0, lt=2**32)
    params: dict[str, Any] = {}
    false_alarms: Rate | None = None


class Params(_Section):
    """The whole of configs/params.yaml."""

    prepare: Prepare
    train: Train = Train()
    explain: ExplainOptions = ExplainOptions()


def read_params(path: Path = PARAMS) -> Params:
    """The parameters in the file at `path`; see `read_yaml`."""
    return read_yaml(path, into=TypeAdapter(Params))


def declared_line(params: Params, *, build: Path) -> LineConfig:
    """The line that `params` declare."""
    chosen = params.prepare
    if chosen.source:
        values = {"name": chosen.line, "modality": chosen.modality, "source": chosen.source, "table": chosen.table}
        return declare_line({**values, "explain": params.explain}, origin=str(PARAMS))
    if chosen.line not in EMBEDDED:
        raise ConfigError(
            f"{PARAMS}: there is no embedded line {chosen.line!r}.", hint="Use texture or pump, or give a source."
        )
    return declare_embedded(chosen.line, source=build / "source").model_copy(update={"explain": params.explain})


def prepare(params: Params, *, build: Path) -> None:
    """Files of the line → `prepared/`: manifest, schema and the files by their hashes."""
    line = declared_line(params, build=build)
    target = build / "prepared"
    shutil.rmtree(target, ignore_errors=True)
    (target / "files").mkdir(parents=True)
    if not params.prepare.source:
        shutil.rmtree(line.source, ignore_errors=True)
        EMBEDDED[line.name](Path(line.source), 1)
    store = open_store(line.source, ObjectSettings())
    found = collect(line, store=store, manifest=None, staging=target / "files")
    manifest, _ = assign_splits(found.rows, previous=None, line=line, schema=found.schema)
    manifest.to_parquet(target / "manifest.parquet", index=False)
    schema = found.schema.model_dump_json() if found.schema else "null"
    (target / "schema.json").write_text(schema, encoding="utf-8")
    for digest, path in found.files.items():
        path.replace(target / "files" / digest)


def prepared(params: Params, *, build: Path) -> LineData:
    """What `prepare` made, as the sample sets of one dataset version."""
    folder = build / "prepared"
    if not (folder / "schema.json").is_file():
        raise ConfigError(f"{folder} holds nothing prepared.", hint="Run all stages in order: dvc repro")
    line = declared_line(params, build=build)
    manifest = pd.read_parquet(folder / "manifest.parquet")
    schema = json.loads((folder / "schema.json").read_text(encoding="utf-8"))
    version = DatasetVersion(
        line=line.name,
        number=1,
        modality=line.modality,
        revision="",
        manifest_sha256=sha256_file(folder / "manifest.parquet"),
        created=now(),
        counts={},
        table=TableSchema.model_validate(schema) if schema else None,
    )

    def read(digest: str) -> bytes:
        data = (folder / "files" / digest).read_bytes()
        if sha256_bytes(data) != digest:
            raise IntegrityError(f"{folder / 'files' / digest} has changed.", hint="Run: dvc repro --force prepare")
        return data

    return LineData(line=line, version=version, manifest=manifest, read=read)


def train(params: Params, *, build: Path) -> None:
    """Fit and calibrate the one configuration."""
    folder = build / "model"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    chosen = params.train
    data = prepared(params, build=build)
    modelling.train(data, params=chosen.params, seed=chosen.seed, rate=chosen.false_alarms, folder=folder)


def evaluate(params: Params, *, build: Path) -> None:
    """Figures on the test split → `metrics.json`; latency is left out, for it never repeats."""
    detector = registry.load(build / "model" / "detector")
    data = prepared(params, build=build)
    found = modelling.evaluate_on_test(data, detector, looks=1, seed=params.train.seed).evaluation
    metrics = {name: metric.value for name, metric in found.metrics.items() if name != "latency_ms"}
    (build / "metrics.json").write_text(json.dumps(metrics, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def explain(params: Params, *, build: Path) -> None:
    """Pictures and values of what the model looks at → `explanations/`."""
    from flows.jobs.explaining import explain_model

    folder = build / "explanations"
    shutil.rmtree(folder, ignore_errors=True)
    detector = registry.load(build / "model" / "detector")
    explain_model(prepared(params, build=build), detector, folder=folder, seed=params.train.seed)


STAGES = {"prepare": prepare, "train": train, "evaluate": evaluate, "explain": explain}


def main(arguments: list[str]) -> int:
    """Run the stage that the only argument names."""
    try:
        if len(arguments) != 1 or arguments[0] not in STAGES:
            raise ConfigError(f"There is no stage {' '.join(arguments)!r}.", hint=f"Use one of: {', '.join(STAGES)}.")
        STAGES[arguments[0]](read_params(), build=BUILD)
    except (LinewrightError, OSError) as error:
        tell(error if isinstance(error, LinewrightError) else system_error(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
