"""The shipped search spaces say what the detectors say."""

import pytest

from components.models.catalogue import DETECTORS
from components.models.params.base import Params
from components.search.space import Categorical, load_space

PARAMS: dict[str, type[Params]] = {name: entry.params for name, entry in DETECTORS.items()}


@pytest.mark.parametrize("detector", PARAMS)
def test_defaults_are_the_detectors_own(detector: str) -> None:
    space, params = load_space(detector), PARAMS[detector]
    own = params().model_dump()
    assert space.defaults() == {name: own[name] for name in space.parameters}
    assert params(**space.defaults()).model_dump() == own


@pytest.mark.parametrize("detector", PARAMS)
def test_the_detector_accepts_every_end_of_every_range(detector: str) -> None:
    space = load_space(detector)
    for name, part in space.parameters.items():
        ends = part.choices if isinstance(part, Categorical) else (part.low, part.high)
        for value in ends:
            assert getattr(PARAMS[detector].model_validate({name: value}), name) == value
