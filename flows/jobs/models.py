"""Registered models as detectors: checked against our record first, then loaded."""

from collections.abc import Callable
from typing import TypeVar

from components.core.contracts import ModelVersion
from components.core.errors import IntegrityError, NotEnoughDataError
from components.core.lines import LineConfig
from components.core.ports import Detector
from components.register.verify import check_files, load_verified
from flows.jobs.show import approval, current_gate
from flows.wiring import Linewright

T = TypeVar("T")


def champion_of(app: Linewright, name: str) -> ModelVersion:
    """The line's champion.

    Raises:
        NotEnoughDataError: It has none yet.
    """
    model = app.records.models.champion(name)
    if model is None:
        waiting = app.records.models.list(name, status="candidate")
        hint = f"retrain {name}"
        if waiting:
            hint = f"approve {name} {waiting[0].version} --reason TEXT{approval(current_gate(app, waiting[0]))}"
        raise NotEnoughDataError(f"Line {name!r} has no champion yet.", hint=f"Make one: linewright {hint}")
    return model


def as_trained(app: Linewright, line: LineConfig, model: ModelVersion) -> LineConfig:
    """`line` with what decides how a file becomes samples as it was when `model` was trained.

    The model's threshold is of samples that were read so; what the line's file says since is for the next retrain.
    """
    config = app.records.retrains.get(model.retrain).config
    image = line.image.model_copy(update={"white_level": config["image"]["white_level"]})
    table = line.table.model_copy(update={"group": config["table"]["group"]})
    return line.model_copy(update={"image": image, "table": table})


def load_model(app: Linewright, model: ModelVersion) -> Detector:
    """The detector of `model`, with its threshold.

    Raises:
        IntegrityError: A file of it is not what was registered; nothing was loaded.
    """
    detector = _verified(app, model, load_verified)
    detector.calibration = model.calibration
    return detector


def check_model(app: Linewright, model: ModelVersion) -> None:
    """Compare every file of `model` with our record.

    Raises:
        IntegrityError: One is not what was registered.
    """
    _verified(app, model, check_files)


def _verified(app: Linewright, model: ModelVersion, act: Callable[..., T]) -> T:
    try:
        return act(app.tracker.local_folder(model.folder), files=model.files)
    except IntegrityError:
        # What was damaged may be this machine's copy alone.
        if not app.tracker.forget(model.folder):
            raise
        return act(app.tracker.local_folder(model.folder), files=model.files)
