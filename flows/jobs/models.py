"""Registered models as detectors: checked against our record first, then loaded."""

from components.core.contracts import ModelVersion
from components.core.errors import NotEnoughDataError
from components.core.ports import Detector
from components.register.verify import load_verified
from flows.wiring import Linewright


def champion_of(app: Linewright, name: str) -> ModelVersion:
    """The line's champion.

    Raises:
        NotEnoughDataError: It has none yet.
    """
    model = app.records.models.champion(name)
    if model is None:
        waiting = app.records.models.list(name, status="candidate")
        hint = f"approve {name} {waiting[0].version} --reason TEXT" if waiting else f"retrain {name}"
        raise NotEnoughDataError(f"Line {name!r} has no champion yet.", hint=f"Make one: linewright {hint}")
    return model


def load_model(app: Linewright, model: ModelVersion) -> Detector:
    """The detector of `model`, with its threshold.

    Raises:
        IntegrityError: A file of it is not what was registered; nothing was loaded.
    """
    detector = load_verified(app.tracker.local_folder(model.folder), files=model.files)
    detector.calibration = model.calibration
    return detector
