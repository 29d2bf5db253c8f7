"""What torch wrote of the zoo's networks, behind their backbones in one network."""

from pathlib import Path

import pytest

from components.core.errors import ModelError
from components.models import onnx_graph


@pytest.mark.parametrize("name", ["padim", "stfpm", "supersimplenet", "draem", "dinomaly", "inp-former"])
def test_it_scores_as_the_detector_does(name, cases, fitted_once, check_network):
    case, detector = cases[name], fitted_once(name)
    check_network(detector, detector.as_network(), [*case.fresh[:2], case.anomalous[0]])


def test_it_says_nothing_of_this_machine(fitted_once):
    written = fitted_once("supersimplenet").as_network().onnx
    assert b"site-packages" not in written
    assert str(Path(__file__).parents[4]).encode() not in written


def test_more_numbers_than_a_file_of_onnx_holds_are_refused(fitted_once, monkeypatch):
    monkeypatch.setattr(onnx_graph, "LARGEST", 1000)
    for name in ("padim", "gaussian", "isolation-forest"):
        with pytest.raises(ModelError, match=r"GB of numbers are more than a file of ONNX holds\."):
            fitted_once(name).as_network()
