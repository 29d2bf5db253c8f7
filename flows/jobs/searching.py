"""The search stage: the builder graph over a persistent study; each trial is a nested MLflow run."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from agents.checkpoints import open_saver
from agents.graphs.builder import BuilderTask, run_builder
from agents.graphs.limits import BuilderLimits
from agents.knowledge.heuristics import DataFacts, image_facts
from agents.llm import make_model
from agents.proposers import make_proposer
from agents.settings import load_agent_settings
from components.adapters.db.holder import is_gone, this_process
from components.core.contracts import Label, ManifestColumn, Modality, Params, SearchOutcome, Split, Trial
from components.core.errors import ModelError, NotEnoughDataError
from components.core.ports import Samples
from components.core.scoring import score_all
from components.core.seeds import derive_seed
from components.models import registry
from components.search.lease import Owner
from components.search.lending import lent
from components.search.portfolio import DETECTOR, load_spaces
from components.search.study import Study
from components.search.synthetic import are_few, drawn_on, with_synthetic
from components.train.fitting import fit
from components.version.blocks import blocked, purge
from flows.data import LineData
from flows.jobs import modelling
from flows.jobs.retrain import RetrainJob
from flows.progress import report, steps


def search(job: RetrainJob) -> SearchOutcome:
    """Find a configuration that is better beyond its error than what the search begins with, or keep that.

    Raises:
        NotEnoughDataError: There are no normal samples to train on or to validate on.
        ModelError: Every trial failed.
    """
    return SearchOutcome.model_validate(job.once("search", lambda: _search(job).model_dump(mode="json")))


def _search(job: RetrainJob) -> SearchOutcome:
    with job.timed("search"):
        parts = divided(job.data, seed=job.seed)
        facts = facts_of(job, parts)
    settings = load_agent_settings(job.app.config_path("agents.yaml"))
    detectors = searched_detectors(job)
    space = load_spaces(detectors, pinned=job.line.params, path=job.app.config_path("search_spaces.yaml"))
    url = job.app.settings.database_url
    name = f"{job.line.name}/{job.id}"
    owner = Owner(holder=this_process(), is_gone=is_gone, ttl=job.app.settings.lease.ttl)
    with Study.open(url, name=name, space=space, seed=job.seed, owner=owner) as study, open_saver(url) as saver:
        outcome = run_builder(
            BuilderTask(
                facts=facts,
                labels=parts.validation.labels,
                groups=parts.groups,
                lent=parts.lent,
                baselines=registry.baselines(detectors),
            ),
            study=study,
            evaluate=lambda params, number: _evaluate(job, params, number, parts),
            proposer=make_proposer(detectors, model=make_model(settings.model)),
            saver=saver,
            limits=BuilderLimits.of(settings.builder, trials=job.plan.budget),
            on_trial=lambda trial: _log(job, trial),
        )
    report("trials", job.plan.budget, job.plan.budget)
    return outcome


def searched_detectors(job: RetrainJob) -> tuple[str, ...]:
    """What the line's search chooses among; pinned parameters belong to one detector, the only one then.

    Where the declared false-alarm rate can be met by some of them only, these.
    """
    line = job.line
    pinned = modelling.detector_name(line) if line.params else line.detector
    labels = bool(len(job.data.rows(Split.TRAIN, label=Label.ANOMALOUS)))
    synthetic = are_few(job.data.groups(job.data.rows(Split.VALIDATION, label=Label.ANOMALOUS)))
    normal = len(job.data.rows(Split.TRAIN, label=Label.NORMAL))
    found = registry.portfolio(pinned, modality=line.modality, labels=labels, synthetic=synthetic, samples=normal)
    able = tuple(name for name in found if not _lacks(job.data, line.params | {DETECTOR: name}))
    return able or found


def _lacks(data: LineData, params: Params) -> str:
    """Why such a configuration cannot be calibrated for the declared rate, or ""."""
    try:
        modelling.require_calibration(data, rate=data.line.false_alarms, params=params)
    except NotEnoughDataError as error:
        return error.message
    return ""


@dataclass(frozen=True, kw_only=True)
class Division:
    """What a search's trials see.

    Attributes:
        training: They are fitted on these.
        validation: They are scored on these: held-out and lent normal samples, real anomalies, and drawn ones where
            those are few.
        groups: ``(N,)`` names of what counts as one among these.
        lent: How many of these are training samples.
        synthetic: Whether drawn anomalies are among these.
    """

    training: Samples
    validation: Samples
    groups: NDArray[np.str_]
    lent: int
    synthetic: bool


def divided(data: LineData, *, seed: int) -> Division:
    """The training split without what is `lent` to validation, and without windows that lie close to that.

    Raises:
        NotEnoughDataError: There are no normal samples to train on or to validate on.
    """
    rows, train = data.rows(Split.VALIDATION), data.rows(Split.TRAIN)
    for there, purpose in ((train, "train"), (rows, "validate")):
        if not (there[ManifestColumn.LABEL] == Label.NORMAL).any():
            raise NotEnoughDataError(f"{data.version.tag} has no normal samples to {purpose} on.", hint=_remedy(data))
    held_out = int((rows[ManifestColumn.LABEL] == Label.NORMAL).sum())
    apart = lent(data.samples(train).labels, data.groups(train), held_out=held_out, seed=seed)
    close = np.zeros(len(train), np.bool_)
    if in_blocks := blocked(data.schema, line=data.line):
        marked = train.assign(**{ManifestColumn.SPLIT: np.where(apart, Split.VALIDATION, Split.TRAIN)})
        close = purge(marked, is_new=~apart, window=in_blocks.window)
    scored = pd.concat([rows, train[apart]], ignore_index=True)
    groups, drawn_with = data.groups(scored), derive_seed(seed, "synthetic")
    validation, synthetic = with_synthetic(data.samples(scored), groups=groups, seed=drawn_with, schema=data.schema)
    group_of = dict(zip(scored[ManifestColumn.SAMPLE].astype(str), groups, strict=True))
    return Division(
        training=data.samples(train[~apart & ~close]),
        validation=validation,
        groups=np.array([group_of[drawn_on(name)] for name in validation.ids]),
        lent=int(apart.sum()),
        synthetic=synthetic,
    )


def _remedy(data: LineData) -> str:
    """What brings normal samples: more data, or windows that fit into the runs there are."""
    if data.schema is not None and not data.manifest.empty:
        window = data.schema.window
        longest = int((data.manifest[ManifestColumn.END] - data.manifest[ManifestColumn.START]).max())
        if longest < window:
            return f"The longest run has {longest} rows, a window {window}: give `window` fewer, or add longer runs."
    return "Add normal samples to the source."


def _evaluate(job: RetrainJob, params: dict[str, Any], number: int, parts: Division) -> NDArray[np.float64]:
    """Scores of the validation samples by a detector of these parameters, fitted on the training samples alone."""
    report("trials", number, job.plan.budget)
    if lack := _lacks(job.data, params):
        raise ModelError(lack, hint="Another configuration scores training samples without themselves.")
    name, own = modelling.configured(job.line, params)
    with job.timed("search"), steps() as progress:
        detector = fit(
            name,
            params=modelling.settled(job.data, name, own),
            schema=job.data.schema,
            samples=parts.training,
            seed=derive_seed(job.seed, "train"),
            progress=progress,
        )
        return score_all(detector, parts.validation, progress=progress).image


def _log(job: RetrainJob, trial: Trial) -> None:
    run = job.app.tracker.start_trial(job.run_id, number=trial.number, retrain_id=job.id)
    job.app.tracker.log_trial(run, trial)


def facts_of(job: RetrainJob, parts: Division) -> DataFacts:
    """Counts and sizes of the training data: all that a proposer may know."""
    rows = job.data.rows(Split.TRAIN)
    counts = {
        "modality": job.line.modality,
        "train_samples": int((rows["label"] == Label.NORMAL).sum()),
        "train_anomalies": int((rows["label"] == Label.ANOMALOUS).sum()),
        "validation_samples": len(parts.validation),
        "synthetic": parts.synthetic,
    }
    if job.line.modality is Modality.TABLE:
        schema = job.data.schema
        assert schema is not None
        return DataFacts(**counts, features=len(schema.features), window=schema.window)
    return DataFacts(**counts, **image_facts(job.data.samples(rows)))
