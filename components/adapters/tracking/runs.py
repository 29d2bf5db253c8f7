"""One experiment a line, one run a retrain, one nested run a trial; every step may be repeated after a crash."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from components.adapters.tracking.connection import Connection
from components.core.contracts import Trial
from components.core.errors import ConfigError
from components.core.hashing import canonical_json, sha256_bytes

if TYPE_CHECKING:
    from mlflow.entities import Run

T = TypeVar("T")
RunStatus = Literal["FINISHED", "FAILED", "KILLED"]

KIND = "linewright.kind"
RETRAIN = "linewright.retrain"
TRIAL = "linewright.trial"

# MLflow's limits: mlflow/utils/validation.py.
_LONGEST_PARAM = 6000
_LONGEST_TAG = 8000
_PARAMS_A_BATCH = 100
_METRICS_A_BATCH = 800  # 1,000 entries of all kinds a batch


class Runs(Connection):
    """Runs of every line."""

    def start_retrain(self, line: str, *, retrain_id: str, params: Mapping[str, Any], tags: Mapping[str, Any]) -> str:
        """Start the run of a retrain, or resume it if the retrain has one.

        Returns:
            Identifier of the run, which is RUNNING.
        """
        experiment = self._experiment(line)
        named = {KIND: "retrain", RETRAIN: retrain_id}
        run = self._resumed(experiment, tags=named)
        if run is None:
            run = self._create(experiment, name=retrain_id, tags={**tags, **named})
        if params:
            self.log_params(run, params)
        return run

    def start_trial(self, parent_run: str, *, number: int, retrain_id: str) -> str:
        """Start the nested run of a trial, or resume it if the trial has one.

        Returns:
            Identifier of the run, which is RUNNING.
        """
        experiment = self._do(self._client.get_run, parent_run).info.experiment_id
        named = {KIND: "trial", RETRAIN: retrain_id, TRIAL: str(number)}
        return self._resumed(experiment, tags=named) or self._create(
            experiment, name=f"trial {number}", tags={**named, "mlflow.parentRunId": parent_run}
        )

    def log_trial(self, run_id: str, trial: Trial) -> None:
        """Log what was tried, what came of it, who proposed it and why; ends the trial's run."""
        figures = {"objective": trial.value, "objective_low": trial.low, "objective_high": trial.high}
        self._log(
            run_id,
            params=trial.params,
            metrics={name: value for name, value in figures.items() if value is not None} | {"seconds": trial.seconds},
            tags={"proposed_by": trial.proposed_by, "why": trial.why, "state": trial.state},
        )
        self._do(self._client.set_terminated, run_id, "FINISHED" if trial.state == "complete" else "FAILED")

    def log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Log parameters; text as it is, other values as JSON. Too long ones are cut and end with their SHA-256.

        Raises:
            ConfigError: The run has one of them with another value.
        """
        self._log(run_id, params=params)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Log figures."""
        self._log(run_id, metrics=metrics)

    def log_folder(self, run_id: str, directory: Path, artifact_path: str) -> None:
        """Copy every file below `directory` to `artifact_path` among the run's artifacts; files there are replaced."""
        self._do(self._client.log_artifacts, run_id, str(directory), artifact_path)

    def log_file(self, run_id: str, path: Path, artifact_path: str = "") -> None:
        """Copy one file to the folder `artifact_path` among the run's artifacts."""
        self._do(self._client.log_artifact, run_id, str(path), artifact_path or None)

    def finish(self, run_id: str, status: RunStatus) -> None:
        """End a run. With a retrain's run, those of its trials that still run are KILLED."""
        run = self._do(self._client.get_run, run_id)
        if run.data.tags.get(KIND) == "retrain":
            retrain = run.data.tags[RETRAIN]
            for other in self._search(run.info.experiment_id, _running({RETRAIN: retrain})):
                if other.info.run_id != run_id:
                    self._do(self._client.set_terminated, other.info.run_id, "KILLED")
        if run.info.status != status:
            self._do(self._client.set_terminated, run_id, status)

    def close_stale(self, line: str, *, live: Collection[str]) -> int:
        """End as KILLED every RUNNING run of the line, nested ones too, whose retrain is not among `live`.

        Runs that Linewright did not start are left alone.

        Returns:
            How many were ended.
        """
        experiment = self._find_experiment(line)
        if experiment is None:
            return 0
        stale = [
            run.info.run_id
            for run in self._search(experiment, _running({}))
            if RETRAIN in run.data.tags and run.data.tags[RETRAIN] not in live
        ]
        for run_id in stale:
            self._do(self._client.set_terminated, run_id, "KILLED")
        return len(stale)

    def _create(self, experiment: str, *, name: str, tags: Mapping[str, Any]) -> str:
        cut = {key: _cut(value, longest=_LONGEST_TAG) for key, value in tags.items()}
        return str(self._do(self._client.create_run, experiment, tags=cut, run_name=name).info.run_id)

    def _resumed(self, experiment: str, *, tags: Mapping[str, str]) -> str | None:
        """The oldest run with these tags, RUNNING again; None if there is none."""
        run = next(self._search(experiment, tagged(tags)), None)
        if run is None:
            return None
        if run.info.status != "RUNNING":
            self._do(self._client.update_run, run.info.run_id, "RUNNING")
        return str(run.info.run_id)

    def _search(self, experiment: str, condition: str) -> "Iterator[Run]":
        """Every run that meets `condition`, the oldest first."""
        token: str | None = None
        while True:
            page = self._do(
                self._client.search_runs,
                [experiment], condition, max_results=1000, order_by=["attributes.start_time ASC"], page_token=token,
            )  # fmt: skip
            yield from page
            token = page.token
            if not token:
                return

    def _log(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """In as few requests as MLflow's limits allow; one time stamp, so that a repeated request adds nothing."""
        from mlflow.entities import Metric, Param, RunTag

        stamp = time.time_ns() // 1_000_000
        some_params = [Param(key, _cut(value, longest=_LONGEST_PARAM)) for key, value in (params or {}).items()]
        some_metrics = [Metric(key, float(value), stamp, 0) for key, value in (metrics or {}).items()]
        some_tags = [RunTag(key, _cut(value, longest=_LONGEST_TAG)) for key, value in (tags or {}).items()]
        for metrics_, params_, tags_ in zip_longest(
            batched(some_metrics, size=_METRICS_A_BATCH),
            batched(some_params, size=_PARAMS_A_BATCH),
            batched(some_tags, size=_PARAMS_A_BATCH),
            fillvalue=(),
        ):
            self._do(self._client.log_batch, run_id, metrics_, params_, tags_)


def batched(items: Sequence[T], *, size: int) -> Iterator[Sequence[T]]:
    """`items` in order, at most `size` at a time.

    >>> list(batched("abcde", size=2))
    ['ab', 'cd', 'e']
    """
    return (items[start : start + size] for start in range(0, len(items), size))


def _cut(value: Any, *, longest: int) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    if len(text) <= longest:
        return text
    return f"{text[: longest - 80]}... sha256:{sha256_bytes(text.encode())}"


def tagged(tags: Mapping[str, str]) -> str:
    """MLflow's filter for runs that have all of `tags`.

    Raises:
        ConfigError: A value has a quote, which MLflow's filters cannot hold.
    """
    for key, value in tags.items():
        if "'" in value or '"' in value:
            raise ConfigError(f"{key} is {value!r}.", hint="Use an identifier without quotes.")
    return " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())


def _running(tags: Mapping[str, str]) -> str:
    return " and ".join(filter(None, ["attributes.status = 'RUNNING'", tagged(tags)]))
