"""Figures of a split that can be counted by hand."""

import numpy as np
import pytest

from components.core.contracts import Calibration, Scores
from components.evaluate.evaluation import LATENCY_SAMPLES, Scored, difference, evaluate, image_metrics, latency
from components.evaluate.pixels import pixel_metrics
from components.models.feature_memo import features_of, remembering

CALIBRATION = Calibration(
    threshold=0.5, low=0.4, high=0.6, false_alarm_rate=0.1, samples=9, method="split", guarantee=""
)


class Echo:
    """Scores an image by its mean; its map is the image."""

    name, modality, uses_labels, calibration = "echo", "image", False, CALIBRATION

    def __init__(self):
        self.calls = []

    def score(self, batch):
        self.calls.append(len(batch))
        return Scores(image=np.array([float(image.mean()) for image in batch]))

    def explain(self, batch):
        return np.stack([image.astype(np.float32) for image in batch])


class Pictures:
    """Images that are one value each."""

    def __init__(self, values, labels):
        self._values = values
        self.labels = np.array(labels, dtype=np.int8)
        self.ids = [str(number) for number in range(len(values))]

    def __len__(self):
        return len(self._values)

    def take(self, indices):
        return [np.full((8, 8), self._values[index]) for index in indices]


# Two of three anomalies lie above every normal sample, the third above one of the two: AUROC (2 + 2 + 1) / 6.
VALUES, LABELS = [0.1, 0.6, 0.9, 0.8, 0.3], [0, 0, 1, 1, 1]


def test_figures_at_the_threshold():
    found = image_metrics(np.array(VALUES), np.array(LABELS, dtype=np.int8), threshold=0.5, seed=0)
    assert found["image_auroc"].value == pytest.approx(5 / 6)
    # Ranked 0.9 (1), 0.8 (1), 0.6 (0), 0.3 (1), 0.1 (0): precision 1, 1 and 3/4 where an anomaly is found.
    assert found["average_precision"].value == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert found["recall"].value == pytest.approx(2 / 3)
    assert found["false_alarm_rate"].value == 0.5
    assert found["f1"].value == pytest.approx(2 / 3)  # precision 2/3, recall 2/3
    assert (found["recall"].n, found["false_alarm_rate"].n) == (3, 2)
    for metric in found.values():
        assert 0 <= metric.low <= metric.value <= metric.high <= 1


def test_a_score_at_the_threshold_is_no_alarm():
    found = image_metrics(np.array([0.5, 0.5]), np.array([0, 1], dtype=np.int8), threshold=0.5, seed=0)
    assert (found["recall"].value, found["false_alarm_rate"].value) == (0, 0)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_leaves_figures_unmeasured(label):
    found = image_metrics(np.array([0.1, 0.9]), np.array([label, label], dtype=np.int8), threshold=0.5, seed=0)
    assert found["image_auroc"].value is None
    assert found["image_auroc"].note
    missing, measured = ("recall", "false_alarm_rate") if label == 0 else ("false_alarm_rate", "recall")
    assert found[missing].value is None
    assert found[measured].value == 0.5


def test_evaluate_says_what_it_looked_at():
    found = evaluate(Echo(), Pictures(VALUES, LABELS), masks=[], dataset="press/v3", looks=2, seed=0)
    assert (found.evaluation.split, found.evaluation.dataset, found.evaluation.looks) == ("test", "press/v3", 2)
    assert found.scores.image == pytest.approx(VALUES)
    assert found.labels.tolist() == LABELS
    assert "aupro" not in found.evaluation.metrics
    # The threshold's interval reaches from 0.4 to 0.6, which is the score of one of two normal samples.
    unsure = [found.evaluation.metrics[name] for name in ("unsure_normal", "unsure_anomalous")]
    assert [(rate.value, rate.n) for rate in unsure] == [(0.5, 2), (0.0, 3)]
    again = evaluate(Echo(), Pictures(VALUES, LABELS), masks=[], dataset="press/v3", looks=2, seed=0)
    one, two = ({**run.evaluation.metrics, "latency_ms": None} for run in (found, again))
    assert one == two


def test_a_detector_without_a_threshold_is_not_evaluated():
    detector = Echo()
    detector.calibration = None
    with pytest.raises(ValueError, match="echo must be calibrated"):
        evaluate(detector, Pictures(VALUES, LABELS), masks=[], dataset="press/v3", looks=1, seed=0)


def test_latency_is_of_what_nothing_remembers():
    class Deep(Echo):
        def score(self, batch):
            features_of("deep", batch, lambda images: [self.calls.append(len(images)) or [] for _ in images])
            return super().score(batch)

    detector, samples = Deep(), Pictures([0.1, 0.2], [0, 0])
    with remembering(1e6):
        latency(detector, samples)
        latency(detector, samples)
    assert detector.calls == [1, 1] * 2 * (1 + len(samples))


def test_latency_is_of_single_samples():
    detector = Echo()
    found = latency(detector, Pictures([0.0] * 50, [0] * 50))
    assert detector.calls == [1] * (LATENCY_SAMPLES + 1)
    assert 0 < found.low <= found.value <= found.high
    assert found.n == LATENCY_SAMPLES
    assert latency(detector, Pictures([], [])).value is None


def scored(values):
    run = evaluate(Echo(), Pictures(values, LABELS), masks=[], dataset="press/v3", looks=1, seed=0)
    return Scored(evaluation=run.evaluation, scores=run.scores, labels=run.labels)


def test_the_difference_is_paired():
    perfect = scored([0.1, 0.2, 0.9, 0.8, 0.7])
    assert difference(perfect, scored(VALUES), seed=0).value == pytest.approx(1 / 6)
    same = difference(perfect, perfect, seed=0)
    assert same.value == 0
    assert same.low == -same.high


def test_pixel_figures_of_a_perfect_and_of_a_blind_map():
    mask = np.zeros((16, 16), dtype=bool)
    mask[2:6, 2:6] = True
    masks, labels = [mask, None], np.array([1, 0], dtype=np.int8)
    truth = np.stack([mask, np.zeros_like(mask)]).astype(np.float32)
    found = pixel_metrics(truth, masks, labels, seed=0)
    assert found["pixel_auroc"].value == pytest.approx(1)
    assert found["aupro"].value == pytest.approx(1, abs=0.01)
    wrong = pixel_metrics(1 - truth, masks, labels, seed=0)
    assert wrong["pixel_auroc"].value == pytest.approx(0)
    assert wrong["aupro"].value == pytest.approx(0, abs=0.01)


def test_defects_without_a_mask_leave_pixel_figures_unmeasured():
    found = pixel_metrics(np.ones((2, 4, 4), np.float32), [None, None], np.array([1, 0], dtype=np.int8), seed=0)
    assert [metric.value for metric in found.values()] == [None, None]
    assert {metric.note for metric in found.values()} == {"no test image has a mask"}


@pytest.mark.parametrize("size", [(1, 100), (2, 2), (3, 300), (40, 40)])
def test_a_defect_thinner_than_a_cell_of_its_large_image_counts(size):
    mask, heat = np.zeros((2048, 1024), bool), np.zeros((32, 32), np.float32)
    mask[1000 : 1000 + size[0], 500 : 500 + size[1]] = True
    heat[15, 15:26] = heat[16, 15:26] = 1
    found = pixel_metrics(np.stack([heat, 0 * heat]), [mask, None], np.array([1, 0], dtype=np.int8), seed=0)
    assert found["pixel_auroc"].value > 0.99
    assert found["aupro"].value > 0.98
