"""The stages of a retrain between search and registry, each from the records of those before it."""

from dataclasses import dataclass

from components.approve.gate import evaluate_gate
from components.approve.rules import load_rules
from components.core.contracts import (
    Calibration,
    Evaluation,
    GateReport,
    Label,
    Modality,
    SearchOutcome,
    Split,
)
from components.core.ports import Detector
from components.core.seeds import derive_seed
from components.evaluate.evaluation import Scored, difference, evaluate
from components.models import registry
from components.register.verify import check_files
from components.samples.sets import ImageSamples
from components.train.fitting import SMALL, calibrate_cross, calibrate_split, fit
from flows.data import SampleSet
from flows.jobs.models import load_model
from flows.jobs.retrain import RetrainJob
from flows.progress import report


def detector_name(job: RetrainJob) -> str:
    """The line's detector, or its modality's default."""
    return job.line.detector or registry.default_detector(job.line.modality)


def prepare(job: RetrainJob) -> None:
    """Check every byte of the dataset version, and open the MLflow run.

    Raises:
        IntegrityError: A stored file is not what the manifest says, or the champion that the candidate will be
            compared with is not what was registered; nothing was trained.
    """
    job.app.registry.verify(job.plan.version, progress=report)
    champion = job.app.records.models.champion(job.line.name)
    if champion is not None:
        check_files(job.app.tracker.local_folder(champion.folder), files=champion.files)
    job.app.tracker.log_params(job.run_id, {"detector": detector_name(job)})


def train(job: RetrainJob, outcome: SearchOutcome) -> Calibration:
    """Fit the best configuration, calibrate it on samples it did not see, and keep both in the work folder."""

    def act() -> dict[str, object]:
        with job.timed("train"):
            detector = fit_and_calibrate(job, outcome)
            folder = job.fresh_folder("detector")
            detector.save(folder)
        assert detector.calibration is not None
        return detector.calibration.model_dump(mode="json")

    return Calibration.model_validate(job.once("train", act))


def fit_and_calibrate(job: RetrainJob, outcome: SearchOutcome) -> Detector:
    """The best configuration, fitted and calibrated; small lines are calibrated across folds."""
    name, params, seed = detector_name(job), outcome.best.params, derive_seed(job.seed, "train")
    rate, schema = job.line.false_alarm_rate, job.data.schema
    normal = len(job.data.rows(Split.TRAIN, Split.CALIBRATION, label=Label.NORMAL))
    if normal >= SMALL:
        detector = fit(
            name, params=params, schema=schema, samples=job.data.split(Split.TRAIN), seed=seed, progress=report
        )
        detector.calibration = calibrate_split(
            detector, samples=job.data.split(Split.CALIBRATION), rate=rate, seed=seed
        )
        return detector
    samples = job.data.split(Split.TRAIN, Split.CALIBRATION)
    detector = fit(name, params=params, schema=schema, samples=samples, seed=seed, progress=report)
    detector.calibration = calibrate_cross(
        name, params=params, schema=schema, samples=samples, rate=rate, seed=seed, progress=report
    )
    return detector


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What evaluation and gate said of a candidate."""

    evaluation: Evaluation
    champion: Evaluation | None
    gate: GateReport


def judge(job: RetrainJob) -> Judged:
    """Evaluate the candidate and the champion on the sealed test split, and hold the gate against the figures."""

    def act() -> dict[str, object]:
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
    detector = registry.load(job.folder / "detector")
    assert detector.calibration is not None
    candidate = _evaluate(job, detector, subject=job.id)
    model = job.app.records.models.champion(job.line.name)
    champion = None
    if model is not None:
        champion = _evaluate(job, load_model(job.app, model), subject=f"{job.id}/champion-v{model.version}")
    gate = evaluate_gate(
        candidate.evaluation,
        calibration=detector.calibration,
        champion=champion.evaluation if champion else None,
        champion_version=model.version if model else None,
        difference=difference(candidate, champion, seed=job.seed) if champion else None,
        rules=load_rules(job.app.config_path("gates.yaml"), job.line.gates),
        leaks=count_leaks(job),
    )
    return Judged(evaluation=candidate.evaluation, champion=champion.evaluation if champion else None, gate=gate)


def _evaluate(job: RetrainJob, detector: Detector, *, subject: str) -> Scored:
    samples = job.data.split(Split.TEST)
    looks = job.app.records.looks.look(
        job.line.name, dataset=job.plan.version.number, split=Split.TEST, subject=subject, actor=job.plan.actor
    )
    return evaluate(
        detector,
        samples,
        masks=masks_of(samples),
        dataset=job.plan.version.tag,
        looks=looks,
        seed=derive_seed(job.seed, "evaluate"),
        progress=report,
    )


def masks_of(samples: SampleSet) -> list[object]:
    """Ground-truth masks of image samples, where they have any."""
    return samples.masks(range(len(samples))) if isinstance(samples, ImageSamples) else []


def count_leaks(job: RetrainJob) -> int:
    """Samples or groups of the sealed test split that stand in another split as well; 0 unless a split is broken."""
    test = job.data.rows(Split.TEST)
    others = job.data.rows(Split.TRAIN, Split.CALIBRATION, Split.VALIDATION)
    shared = set(test["sample"]) & set(others["sample"])
    groups = (set(test["group"]) & set(others["group"])) - {""}
    return len(shared) + len(groups)


def is_image(job: RetrainJob) -> bool:
    """Whether the line's samples are images."""
    return job.line.modality is Modality.IMAGE
