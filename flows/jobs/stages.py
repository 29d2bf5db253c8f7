"""The stages of a retrain between search and registry, each from the records of those before it."""

from dataclasses import dataclass, replace
from typing import Any

from components.approve.gate import evaluate_gate
from components.approve.rules import load_rules
from components.core.contracts import Calibration, Evaluation, GateReport, SearchOutcome, Split
from components.core.ports import Detector
from components.evaluate.evaluation import Scored, difference
from components.models import registry
from components.search.portfolio import DETECTOR
from flows.data import LineData
from flows.jobs import modelling
from flows.jobs.models import as_trained, check_model, load_model
from flows.jobs.retrain import RetrainJob
from flows.jobs.searching import searched_detectors
from flows.progress import report


def prepare(job: RetrainJob) -> None:
    """Check every byte of the dataset version and of the champion, and open the MLflow run.

    Raises:
        IntegrityError: A stored file is not what the manifest says, or the champion that the candidate will be
            compared with is not what was registered; nothing was trained.
        NotEnoughDataError: The declared false-alarm rate needs more calibration samples.
    """
    detectors = searched_detectors(job)
    modelling.require_calibration(
        job.data, rate=job.line.false_alarms, params=job.line.params | {DETECTOR: detectors[0]}
    )
    job.app.registry.verify(job.plan.version, progress=report)
    champion = job.app.records.models.champion(job.line.name)
    if champion is not None:
        check_model(job.app, champion)
    job.app.tracker.log_params(job.run_id, {"detector": ", ".join(detectors)})


def train(job: RetrainJob, outcome: SearchOutcome) -> Calibration:
    """Fit the best configuration, calibrate it on samples it did not see, and keep both in the work folder."""

    def act() -> dict[str, Any]:
        folder = job.fresh_folder("model")
        with job.timed("train"):
            found = modelling.train(
                job.data,
                params=outcome.best.params,
                seed=job.seed,
                rate=job.line.false_alarms,
                folder=folder,
            )
        return found.calibration.model_dump(mode="json")

    return Calibration.model_validate(job.once("train", act))


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What evaluation and gate said of a candidate."""

    evaluation: Evaluation
    champion: Evaluation | None
    gate: GateReport


def judge(job: RetrainJob) -> Judged:
    """Evaluate the candidate and the champion on the sealed test split, and hold the gate against the figures."""

    def act() -> dict[str, Any]:
        with job.timed("evaluate"):
            judged = _judge(job)
        return {
            "evaluation": judged.evaluation.model_dump(mode="json"),
            "champion": judged.champion.model_dump(mode="json") if judged.champion else None,
            "gate": judged.gate.model_dump(mode="json"),
        }

    found = job.once("evaluate", act)
    return Judged(
        evaluation=Evaluation.model_validate(found["evaluation"]),
        champion=Evaluation.model_validate(found["champion"]) if found["champion"] else None,
        gate=GateReport.model_validate(found["gate"]),
    )


def _judge(job: RetrainJob) -> Judged:
    detector = registry.load(job.folder / "model" / "detector")
    assert detector.calibration is not None
    candidate = _evaluate(job, detector, job.data, subject=job.id)
    model = job.app.records.models.champion(job.line.name)
    champion = None
    if model is not None:
        data = replace(job.data, line=as_trained(job.app, job.line, model))
        champion = _evaluate(job, load_model(job.app, model), data, subject=f"{job.id}/champion-v{model.version}")
    gate = evaluate_gate(
        candidate.evaluation,
        calibration=detector.calibration,
        champion=champion.evaluation if champion else None,
        champion_version=model.version if model else None,
        difference=difference(candidate, champion, seed=job.seed) if champion else None,
        rules=load_rules(job.app.config_path("gates.yaml"), job.line.gates),
        leaks=modelling.count_leaks(job.data),
    )
    return Judged(evaluation=candidate.evaluation, champion=champion.evaluation if champion else None, gate=gate)


def _evaluate(job: RetrainJob, detector: Detector, data: LineData, *, subject: str) -> Scored:
    looks = job.app.records.looks.look(
        job.line.name, dataset=job.plan.version.number, split=Split.TEST, subject=subject, actor=job.plan.actor
    )
    return modelling.evaluate_on_test(data, detector, looks=looks, seed=job.seed)
